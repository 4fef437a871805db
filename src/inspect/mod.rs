//! What a process is doing now: the shape of `/debug/state`, and the way to ask for it.
//!
//! It promises that the shape has a version, that lists are limited and say how much they left out, and that a role
//! pays nothing for it while nobody asks. It must not know who answers, nor how the answer is served.
//! `docs/debugging.md` describes it for a reader.

mod ask;
mod consuming;
mod reading;
mod sending;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use ask::{Asker, Question, Questions, Unanswered, channel};
pub use consuming::{Consuming, Held, Indexing, Partition, Request};
pub use reading::{File, FileState, Files, Lane, Reading, Task, Turn};
pub use sending::{Batch, BatchState, Client, Sending};

/// The version of the shape. It changes when something is left out or means something else; what is added doesn't
/// change it, so whoever reads it has to pass over what he doesn't know.
pub const VERSION: u32 = 1;

/// How many files are told of if nobody says otherwise.
pub const FILES: usize = 100;

/// The most files that can be asked for.
pub const FILES_MAX: usize = 10_000;

/// The most entries of any other list.
pub const LIST_MAX: usize = 1000;

/// What a process is doing now. Its parts are of nearly the same moment, not of exactly the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// `agent`, `transfer` or `up`.
    pub role: String,
    /// When this was.
    pub time: Timestamp,
    /// Bytes that were taken in and are not safe yet.
    pub in_flight_bytes: u64,
    /// The limit of it; whoever takes in more waits.
    pub in_flight_limit_bytes: u64,
    /// What is read of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// What is sent to Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending: Option<Sending>,
    /// What is read from Kafka.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consuming: Option<Consuming>,
    /// What is sent to the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indexing: Option<Indexing>,
}

impl State {
    /// The state of a process of which nothing is known yet but how much is in flight.
    #[must_use]
    pub fn of(role: &str, in_flight_bytes: usize, in_flight_limit_bytes: usize) -> Self {
        Self {
            version: VERSION,
            role: role.to_owned(),
            time: Timestamp::now(),
            in_flight_bytes: in_flight_bytes as u64,
            in_flight_limit_bytes: in_flight_limit_bytes as u64,
            reading: None,
            sending: None,
            consuming: None,
            indexing: None,
        }
    }
}

/// The first of a list, and how many more there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited<T> {
    /// How many there are.
    pub total: usize,
    /// How many of them are not in `each`.
    pub left_out: usize,
    /// Those that matter most.
    pub each: Vec<T>,
}

impl<T> Default for Limited<T> {
    fn default() -> Self {
        Self { total: 0, left_out: 0, each: Vec::new() }
    }
}

impl<T> Limited<T> {
    /// The first [`LIST_MAX`] of all, in the order of `key`, the smallest first.
    #[must_use]
    pub fn first<K: Ord>(mut all: Vec<T>, key: impl FnMut(&T) -> K) -> Self {
        all.sort_by_cached_key(key);
        let total = all.len();
        all.truncate(LIST_MAX);
        Self { total, left_out: total - all.len(), each: all }
    }
}
