//! A document's JSON, read without copying what need not be copied.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A member's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Member<'a> {
    Null,
    Truth(bool),
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Member<'a>>),
    Object(Members<'a>),
}

/// Names and values in the order in which they stand.
pub(super) type Members<'a> = Vec<(Cow<'a, str>, Member<'a>)>;

/// Reads a document.
///
/// # Errors
/// If it is not a JSON object, or nested too deeply.
pub(super) fn read(json: &[u8]) -> Result<Members<'_>, serde_json::Error> {
    match serde_json::from_slice(json)? {
        Member::Object(members) => Ok(members),
        _ => Err(serde::de::Error::custom("it is not an object")),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Member<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Member::Truth(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Member::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Member::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Member::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Member::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(12);
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Member::Object(members))
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reading)? {
            Member::Text(name) => Ok(Name(name)),
            _ => Err(serde::de::Error::custom("a name is a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, read};

    #[test]
    fn every_kind_of_value_is_read_and_what_is_not_an_object_is_refused() {
        let members = read(br#"{"a":null,"b":[true,-1,2.5],"c":{"d\n":"x\ty"},"e":"plain"}"#).unwrap();
        assert_eq!(members[0].1, Member::Null);
        assert_eq!(members[1].1, Member::List(vec![Member::Truth(true), Member::Number(-1.0), Member::Number(2.5)]));
        assert_eq!(members[2].1, Member::Object(vec![("d\n".into(), Member::Text("x\ty".into()))]));
        assert!(matches!(&members[3].1, Member::Text(std::borrow::Cow::Borrowed("plain"))));
        for not_a_document in ["[]", "1", "", "{", &"[".repeat(10_000)] {
            assert!(read(not_a_document.as_bytes()).is_err(), "{not_a_document:.20}");
        }
    }
}
