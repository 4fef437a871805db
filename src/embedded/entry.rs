//! One document on its way into the index.

use jiff::Timestamp;
use serde_json::json;
use tantivy::{TantivyDocument, schema::OwnedValue};

use crate::record::Level;

use super::{
    member::{self, Member, Members},
    schema::Fields,
    term, tokenizer,
};

/// The most values of one document that can be asked for; what is beyond them is stored and shown, and its message
/// is always searched.
const VALUES_MAX: usize = 1_000;

/// A document to be written.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its `_id`.
    pub id: &'a str,
    /// Its `@timestamp`.
    pub time: Timestamp,
    /// The document: one JSON object with `@timestamp`, `message`, `log.file.path`, `log.offset` and so on.
    pub json: &'a [u8],
}

impl Entry<'_> {
    /// The entry as the index takes it. What is not a JSON object becomes the message of a document of its own.
    pub(super) fn document(&self, fields: &Fields) -> TantivyDocument {
        if let Ok(members) = member::read(self.json) {
            return self.indexed(&members, self.json, fields);
        }
        let message = String::from_utf8_lossy(self.json);
        let source =
            json!({ "@timestamp": self.time.to_string(), "message": message, "tags": ["unreadable_document"] })
                .to_string();
        let members = member::read(source.as_bytes()).unwrap_or_default();
        self.indexed(&members, source.as_bytes(), fields)
    }

    fn indexed(&self, members: &Members<'_>, source: &[u8], fields: &Fields) -> TantivyDocument {
        let mut index = Indexing {
            fields,
            document: TantivyDocument::new(),
            numbers: Vec::new(),
            values_left: VALUES_MAX,
            path: "",
            offset: 0,
        };
        index.document.add_text(fields.id, self.id);
        index.document.add_bytes(fields.source, source);
        index.document.add_i64(fields.time, nanoseconds(self.time));
        for (name, value) in members {
            index.root(name, value);
        }
        let Indexing { mut document, numbers, path, offset, .. } = index;
        document.add_text(fields.path, path);
        document.add_u64(fields.offset, offset);
        if !numbers.is_empty() {
            document.add_field_value(fields.numbers, &OwnedValue::Object(numbers));
        }
        document
    }
}

/// A time as the index has it; times before 1677 and after 2262 stand at the ends.
pub(super) fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time.as_nanosecond() < 0 { i64::MIN } else { i64::MAX })
}

struct Indexing<'a> {
    fields: &'a Fields,
    document: TantivyDocument,
    numbers: Vec<(String, OwnedValue)>,
    values_left: usize,
    path: &'a str,
    offset: u64,
}

impl<'a> Indexing<'a> {
    /// A member of the document itself, some of which have fields of their own.
    fn root(&mut self, name: &'a str, value: &'a Member<'a>) {
        match (name, value) {
            ("message", Member::Text(text)) => {
                self.document.add_text(self.fields.message, text);
                self.member(&term::exists(name));
                if tokenizer::cuts(text) {
                    self.member(&term::cut(name));
                }
            }
            ("@timestamp", Member::Text(_)) => (),
            ("log.offset", Member::Number(offset)) if *offset >= 0.0 && offset.fract() == 0.0 => {
                self.offset = *offset as u64;
            }
            ("log.level", Member::Text(text)) => {
                if let Some(level) = Level::parse(text.as_bytes()) {
                    self.document.add_u64(self.fields.level, level as u64);
                }
                self.value(name, value);
            }
            ("message" | "@timestamp" | "log.offset" | "log.level", value) => {
                self.member(&term::odd(name));
                self.value(name, value);
            }
            ("log.file.path", Member::Text(text)) => {
                self.path = text;
                self.value(name, value);
            }
            (name, value) => self.value(name, value),
        }
    }

    /// Any member. Those whose names can't be indexed are answered from the stored documents.
    fn value(&mut self, name: &str, value: &Member<'_>) {
        let told_by_value = term::has_few_values(name) && matches!(value, Member::Text(_));
        if term::indexable(name) && self.presence(name, value) && !told_by_value {
            self.member(&term::exists(name));
        }
    }

    /// Adds the values below a member, and says whether the member counts as being there.
    fn presence(&mut self, name: &str, value: &Member<'_>) -> bool {
        if self.values_left == 0 {
            return false;
        }
        self.values_left -= 1;
        match value {
            Member::Null => return false,
            Member::Truth(value) => self.member(&term::truth(name, *value)),
            Member::Number(number) => {
                if term::has_column(name) {
                    // Adding zero makes a negative zero, which equals zero, look like it.
                    self.numbers.push((name.to_owned(), OwnedValue::F64(number + 0.0)));
                }
            }
            Member::Text(text) => {
                let (term, is_cut) = term::text(name, text);
                self.member(&term);
                if is_cut {
                    self.member(&term::cut(name));
                }
            }
            Member::List(values) => {
                // Each is looked at, so that each is indexed. Objects in lists are only ever asked for as present.
                return values.iter().fold(false, |found, value| match value {
                    Member::Object(members) => found || !members.is_empty(),
                    value => self.presence(name, value) || found,
                });
            }
            Member::Object(members) => {
                for (inner, value) in members {
                    self.value(&format!("{name}.{inner}"), value);
                }
                return !members.is_empty();
            }
        }
        true
    }

    fn member(&mut self, term: &str) {
        self.document.add_text(self.fields.members, term);
    }
}
