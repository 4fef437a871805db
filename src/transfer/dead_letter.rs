//! Dead letters: what can't be indexed, kept in a topic of its own with the reason and its origin.
//!
//! Each letter is one Kafka record whose value is one JSON object:
//!
//! | member | what |
//! |---|---|
//! | `version` | 1 |
//! | `time` | when the letter was written, RFC 3339 in UTC |
//! | `kind` | `document` (the store refused it) or `record` (it could not be read) |
//! | `reason` | why, in words; `reason_type` has the store's name for it, or a word of ours |
//! | `topic`, `partition`, `offset` | the Kafka record it comes from |
//! | `timestamp_ms` | that record's time in milliseconds since 1970, if it has one |
//! | `index`, `id`, `document` | of a document: where it was to go, its `_id`, and itself as a JSON object |
//! | `key`, `value` | of a record: both in base64; a key only if it has one |
//! | `headers` | of a record: an array of `[name, value in base64 or null]` |
//! | `cut` | `true` if `document` (a string then), or `value` and `headers`, had to be cut to fit the topic |
//!
//! Its key is the document's `_id`, or `TOPIC/PARTITION/OFFSET` of the record. A record that is read again, after a
//! crash or a change in the group, may have its letter again: letters with one key are about one thing.
//!
//! A letter is done when all in-sync replicas of the topic have it. One that is too large for the topic is cut,
//! for the whole of it is in the topic it came from. A topic that isn't there is created with the brokers' defaults.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{
    OnceCell,
    mpsc::{self, Receiver},
    oneshot,
};
use tracing::{debug, info, warn};

use super::parcel::Parcel;
use crate::{
    elastic::bulk::Reason,
    kafka::{self, Delivered, Failed, KafkaError, NewTopic, Outgoing, Producer, Record, Settings},
    metrics::{self, list},
};

/// Letters of one caller under way at once.
const AT_ONCE: usize = 64;
/// Answers that wait to be given to their letters; each letter waits for one.
const ANSWERS: usize = 1024;
/// A letter that is still too large when it was cut to this many bytes is not the letter's fault.
const CUT_BYTES_MIN: usize = 64;

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

/// Writes letters.
pub(super) struct DeadLetters {
    settings: Settings,
    producer: Producer<Ticket>,
    topic: Arc<str>,
    /// Filled when it was seen to that the topic is there, before the first letter.
    seen_to: OnceCell<()>,
    /// Letters that were handed to [`DeadLetters::put`] and are not in Kafka yet.
    waiting: AtomicUsize,
}

/// Who waits for a letter's answer.
type Ticket = oneshot::Sender<Result<(), Box<Failed>>>;

impl DeadLetters {
    /// Opens the topic for writing; it need not be there before the first letter.
    pub(super) fn open(settings: &Settings, topic: &str) -> Result<Self, KafkaError> {
        let mut settings = settings.clone();
        settings.settings.entry("compression.type".to_owned()).or_insert_with(|| "lz4".to_owned());
        let (sender, answers) = mpsc::channel(ANSWERS);
        let producer = Producer::new(&settings, sender)?;
        tokio::spawn(pass_on(answers));
        Ok(Self { settings, producer, topic: Arc::from(topic), seen_to: OnceCell::new(), waiting: AtomicUsize::new(0) })
    }

    /// Writes letters, and returns when Kafka has them all. It never gives up.
    pub(super) async fn put(&self, letters: Vec<Letter>) {
        self.waiting.fetch_add(letters.len(), Ordering::Relaxed);
        self.seen_to.get_or_init(|| self.see_to_topic()).await;
        stream::iter(letters).for_each_concurrent(AT_ONCE, |letter| self.put_one(letter)).await;
    }

