//! Dead letters of the transfer: what can't be indexed, kept in a topic of its own with the reason and its origin; how
//! letters are found there, and sent again.
//!
//! A letter is done when all in-sync replicas of the topic have it. One that is too large for the topic is cut,
//! for the whole of it is in the topic it came from. A topic that isn't there is created with the brokers' defaults.

mod archive;
mod replay;
mod writer;

use std::sync::Arc;

use serde::Deserialize;

pub use archive::{Filter, Shelf, find, list};
pub use replay::{Fate, replay};
pub(super) use writer::DeadLetters;

use super::parcel::Parcel;
use crate::{
    elastic::bulk::Reason,
    kafka::Record,
    letter::{Content, Letter, Origin},
};

/// Where `record` was read.
pub(super) fn origin(record: &Record) -> Origin {
    let Record { topic, partition, offset, timestamp_ms, .. } = record;
    Origin { topic: Arc::clone(topic), partition: *partition, offset: *offset, timestamp_ms: *timestamp_ms }
}

/// The letter for an item that the store refuses.
pub(super) fn for_document(parcel: &Parcel, item: usize, reason: Reason) -> Letter {
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
    Letter { origin, reason_type, reason: reason.text, content }
}

/// The letter for a record that can't be read.
pub(super) fn for_record(record: Record, reason_type: &str, reason: String) -> Letter {
    let origin = origin(&record);
    let Record { key, headers, value, .. } = record;
    let content = Content::Record { key, headers, value: value.unwrap_or_default() };
    Letter { origin, reason_type: reason_type.to_owned(), reason, content }
}
