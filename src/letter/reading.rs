//! Letters as they lie in the topic, whoever wrote them: everything but their form is in doubt.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::VERSION;

/// Where a letter lies in its topic; written `PARTITION:OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write PARTITION:OFFSET, as `logdrive dead-letters list` shows it";
        let (partition, offset) = text.split_once(':').ok_or(wrong)?;
        match (partition.parse(), offset.parse()) {
            (Ok(partition @ 0..), Ok(offset @ 0..)) => Ok(Self { partition, offset }),
            _ => Err(wrong),
        }
    }
}

/// What a record of the topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A letter: a document that the store refused.
    Document,
    /// A letter: a record that could not be read.
    Record,
    /// No letter: it says that one was replayed.
    Replayed,
}

/// A letter without what it is about. The members' meanings are those of the format.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Summary {
    version: u8,
    /// When it was written.
    pub time: Timestamp,
    /// What kind it is.
    pub kind: Kind,
    /// The reason's name.
    #[serde(default)]
    pub reason_type: String,
    /// Why, in words.
    #[serde(default)]
    pub reason: String,
    /// The topic of the record that it comes from, which is at `partition` and `offset`.
    #[serde(default)]
    pub topic: String,
    /// The partition of that record.
    #[serde(default)]
    pub partition: Option<i32>,
    /// The offset of that record; none if Kafka refused it, so that it never was in the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// That record's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_ms: Option<i64>,
    /// The host that the line comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The task that the line comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The file that the line stood in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where in the file the line began, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_offset: Option<u64>,
    /// Where the document was to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The document's `_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether only a part of it is in the letter.
    #[serde(default)]
    pub cut: bool,
    /// Which letter was replayed, if this says so.
    #[serde(default, rename = "letter", skip_serializing)]
    pub replayed: Option<Position>,
}

impl Summary {
    /// Reads a record of the topic; none if it is not of this format and version.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let summary: Self = serde_json::from_slice(value).ok()?;
        (summary.version == VERSION && (summary.kind == Kind::Replayed) == summary.replayed.is_some())
            .then_some(summary)
    }

    /// The record that it comes from, or, of one that Kafka refused, the place in the file.
    #[must_use]
    pub fn origin(&self) -> String {
        match (self.partition, self.offset) {
            (Some(partition), Some(offset)) => super::place(&self.topic, partition, offset),
            _ => format!("{}:{}", self.file.as_deref().unwrap_or("?"), self.file_offset.unwrap_or(0)),
        }
    }
}

/// A letter with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Everything else.
    pub summary: Summary,
    /// What it is about.
    pub content: Content,
}

/// What a letter is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A JSON object, as it was built.
    Document(String),
    /// The beginning of one.
    CutDocument(String),
    /// A record, or, if the summary says so, the beginning of one.
    Record {
        /// Its key, if it had one.
        key: Option<Vec<u8>>,
        /// Its headers, in order.
        headers: Vec<(String, Option<Vec<u8>>)>,
        /// Its value.
        value: Vec<u8>,
    },
}

impl Content {
    /// The value of a record's first header called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let Self::Record { headers, .. } = self else { return None };
        headers.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_deref())
    }
}

/// What [`Summary`] leaves out.
#[derive(Deserialize)]
struct Rest<'a> {
    #[serde(borrow)]
    document: Option<&'a RawValue>,
    key: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Option<String>)>,
    value: Option<String>,
}

impl Whole {
    /// Reads a letter; none if it is not of this format and version, or no letter.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let summary = Summary::read(value)?;
        let rest: Rest<'_> = serde_json::from_slice(value).ok()?;
        let content = match summary.kind {
            Kind::Document => rest.document()?,
            Kind::Record => rest.record()?,
            Kind::Replayed => return None,
        };
        Some(Self { summary, content })
    }
}

impl Rest<'_> {
    fn document(&self) -> Option<Content> {
        let json = self.document?.get();
        if json.starts_with('{') {
            return Some(Content::Document(json.to_owned()));
        }
        serde_json::from_str(json).ok().map(Content::CutDocument)
    }

    fn record(self) -> Option<Content> {
        let decode = |text: String| BASE64_STANDARD.decode(text).ok();
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, value) in self.headers {
            headers.push((name, value.map(|value| decode(value).ok_or(())).transpose().ok()?));
        }
        let key = self.key.map(|key| decode(key).ok_or(())).transpose().ok()?;
        Some(Content::Record { key, headers, value: decode(self.value?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, Kind, Position, Summary, Whole};
    use crate::letter::{Content as Written, Letter, Origin};

    fn letter(content: Written) -> Letter {
        let origin = Origin { topic: "app".into(), partition: 3, offset: 42, timestamp_ms: Some(7) };
        Letter { origin, reason_type: "mapper_parsing_exception".into(), reason: "no \"number\"".into(), content }
    }

    #[test]
    fn what_was_written_is_read() {
        let json = r#"{"n":1.000,"big":123456789012345678901234567890,"log.offset":9,"log.file.path":"/a"}"#;
        let content = Written::Document { index: "logs".into(), id: "abc".into(), json: json.as_bytes().to_vec() };
        let read = Whole::read(&letter(content.clone()).write(None)).expect("a letter");
        assert_eq!(read.content, Content::Document(json.to_owned()));
        let summary = read.summary;
        assert_eq!((summary.kind, summary.origin().as_str(), summary.cut), (Kind::Document, "app/3/42", false));
        assert_eq!((summary.index.as_deref(), summary.id.as_deref()), (Some("logs"), Some("abc")));
        assert_eq!((summary.file.as_deref(), summary.file_offset), (Some("/a"), Some(9)));
        let cut = Whole::read(&letter(content).write(Some(5))).expect("a letter");
        assert_eq!((cut.summary.cut, cut.content), (true, Content::CutDocument(json[..5].to_owned())));

        let (key, headers, value) =
            (Some(vec![0, 255]), vec![("a".to_owned(), Some(vec![1])), ("b".to_owned(), None)], vec![0, 10, 200]);
        let content = Written::Record { key: key.clone(), headers: headers.clone(), value: value.clone() };
        let read = Whole::read(&letter(content).write(None)).expect("a letter");
        assert_eq!((read.summary.kind, read.content), (Kind::Record, Content::Record { key, headers, value }));
    }

    #[test]
    fn what_is_no_letter_is_not_taken_for_one() {
        for other in [
            "",
            "{}",
            "[1]",
            r#"{"version":2,"time":"2026-01-01T00:00:00Z","kind":"record","value":""}"#,
            r#"{"version":1,"time":"2026-01-01T00:00:00Z","kind":"replayed"}"#,
            r#"{"version":1,"time":"soon","kind":"record","value":""}"#,
        ] {
            assert_eq!((Summary::read(other.as_bytes()), Whole::read(other.as_bytes())), (None, None), "{other}");
        }
        for broken in [
            r#"{"version":1,"time":"2026-01-01T00:00:00Z","kind":"record","value":"!"}"#,
            r#"{"version":1,"time":"2026-01-01T00:00:00Z","kind":"document","document":7}"#,
            r#"{"version":1,"time":"2026-01-01T00:00:00Z","kind":"document"}"#,
        ] {
            assert_eq!(Whole::read(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn a_position_is_written_as_it_is_read() {
        assert_eq!("3:42".parse(), Ok(Position { partition: 3, offset: 42 }));
        assert_eq!(Position { partition: 3, offset: 42 }.to_string(), "3:42");
        for wrong in ["", "3", "3:", "-1:2", "1:-2", "a:b"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