    /// Creates the topic if it isn't there. If that fails the letters wait, and say what for.
    async fn see_to_topic(&self) {
        let wanted = NewTopic { name: self.topic.to_string(), partitions: -1, replication: -1, settings: Vec::new() };
        match kafka::create(&self.settings, &[wanted]).await {
            Ok(created) if created.is_empty() => (),
            Ok(_) => info!(topic = %self.topic, "the dead-letter topic was created"),
            Err(error) => warn!(%error, topic = %self.topic, "the dead-letter topic could not be created"),
        }
    }

    async fn put_one(&self, letter: Letter) {
        let mut keep = None;
        loop {
            let value = letter.write(keep);
            let (ticket, answer) = oneshot::channel();
            let (topic, key, headers) = (Arc::clone(&self.topic), Some(letter.key()), Vec::new());
            self.producer
                .send(Outgoing { topic, partition: None, key, value, headers, pieces: Default::default(), ticket })
                .await;
            match answer.await {
                Ok(Ok(())) => break,
                Ok(Err(failed)) => {
                    let bytes = (keep.unwrap_or_else(|| letter.content.bytes()) / 2).max(CUT_BYTES_MIN);
                    warn!(error = %failed.error, bytes, "a dead letter is cut, because its topic doesn't take it");
                    keep = Some(bytes);
                }
                // The producer is gone: the process ends, and what the letter is of is not settled.
                Err(_) => std::future::pending().await,
            }
        }
        debug!(reason = letter.reason, topic = %letter.origin.topic, offset = letter.origin.offset, "dead letter");
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        metrics::counter(&list::DEAD_LETTERS, &[&letter.reason_type]).increment(1);
    }

    /// What keeps letters from being written, if anything does. Without a letter nothing does, whatever the producer
    /// says: it learns that Kafka is back only by sending something.
    pub(super) fn trouble(&self) -> Option<KafkaError> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.producer.trouble().borrow().clone()
    }
}

/// Gives each letter its answer.
async fn pass_on(mut answers: Receiver<Delivered<Ticket>>) {
    while let Some(Delivered { ticket, result }) = answers.recv().await {
        // A letter whose writer is gone needs none.
        let _ = ticket.send(result.map(drop));
    }
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
        match &self.content {
            Content::Document { id, .. } if !id.is_empty() => id.clone().into_bytes(),
            _ => format!("{topic}/{partition}/{offset}").into_bytes(),
        }
    }

    /// The letter as JSON, its content cut to `keep` bytes if that is given.
    fn write(&self, keep: Option<usize>) -> Vec<u8> {
        let Origin { topic, partition, offset, timestamp_ms } = &self.origin;
        let is_document = matches!(self.content, Content::Document { .. });
        let text = self.content.text();
        let (content, cut) = self.content.member(&text, keep);
        let envelope = Envelope {
            version: 1,
            time: jiff::Timestamp::now(),
            kind: if is_document { "document" } else { "record" },
            reason_type: &self.reason_type,
            reason: &self.reason,
            topic,
            partition: *partition,
            offset: *offset,
            timestamp_ms: *timestamp_ms,
            content,
            cut,
        };
        serde_json::to_vec(&envelope).expect("text, numbers and JSON that was parsed can be written as JSON")
    }
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
    pub(super) fn of(record: &Record) -> Self {
        let Record { topic, partition, offset, timestamp_ms, .. } = record;
        Self { topic: Arc::clone(topic), partition: *partition, offset: *offset, timestamp_ms: *timestamp_ms }
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
        let origin = parcel.origins[parcel.items[item] as usize].clone();
        let reason_type = if reason.kind.is_empty() { format!("http_{}", reason.status) } else { reason.kind };
        Self { origin, reason_type, reason: reason.text, content }
    }

    /// The letter for a record that can't be read.
    pub(super) fn for_record(record: Record, reason_type: &str, reason: String) -> Self {
        let origin = Origin::of(&record);
        let Record { key, headers, value, .. } = record;
        let content = Content::Record { key, headers, value: value.unwrap_or_default() };
        Self { origin, reason_type: reason_type.to_owned(), reason, content }
    }
}

#[cfg(test)]
#[path = "dead_letter_tests.rs"]
mod tests;
