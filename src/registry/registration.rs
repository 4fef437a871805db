//! What a process says of itself.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most tasks that a registration names: those in trouble first. With more, a value would outgrow what etcd takes.
const TASKS_MAX: usize = 500;

/// Fewer bytes behind than this are none here.
const UNREAD_MIN: u64 = 1 << 20;

/// And fewer records.
const LAG_MIN: u64 = 1 << 10;

/// What a process says of itself. What it doesn't know of a newer version's is passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// What it does.
    pub role: Role,
    /// Who it is: no other process has it, and it stays the same when the process starts again.
    pub id: String,
    /// The host's name, as documents carry it.
    pub host: String,
    /// Where the host is reached.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The group of hosts that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The program's version.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// The newest set of tasks of which nothing is left to do, counted since the start.
    #[serde(default)]
    pub generation: u64,
    /// The keys of its tasks.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// How many tasks it has.
    #[serde(default)]
    pub tasks_total: usize,
    /// Its tasks, up to 500, those in trouble first.
    #[serde(default)]
    pub tasks: Vec<Task>,
    /// Bytes behind, all tasks together: rounded down to a power of two, and 0 below 1 MiB.
    #[serde(default)]
    pub unread_bytes: u64,
    /// The topics of a transfer's partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// How many partitions a transfer has.
    #[serde(default)]
    pub partitions: usize,
    /// Records that a transfer is behind the ends of its partitions: rounded down to a power of two, and 0 below 1024.
    #[serde(default)]
    pub lag_records: u64,
    /// Where it serves its metrics: an address and a port; nothing from an older version.
    #[serde(default)]
    pub metrics: String,
    /// What it can't do its work without, and does not have, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<String>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Files to Kafka.
    Agent,
    /// Kafka to the store.
    Transfer,
}

/// A key of tasks, as the process has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The key.
    pub key: String,
    /// The revision whose tasks are wanted; 0 for none.
    pub revision: i64,
    /// Whether that is a canary's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canary: bool,
    /// The newer revision that is refused; 0 for one that can't be read at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_revision: Option<i64>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A task, as the process runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// The set with which it became what it is.
    pub generation: u64,
    /// What is done for it.
    pub state: TaskState,
    /// Why it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes behind, rounded as those of all tasks.
    #[serde(default)]
    pub unread_bytes: u64,
}

/// What is done for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It can't run.
    Refused,
    /// It ends, or changes.
    Draining,
    /// It runs.
    Running,
}

impl Registration {
    /// As it is written: within its limits, and the same for what is nearly the same.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut written = self.clone();
        written.tasks_total = written.tasks_total.max(written.tasks.len());
        written.unread_bytes = rounded(written.unread_bytes, UNREAD_MIN);
        written.lag_records = rounded(written.lag_records, LAG_MIN);
        written.topics.truncate(TASKS_MAX);
        written.tasks.iter_mut().for_each(|task| task.unread_bytes = rounded(task.unread_bytes, UNREAD_MIN));
        written.tasks.sort_by(|one, other| (one.state, &one.name).cmp(&(other.state, &other.name)));
        written.tasks.truncate(TASKS_MAX);
        for reason in written.keys.iter_mut().filter_map(|key| key.reason.as_mut()) {
            shorten(reason);
        }
        for reason in written.tasks.iter_mut().filter_map(|task| task.reason.as_mut()) {
            shorten(reason);
        }
        serde_json::to_vec(&written).expect("names and numbers can always be written as JSON")
    }
}

/// A steady agent is some bytes behind at each moment, never the same; a fleet of them must not write each time.
fn rounded(number: u64, min: u64) -> u64 {
    if number < min { 0 } else { 1 << number.ilog2() }
}

/// A reason is for a person.
fn shorten(reason: &mut String) {
    const BYTES_MAX: usize = 1000;
    if reason.len() > BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(BYTES_MAX));
        reason.push('…');
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Agent => "agent",
            Self::Transfer => "transfer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Registration, Task, TaskState};

    fn registration() -> Registration {
        let json =
            r#"{"role": "agent", "id": "a", "host": "web-1", "version": "1", "started": "2026-01-02T03:04:05Z"}"#;
        serde_json::from_str(json).expect("what is left out has a default")
    }

    fn task(name: &str, state: TaskState, unread_bytes: u64) -> Task {
        Task { name: name.to_owned(), generation: 1, state, reason: None, unread_bytes }
    }

    #[test]
    fn what_hardly_changed_is_written_the_same() {
        let with = |bytes| Registration {
            unread_bytes: bytes,
            tasks: vec![task("a", TaskState::Running, bytes)],
            ..registration()
        };
        assert_eq!(with(0).to_json(), with(900_000).to_json());
        assert_eq!(with(5 << 20).to_json(), with(7 << 20).to_json());
        assert_ne!(with(5 << 20).to_json(), with(9 << 20).to_json());
    }

    #[test]
    fn ten_thousand_tasks_fit_and_those_in_trouble_are_named() {
        let mut tasks: Vec<_> = (0..10_000).map(|n| task(&format!("{n:0>200}"), TaskState::Running, 0)).collect();
        tasks.push(Task { reason: Some("x".repeat(1 << 20)), ..task("bad", TaskState::Refused, 0) });
        let json = Registration { tasks, ..registration() }.to_json();
        assert!(json.len() < 512 << 10, "{}", json.len());
        let read: Registration = serde_json::from_slice(&json).expect("it was written so");
        assert_eq!((read.tasks_total, read.tasks.len(), &*read.tasks[0].name), (10_001, 500, "bad"));
    }
}
