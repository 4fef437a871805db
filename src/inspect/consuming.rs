//! What is read from Kafka, and sent to the store.

use serde::{Deserialize, Serialize};

use super::Limited;

/// What is read from Kafka.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Consuming {
    /// Records that were fetched and wait for a worker.
    pub waiting_records: usize,
    /// Whether a commit of offsets is under way.
    pub is_committing: bool,
    /// What is wrong between the process and Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The partitions that are the process's, those that are most behind first.
    pub partitions: Limited<Partition>,
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset that is expected next; none before the first record came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Everything before this offset is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<u64>,
    /// The offset that was last committed; none before the first commit since the partition was assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<u64>,
    /// From `settled` to `next`: how many offsets are under way.
    pub in_flight: u64,
    /// Stretches behind `settled` that were settled out of order.
    pub settled_ahead: usize,
    /// Records behind the end of the partition, as librdkafka counted last; none if it did not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Too much was held for an index that takes no documents: it is read again later, from `settled`.
    pub is_paused: bool,
}

/// What is sent to the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Indexing {
    /// How many requests may be under way now.
    pub requests_limit: usize,
    /// Bulk requests under way, the oldest first.
    pub requests: Vec<Request>,
    /// Bodies that wait to be sent.
    pub waiting: usize,
    /// Bodies that are sent again after a while, because the store was too busy for some of their documents.
    pub resting: usize,
    /// Bodies of which only dead letters are left to be written.
    pub writing: usize,
    /// How long nothing is sent, because the last request failed; 0 if it didn't.
    pub backoff_seconds: f64,
    /// What is wrong between the process and the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Indices that take no documents now, those for which most is held first.
    pub stopped: Limited<Held>,
}

/// A bulk request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// How long ago it began.
    pub age_seconds: f64,
    /// Documents in it.
    pub documents: usize,
    /// Bytes of its body, before compression.
    pub bytes: usize,
    /// The index that it probes, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<String>,
}

/// An index that takes no documents now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The index.
    pub index: String,
    /// Why, in the store's words.
    pub reason: String,
    /// Documents that are held for it.
    pub documents: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Partitions that are read again when it takes documents.
    pub partitions: usize,
}
