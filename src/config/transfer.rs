//! `[transfer]`: which topics are read, and into which indices their lines go.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::Deserialize;

use super::DRAIN_TIMEOUT;
use crate::{document, kafka::StartFrom};

/// Where lines go when neither `index` nor `data_stream` is set.
const INDEX: &str = "logs-{topic}-%Y.%m.%d";

/// Kafka to Elasticsearch.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Transfer {
    /// Topic names, or patterns of them that begin with `^`.
    pub topics: Vec<String>,
    /// The consumer group; its members share the topics' partitions.
    pub group: String,
    /// This member's own name in the group, which no other has: a restart then moves no partitions.
    pub member: Option<String>,
    /// Where to begin in a partition that is new to the group.
    pub start_from: StartFrom,
    /// The index of a line, from `{topic}`, `{task}`, fields and the line's time; not together with `data_stream`.
    pub index: Option<String>,
    /// The data stream of a line, made in the same way; not together with `index`.
    pub data_stream: Option<String>,
    /// How many different combinations of values the fields in `index` or `data_stream` may have in one process;
    /// documents with others share one index.
    pub routes_max: usize,
    /// Whose are the documents' ids.
    pub ids: Ids,
    /// Where documents and records go that can't be indexed, with the reason.
    pub dead_letter_topic: String,
    /// How many threads make documents: 1 to 64; none means one a core.
    pub workers: Option<u16>,
    /// The most bytes of text that are read and not yet indexed; when it is reached, consuming pauses.
    pub in_flight_bytes_max: ByteSize,
    /// How long a stop may take to finish what is under way; what is not finished then is consumed again.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
}

/// Where the `_id` of a document is from.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// From where its line began and what it was: what is sent twice is there once.
    #[default]
    Deterministic,
    /// From the server, which is cheaper: what is sent twice is there twice.
    Auto,
}

/// What lines are indexed into, as the template that the configuration has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Indices that are named by date, or by topic alone.
    Index(String),
    /// A data stream, which only takes new documents.
    DataStream(String),
}

impl Transfer {
    /// Where lines go. `index` and `data_stream` are never both set: loading refuses that.
    #[must_use]
    pub fn target(&self) -> Target {
        match (&self.data_stream, &self.index) {
            (Some(name), _) => Target::DataStream(name.clone()),
            (None, Some(name)) => Target::Index(name.clone()),
            (None, None) => Target::Index(INDEX.to_owned()),
        }
    }
}

impl Default for Transfer {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            group: "logdrive".to_owned(),
            member: None,
            start_from: StartFrom::default(),
            index: None,
            data_stream: None,
            routes_max: document::index_name::ROUTES_MAX,
            ids: Ids::default(),
            dead_letter_topic: "logdrive-dead-letter".to_owned(),
            workers: None,
            in_flight_bytes_max: ByteSize::mib(24),
            drain_timeout: DRAIN_TIMEOUT,
        }
    }
}
