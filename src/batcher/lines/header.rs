//! What a record's headers say of its message, both directions (`docs/wire-format.md` specifies it).
//!
//! | header | what |
//! |---|---|
//! | `logdrive.line` | the version of both, where the message begins in the stream, and what its bytes were, as JSON ([`place`](super::place)) |
//! | `logdrive.meta` | what the messages of a file have in common, as JSON |
//!
//! With them a message has the same identity as in the packed format. There are two, and not one for each thing that is
//! said, because each costs a consumer about as much as the line itself does; and not one, because what messages have in
//! common is understood, and kept, once.

use std::{borrow::Cow, ops::Range};

use serde::{Deserialize, Serialize};

use super::{Sender, Value, place::Place};
use crate::{
    batcher::{
        frame::{self, FrameError, META_BYTES_MAX, META_HEADER, Meta, Segment, TEXT_BYTES_MAX, Task},
        meta::{SegmentJson, check_labels},
    },
    record::{Block, Labels, Messages, Part, Run, SentLine, members},
    splitter,
};

/// The header that says where the message begins, and which is read before the other.
pub const LINE_HEADER: &str = "logdrive.line";

/// A message that was read from a record.
#[derive(Debug, PartialEq)]
pub enum Line {
    /// Its bytes as they stood in the file, as a segment of its own.
    Raw(Meta),
    /// Its text, and the XXH3-64 of what the bytes were; the one segment says where they stood, and no more.
    Json(Meta, u64),
}

/// The header that the messages of a block have in common: where in the buffer it stands.
#[derive(Clone, Debug)]
pub(super) struct Common {
    meta: Range<u32>,
}

#[derive(Serialize, Deserialize)]
struct LineJson<'a> {
    host: Cow<'a, str>,
    machine: Cow<'a, str>,
    task: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    read_at: jiff::Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    json: bool,
    file: Cow<'a, str>,
    generation: u32,
    path: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    charset: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Cow<'a, str>>,
}

impl Common {
    /// Appends to `buffer` what the headers of the block's messages have in common.
    pub(super) fn write(block: &Block, value: Value, sender: &Sender, buffer: &mut Vec<u8>) -> Self {
        let origin = &block.origin;
        let segment = Segment {
            task: 0,
            stream: origin.stream,
            path: origin.path.clone(),
            offset: 0,
            bytes: 0,
            lines: 0,
            part: Part::Whole,
            form: origin.form,
            messages: Messages::default(),
        };
        let segment = SegmentJson::from(&segment);
        let json = LineJson {
            host: Cow::Borrowed(&sender.host),
            machine: Cow::Borrowed(&sender.machine),
            task: Cow::Borrowed(&origin.task),
            labels: origin.labels.clone(),
            read_at: block.read_at,
            json: value == Value::Json,
            file: segment.file,
            generation: segment.generation,
            path: segment.path,
            path_b64: segment.path_b64,
            charset: segment.charset,
            format: segment.format,
        };
        let meta = buffer.len() as u32;
        serde_json::to_writer(&mut *buffer, &json).expect("strings and numbers go into memory, which takes them");
        Self { meta: meta..buffer.len() as u32 }
    }

    /// Adds the headers of the message that stands at `place`.
    pub(super) fn add(&self, place: &Place, headers: &mut Vec<(&'static str, Range<u32>)>, buffer: &mut Vec<u8>) {
        headers.push((LINE_HEADER, place.write(buffer)));
        headers.push((META_HEADER, self.meta.clone()));
    }
}

/// Appends `bytes`; where they stand.
pub(super) fn push(buffer: &mut Vec<u8>, bytes: &[u8]) -> Range<u32> {
    let start = buffer.len() as u32;
    buffer.extend_from_slice(bytes);
    start..buffer.len() as u32
}

/// What is known of the text of a message that was sent as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The XXH3-64 of what its bytes were.
    pub hash: u64,
    /// Whether it is known to be UTF-8 in which nothing has to be escaped in JSON.
    pub is_plain: bool,
}

