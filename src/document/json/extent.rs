//! Where strings and values end in the text of a line that is known to be JSON.

use super::{is_blank, patch::surrogate};

/// One past the closing quotation mark of the string at `at`, or the text's end.
pub(super) fn string_end(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(next) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += next;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The names of an object's own members, as they stand in its text, without quotation marks.
pub(in crate::document) fn names_of(object: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut at, mut depth, mut is_name) = (0, 0_usize, false);
    std::iter::from_fn(move || {
        while let Some(byte) = object.get(at) {
            match byte {
                b'"' => {
                    let (start, end) = (at + 1, string_end(object, at));
                    at = end;
                    if std::mem::take(&mut is_name) {
                        return Some(&object[start..(end - 1).max(start)]);
                    }
                    continue;
                }
                b'{' | b'[' => {
                    depth += 1;
                    is_name = depth == 1;
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => is_name = depth == 1,
                _ => (),
            }
            at += 1;
        }
        None
    })
}

/// One past the value of the member whose name begins at `at`, or the text's end.
pub(super) fn member_end(text: &[u8], at: usize) -> usize {
    let mut at = string_end(text, at);
    let mut depth = 0_usize;
    let mut has_value = false;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            // What ends a number or a word is not a part of it.
            b',' | b'}' | b']' if depth == 0 => return at,
            b':' if depth == 0 => {
                at += 1;
                continue;
            }
            byte if is_blank(*byte) => {
                if has_value && depth == 0 {
                    return at;
                }
                at += 1;
                continue;
            }
            _ => (),
        }
        has_value = true;
        at += 1;
        if depth == 0 && matches!(text[at - 1], b'"' | b'}' | b']') {
            return at;
        }
    }
    text.len()
}

/// How far the string at `at` may stay if at most `bytes_max` bytes between its quotation marks are to: to the end
/// of a character or of an escape, a pair of surrogates being one. And where its closing quotation mark is.
pub(super) fn string_cut(text: &[u8], at: usize, bytes_max: usize) -> (usize, usize) {
    let mark = string_end(text, at) - 1;
    let start = at + 1;
    let (mut at, end) = (start, start.saturating_add(bytes_max).min(mark));
    while at < end {
        let next = at
            + match text[at] {
                b'\\' => match (surrogate(text, at), surrogate(text, at + 6)) {
                    (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
                    (Some(_), _) => 6,
                    _ => 2,
                },
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
        if next > end {
            break;
        }
        at = next;
    }
    (at, mark)
}

#[cfg(test)]
mod tests {
    use super::{member_end, string_cut};

    #[test]
    fn a_member_ends_behind_its_value_whatever_stands_in_it() {
        for value in
            ["1", "-1.5e9", "true", "\"\"", r#""a\"},b""#, "{}", r#"{"a":[1,{"b":"]}"}]}"#, "[[],[ ]]", "[ 1 , 2 ]"]
        {
            for (between, behind) in [(":", "}"), (" : ", " }"), (":", ",\"b\":1}"), ("\t:\n", "\r,")] {
                let text = format!("\"n\\\"\"{between}{value}{behind}");
                let end = text.len() - behind.len();
                assert_eq!(member_end(text.as_bytes(), 0), end, "{text}");
            }
        }
    }

    #[test]
    fn a_string_is_cut_between_characters_and_escapes() {
        let table = [
            ("abc", 2, "ab"),
            ("abc", 3, "abc"),
            ("abc", 9, "abc"),
            ("abc", 0, ""),
            ("aéb", 2, "a"),
            ("a€b", 4, "a€"),
            ("a\u{1f600}b", 4, "a"),
            (r"a\nb", 2, "a"),
            (r"a\u00e9b", 6, "a"),
            (r"a\u00e9b", 7, r"a\u00e9"),
            (r"a\ud83d\ude00b", 12, "a"),
            (r"a\ud83d\ude00b", 13, r"a\ud83d\ude00"),
            (r"\ud83d\u0041", 8, r"\ud83d"),
        ];
        for (text, bytes_max, expected) in table {
            let json = format!("\"{text}\",");
            let (cut, mark) = string_cut(json.as_bytes(), 0, bytes_max);
            assert_eq!((&json[1..cut], mark), (expected, text.len() + 1), "{text} {bytes_max}");
        }
    }
}
