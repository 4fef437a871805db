//! `[agent]`: which files are read, how, and into which topics.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional as optional_duration, required as duration};
use serde::Deserialize;

use super::{DRAIN_TIMEOUT, Rate};
use crate::{
    batcher::{
        self,
        lines::{Style, Value},
    },
    reader::{self, Compression, Identity, Io, Multiline, StartAt},
    record::{Charset, Labels},
};

/// What is read, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// The name that documents carry in `host.name`; none means this machine's name.
    pub host: Option<String>,
    /// The group of hosts that this one is of, for `{group}` in `tasks_keys`; none means none.
    pub group: Option<String>,
    /// The keys of etcd that hold tasks for this host, with `{host}`, `{ip}` and `{group}`, from those that mean many hosts to
    /// those that mean few: of two tasks with one name, that of the later key is taken, and before all that of this file.
    pub tasks_keys: Vec<String>,
    /// How files are read: `auto` takes io_uring where the kernel allows it, else `pread`.
    pub io: Io,
    /// How many threads read files: 1 to 64; none means one for each 4 cores.
    pub lanes: Option<u16>,
    /// The most bytes that are read and not yet safe; when it is reached, reading waits. At least `line_bytes_max`
    /// and `batch.bytes_max`. The default, 24 MiB, keeps an agent whose packed records wait for Kafka below 64 MiB.
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
    /// By what a file is known again: `auto` is by inode, and on network file systems by name and content.
    pub identity: Identity,
    /// How long a deleted file that was not read to its end is held open; what is given up then is counted.
    #[serde(with = "duration")]
    pub deleted_grace: Duration,
    /// Deleted files are let go, the largest first, while their file system has less than this free.
    pub free_space_min: ByteSize,
    /// How many files may be open at once, at least 16; files beyond wait until one of the open ones is quiet. The
    /// process's own limit is raised where it is lower, as far as the system allows.
    pub open_files_max: usize,
    /// Whether the file that this process's own log goes to is collected, if a task means it. Each line that is collected
    /// can make another one.
    pub own_log: bool,
    /// The most that is read in a second, by all tasks together; none means no limit.
    pub rate: Option<Rate>,
    /// What is known of a file that is gone is forgotten after this long.
    #[serde(with = "duration")]
    pub forget_after: Duration,
    /// Where a record goes, with the reason, that Kafka refuses for good: one that is too large and can't be cut, or
    /// that is invalid to its topic. The same as `transfer.dead_letter_topic`, or `logdrive dead-letters` looks elsewhere.
    pub dead_letter_topic: String,
    /// Where reading begins in known files when the checkpoints were lost and Kafka can't say.
    pub checkpoints_lost: StartAt,
    /// How many topics may come of the tasks' labels, by templates such as `app-{service}`; topics that are written out
    /// don't count.
    pub topics_max: usize,
    /// When a batch is full.
    pub batch: batcher::Settings,
    /// What is collected, task by task; names are unique.
    pub tasks: Vec<Task>,
}

