//! Dead letters: what can't be indexed, kept in a topic of its own with the reason and its origin.
//!
//! Each letter is one Kafka record whose value is one JSON object, which docs/dead-letters.md tells operators about:
//!
//! | member | what |
//! |---|---|
//! | `version` | 1 |
//! | `time` | when the letter was written, RFC 3339 in UTC |
//! | `kind` | `document` (the store refused it), `record` (it could not be read), or `replayed` (no letter: see below) |
//! | `reason` | why, in words; `reason_type` has the store's name for it, or a word of ours |
//! | `topic`, `partition`, `offset` | the Kafka record it comes from |
//! | `timestamp_ms` | that record's time in milliseconds since 1970, if it has one |
//! | `host`, `task`, `file`, `file_offset` | of a document: where its line stood, as far as the document says |
//! | `index`, `id`, `document` | of a document: where it was to go, its `_id`, and itself as a JSON object |
//! | `key`, `value` | of a record: both in base64; a key only if it has one |
//! | `headers` | of a record: an array of `[name, value in base64 or null]` |
//! | `cut` | `true` if `document` (a string then), or `value` and `headers`, had to be cut to fit the topic |
//!
//! Its key is the document's `_id`, or `TOPIC/PARTITION/OFFSET` of the record. A record that is read again, after a
//! crash or a change in the group, may have its letter again: letters with one key are about one thing.
//!
//! A letter that was replayed with success stays where it is, and behind it in its partition lies a record of the
//! kind `replayed` with the same key. Its members are `version`, `time`, `kind`, `letter` (the letter's `partition`
//! and `offset`) and `outcome` (`created`, `duplicate` or `sent_back`).
//!
//! A letter is done when all in-sync replicas of the topic have it. One that is too large for the topic is cut,
//! for the whole of it is in the topic it came from. A topic that isn't there is created with the brokers' defaults.

mod archive;
mod provenance;
mod reading;
mod replay;
mod writer;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use archive::{Filter, Shelf, find, list};
pub use reading::{Content as Held, Kind, Position, Summary, Whole};
pub use replay::{Fate, replay};
pub(super) use writer::DeadLetters;

use self::provenance::Provenance;
use super::parcel::Parcel;
use crate::{elastic::bulk::Reason, kafka::Record};

/// The version of the format.
const VERSION: u8 = 1;

/// Where a letter comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) offset: u64,
    pub(super) timestamp_ms: Option<i64>,
}

/// What can't be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A document that the store refuses.
    Document {
        index: String,
        id: String,
        /// A JSON object.
        json: Vec<u8>,
    },
    /// A record that can't be read.
    Record { key: Option<Vec<u8>>, headers: Vec<(String, Option<Vec<u8>>)>, value: Vec<u8> },
}

/// One thing that can't be indexed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) origin: Origin,
    /// The reason's name, one of a few, for metrics.
    pub(super) reason_type: String,
    pub(super) reason: String,
    pub(super) content: Content,
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
    partition: i32,
    offset: u64,
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
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        headers: Vec<(&'a str, Option<String>)>,
        value: String,
    },
}

impl Letter {
    /// What the letter is about, however often it is written.
    fn key(&self) -> Vec<u8> {
        let Origin { topic, partition, offset, .. } = &self.origin;
        let id = match &self.content {
            Content::Document { id, .. } => id,
            Content::Record { .. } => "",
        };
        key_of(id, || place(topic, *partition, *offset))
    }

    /// The letter as JSON, its content cut to `keep` bytes if that is given.
    fn write(&self, keep: Option<usize>) -> Vec<u8> {
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
            partition: *partition,
            offset: *offset,
            timestamp_ms: *timestamp_ms,
            provenance,
            content,
            cut,
        };
        serde_json::to_vec(&envelope).expect("text, numbers and JSON that was parsed can be written as JSON")
    }
}

/// The key of a letter about the document `id`, or, if it has none, about what lies at `place`.
fn key_of(id: &str, place: impl FnOnce() -> String) -> Vec<u8> {
    if id.is_empty() { place().into_bytes() } else { id.as_bytes().to_vec() }
}

/// Where a record lies, in words.
fn place(topic: &str, partition: i32, offset: u64) -> String {
    format!("{topic}/{partition}/{offset}")
}

impl Content {
    /// How many bytes can be cut: those of the document, or of the record's value.
    pub(super) fn bytes(&self) -> usize {
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
                (Member::Record { key: key.as_ref().map(encode), headers, value: encode(value) }, keep.is_some())
            }
        }
    }
}

impl Origin {
    /// Where `record` was read.
    pub(super) fn of(record: &Record<'_>) -> Self {
        let Record { topic, partition, offset, timestamp_ms, .. } = *record;
        Self { topic: Arc::clone(topic), partition, offset, timestamp_ms }
    }
}

impl Letter {
    /// The letter for an item that the store refuses.
    pub(super) fn for_document(parcel: &Parcel, item: usize, reason: Reason) -> Self {
        #[derive(Deserialize)]
        struct Action {
            create: Target,
        }
        #[derive(Deserialize)]
        struct Target {
            #[serde(rename = "_index")]
            index: String,
            #[serde(rename = "_id", default)]
            id: String,
        }
        let mut lines = parcel.body.item(item).splitn(2, |byte| *byte == b'\n');
        let action: Action =
            serde_json::from_slice(lines.next().unwrap_or_default()).expect("a body's action is JSON of ours");
        let content = Content::Document {
            index: action.create.index,
            id: action.create.id,
            json: parcel.body.document(item).to_vec(),
        };
        let origin = parcel.origin_of(item);
        let reason_type = if reason.kind.is_empty() { format!("http_{}", reason.status) } else { reason.kind };
        Self { origin, reason_type, reason: reason.text, content }
    }

    /// The letter for a record that can't be read.
    pub(super) fn for_record(record: &Record<'_>, reason_type: &str, reason: String) -> Self {
        let headers = record.headers().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
        let key = record.key.map(<[u8]>::to_vec);
        let content = Content::Record { key, headers, value: record.value.unwrap_or_default().to_vec() };
        Self { origin: Origin::of(record), reason_type: reason_type.to_owned(), reason, content }
    }
}

#[cfg(test)]
mod tests;
