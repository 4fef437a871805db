//! A member of a JSON object by its path, found in the object's text.

use std::{borrow::Cow, ops::Range};

use super::{
    extent::{member_end, string_end},
    is_blank,
};

/// Where the value of the member at `path` stands in the text of an object that is known to be JSON. Dots in the path
/// lead into objects or are part of names, whichever there is; names with escapes are never meant. Of several the last counts.
#[must_use]
pub fn find(object: &[u8], path: &str) -> Option<Range<usize>> {
    let begin = object.iter().position(|byte| !is_blank(*byte))?;
    if object[begin] != b'{' {
        return None;
    }
    let (mut at, mut found) = (begin + 1, None);
    while let Some(mark) = next(object, at, |byte| byte == b'"' || byte == b'}') {
        if object[mark] == b'}' {
            break;
        }
        let name_end = string_end(object, mark);
        let value_end = member_end(object, mark);
        let rest = object.get(mark + 1..name_end - 1).and_then(|name| path.as_bytes().strip_prefix(name));
        if let Some(rest) = rest
            && let Some(start) = next(object, name_end, |byte| !is_blank(byte) && byte != b':')
        {
            match rest {
                [] => found = Some(start..value_end),
                [b'.', ..] => {
                    let below = &path[path.len() - rest.len() + 1..];
                    let within = object.get(start..value_end).and_then(|value| find(value, below));
                    found = within.map(|value| start + value.start..start + value.end).or(found);
                }
                _ => (),
            }
        }
        at = value_end;
    }
    found
}

/// The text of a value: what a string says, or a number or a truth value as it is written.
#[must_use]
pub fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    match value {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => std::str::from_utf8(inside).ok().map(Cow::Borrowed),
        [b'"', ..] => serde_json::from_slice(value).ok().map(Cow::Owned),
        [b'{' | b'[', ..] | b"null" => None,
        plain => std::str::from_utf8(plain).ok().map(Cow::Borrowed),
    }
}

fn next(text: &[u8], from: usize, is_wanted: impl Fn(u8) -> bool) -> Option<usize> {
    text.get(from..)?.iter().position(|byte| is_wanted(*byte)).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::{find, text};
    use proptest::prelude::*;

    fn value<'a>(object: &'a str, path: &str) -> Option<&'a str> {
        find(object.as_bytes(), path).map(|value| &object[value])
    }

    #[test]
    fn a_member_is_found_by_its_path_however_it_is_nested() {
        let object =
            r#" { "a" : 1 , "b":{"c":"x","d":{"e":[1,{"a":2}]}}, "b.f" : true,"g":{"h.i":null},"g.h":{"j":"}"}} "#;
        let table = [
            ("a", Some("1")),
            ("b.c", Some("\"x\"")),
            ("b.d", Some(r#"{"e":[1,{"a":2}]}"#)),
            ("b.d.e", Some(r#"[1,{"a":2}]"#)),
            ("b.f", Some("true")),
            ("g.h.i", Some("null")),
            ("g.h.j", Some("\"}\"")),
            ("c", None),
            ("b.", None),
            ("", None),
            ("a.x", None),
            ("b.d.e.a", None),
        ];
        for (path, expected) in table {
            assert_eq!(value(object, path), expected, "{path}");
        }
        assert_eq!(value(r#"{"a":1,"a":{"b":2},"a":3}"#, "a"), Some("3"));
        assert_eq!(value("{}", "a"), None);
        assert_eq!(value("[1]", "a"), None);
    }

    #[test]
    fn a_value_has_a_text_unless_it_is_made_of_others() {
        let table = [
            (r#""a""#, Some("a")),
            (r#""a\u00e9\"""#, Some("aé\"")),
            ("1.50", Some("1.50")),
            ("true", Some("true")),
            ("null", None),
            ("{}", None),
            ("[1]", None),
            (r#""\ud800""#, None),
        ];
        for (value, expected) in table {
            assert_eq!(text(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_object_is_no_reason_to_panic(text in "[{}\\[\\],:\"\\\\a. 0-9]{0,40}", path in "[a.]{0,4}") {
            let _ = find(text.as_bytes(), &path);
        }
    }
}
