//! Records that others wrote: their values are lines too, and each needs a place of its own.
//!
//! | in a document | of a line in a foreign record |
//! |---|---|
//! | `log.file.path` | `kafka:TOPIC/PARTITION` |
//! | `log.offset` | the record's offset |
//! | `logdrive.generation` | which line of the record, the first being 0 |
//! | `logdrive.file` | a hash of topic, partition and the record's time |
//! | `host.name`, `logdrive.task` | `kafka` |
//!
//! The time is part of the identity because a topic can be deleted and made anew, with other records at the same
//! offsets. The document's time, where the line has none, is the record's.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use crate::{
    document::Source,
    kafka::Record,
    record::{FileId, Form, NO_LABELS, Stream},
};

/// What stands in for the host and the task, which nobody knows.
const NAME: &str = "kafka";

/// A foreign record's place, made once for all its lines.
pub(super) struct Place {
    file: FileId,
    path: PathBuf,
    read_at: Timestamp,
}

impl Place {
    pub(super) fn of(record: &Record) -> Self {
        let mut hash = Xxh3::new();
        hash.update(record.topic.as_bytes());
        hash.update(&[0]);
        hash.update(&record.partition.to_le_bytes());
        hash.update(&record.timestamp_ms.unwrap_or(0).to_le_bytes());
        let path = PathBuf::from(format!("kafka:{}/{}", record.topic, record.partition));
        // A time that is made up must be the same whenever the record is read, or it would be indexed twice.
        let read_at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        Self { file: FileId(hash.digest128()), path, read_at }
    }

    /// The source of line `number`.
    pub(super) fn line<'a>(&'a self, topic: &'a str, number: u32) -> Source<'a> {
        let stream = Stream { file: self.file, generation: number };
        Source {
            stream,
            path: Path::new(&self.path),
            host: NAME,
            task: NAME,
            labels: &NO_LABELS,
            topic,
            read_at: self.read_at,
            form: Form::default(),
        }
    }
}
