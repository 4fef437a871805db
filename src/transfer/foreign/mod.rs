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
use xxhash_rust::xxh3::xxh3_128;

use self::envelope::{Envelope, Reader};
use crate::{
    document::Source,
    kafka::Record,
    record::{FileId, Form, NO_LABELS, Stream},
};

/// What stands in for the host and the task where nobody knows them.
const NAME: &str = "kafka";

/// Finds the places of records. What those that follow each other have in common is made once.
#[derive(Default)]
pub(super) struct Places {
    partition: Partition,
    lines: Reader,
}

/// What the records of a partition have in common.
#[derive(Default)]
struct Partition {
    /// Whose it is.
    of: Option<(Arc<str>, i32)>,
    /// What stands in for the path of its lines.
    path: PathBuf,
    /// What the identity of a record is the hash of; the record's own part stands at the end.
    key: Vec<u8>,
}

/// A foreign record's place, made once for all its lines.
pub(super) struct Place<'a> {
    file: FileId,
    path: &'a Path,
    offset: u64,
    read_at: Timestamp,
    lines: &'a mut Reader,
}

/// The place of one line.
pub(super) struct Spot<'a> {
    path: &'a Path,
    host: &'a str,
    /// What stands in `log.offset`.
    pub(super) offset: u64,
    file: FileId,
    read_at: Timestamp,
}

impl Partition {
    /// The identity of a record, as a file's.
    fn identity(&mut self, record: &Record<'_>) -> FileId {
        let is_known =
            self.of.as_ref().is_some_and(|(topic, partition)| topic == record.topic && *partition == record.partition);
        if !is_known {
            self.path = PathBuf::from(format!("kafka:{}/{}", record.topic, record.partition));
            self.of = Some((Arc::clone(record.topic), record.partition));
            self.key.clear();
            self.key.extend_from_slice(record.topic.as_bytes());
            self.key.push(0);
            self.key.extend_from_slice(&record.partition.to_le_bytes());
        }
        let common = self.key.len();
        self.key.extend_from_slice(&record.timestamp_ms.unwrap_or(0).to_le_bytes());
        self.key.extend_from_slice(&record.offset.to_le_bytes());
        let file = FileId(xxh3_128(&self.key));
        self.key.truncate(common);
        file
    }
}

impl Places {
    /// The place of a record.
    pub(super) fn of(&mut self, record: &Record<'_>) -> Place<'_> {
        let file = self.partition.identity(record);
        // A time that is made up must be the same whenever the record is read, or it would be indexed twice.
        let read_at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        Place { file, path: &self.partition.path, offset: record.offset, read_at, lines: &mut self.lines }
    }
}

impl Place<'_> {
    /// Where `line`, which is one of the record's, stood.
    pub(super) fn spot(&mut self, line: &[u8]) -> Spot<'_> {
        let Envelope { host, path, offset } = self.lines.read(line);
        let path = path.as_deref().map_or(self.path, Path::new);
        Spot {
            path,
            host: host.as_deref().unwrap_or(NAME),
            offset: offset.unwrap_or(self.offset),
            file: self.file,
            read_at: self.read_at,
        }
    }
}

impl<'a> Spot<'a> {
    /// The source of the line, which is the record's line `number`.
    pub(super) fn source(&self, topic: &'a str, number: u32) -> Source<'a> {
        Source {
            stream: Stream { file: self.file, generation: number },
            path: self.path,
            host: self.host,
            task: NAME,
            labels: &NO_LABELS,
            topic,
            read_at: self.read_at,
            form: Form::default(),
        }
    }
}
