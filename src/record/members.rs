//! The members of a JSON object, found without a look at what they hold: for the few of many that are wanted.

use std::borrow::Cow;

use super::json::first_escape;

/// Hands the name and the value of each member of the JSON object `text` to `take`, in order, as they stand: a name
/// without its quotation marks and with its escapes, a value with all that it has.
///
/// Returns whether `text` is one object as far as its structure goes. Whether names, numbers and nested values are as
/// JSON has them is not looked at, and what was handed over before something was found wrong means nothing.
pub fn each<'a>(text: &'a [u8], mut take: impl FnMut(&'a [u8], &'a [u8])) -> bool {
    let mut scan = Scan { text, at: 0 };
    scan.blank();
    if !scan.eat(b'{') {
        return false;
    }
    scan.blank();
    if !scan.eat(b'}') {
        loop {
            let Some(name) = scan.string() else { return false };
            scan.blank();
            if !scan.eat(b':') {
                return false;
            }
            scan.blank();
            let Some(value) = scan.value() else { return false };
            take(&name[1..name.len() - 1], value);
            scan.blank();
            if scan.eat(b'}') {
                break;
            }
            if !scan.eat(b',') {
                return false;
            }
            scan.blank();
        }
    }
    scan.blank();
    scan.at == text.len()
}

/// The text of a value that is a string.
#[must_use]
pub fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if first_escape(inside).is_none() {
        return std::str::from_utf8(inside).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice(value).ok().map(Cow::Owned)
}

/// The number of a value that is a whole one.
#[must_use]
pub fn number(value: &[u8]) -> Option<u64> {
    // What JSON does not take as a number, this does: a sign, and zeros in front.
    if value.first()? == &b'+' || (value.len() > 1 && value[0] == b'0') {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A place in a text.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.byte() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn blank(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// A string with its quotation marks; none, if there is none, or it has no end.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        if !self.eat(b'"') {
            return None;
        }
        loop {
            self.at += first_escape(&self.text[self.at..])?;
            match self.text[self.at] {
                b'"' => break,
                // What it stands for is of no matter here, but it may be a quotation mark.
                b'\\' => self.at += 2,
                _ => return None,
            }
            if self.at > self.text.len() {
                return None;
            }
        }
        self.at += 1;
        Some(&self.text[start..self.at])
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        match self.byte()? {
            b'"' => return self.string(),
            b'{' | b'[' => self.nested()?,
            _ => {
                while matches!(self.byte(), Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')) {
                    self.at += 1;
                }
            }
        }
        (self.at > start).then(|| &self.text[start..self.at])
    }

    /// Passes over an object or an array, however deep: only what opens and closes is counted.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.byte()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => (),
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::{each, number, text};

    fn members(json: &[u8]) -> Option<Vec<(String, Value)>> {
        let mut members = Vec::new();
        let is_object = each(json, |name, value| {
            let name = text(&[b"\"", name, b"\""].concat()).map(std::borrow::Cow::into_owned);
            members.push(name.zip(serde_json::from_slice::<Value>(value).ok()));
        });
        is_object.then(|| members.into_iter().collect::<Option<_>>())?
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
            ".*".prop_map(Value::from),
            r#"[\\"{}\[\],:a]*"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                object(inner).prop_map(Value::Object),
            ]
        })
    }

    fn object(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec((".{0,9}", values), 0..6).prop_map(|members| members.into_iter().collect())
    }

    proptest! {
        #[test]
        fn all_members_of_any_object_are_found(object in object(json()), is_pretty in any::<bool>()) {
            let json = if is_pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) };
            let want: Vec<_> = object.into_iter().collect();
            prop_assert_eq!(members(&json.expect("JSON")), Some(want));
        }

        #[test]
        fn what_is_cut_is_no_object(object in object(json()), cut in any::<prop::sample::Index>()) {
            let json = serde_json::to_vec(&object).expect("JSON");
            prop_assert!(!each(&json[..cut.index(json.len())], |_, _| ()));
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\ 1a"#.to_vec())], 0..60)
        ) {
            let _ = each(&bytes, |name, value| {
                let _ = (text(name), text(value), number(value));
            });
        }

        #[test]
        fn texts_and_numbers_are_what_they_are_elsewhere(value in json(), odd in "[+-]?0?[0-9]{0,25}") {
            let json = value.to_string();
            let found = text(json.as_bytes());
            prop_assert_eq!(found.as_deref(), value.as_str());
            prop_assert_eq!(number(json.as_bytes()), value.as_u64());
            prop_assert_eq!(number(odd.as_bytes()), serde_json::from_str(&odd).ok());
        }
    }

    #[test]
    fn what_is_no_object_is_told() {
        for text in [
            "",
            "1",
            "[1]",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":\"\n\"}",
            "{\"a\":[}",
        ] {
            assert!(!each(text.as_bytes(), |_, _| ()), "{text}");
        }
    }
}
