//! The header that a message has alone, both directions: where it stands, and what its bytes were.
//!
//! It is a small JSON object, which anyone can read. Ours is always written alike, and recognised by that: what differs
//! in anything is read as any JSON is.

use std::{borrow::Cow, io::Write, ops::Range};

use serde::Deserialize;

use super::{
    header::LINE_HEADER,
    value::{part_name, push_member},
};
use crate::{
    batcher::{
        frame::{self, FrameError, META_BYTES_MAX},
        meta::PartJson,
    },
    record::{Part, json::push_number},
};

/// The one version that there is.
const VERSION: u32 = 1;

/// What stands before the offset, before the hash, and before the part.
const OFFSET: &[u8] = b"{\"version\":1,\"offset\":";
const HASH: &[u8] = b",\"hash\":\"";
const PART: &[u8] = b",\"part\":\"";

/// So many digits are no more than 64 bits hold.
const DIGITS_MAX: usize = 19;
const HASH_DIGITS: usize = 16;

/// Where a message stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// Which part of a line it is.
    pub(super) part: Part,
    /// XXH3-64 of its bytes as they stood, where the value doesn't have them.
    pub(super) hash: Option<u64>,
}

#[derive(Deserialize)]
struct VersionJson {
    version: u32,
}

#[derive(Deserialize)]
struct PlaceJson<'a> {
    offset: u64,
    #[serde(default)]
    part: PartJson,
    #[serde(default, borrow)]
    hash: Option<Cow<'a, str>>,
}

impl Place {
    /// Appends the header's value; where it is.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) -> Range<u32> {
        let start = buffer.len() as u32;
        buffer.extend_from_slice(OFFSET);
        push_number(self.offset, buffer);
        if let Some(hash) = self.hash {
            buffer.extend_from_slice(HASH);
            write!(buffer, "{hash:016x}\"").expect("memory takes what is written");
        }
        if let Some(name) = part_name(self.part) {
            push_member("part", name.as_bytes(), buffer);
        }
        buffer.push(b'}');
        start..buffer.len() as u32
    }

    /// Reads the header's value.
    ///
    /// # Errors
    /// If it is of another version, or no such object.
    pub(super) fn read(header: &[u8]) -> Result<Self, FrameError> {
        Self::of_our_form(header).map_or_else(|| Self::with_care(header), Ok)
    }

    /// What our agents wrote; none of anything else.
    fn of_our_form(header: &[u8]) -> Option<Self> {
        let rest = header.strip_prefix(OFFSET)?;
        let count = rest.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at(count);
        if count == 0 || count > DIGITS_MAX || (digits[0] == b'0' && count > 1) {
            return None;
        }
        let offset = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let (hash, rest) = match rest.strip_prefix(HASH) {
            None => (None, rest),
            Some(rest) => {
                let (digits, rest) = rest.split_at_checked(HASH_DIGITS)?;
                (Some(hash_of(digits)?), rest.strip_prefix(b"\"")?)
            }
        };
        let part = match rest.strip_prefix(PART) {
            None if rest == b"}" => Part::Whole,
            Some(b"first\"}") => Part::First,
            Some(b"middle\"}") => Part::Middle,
            Some(b"last\"}") => Part::Last,
            _ => return None,
        };
        Some(Self { offset, part, hash })
    }

    fn with_care(header: &[u8]) -> Result<Self, FrameError> {
        let wrong = |why: &dyn std::fmt::Display| FrameError::Meta(format!("the header {LINE_HEADER}: {why}"));
        frame::limit("bytes of metadata", header.len() as u64, META_BYTES_MAX as u64)?;
        let VersionJson { version } = serde_json::from_slice(header).map_err(|error| wrong(&error))?;
        if version != VERSION {
            return Err(FrameError::Version { found: version.to_string(), known: VERSION });
        }
        let PlaceJson { offset, part, hash } = serde_json::from_slice(header).map_err(|error| wrong(&error))?;
        let hash = match hash {
            None => None,
            Some(digits) => match hash_of(digits.as_bytes()) {
                Some(hash) => Some(hash),
                None => return Err(wrong(&"the hash is not 16 hexadecimal digits")),
            },
        };
        Ok(Self { offset, part: part.into(), hash })
    }
}

fn hash_of(digits: &[u8]) -> Option<u64> {
    if digits.len() != HASH_DIGITS {
        return None;
    }
    digits.iter().try_fold(0, |number, byte| Some(number << 4 | u64::from(char::from(*byte).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FrameError, Part, Place};

    fn text(place: Place) -> String {
        let mut out = b"before".to_vec();
        let range = place.write(&mut out);
        String::from_utf8(out[range.start as usize..range.end as usize].to_vec()).expect("JSON")
    }

    fn part() -> impl Strategy<Value = Part> {
        prop::sample::select(vec![Part::Whole, Part::First, Part::Middle, Part::Last])
    }

    #[test]
    fn it_is_written_as_is_documented() {
        let place = Place { offset: 4096, part: Part::Whole, hash: None };
        assert_eq!(text(place), r#"{"version":1,"offset":4096}"#);
        let place = Place { offset: 0, part: Part::Last, hash: Some(0x1f) };
        assert_eq!(text(place), r#"{"version":1,"offset":0,"hash":"000000000000001f","part":"last"}"#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_recognised_and_reads_back(
            offset in prop_oneof![any::<u64>(), 0..1000_u64], part in part(), hash in any::<Option<u64>>()
        ) {
            let place = Place { offset, part, hash };
            let text = text(place);
            prop_assert_eq!(Place::of_our_form(text.as_bytes()).is_some(), offset.to_string().len() <= 19);
            prop_assert_eq!(Place::read(text.as_bytes()).ok(), Some(place));
        }

        #[test]
        fn what_is_recognised_says_what_the_json_does(
            header in r#"\{"version":1,"offset":(0|[0-9]{1,20}|-1)(,"hash":"[0-9a-fA-Fx]{15,17}")?(,"(hash|part)":"(first|middle|last|whole|)"){0,2}(,"x":1)?\}? ?"#
        ) {
            if let Some(place) = Place::of_our_form(header.as_bytes()) {
                prop_assert_eq!(Place::with_care(header.as_bytes()).ok(), Some(place));
            }
        }
    }

    #[test]
    fn json_of_others_is_read_and_what_can_not_be_is_told() {
        let other = br#" { "part": "first", "hash": "00000000000000FF", "more": {}, "offset": 7, "version": 1 } "#;
        let place = Place { offset: 7, part: Part::First, hash: Some(255) };
        assert_eq!(Place::read(other).ok(), Some(place));
        let wrong = [
            (&br#"{"version":2,"where":7}"#[..], r#"version "2" and this program reads versions up to 1"#),
            (br#"{"offset":7}"#, "missing field `version`"),
            (br#"{"version":1}"#, "missing field `offset`"),
            (br#"{"version":1,"offset":-7}"#, "invalid value"),
            (br#"{"version":1,"offset":7,"hash":"+0000000000000ff"}"#, "16 hexadecimal digits"),
            (br#"{"version":1,"offset":7,"part":"some"}"#, "unknown variant"),
            (br#"{"version":1,"offset":7,"offset":8}"#, "duplicate field"),
            (b"1", "logdrive.line"),
        ];
        for (header, why) in wrong {
            let error = Place::read(header).expect_err("it is wrong").to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(matches!(Place::read(br#"{"version":2}"#), Err(FrameError::Version { .. })));
    }
}
