//! What a dead letter says: the one form of what can't be indexed, or that Kafka refuses, written and read.
//!
//! Who writes letters, and when, is for the roles to know. Each letter is one Kafka record whose value is one JSON
//! object, which docs/dead-letters.md tells operators about:
//!
//! | member | what |
//! |---|---|
//! | `version` | 1 |
//! | `time` | when the letter was written, RFC 3339 in UTC |
//! | `kind` | `document` (the store refused it), `record` (it could not be read, or Kafka refused it), or `replayed` (no letter: see below) |
//! | `reason` | why, in words; `reason_type` has the store's name for it, or a word of ours |
//! | `topic`, `partition`, `offset` | the Kafka record it comes from; of one that Kafka refused, where it was to go, without an offset |
//! | `timestamp_ms` | that record's time in milliseconds since 1970, if it has one |
//! | `host`, `task`, `file`, `file_offset` | of a document, and of a record that Kafka refused: where its line stood, as far as that is known |
//! | `index`, `id`, `document` | of a document: where it was to go, its `_id`, and itself as a JSON object |
//! | `id` | of a record that Kafka refused: where its first line stood, with a hash of its value |
//! | `key`, `value` | of a record: both in base64; a key only if it has one |
//! | `headers` | of a record: an array of `[name, value in base64 or null]` |
//! | `cut` | `true` if `document` (a string then), or `value` and `headers`, had to be cut to fit the topic |
//!
//! Its key is the `id`, or, where there is none, `TOPIC/PARTITION/OFFSET` of the record. A record that is read again, after
//! a crash or a change in the group, may have its letter again: letters with one key are about one thing.
//!
//! A letter that was replayed with success stays where it is, and behind it in its partition lies a record of the
//! kind `replayed` with the same key. Its members are `version`, `time`, `kind`, `letter` (the letter's `partition`
//! and `offset`) and `outcome` (`created`, `duplicate` or `sent_back`).

mod provenance;
mod reading;
mod refusal;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::value::RawValue;

use self::provenance::Provenance;
pub use self::{
    reading::{Content as Held, Kind, Position, Summary, Whole},
    refusal::{Refusal, Stood},
};

/// The version of the format.
pub const VERSION: u8 = 1;

/// Where a letter comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The topic of the record.
    pub topic: Arc<str>,
    /// The record's partition.
    pub partition: i32,
    /// Its offset in the partition.
    pub offset: u64,
    /// Its time, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}

/// What can't be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A document that the store refuses.
    Document {
        /// Where it was to go.
        index: String,
        /// Its `_id`.
        id: String,
        /// A JSON object.
        json: Vec<u8>,
    },
    /// A record that can't be read.
    Record {
        /// Its key, if it has one.
        key: Option<Vec<u8>>,
        /// Its headers, in order.
        headers: Vec<(String, Option<Vec<u8>>)>,
        /// Its value.
        value: Vec<u8>,
    },
}

/// One thing that can't be indexed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The record that it comes from.
    pub origin: Origin,
    /// The reason's name, one of a few, for metrics.
    pub reason_type: String,
    /// Why, in words.
    pub reason: String,
    /// What can't be indexed.
    pub content: Content,
}

/// The letter's JSON, member by member.
#[derive(Serialize)]
struct Envelope<'a> {
    version: u8,
    time: jiff::Timestamp,
    kind: &'static str,
    reason_type: &'a str,
    reason: &'a str,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_ms: Option<i64>,
    #[serde(flatten)]
    provenance: Provenance<'a>,
    #[serde(flatten)]
    content: Member<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Member<'a> {
    Document {
        index: &'a str,
        id: &'a str,
        document: &'a RawValue,
    },
    DocumentCut {
        index: &'a str,
        id: &'a str,
        document: &'a str,
    },
    Record {
        /// Of one that Kafka refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        headers: Vec<(&'a str, Option<String>)>,
        value: String,
    },
}

impl Letter {
    /// What the letter is about, however often it is written.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let Origin { topic, partition, offset, .. } = &self.origin;
        let id = match &self.content {
            Content::Document { id, .. } => id,
            Content::Record { .. } => "",
        };
        key_of(id, || place(topic, *partition, *offset))
    }

    /// The letter as JSON, its content cut to `keep` bytes if that is given.
    #[must_use]
    pub fn write(&self, keep: Option<usize>) -> Vec<u8> {
        let Origin { topic, partition, offset, timestamp_ms } = &self.origin;
        let is_document = matches!(self.content, Content::Document { .. });
        let text = self.content.text();
        let (content, cut) = self.content.member(&text, keep);
        let provenance = Provenance::of(&text);
        let envelope = Envelope {
            version: VERSION,
            time: jiff::Timestamp::now(),
            kind: if is_document { "document" } else { "record" },
            reason_type: &self.reason_type,
            reason: &self.reason,
            topic,
            partition: Some(*partition),
            offset: Some(*offset),
            timestamp_ms: *timestamp_ms,
            provenance,
            content,
            cut,
        };
        serde_json::to_vec(&envelope).expect("text, numbers and JSON that was parsed can be written as JSON")
    }
}

/// The key of a letter about the document `id`, or, if it has none, about what lies at `place`.
pub fn key_of(id: &str, place: impl FnOnce() -> String) -> Vec<u8> {
    if id.is_empty() { place().into_bytes() } else { id.as_bytes().to_vec() }
}

/// Where a record lies, in words.
fn place(topic: &str, partition: i32, offset: u64) -> String {
    format!("{topic}/{partition}/{offset}")
}

impl Content {
    /// How many bytes can be cut: those of the document, or of the record's value.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Document { json, .. } => json.len(),
            Self::Record { value, .. } => value.len(),
        }
    }

    /// A document's text; nothing for a record.
    fn text(&self) -> String {
        match self {
            Self::Document { json, .. } => String::from_utf8_lossy(json).into_owned(),
            Self::Record { .. } => String::new(),
        }
    }

    /// What the envelope has of the content, and whether that is only a part of it.
    fn member<'a>(&'a self, text: &'a str, keep: Option<usize>) -> (Member<'a>, bool) {
        match (self, keep) {
            (Self::Document { index, id, .. }, keep) => match (keep, serde_json::from_str(text)) {
                (None, Ok(document)) => (Member::Document { index, id, document }, false),
                (keep, _) => {
                    let document = &text[..text.floor_char_boundary(keep.unwrap_or(text.len()))];
                    (Member::DocumentCut { index, id, document }, true)
                }
            },
            (Self::Record { key, headers, value }, keep) => {
                let encode =
                    |bytes: &Vec<u8>| BASE64_STANDARD.encode(&bytes[..bytes.len().min(keep.unwrap_or(usize::MAX))]);
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_ref().map(encode))).collect();
                (
                    Member::Record { id: None, key: key.as_ref().map(encode), headers, value: encode(value) },
                    keep.is_some(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
