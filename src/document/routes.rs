//! Parts of index names that come from fields of documents, and how many there may be of them.
//!
//! Every other value of a field makes another index, and an index is dear: a field that turns out to be a user's number must not
//! make a million of them. So one process makes only so many combinations of values; documents with others, or without
//! a field, go where [`OTHER`] stands in the place of the values.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::json::path;
use crate::metrics::{self, Counter, list};

/// What stands in a name in the place of values that a document doesn't have, or that are too many.
pub const OTHER: &str = "other";

/// A longer value is cut, so that the rest of the name has room.
const VALUE_BYTES_MAX: usize = 64;

/// The fields that a name has, and the values that were seen of them. A copy counts its values together with the others.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    fields: Vec<String>,
    shared: Arc<Shared>,
    /// Combinations that this copy knows to be among the shared ones.
    known: HashSet<String>,
    /// The values of the document at hand, one behind the other, and where each ends.
    text: String,
    ends: Vec<usize>,
    fate: Fate,
}

#[derive(Debug)]
struct Shared {
    seen: Mutex<HashSet<String>>,
    max: usize,
    missing: Counter,
    too_many: Counter,
}

/// Whether a document goes where its fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Own,
    /// A field is missing, empty or not a plain value.
    Missing,
    TooMany,
}

impl Routes {
    pub(super) fn new(max: usize) -> Self {
        let counter = |reason| metrics::counter(&list::REROUTED_DOCUMENTS, &[reason]);
        let shared =
            Shared { seen: Mutex::default(), max, missing: counter("no_field"), too_many: counter("too_many") };
        Self {
            fields: Vec::new(),
            shared: Arc::new(shared),
            known: HashSet::new(),
            text: String::new(),
            ends: Vec::new(),
            fate: Fate::Own,
        }
    }

    /// Adds a field, and gives its number.
    pub(super) fn add(&mut self, field: &str) -> usize {
        self.fields.push(field.to_owned());
        self.fields.len() - 1
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Looks at a document; whether its values are others than those of the one before.
    pub(super) fn look(&mut self, document: &[u8]) -> bool {
        if self.fields.is_empty() {
            return false;
        }
        let before = std::mem::take(&mut self.text);
        let ends = std::mem::take(&mut self.ends);
        let mut fate = Fate::Own;
        for field in &self.fields {
            let value = path::find(document, field).and_then(|value| path::text(&document[value]));
            match value.as_deref() {
                Some(value) if !value.trim().is_empty() => {
                    self.text.push_str(&value[..value.floor_char_boundary(VALUE_BYTES_MAX)]);
                }
                _ => {
                    fate = Fate::Missing;
                    self.text.push_str(OTHER);
                }
            }
            self.ends.push(self.text.len());
        }
        let is_new = self.text != before || self.ends != ends;
        if is_new {
            self.fate = if self.is_taken() { fate } else { Fate::TooMany };
        } else if self.fate != Fate::TooMany {
            self.fate = fate;
        }
        match self.fate {
            Fate::Own => (),
            Fate::Missing => self.shared.missing.increment(1),
            Fate::TooMany => self.shared.too_many.increment(1),
        }
        is_new
    }

    /// The value, as it is in the document that was looked at, of the field with this number.
    pub(super) fn value(&self, number: usize) -> &str {
        if self.fate == Fate::TooMany { OTHER } else { self.own_value(number) }
    }

    fn own_value(&self, number: usize) -> &str {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.text[start..self.ends[number]]
    }

    /// Whether the values at hand are among those that may be, or may become one of them.
    fn is_taken(&mut self) -> bool {
        let values: Vec<&str> = (0..self.fields.len()).map(|number| self.own_value(number)).collect();
        // That is where those beyond the limit go, too.
        let is_nothing = values.iter().all(|value| *value == OTHER);
        let key = values.join("\0");
        if is_nothing || self.known.contains(&key) {
            return true;
        }
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains(&key) && seen.len() >= self.shared.max {
            return false;
        }
        seen.insert(key.clone());
        drop(seen);
        self.known.insert(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, OTHER, Routes};

    #[test]
    fn a_value_counts_once_for_all_copies_and_beyond_the_limit_others_stand_together() {
        let mut routes = Routes::new(2);
        routes.add("a.b");
        let mut copy = routes.clone();
        assert!(routes.look(br#"{"a":{"b":"x"}}"#) && !routes.look(br#"{"a.b":"x","c":1}"#));
        assert_eq!(routes.value(0), "x");
        assert!(copy.look(br#"{"a.b":"x"}"#) && copy.look(br#"{"a.b":2}"#));
        assert_eq!(copy.value(0), "2");
        assert!(routes.look(br#"{"a.b":"z"}"#));
        assert_eq!(routes.value(0), OTHER);
        assert!(!routes.look(br#"{"a.b":"z"}"#));
        assert_eq!(routes.value(0), OTHER);
        assert!(routes.look(b"{}"));
        assert_eq!((routes.value(0), routes.fate), (OTHER, Fate::Missing));
        assert!(routes.look(br#"{"a.b":"2"}"#));
        assert_eq!(routes.value(0), "2");
    }

    #[test]
    fn what_a_document_does_not_have_is_another() {
        let mut routes = Routes::new(10);
        for field in ["a", "b"] {
            routes.add(field);
        }
        for (document, a, b) in [
            (r#"{"a":"x","b":"y"}"#, "x", "y"),
            (r#"{"a":"xy","b":""}"#, "xy", OTHER),
            (r#"{"a":[1],"b":null}"#, OTHER, OTHER),
            (r#"{"a":" ","b":true}"#, OTHER, "true"),
        ] {
            assert!(routes.look(document.as_bytes()));
            assert_eq!((routes.value(0), routes.value(1)), (a, b), "{document}");
        }
        routes.look(format!("{{\"a\":\"{}\"}}", "é".repeat(50)).as_bytes());
        assert_eq!(routes.value(0), "é".repeat(32));
    }
}
