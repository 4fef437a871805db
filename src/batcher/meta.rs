//! The JSON form of a frame's `logdrive.meta` header.

use std::{
    borrow::Cow,
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::frame::{FrameError, Meta, Segment, VERSION};
use crate::record::{FileId, Part, Stream};

/// What a segment's JSON takes at most besides its path: every number at its widest, `"part"` included.
const SEGMENT_BYTES: usize = 176;

/// At most how many bytes the segment of `path` takes in the JSON.
pub(super) fn segment_bytes_max(path: &Path) -> usize {
    let path = path.as_os_str().as_bytes();
    // A control character takes 6 bytes as an escape, any other byte at most 3 (the replacement character).
    let shown: usize = path.iter().map(|byte| if byte.is_ascii_graphic() { 2 } else { 6 }).sum();
    let encoded = if std::str::from_utf8(path).is_ok() { 0 } else { path.len().div_ceil(3) * 4 + 14 };
    SEGMENT_BYTES + shown + encoded
}

/// The JSON of `meta`.
pub(super) fn write(meta: &Meta) -> Vec<u8> {
    let segments = meta.segments.iter().map(SegmentJson::from).collect();
    let json = MetaJson {
        host: Cow::Borrowed(&meta.host),
        machine: Cow::Borrowed(&meta.machine),
        task: Cow::Borrowed(&meta.task),
        read_at: meta.read_at,
        segments,
    };
    serde_json::to_vec(&json).expect("strings and numbers, no map with other keys: nothing that JSON lacks")
}

/// Reads what [`write`] wrote; members that it doesn't know are passed over.
pub(super) fn read(json: &[u8]) -> Result<Meta, FrameError> {
    let json: MetaJson = serde_json::from_slice(json).map_err(|err| FrameError::Meta(err.to_string()))?;
    let segments = json.segments.into_iter().map(Segment::try_from).collect::<Result<_, _>>()?;
    Ok(Meta {
        version: VERSION,
        host: json.host.into_owned(),
        machine: json.machine.into_owned(),
        task: json.task.into_owned(),
        read_at: json.read_at,
        segments,
    })
}

#[derive(Serialize, Deserialize)]
struct MetaJson<'a> {
    host: Cow<'a, str>,
    machine: Cow<'a, str>,
    task: Cow<'a, str>,
    read_at: jiff::Timestamp,
    segments: Vec<SegmentJson<'a>>,
}

#[derive(Serialize, Deserialize)]
struct SegmentJson<'a> {
    file: Cow<'a, str>,
    generation: u32,
    path: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    offset: u64,
    bytes: u64,
    lines: u32,
    #[serde(default, skip_serializing_if = "PartJson::is_whole")]
    part: PartJson,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PartJson {
    #[default]
    Whole,
    First,
    Middle,
    Last,
}

impl PartJson {
    fn is_whole(&self) -> bool {
        *self == PartJson::Whole
    }
}

impl<'a> From<&'a Segment> for SegmentJson<'a> {
    fn from(segment: &'a Segment) -> Self {
        let path = segment.path.as_os_str();
        Self {
            file: segment.stream.file.to_string().into(),
            generation: segment.stream.generation,
            path: path.to_string_lossy(),
            path_b64: path.to_str().is_none().then(|| BASE64_STANDARD.encode(path.as_bytes())),
            offset: segment.offset,
            bytes: segment.bytes,
            lines: segment.lines,
            part: match segment.part {
                Part::Whole => PartJson::Whole,
                Part::First => PartJson::First,
                Part::Middle => PartJson::Middle,
                Part::Last => PartJson::Last,
            },
        }
    }
}

impl TryFrom<SegmentJson<'_>> for Segment {
    type Error = FrameError;

    fn try_from(json: SegmentJson<'_>) -> Result<Self, FrameError> {
        let is_id = json.file.len() == 32 && json.file.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let file: FileId = match json.file.parse() {
            Ok(id) if is_id => id,
            _ => return Err(FrameError::Meta("a segment's file is not 32 lower-case hexadecimal digits".to_owned())),
        };
        let path = match &json.path_b64 {
            None => PathBuf::from(OsStr::new(&*json.path)),
            Some(encoded) => match BASE64_STANDARD.decode(encoded) {
                Ok(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
                Err(err) => return Err(FrameError::Meta(format!("a segment's path_b64 is not base64: {err}"))),
            },
        };
        let part = match json.part {
            PartJson::Whole => Part::Whole,
            PartJson::First => Part::First,
            PartJson::Middle => Part::Middle,
            PartJson::Last => Part::Last,
        };
        let stream = Stream { file, generation: json.generation };
        Ok(Segment { stream, path, offset: json.offset, bytes: json.bytes, lines: json.lines, part })
    }
}

#[cfg(test)]
mod tests {
    use super::{SegmentJson, segment_bytes_max};
    use crate::{
        batcher::frame::Segment,
        record::{FileId, Part, Stream},
    };
    use proptest::prelude::*;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

    proptest! {
        #[test]
        fn a_segment_of_any_path_reads_back_and_takes_no_more_than_was_foreseen(
            path in proptest::collection::vec(any::<u8>(), 0..60),
            stream in any::<(u128, u32)>(),
            numbers in any::<(u64, u64, u32)>(),
            part in prop_oneof![Just(Part::Whole), Just(Part::First), Just(Part::Middle), Just(Part::Last)],
        ) {
            let segment = Segment {
                stream: Stream { file: FileId(stream.0), generation: stream.1 },
                path: PathBuf::from(OsString::from_vec(path)),
                offset: numbers.0,
                bytes: numbers.1,
                lines: numbers.2,
                part,
            };
            let json = serde_json::to_vec(&SegmentJson::from(&segment)).expect("plain data");
            prop_assert!(json.len() < segment_bytes_max(&segment.path), "{}", String::from_utf8_lossy(&json));
            let back: SegmentJson = serde_json::from_slice(&json).expect("its own writing");
            prop_assert_eq!(Segment::try_from(back).expect("its own writing"), segment);
        }
    }
}