/// Some files and the topic they go to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What metrics, documents and checkpoints call the task; not empty.
    pub name: Arc<str>,
    /// What is said of all its lines: up to 16 names (`[a-zA-Z_][a-zA-Z0-9_]*`) with values. Records and documents carry
    /// them.
    #[serde(default)]
    pub labels: Labels,
    /// Paths or globs (`*`, `?`, `[a-z]`, `{a,b}`, `**`); at least one.
    pub paths: Vec<String>,
    /// Globs of files that are left out: of the whole path if they hold a `/`, else of the file's name.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The Kafka topic, or a template of it with labels, such as `app-{service}`; it has to begin with text. `{task}` is
    /// the task's name.
    pub topic: String,
    /// The key of the task's records, a template with `{host}`, `{task}`, labels, and, of single lines, `{file}`, the file's
    /// identity. Records of one key are in one partition. None means no key: each file has a partition of its own choice.
    #[serde(default)]
    pub key: Option<String>,
    /// How lines become Kafka records.
    #[serde(default)]
    pub encoding: Encoding,
    /// What a record of `lines` holds; none means `raw`.
    #[serde(default)]
    pub value: Option<Value>,
    /// Whether the headers of a record of `lines` say where the line comes from; none means that they do. With them a
    /// transfer gives the line the same identity as a packed one.
    #[serde(default)]
    pub headers: Option<bool>,
    /// Where reading begins in a file that was never seen.
    #[serde(default)]
    pub start_at: StartAt,
    /// A file that was never seen, and last written longer ago than this, is read from its end.
    #[serde(default, with = "optional_duration")]
    pub ignore_older: Option<Duration>,
    /// How the files' bytes stand for characters: a label such as `utf-8`, `utf-16le`, `gb18030` or `latin1`.
    #[serde(default = "utf_8")]
    pub charset: String,
    /// Which lines make one message together; none means that each is one.
    #[serde(default)]
    pub multiline: Option<Multiline>,
    /// The most that is read in a second; none means no limit.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Whether older files are read to their ends before newer ones, of those that can be open at once.
    #[serde(default)]
    pub oldest_first: bool,
    /// Whether compressed files, known by their first bytes, are read as the text that they hold.
    #[serde(default)]
    pub compression: Compression,
}

fn utf_8() -> String {
    "utf-8".to_owned()
}

/// How lines become Kafka records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Many lines a record, one LZ4 frame, as they stood in the file.
    #[default]
    Packed,
    /// One line a record, for any consumer.
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
            deleted_grace: self.deleted_grace,
            free_space_min: self.free_space_min.as_u64(),
            identity: self.identity,
            open_files_max: self.open_files_max,
            own_log: self.own_log,
            rate: self.rate.map(Rate::bytes_per_second),
            forget_after: self.forget_after,
            ..reader::Settings::default()
        }
    }
}

impl Task {
    /// A hash of all its settings, in 16 hexadecimal digits: alike wherever they are, among processes of one version.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = DefaultHasher::new();
        // Every setting is in it, those of later versions too.
        format!("{self:?}").hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// What the records of single lines look like; none if lines are packed.
    #[must_use]
    pub fn style(&self) -> Option<Style> {
        match self.encoding {
            Encoding::Packed => None,
            Encoding::Lines => {
                Some(Style { value: self.value.unwrap_or_default(), headers: self.headers.unwrap_or(true) })
            }
        }
    }

    /// What of this the reader has to know.
    #[must_use]
    pub fn reader(&self) -> reader::Task {
        reader::Task {
            name: Arc::clone(&self.name),
            labels: self.labels.clone(),
            paths: self.paths.clone(),
            exclude: self.exclude.clone(),
            start_at: self.start_at,
            ignore_older: self.ignore_older,
            // A label that means nothing is refused when the configuration is loaded.
            charset: Charset::of_label(&self.charset).unwrap_or_default(),
            multiline: self.multiline.clone(),
            rate: self.rate.map(Rate::bytes_per_second),
            oldest_first: self.oldest_first,
            compression: self.compression,
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            host: None,
            group: None,
            tasks_keys: ["tasks/all", "tasks/groups/{group}", "agents/{host}/tasks"]
                .map(|key| format!("/logdrive/{key}"))
                .to_vec(),
            io: Io::default(),
            lanes: None,
            in_flight_bytes_max: ByteSize::mib(24),
            drain_timeout: DRAIN_TIMEOUT,
            rescan: Duration::from_secs(30),
            line_bytes_max: ByteSize::mib(1),
            idle_flush: Duration::from_secs(5),
            identity: Identity::Auto,
            deleted_grace: Duration::from_secs(600),
            free_space_min: ByteSize::mib(256),
            open_files_max: 1024,
            own_log: false,
            rate: None,
            forget_after: Duration::from_secs(7 * 24 * 3600),
            dead_letter_topic: "logdrive-dead-letter".to_owned(),
            checkpoints_lost: StartAt::Beginning,
            topics_max: 100,
            batch: batcher::Settings::default(),
            tasks: Vec::new(),
        }
    }
}
