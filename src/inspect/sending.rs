//! What is sent to Kafka: batches, and the clients that send them.

use serde::{Deserialize, Serialize};

use super::Limited;

/// What is sent to Kafka.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sending {
    /// The clients.
    pub clients: Vec<Client>,
    /// Blocks wait for their topic's partitions to be known, and no more is read before.
    pub waits_for_topic: bool,
    /// Batches that were not acknowledged, the oldest first.
    pub batches: Limited<Batch>,
}

/// A client of Kafka's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `producer`, or `lines-producer` for tasks that send single lines.
    pub name: String,
    /// What was handed to it and not answered; a set of single lines counts once.
    pub under_way: usize,
    /// What keeps records from being taken; nothing after the next one that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The tasks that have lines in it.
    pub tasks: Vec<String>,
    /// How many lines; none while it is being gathered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Bytes of text, before compression.
    pub bytes: u64,
    /// How long it has been in this state.
    pub age_seconds: f64,
    /// How it stands.
    pub state: BatchState,
}

/// How a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchState {
    /// It is not full, and not old enough.
    Gathering,
    /// It was handed to Kafka's client.
    Sent,
}
