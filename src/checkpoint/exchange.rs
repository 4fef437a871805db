//! The form of a checkpoint outside of the store: one JSON object a line, for people, scripts and other machines.
//!
//! Numbers that JSON readers may not hold exactly are text: hashes in hexadecimal, the birth as a time. Everything
//! is checked when it is read, since it may have been written by hand.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::record::{Checkpoint, FileId, Head, LateCut, Place, Stream, TailMark, Unpacked};

/// Why a line is no checkpoint.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// It is no JSON object with the members that a checkpoint has.
    #[error("{0}")]
    Form(#[from] serde_json::Error),
    /// A member has a value that it can't have.
    #[error("{member}: {why}")]
    Value {
        /// The member's name.
        member: &'static str,
        /// What is wrong.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: String,
    generation: u32,
    task: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    offset: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cuts: Vec<u64>,
    mark: Mark,
    head: Hashed,
    place: Spot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unpacked: Option<Whole>,
    updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    bytes: u16,
    in_line: bool,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashed {
    bytes: u16,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spot {
    device: u64,
    inode: u64,
    birth: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    bytes: u64,
    text: u64,
}

/// A checkpoint as one line of JSON, without a newline.
#[must_use]
pub fn write_line(checkpoint: &Checkpoint) -> String {
    let Checkpoint { stream, task, offset, mark, path, place, head, cuts, unpacked, updated_ms } = checkpoint;
    let hash = |hash: u64| format!("{hash:016x}");
    let line = Line {
        file: stream.file.to_string(),
        generation: stream.generation,
        task: task.to_string(),
        path: path.to_string_lossy().into_owned(),
        path_b64: path.to_str().is_none().then(|| BASE64_STANDARD.encode(path.as_os_str().as_bytes())),
        offset: *offset,
        cuts: cuts.clone(),
        mark: Mark { bytes: mark.bytes, in_line: mark.in_line, hash: hash(mark.hash) },
        head: Hashed { bytes: head.bytes, hash: hash(head.hash) },
        place: Spot {
            device: place.device,
            inode: place.inode,
            birth: Timestamp::from_nanosecond(place.birth_ns.into()).ok().filter(|_| place.birth_ns != 0),
        },
        unpacked: unpacked.map(|Unpacked { bytes, text }| Whole { bytes, text }),
        updated: Timestamp::from_millisecond(*updated_ms).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    serde_json::to_string(&line).expect("strings and numbers, no map with other keys: nothing that JSON lacks")
}

/// Reads what [`write_line`] wrote, or someone else in the same form.
///
/// # Errors
/// If it is no checkpoint, and why.
pub fn read_line(text: &str) -> Result<Checkpoint, ExchangeError> {
    let line: Line = serde_json::from_str(text)?;
    let file = Some(&line.file).filter(|file| file.len() == 32).and_then(|file| file.parse::<FileId>().ok());
    let file = file.ok_or_else(|| wrong("file", "it is not 32 hexadecimal digits"))?;
    if line.task.is_empty() {
        return Err(wrong("task", "it is empty"));
    }
    let path = match line.path_b64 {
        None => PathBuf::from(line.path),
        Some(encoded) => {
            let bytes = BASE64_STANDARD.decode(encoded).map_err(|err| wrong("path_b64", &err.to_string()))?;
            PathBuf::from(OsString::from_vec(bytes))
        }
    };
    if !path.is_absolute() {
        return Err(wrong("path", "it does not begin with /"));
    }
    if usize::from(line.mark.bytes) > TailMark::BYTES_MAX || u64::from(line.mark.bytes) > line.offset {
        return Err(wrong("mark", "it covers more bytes than there are before the offset, or more than 1024"));
    }
    if usize::from(line.head.bytes) > Head::BYTES_MAX {
        return Err(wrong("head", "it covers more than 1024 bytes"));
    }
    let is_ordered = line.cuts.is_sorted_by(|a, b| a < b) && line.cuts.first().is_none_or(|cut| *cut > line.offset);
    if !is_ordered || line.cuts.len() > LateCut::WAITING_MAX {
        return Err(wrong("cuts", "they have to lie behind the offset, in order, and be at most 16"));
    }
    let birth_ns = line.place.birth.map_or(Ok(0), |birth| i64::try_from(birth.as_nanosecond()));
    Ok(Checkpoint {
        stream: Stream { file, generation: line.generation },
        task: line.task.into(),
        offset: line.offset,
        mark: TailMark { bytes: line.mark.bytes, in_line: line.mark.in_line, hash: hash("mark", &line.mark.hash)? },
        path,
        place: Place {
            device: line.place.device,
            inode: line.place.inode,
            birth_ns: birth_ns.map_err(|_| wrong("place", "its birth is too far away"))?,
        },
        head: Head { bytes: line.head.bytes, hash: hash("head", &line.head.hash)? },
        cuts: line.cuts,
        unpacked: line.unpacked.map(|Whole { bytes, text }| Unpacked { bytes, text }),
        updated_ms: line.updated.as_millisecond(),
    })
}

fn hash(member: &'static str, text: &str) -> Result<u64, ExchangeError> {
    let is_hash = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hash = Some(text).filter(|_| is_hash).and_then(|text| u64::from_str_radix(text, 16).ok());
    hash.ok_or_else(|| wrong(member, "its hash is not 16 hexadecimal digits"))
}

fn wrong(member: &'static str, why: &str) -> ExchangeError {
    ExchangeError::Value { member, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    use proptest::prelude::*;

    use super::{read_line, write_line};
    use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark, Unpacked};

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            stream: Stream { file: FileId(7), generation: 1 },
            task: "app".into(),
            offset: 5000,
            mark: TailMark { bytes: 1024, in_line: false, hash: u64::MAX },
            path: "/var/log/app.log".into(),
            place: Place { device: 1, inode: 2, birth_ns: 1_700_000_000_123_456_789 },
            head: Head { bytes: 1024, hash: 1 },
            cuts: vec![5001],
            unpacked: None,
            updated_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_line_can_be_read_by_people_and_scripts() {
        let expected = "{\"file\":\"00000000000000000000000000000007\",\"generation\":1,\"task\":\"app\",\
            \"path\":\"/var/log/app.log\",\"offset\":5000,\"cuts\":[5001],\
            \"mark\":{\"bytes\":1024,\"in_line\":false,\"hash\":\"ffffffffffffffff\"},\
            \"head\":{\"bytes\":1024,\"hash\":\"0000000000000001\"},\
            \"place\":{\"device\":1,\"inode\":2,\"birth\":\"2023-11-14T22:13:20.123456789Z\"},\
            \"updated\":\"2023-11-14T22:13:20Z\"}";
        assert_eq!(write_line(&checkpoint()), expected);
    }

    #[test]
    fn what_can_not_be_is_refused_with_the_member_that_is_wrong() {
        let line = write_line(&checkpoint());
        for (from, to, why) in [
            ("000007\"", "00007\"", "file: "),
            ("\"app\"", "\"\"", "task: "),
            ("/var", "var", "path: "),
            ("\"offset\":5000", "\"offset\":10", "mark: "),
            ("[5001]", "[5000]", "cuts: "),
            ("[5001]", "[5002,5001]", "cuts: "),
            ("ffffffffffffffff", "+fffffffffffffff", "mark: "),
            ("{\"bytes\":1024,\"hash\"", "{\"bytes\":1025,\"hash\"", "head: "),
            ("\"inode\"", "\"ino\"", "unknown field `ino`"),
            ("5000", "-1", "invalid value"),
        ] {
            assert!(line.contains(from), "{from}");
            let error = read_line(&line.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_checkpoint_reads_back(
            ids in any::<(u128, u32, u64, u64)>(),
            times in (any::<i64>(), -62_000_000_000_000_i64..250_000_000_000_000),
            offset in 1024_u64..,
            hashes in any::<(u64, u64, bool)>(),
            path in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let checkpoint = Checkpoint {
                stream: Stream { file: FileId(ids.0), generation: ids.1 },
                offset,
                mark: TailMark { bytes: 1024, in_line: hashes.2, hash: hashes.0 },
                path: OsString::from_vec([b"/".to_vec(), path].concat()).into(),
                place: Place { device: ids.2, inode: ids.3, birth_ns: times.0 },
                head: Head { bytes: 3, hash: hashes.1 },
                cuts: Vec::new(),
                unpacked: hashes.2.then_some(Unpacked { bytes: ids.2, text: ids.3 }),
                updated_ms: times.1,
                ..checkpoint()
            };
            prop_assert_eq!(read_line(&write_line(&checkpoint)).expect("its own writing"), checkpoint);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = read_line(&text);
        }
    }
}
