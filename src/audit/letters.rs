//! The dead letters that were not replayed: of which lines they are, and of which records.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
};

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use super::{AuditError, Progress};
use crate::{
    batcher::outline::{Told, outline},
    document::Id,
    kafka::{self, KafkaError, Past},
    letter::{Held, Kind, Position, Summary, Whole},
    record::{FileId, Stream},
};

/// The most letters that are kept.
const LETTERS_MAX: usize = 1_000_000;
/// How much of a reason is kept.
const REASON_CHARS: usize = 200;

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) letter: Position,
    /// The reason's name, and why.
    pub(super) reason: String,
}

/// What a letter is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    /// The document of a line.
    Line(Stream, u64, String),
    /// A document that was cut, so that only its id is whole.
    Document(Id, String),
    /// A document that can't be told to be of any file.
    Unknown,
    /// A record: its topic, partition and offset.
    Record(String, i32, i64),
    /// A record that never was in its topic, since Kafka refused it.
    Refused(Vec<Told>),
}

/// The letters.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// By their topic's number, and their place in it.
    open: HashMap<(usize, Position), About>,
    /// How many topics were read.
    topics: usize,
    /// By stream and offset.
    lines: BTreeMap<(Stream, u64), Note>,
    /// Records that are letters as a whole: topic, partition, offset.
    whole: HashSet<(String, i32, i64)>,
    /// Letters of documents that are not of any stream that is known.
    pub(super) lost: u64,
}

/// What a document says of where its line stood.
#[derive(Deserialize)]
struct Stood {
    #[serde(rename = "logdrive.file")]
    file: String,
    #[serde(rename = "logdrive.generation")]
    generation: u32,
    #[serde(rename = "log.offset")]
    offset: u64,
}