/// Reads records one after the other; what those that follow each other say alike is understood once.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The JSON that `meta` is from, byte for byte.
    json: Vec<u8>,
    is_json: bool,
    meta: Option<Meta>,
    /// What stood behind the message of the last JSON value that was read with care, if that was of our form.
    rest: Vec<u8>,
}

impl Decoder {
    /// Reads a record: what it says of its message into [`Decoder::meta`], and the message's text into `text`, whose
    /// former content is lost. Nothing of either means anything after an error. Of a JSON value, what is known of the text
    /// is returned, and the one segment says where its bytes stood, and no more.
    ///
    /// # Errors
    /// If the record is of another version, or is damaged, or does not hold what it says, or more than it may.
    pub fn read<'a>(
        &mut self,
        headers: impl Fn(&str) -> Option<&'a [u8]>,
        value: &[u8],
        text: &mut Vec<u8>,
    ) -> Result<Option<Decoded>, FrameError> {
        text.clear();
        let need = |name: &'static str| headers(name).ok_or(FrameError::Missing(name));
        let Place { offset, part, hash } = Place::read(need(LINE_HEADER)?)?;
        self.understand(need(META_HEADER)?)?;
        frame::limit("bytes of text", value.len() as u64, TEXT_BYTES_MAX)?;
        let meta = self.meta.as_mut().expect("it was understood above");
        // There is one, made here.
        let segment = &mut meta.segments[0];
        (segment.offset, segment.part, segment.bytes, segment.lines) = (offset, part, 0, 0);
        if !segment.messages.is_plain() {
            segment.messages = Messages::default();
        }
        if self.is_json {
            let no_hash =
                || FrameError::Meta(format!("the header {LINE_HEADER} has no hash, which a JSON value needs"));
            let hash = hash.ok_or_else(no_hash)?;
            let is_plain = push_message(value, &mut self.rest, text)?;
            segment.bytes = text.len() as u64;
            return Ok(Some(Decoded { hash, is_plain }));
        }
        text.extend_from_slice(value);
        complete(segment, text);
        frame::bytes_of(std::slice::from_ref(segment))?;
        frame::agree(segment, text).map_err(|why| FrameError::Segment { index: 0, why })?;
        Ok(None)
    }

    /// What the record that was read last says of its message, which is a segment of its own.
    ///
    /// # Panics
    /// Before a record was read.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        self.meta.as_ref().expect("a record was read, as is asked for")
    }

    /// Sees to it that `meta` is what `json` says, with one segment.
    fn understand(&mut self, json: &[u8]) -> Result<(), FrameError> {
        if self.meta.is_some() && self.json == json {
            return Ok(());
        }
        self.meta = None;
        frame::limit("bytes of metadata", json.len() as u64, META_BYTES_MAX as u64)?;
        let common: LineJson = serde_json::from_slice(json).map_err(|err| FrameError::Meta(err.to_string()))?;
        check_labels(&common.labels)?;
        self.is_json = common.json;
        self.meta = Some(common.into_meta()?);
        self.json.clear();
        self.json.extend_from_slice(json);
        Ok(())
    }
}

/// Reads one record: what it says of its message, and the message's text into `text`, whose former content is lost.
/// Nothing of `text` means anything after an error.
///
/// # Errors
/// As [`Decoder::read`].
pub fn decode<'a>(
    headers: impl Fn(&str) -> Option<&'a [u8]>,
    value: &[u8],
    text: &mut Vec<u8>,
) -> Result<Line, FrameError> {
    let mut decoder = Decoder::default();
    let decoded = decoder.read(headers, value, text)?;
    let meta = decoder.meta.expect("a record was read");
    Ok(match decoded {
        None => Line::Raw(meta),
        Some(Decoded { hash, .. }) => Line::Json(meta, hash),
    })
}

