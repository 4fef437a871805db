//! What is read of files: tasks, lanes, files.

use serde::{Deserialize, Serialize};

/// What is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The tasks, by name; all of them.
    pub tasks: Vec<Task>,
    /// The threads that read.
    pub lanes: Vec<Lane>,
    /// The files of all tasks, those that are most behind first.
    pub files: Files,
}

/// A task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Where its lines go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// `running`, `draining` or `refused`.
    pub state: String,
    /// Why it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many files it has.
    pub files: usize,
    /// Bytes of its files that were not read.
    pub unread_bytes: u64,
    /// Bytes that were read and are not safe.
    pub in_flight_bytes: u64,
    /// How long the oldest byte that was not read has been waiting, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unread_seconds: Option<f64>,
}

/// A thread that reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    /// Its number, as in the thread's name.
    pub lane: usize,
    /// Whether it answered within a second. If not, it is blocked in one system call, and the numbers are 0.
    pub answered: bool,
    /// Its files.
    pub files: usize,
    /// Those that have a descriptor.
    pub open: usize,
    /// Those that are in line to be read.
    pub ready: usize,
    /// Those that would be if there were a descriptor for them.
    pub waiting: usize,
    /// Those that were read to their ends and will be closed.
    pub quiet: usize,
    /// Tasks that it lets go of.
    pub leaving: usize,
    /// Files in their turn: they are read, or wait for the budget or for room behind them. Those for the longest time,
    /// up to 16.
    pub turns: Vec<Turn>,
}

/// A file in its turn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The file's identity.
    pub file: String,
    /// Its task.
    pub task: String,
    /// For how long.
    pub seconds: f64,
}

/// Files, those that are most behind first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// How many there are.
    pub total: usize,
    /// How many of them are not in `each`.
    pub left_out: usize,
    /// Bytes of all of them that were not read.
    pub unread_bytes: u64,
    /// The files.
    pub each: Vec<File>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Its identity, as in checkpoints.
    pub id: String,
    /// Where it was last seen; what of it is not UTF-8 is replaced.
    pub path: String,
    /// Its task.
    pub task: String,
    /// The lane that reads it.
    pub lane: usize,
    /// How it stands.
    pub state: FileState,
    /// Its size when it was last seen, in bytes.
    pub size: u64,
    /// Up to where it was read; of a compressed file, how many of its bytes were unpacked.
    pub read: u64,
    /// Up to where it is safe; not known of a compressed file, whose checkpoints count its text, and for a moment of one
    /// that was just opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<u64>,
    /// Bytes that were not read.
    pub unread_bytes: u64,
    /// How long the oldest byte that was not read has been waiting, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_unread_seconds: Option<f64>,
    /// Whether it is compressed, and read as its text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compressed: bool,
}

/// How a file stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It was read to its end, and closed.
    #[default]
    Idle,
    /// It has a descriptor.
    Open,
    /// It was renamed or deleted, and is read to its end.
    Draining,
    /// It waits for a descriptor.
    Waiting,
    /// It could not be read when that was last tried.
    Failed,
}

impl FileState {
    /// Its name, here and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }
}