impl Letters {
    /// Reads those in `topic` that may be of records from `since` on. It blocks.
    pub(super) fn read(
        &mut self,
        settings: &kafka::Settings,
        topic: &str,
        since: Option<Timestamp>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), AuditError> {
        // A letter comes after its record; clocks may differ.
        let since = since.map(|since| since.saturating_sub(24.hours()).unwrap_or(since));
        let bounds = match kafka::bounds(settings, topic, "logdrive-history", since, None) {
            Err(KafkaError::UnknownTopic { .. }) => return Ok(()),
            bounds => bounds?,
        };
        let ranges: Vec<_> = bounds.iter().map(|known| (known.partition, known.from..known.high)).collect();
        let mut read = 0;
        kafka::within(settings, topic, &ranges, |past| {
            read += 1;
            progress(Progress::Letters(read));
            self.take(&past);
            if self.open.len() > LETTERS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.topics += 1;
        match self.open.len() {
            ..=LETTERS_MAX => Ok(()),
            _ => Err(AuditError::TooMuch { what: "dead letters", max: LETTERS_MAX }),
        }
    }

    /// Takes a record of the topic. Partitions come one after the other, each in order, so that what says of a letter that
    /// it was replayed comes behind it.
    fn take(&mut self, past: &Past) {
        let Some(value) = &past.value else { return };
        let letter = Position { partition: past.partition, offset: past.offset };
        let Some(Whole { summary, content }) = Whole::read(value) else {
            if let Some(Summary { replayed: Some(replayed), .. }) = Summary::read(value) {
                self.open.remove(&(self.topics, replayed));
            }
            return;
        };
        let about = match (summary.kind, content) {
            (Kind::Record, content) => of_record(summary, &content),
            (_, Held::Document(json)) => stood(&json).map(|(stream, at)| About::Line(stream, at, reason(&summary))),
            _ => summary.id.as_deref().and_then(Id::parse).map(|id| About::Document(id, reason(&summary))),
        };
        self.open.insert((self.topics, letter), about.unwrap_or(About::Unknown));
    }

    /// Ends the reading of letters; gives what is told of by records that Kafka refused.
    pub(super) fn settle(&mut self) -> Vec<Told> {
        let mut refused = Vec::new();
        self.open.retain(|_, about| match about {
            About::Record(topic, partition, offset) => {
                self.whole.insert((std::mem::take(topic), *partition, *offset));
                false
            }
            About::Refused(told) => {
                refused.append(told);
                false
            }
            _ => true,
        });
        refused
    }

    /// Ends the reading of records, of which these streams came.
    pub(super) fn place(&mut self, streams: impl Iterator<Item = Stream> + Clone) {
        for ((_, letter), about) in self.open.drain() {
            let line = match about {
                About::Line(stream, offset, reason) => Some(((stream, offset), reason)),
                About::Document(id, reason) => {
                    streams.clone().find(|stream| id.is_of(*stream)).map(|stream| ((stream, id.offset()), reason))
                }
                About::Unknown | About::Record(..) | About::Refused(_) => None,
            };
            match line {
                Some((line, reason)) => drop(self.lines.insert(line, Note { letter, reason })),
                None => self.lost += 1,
            }
        }
    }

    /// Whether a record is a letter as a whole.
    pub(super) fn has_record(&self, topic: &str, partition: i32, offset: i64) -> bool {
        !self.whole.is_empty() && self.whole.contains(&(topic.to_owned(), partition, offset))
    }

    /// The letters of lines that begin in a stretch of a stream.
    pub(super) fn of(&self, stream: Stream, start: u64, end: u64) -> impl Iterator<Item = (u64, &Note)> {
        self.lines.range((stream, start)..(stream, end.max(start))).map(|((_, offset), note)| (*offset, note))
    }
}

/// What a letter is about that is of a record.
fn of_record(summary: Summary, content: &Held) -> Option<About> {
    if let (Some(partition), Some(offset)) = (summary.partition, summary.offset) {
        return Some(About::Record(summary.topic, partition, i64::try_from(offset).ok()?));
    }
    let Held::Record { value, .. } = content else { return None };
    outline(|name| content.header(name), value, &mut Vec::new()).ok().flatten().map(About::Refused)
}

/// Where the line of a document stood, as the document says.
fn stood(json: &str) -> Option<(Stream, u64)> {
    let stood: Stood = serde_json::from_str(json).ok()?;
    Some((Stream { file: stood.file.parse::<FileId>().ok()?, generation: stood.generation }, stood.offset))
}

fn reason(summary: &Summary) -> String {
    let mut reason = format!("{}: {}", summary.reason_type, summary.reason);
    if let Some((cut, _)) = reason.char_indices().nth(REASON_CHARS) {
        reason.truncate(cut);
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::{Letters, Note, Past};
    use crate::{
        document::Id,
        record::{FileId, Stream},
    };

    const STREAM: Stream = Stream { file: FileId(0xabc), generation: 2 };

    fn past(offset: i64, rest: &str) -> Past {
        let value = format!(r#"{{"version":1,"time":"2026-01-01T00:00:00Z",{rest}}}"#);
        Past { offset, value: Some(value.into_bytes()), ..Past::default() }
    }

    fn document(offset: u64) -> String {
        format!(
            r#""kind":"document","topic":"app","partition":0,"offset":5,"reason_type":"a","reason":"b","index":"i","id":"x",
            "document":{{"logdrive.file":"{}","logdrive.generation":2,"log.offset":{offset}}}"#,
            STREAM.file
        )
    }

    #[test]
    fn letters_are_found_by_line_or_by_record_until_they_were_replayed() {
        let mut letters = Letters::default();
        let cut = format!(
            r#""kind":"document","topic":"app","partition":0,"offset":5,"reason_type":"a","reason":"b","cut":true,"index":"i","id":"{}","document":"cu""#,
            Id::of(STREAM, 30, b"cut")
        );
        let unknown = r#""kind":"document","topic":"app","partition":0,"offset":5,"index":"i","id":"x","document":{}"#;
        let record = r#""kind":"record","topic":"app","partition":1,"offset":7,"value":"""#;
        let replayed = r#""kind":"replayed","letter":{"partition":0,"offset":1},"outcome":"created""#;
        let pasts = [document(10), document(20), cut, unknown.to_owned(), record.to_owned(), replayed.to_owned()];
        pasts.iter().zip(0..).for_each(|(rest, offset)| letters.take(&past(offset, rest)));
        assert_eq!(letters.settle(), []);
        assert!(letters.has_record("app", 1, 7) && !letters.has_record("app", 0, 7));
        let other = Stream { file: FileId(1), generation: 0 };
        letters.place([other, STREAM].into_iter());
        let found: Vec<_> = letters.of(STREAM, 0, 100).map(|(at, Note { letter, .. })| (at, letter.offset)).collect();
        assert_eq!((found, letters.lost), (vec![(10, 0), (30, 2)], 1));
        assert_eq!(letters.of(STREAM, 0, 10).count() + letters.of(other, 0, 100).count(), 0);
    }
}