/// Appends the message in a JSON value; whether it is plain. `known` is what stood behind the message of a value before, if
/// that could be read.
fn push_message(value: &[u8], known: &mut Vec<u8>, text: &mut Vec<u8>) -> Result<bool, FrameError> {
    let sent = SentLine::of(value);
    if let Some(sent) = sent.filter(|sent| sent.rest == known) {
        sent.push_message(text);
        return Ok(!sent.has_escapes);
    }
    text.extend_from_slice(message_of(value)?.as_bytes());
    if let Some(sent) = sent.filter(|sent| sent.rest.len() <= META_BYTES_MAX) {
        known.clear();
        known.extend_from_slice(sent.rest);
    }
    Ok(false)
}

/// The message in a JSON value.
fn message_of(value: &[u8]) -> Result<Cow<'_, str>, FrameError> {
    let (mut found, mut count) = (None, 0);
    let is_object = members::each(value, |name, value| {
        if name == b"message" {
            (found, count) = (members::text(value), count + 1);
        }
    });
    match found {
        Some(message) if is_object && count == 1 => Ok(message),
        // What is odd is read with care, and what is wrong is said.
        _ => serde_json::from_slice(value)
            .map(|json: ValueJson| json.message)
            .map_err(|err| FrameError::Value(err.to_string())),
    }
}

/// What is wanted of a JSON value.
#[derive(Deserialize)]
struct ValueJson<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Gives the text its last newline back, and says of it in `segment` what can be told from it.
fn complete(segment: &mut Segment, text: &mut Vec<u8>) {
    let newline = segment.form.charset.newline();
    segment.lines = 1;
    if !segment.part.goes_on() {
        if segment.part == Part::Whole {
            segment.lines += splitter::count_by(newline, text);
        }
        text.extend_from_slice(newline.bytes());
    }
    if segment.lines > 1 {
        segment.messages.push(Run::Joined(segment.lines));
    }
    segment.bytes = text.len() as u64;
}

impl LineJson<'_> {
    /// With one segment, which says what the messages have in common.
    fn into_meta(self) -> Result<Meta, FrameError> {
        let segment = SegmentJson {
            file: self.file,
            generation: self.generation,
            path: self.path,
            path_b64: self.path_b64,
            charset: self.charset,
            format: self.format,
            ..SegmentJson::default()
        };
        let segment = Segment::try_from(segment)?;
        Ok(Meta {
            host: self.host.into_owned(),
            machine: self.machine.into_owned(),
            tasks: vec![Task { name: self.task.into(), labels: self.labels }],
            read_at: self.read_at,
            segments: vec![segment],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::push_message;

    /// Values of our form and some that are nearly so, many with the same rest.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let message = prop_oneof![
            r#"([a-zé ]|\\["\\/bfnrtx]|\\u00e9|\\ud83d|[\t"]){0,6}"#.prop_map(String::into_bytes),
            Just(b"\xff".to_vec()),
            Just(br#"","message":"again"#.to_vec()),
        ];
        let rest = prop::sample::select(vec![
            r#","host.name":"web-1","log.file.path":"/a"}"#,
            r#","host.name":"web-2","labels":{"message":"b"}}"#,
            r#","host.name":"web-1","message":"b"}"#,
            r#","mess\u0061ge":"x"}"#,
            r#","host.name":"web-1""#,
            r#","host.name":}"#,
        ]);
        (0..30_u64, message, rest).prop_map(|(offset, message, rest)| {
            let head = format!(r#"{{"@timestamp":"2026-11-20T10:00:00.123Z","log.offset":{offset},"message":""#);
            [head.as_bytes(), &message, b"\"", rest.as_bytes()].concat()
        })
    }

    proptest! {
        #[test]
        fn the_message_of_a_value_does_not_depend_on_the_values_before_it(
            values in prop::collection::vec(value(), 0..20)
        ) {
            let mut known = Vec::new();
            let read = |value: &[u8], known: &mut Vec<u8>| {
                let mut text = Vec::new();
                push_message(value, known, &mut text).map(|_| text).map_err(|error| error.to_string())
            };
            for value in values {
                prop_assert_eq!(read(&value, &mut known), read(&value, &mut Vec::new()));
            }
        }
    }
}
