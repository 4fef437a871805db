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

use std::path::{Path, PathBuf};

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

/// A foreign record's place, made once for all its lines.
pub(super) struct Place {
    file: FileId,
    path: PathBuf,
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

impl Place {
    pub(super) fn of(record: &Record) -> Self {
        let mut hash = Xxh3::new();
        hash.update(record.topic.as_bytes());
        hash.update(&[0]);
        hash.update(&record.partition.to_le_bytes());
        hash.update(&record.timestamp_ms.unwrap_or(0).to_le_bytes());
        hash.update(&record.offset.to_le_bytes());
        let path = PathBuf::from(format!("kafka:{}/{}", record.topic, record.partition));
        // A time that is made up must be the same whenever the record is read, or it would be indexed twice.
        let read_at = record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        Self { file: FileId(hash.digest128()), path, offset: record.offset, read_at }
    }

    /// Where `line`, which is one of the record's, stood.
    pub(super) fn spot(&self, line: &[u8]) -> Spot {
        let Envelope { host, path, offset } = Envelope::of(line);
        Spot { path, host, offset: offset.unwrap_or(self.offset) }
    }

    /// The source of line `number`, which stood there.
    pub(super) fn line<'a>(&'a self, topic: &'a str, number: u32, spot: &'a Spot) -> Source<'a> {
        let stream = Stream { file: self.file, generation: number };
        Source {
            stream,
            path: spot.path.as_deref().map_or(&self.path, Path::new),
            host: spot.host.as_deref().unwrap_or(NAME),
            task: NAME,
            labels: &NO_LABELS,
            topic,
            read_at: self.read_at,
            form: Form::default(),
        }
    }
}
