//! `[agent]`: which files are read, how, and into which topics.

use std::{sync::Arc, time::Duration};

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::Deserialize;

use super::DRAIN_TIMEOUT;
use crate::{
    batcher,
    reader::{self, Io, StartAt},
};

/// What is read, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// The name that documents carry in `host.name`; none means this machine's name.
    pub host: Option<String>,
    /// How files are read: `auto` takes io_uring where the kernel allows it, else `pread`.
    pub io: Io,
    /// How many threads read files: 1 to 64; none means one for each 4 cores.
    pub lanes: Option<u16>,
    /// The most bytes that are read and not yet safe; when it is reached, reading waits. At least `line_bytes_max`
    /// and `batch.bytes_max`.
    pub in_flight_bytes_max: ByteSize,
    /// How long a stop may take to finish what was read; what is not finished then is read again at the next start.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// How often the globs are looked through for files that no event told of.
    #[serde(with = "duration")]
    pub rescan: Duration,
    /// A longer line is sent in parts, each marked.
    pub line_bytes_max: ByteSize,
    /// A last line without a newline is sent as far as it goes when nothing was added for this long.
    #[serde(with = "duration")]
    pub idle_flush: Duration,
    /// When a batch is full.
    pub batch: batcher::Settings,
    /// What is collected, task by task; names are unique.
    pub tasks: Vec<Task>,
}

/// Some files and the topic they go to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What metrics, documents and checkpoints call the task; not empty.
    pub name: Arc<str>,
    /// Paths or globs (`*`, `?`, `[a-z]`, `{a,b}`, `**`); at least one.
    pub paths: Vec<String>,
    /// Globs of files that are left out: of the whole path if they hold a `/`, else of the file's name.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The Kafka topic.
    pub topic: String,
    /// How lines become Kafka records.
    #[serde(default)]
    pub encoding: Encoding,
    /// Where reading begins in a file that was never seen.
    #[serde(default)]
    pub start_at: StartAt,
}

/// How lines become Kafka records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Many lines a record, one LZ4 frame, as they stood in the file.
    #[default]
    Packed,
    /// One line a record; not there yet, and refused.
    Lines,
}

impl Agent {
    /// What of this the reader has to know.
    #[must_use]
    pub fn reader(&self) -> reader::Settings {
        reader::Settings {
            io: self.io,
            lanes: self.lanes.unwrap_or(0).into(),
            rescan: self.rescan,
            // A limit that doesn't fit is refused when the configuration is loaded.
            line_bytes_max: usize::try_from(self.line_bytes_max.as_u64()).unwrap_or(usize::MAX),
            idle_flush: self.idle_flush,
            ..reader::Settings::default()
        }
    }
}

impl Task {
    /// What of this the reader has to know.
    #[must_use]
    pub fn reader(&self) -> reader::Task {
        reader::Task {
            name: Arc::clone(&self.name),
            paths: self.paths.clone(),
            exclude: self.exclude.clone(),
            start_at: self.start_at,
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            host: None,
            io: Io::default(),
            lanes: None,
            in_flight_bytes_max: ByteSize::mib(32),
            drain_timeout: DRAIN_TIMEOUT,
            rescan: Duration::from_secs(30),
            line_bytes_max: ByteSize::mib(1),
            idle_flush: Duration::from_secs(5),
            batch: batcher::Settings::default(),
            tasks: Vec::new(),
        }
    }
}
