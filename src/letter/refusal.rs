//! The letter for a record that Kafka refuses for good, before it ever was in its topic.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use xxhash_rust::xxh3::xxh3_64;

use super::{Envelope, Member, Provenance, VERSION};

/// Where the first line of a record stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    /// The host that read it.
    pub host: String,
    /// The task that collects its file.
    pub task: String,
    /// The file.
    pub file: String,
    /// Where in the file it began, in bytes.
    pub file_offset: u64,
}

/// A record that Kafka refuses, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The topic that it was to go to.
    pub topic: &'a Arc<str>,
    /// The partition, if it was not left to the key.
    pub partition: Option<i32>,
    /// Where its first line stood.
    pub stood: &'a Stood,
    /// The reason's name, one of a few.
    pub reason_type: &'a str,
    /// Why, in words.
    pub reason: &'a str,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// Its value.
    pub value: &'a [u8],
}

impl Refusal<'_> {
    /// The letter's key and its value. It is never cut, for the whole record is nowhere else but in its file.
    #[must_use]
    pub fn write(&self) -> (Vec<u8>, Vec<u8>) {
        let Stood { host, task, file, file_offset } = self.stood;
        let id = format!("{host}:{file}/{file_offset}/{:016x}", xxh3_64(self.value));
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let headers = self.headers.iter().map(|(name, value)| (*name, Some(encode(value)))).collect();
        let envelope = Envelope {
            version: VERSION,
            time: jiff::Timestamp::now(),
            kind: "record",
            reason_type: self.reason_type,
            reason: self.reason,
            topic: self.topic,
            partition: self.partition,
            offset: None,
            timestamp_ms: None,
            provenance: Provenance {
                host: Some(Cow::Borrowed(host)),
                task: Some(Cow::Borrowed(task)),
                file: Some(Cow::Borrowed(file)),
                file_offset: Some(*file_offset),
            },
            content: Member::Record { id: Some(&id), key: self.key.map(encode), headers, value: encode(self.value) },
            cut: false,
        };
        let value = serde_json::to_vec(&envelope).expect("text and numbers can be written as JSON");
        (id.into_bytes(), value)
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Stood};
    use crate::letter::{Held, Kind, Whole};

    #[test]
    fn what_kafka_refused_is_read_as_it_was_with_its_place_in_the_file() {
        let stood = Stood { host: "web-1".into(), task: "web".into(), file: "/a".into(), file_offset: 7 };
        let (topic, value) = ("app".into(), [0, 10, 255]);
        let refusal = Refusal {
            topic: &topic,
            partition: Some(3),
            stood: &stood,
            reason_type: "too_large",
            reason: "a record of 3 bytes is too large",
            key: None,
            headers: vec![("logdrive.v", b"1")],
            value: &value,
        };
        let (key, json) = refusal.write();
        let Whole { summary, content } = Whole::read(&json).expect("a letter");
        let headers = vec![("logdrive.v".to_owned(), Some(b"1".to_vec()))];
        assert_eq!(content, Held::Record { key: None, headers, value: value.to_vec() });
        assert_eq!((summary.kind, summary.topic.as_str(), summary.partition), (Kind::Record, "app", Some(3)));
        assert_eq!((summary.offset, summary.file.as_deref(), summary.file_offset), (None, Some("/a"), Some(7)));
        assert_eq!((summary.id.map(String::into_bytes), summary.cut), (Some(key), false));
    }
}
