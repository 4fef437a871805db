//! JSON as the TOML reader would hand it over, each value with its place in the text: so that one set of types, one check
//! and one way of telling a mistake serve both.

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use crate::config::problem::Problem;

/// Deeper values are refused; no setting is.
const DEPTH_MAX: usize = 16;

/// The value that a text holds.
pub(super) fn read(text: &str) -> Result<Spanned<DeValue<'_>>, Problem> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        let at = offset(text, error.line(), error.column());
        Problem::new(Some(at..at + 1), format!("this is no JSON: {what}"))
    })?;
    Reader { text }.value(raw, 0)
}

/// Where a line and a column of serde_json's are: both count from 1, columns in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    text.floor_char_boundary((start + column.saturating_sub(1)).min(text.len().saturating_sub(1)))
}

struct Reader<'t> {
    text: &'t str,
}

impl<'t> Reader<'t> {
    fn value(&self, raw: &'t RawValue, depth: usize) -> Result<Spanned<DeValue<'t>>, Problem> {
        let (span, json) = (self.span(raw.get()), raw.get());
        let refuse = |what: &str| Problem::new(Some(span.clone()), what);
        // Each arm reads what serde_json has read before, as it is; only what it makes of it can be refused.
        let unread = |error: serde_json::Error| refuse(&format!("this can't be read: {error}"));
        if depth > DEPTH_MAX {
            return Err(refuse("this is nested deeper than any setting"));
        }
        let value = match json.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(json).map_err(unread)?;
                DeValue::Table(self.table(members, depth)?)
            }
            Some(b'[') => {
                let elements: Vec<&'t RawValue> = serde_json::from_str(json).map_err(unread)?;
                let read = elements.into_iter().map(|element| self.value(element, depth + 1));
                DeValue::Array(read.collect::<Result<DeArray<'t>, _>>()?)
            }
            Some(b'"') => {
                let Text(text) = serde_json::from_str(json).map_err(unread)?;
                DeValue::String(text)
            }
            Some(b't' | b'f') => DeValue::Boolean(json == "true"),
            Some(b'n') => return Err(refuse("this is null").hint("leave it out")),
            _ => DeValue::parse(json)
                .map_err(|_| refuse("this number can't be read").hint("write it without an exponent"))?
                .into_inner(),
        };
        Ok(Spanned::new(span, value))
    }

    fn table(&self, members: Vec<(Cow<'t, str>, &'t RawValue)>, depth: usize) -> Result<DeTable<'t>, Problem> {
        let mut table = DeTable::new();
        for (name, raw) in members {
            let span = self.name_before(self.span(raw.get()).start);
            if table.contains_key(name.as_ref()) {
                return Err(Problem::new(Some(span), format!("{name:?} stands here twice")).hint("leave one out"));
            }
            let value = self.value(raw, depth + 1)?;
            table.insert(Spanned::new(span, name), value);
        }
        Ok(table)
    }

    /// Where a part of the text is in it.
    fn span(&self, part: &str) -> Range<usize> {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len());
        start..(start + part.len()).min(self.text.len())
    }

    /// Where the name stands whose value begins at `at`: between the quotes before the colon.
    fn name_before(&self, at: usize) -> Range<usize> {
        let before = self.text[..at].trim_end().trim_end_matches(':').trim_end();
        let Some(inner) = before.strip_suffix('"') else { return at..at };
        let is_open = |(at, _): &(usize, &str)| {
            inner[..*at].bytes().rev().take_while(|byte| *byte == b'\\').count().is_multiple_of(2)
        };
        let open = inner.rmatch_indices('"').find(is_open).map_or(0, |(at, _)| at + 1);
        open..inner.len()
    }
}

/// An object's members in their order, doubles among them.
struct Members<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::read;

    #[test]
    fn each_value_and_each_name_knows_its_place() {
        let text = r#"[ {"a\"b" : "x", "n": -12, "f": 1.5, "t": true, "l": [1]} ]"#;
        let value = read(text).expect("JSON");
        let table = value.get_ref().as_array().expect("a list")[0].get_ref().as_table().expect("a table");
        for (name, value) in table {
            let name_text = &text[name.span()];
            assert_eq!(serde_json::from_str::<String>(&format!("\"{name_text}\"")).expect("a name"), **name.get_ref());
            assert!(serde_json::from_str::<serde_json::Value>(&text[value.span()]).is_ok());
        }
        assert_eq!(table["n"].get_ref().as_integer().expect("a number").as_str(), "-12");
        assert_eq!(&text[table["l"].span()], "[1]");
    }

    #[test]
    fn what_no_setting_can_be_is_refused_where_it_is() {
        let refusal = |text: &str| {
            let problem = read(text).expect_err("refused");
            (problem.what, problem.span.map(|span| span.start))
        };
        assert_eq!(refusal(r#"{"a": null}"#), ("this is null".to_owned(), Some(6)));
        assert_eq!(refusal(r#"{"a": 1, "a": 2}"#), ("\"a\" stands here twice".to_owned(), Some(10)));
        assert!(refusal("[\n {\"a\": }]").0.starts_with("this is no JSON: expected value"));
        assert_eq!(refusal("[\n {\"a\": }]").1, Some(9));
        assert!(refusal(&("[".repeat(40) + &"]".repeat(40))).0.contains("nested deeper"));
        assert!(refusal("").0.starts_with("this is no JSON"));
    }

    proptest! {
        #[test]
        fn junk_never_panics(text in ".*") {
            let _ = read(&text);
        }

        #[test]
        fn what_looks_like_json_never_panics(text in r#"[\[\]{}":,0-9ntrue.\\ -]{0,40}"#) {
            let _ = read(&text);
        }
    }
}
