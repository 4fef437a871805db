//! JSON for people: broken into lines, each token as it was written. Reading and writing it anew would change numbers.

use crate::search::terminal::safe_json;

/// A JSON text with a member or an element a line, and nothing in it that commands a terminal.
pub(super) fn pretty(json: &str) -> String {
    let (mut out, mut depth, mut rest) = (String::with_capacity(json.len() * 2), 0, json);
    let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
    while let Some(c) = rest.chars().next() {
        let (token, behind) = match c {
            '"' => rest.split_at(string_end(rest)),
            _ => rest.split_at(c.len_utf8()),
        };
        rest = behind;
        match c {
            '{' | '[' if rest.trim_start().starts_with(['}', ']']) => {
                let end = rest.find(['}', ']']).unwrap_or_default();
                out.push_str(&[token, &rest[end..=end]].concat());
                rest = &rest[end + 1..];
            }
            '{' | '[' => {
                depth += 1;
                out.push_str(&(token.to_owned() + &line(depth)));
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                out.push_str(&(line(depth) + token));
            }
            ',' => out.push_str(&(token.to_owned() + &line(depth))),
            ':' => out.push_str(": "),
            ' ' | '\t' | '\n' | '\r' => (),
            _ => out.push_str(&safe_json(token)),
        }
    }
    out
}

/// Where the string ends that `text` begins with.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn each_token_stands_as_it_was_written() {
        let json =
            r#"{"a":1.000,"b":[ ],"c":{"d\"}":[1e400,true]},"e":"x, {y}: \\","big":123456789012345678901234567890}"#;
        let expected = "{\n  \"a\": 1.000,\n  \"b\": [],\n  \"c\": {\n    \"d\\\"}\": [\n      1e400,\n      true\n    ]\n  },\n  \
                        \"e\": \"x, {y}: \\\\\",\n  \"big\": 123456789012345678901234567890\n}";
        assert_eq!(pretty(json), expected);
        assert_eq!(pretty("{}"), "{}");
    }

    #[test]
    fn nothing_in_it_commands_a_terminal_and_what_is_broken_does_no_harm() {
        assert_eq!(pretty("{\"a\":\"\u{9b}2J\u{202e}\"}"), "{\n  \"a\": \"\\u009b2J\\u202e\"\n}");
        for broken in ["{", "\"a", "]]", "{\"a\":\u{1b}[2J", "[\u{fc}", "[  "] {
            assert!(!pretty(broken).contains('\u{1b}'), "{broken}");
        }
    }
}
