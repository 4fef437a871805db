//! Records that others wrote: their values are lines too, and each needs a place of its own.
//!
//! | in a document | of a line in a foreign record |
//! |---|---|
//! | `log.file.path` | what the line says ([`envelope`]), or else `kafka:TOPIC/PARTITION` |
//! | `log.offset` | what the line says, or else the record's offset |
//! | `logdrive.generation` | which line of the record, the first being 0 |
//! | `logdrive.file` | a hash of the record's topic, partition, time and offset |
//! | `host.name` | what the line says, or else `kafka` |
//! | `logdrive.task` | `kafka` |
//!
//! The time is part of the identity because a topic can be deleted and made anew, with other records at the same
//! offsets. The document's time, where the line has none, is the record's.

mod envelope;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use self::envelope::Envelope;
use crate::{
    document::Source,
    kafka::Record,
    record::{FileId, Form, NO_LABELS, Stream},
};

/// What stands in for the host and the task where nobody knows them.
const NAME: &str = "kafka";

/// What stands in for the path of a partition's lines; made once for records that follow each other.
#[derive(Default)]
pub(super) struct Paths {
    /// Whose path it is.
    of: Option<(Arc<str>, i32)>,
    path: PathBuf,
}

/// A foreign record's place, made once for all its lines.
pub(super) struct Place<'a> {
    file: FileId,
    path: &'a Path,
    offset: u64,
    read_at: Timestamp,
}

/// The place of one line.
pub(super) struct Spot {
    path: Option<String>,
    host: Option<String>,
    /// What stands in `log.offset`.
    pub(super) offset: u64,
}

impl Paths {
    pub(super) fn of(&mut self, record: &Record<'_>) -> &Path {
        let is_known =
            self.of.as_ref().is_some_and(|(topic, partition)| topic == record.topic && *partition == record.partition);
        if !is_known {
            self.path = PathBuf::from(format!("kafka:{}/{}", record.topic, record.partition));
            self.of = Some((Arc::clone(record.topic), record.partition));
        }
        &self.path
    }
}

impl<'a> Place<'a> {
    pub(super) fn of(record: &Record<'_>, paths: &'a mut Paths) -> Self {
        let mut hash = Xxh3::new();
        hash.update(record.topic.as_bytes());
        hash.update(&[0]);
        hash.update(&record.partition.to_le_bytes());
        hash.update(&record.timestamp_ms.unwrap_or(0).to_le_bytes());
        hash.update(&record.offset.to_le_bytes());
        // A time that is made up must be the same whenever the record is read, or it would be indexed twice.
        let read_at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        Self { file: FileId(hash.digest128()), path: paths.of(record), offset: record.offset, read_at }
    }

    /// Where `line`, which is one of the record's, stood.
    pub(super) fn spot(&self, line: &[u8]) -> Spot {
        let Envelope { host, path, offset } = Envelope::of(line);
        Spot { path, host, offset: offset.unwrap_or(self.offset) }
    }

    /// The source of line `number`, which stood there.
    pub(super) fn line<'b>(&'b self, topic: &'b str, number: u32, spot: &'b Spot) -> Source<'b> {
        let stream = Stream { file: self.file, generation: number };
        Source {
            stream,
            path: spot.path.as_deref().map_or(self.path, Path::new),
            host: spot.host.as_deref().unwrap_or(NAME),
            task: NAME,
            labels: &NO_LABELS,
            topic,
            read_at: self.read_at,
            form: Form::default(),
        }
    }
}
