//! A document's identity: where its line began, and what its bytes were.
//!
//! | bytes | what |
//! |---|---|
//! | 10 | the first bytes of XXH3-128 over the file's identity and generation |
//! | 6 | the line's offset in the stream, big-endian |
//! | 5 | the first bytes of XXH3-64 over the line, or the lines of the message, as they stood in the file, without the last newline |
//!
//! The same line sent twice has one identity, so it is one document. Two different lines share one only if both
//! hashes agree at the same offset. Ids of a file's lines share a prefix and are in order, which stores compress
//! well; in the text form, URL-safe base64 without padding, Elasticsearch keeps an id as its bytes
//! (`Uid.encodeId`).

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use xxhash_rust::xxh3;

use crate::record::Stream;

/// The `_id` of a document; its text is 28 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 21]);

/// The part of an id that all lines of a stream share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefix([u8; 10]);

impl Prefix {
    pub(super) fn of(stream: Stream) -> Self {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&stream.file.0.to_be_bytes());
        bytes[16..].copy_from_slice(&stream.generation.to_be_bytes());
        let mut prefix = [0; 10];
        prefix.copy_from_slice(&xxh3::xxh3_128(&bytes).to_be_bytes()[..10]);
        Self(prefix)
    }

    /// The id of the line with these bytes at this offset (less than 2^48, which is 256 TiB).
    pub(super) fn id(self, offset: u64, line: &[u8]) -> Id {
        self.id_of(offset, xxh3::xxh3_64(line))
    }

    /// The id of the message that begins at this offset and has these lines, each but the last followed by `newline`:
    /// of the same bytes the same id, whether other lines lay between them or not.
    pub(super) fn id_of_lines<'a>(self, offset: u64, newline: &[u8], mut lines: impl Iterator<Item = &'a [u8]>) -> Id {
        let mut hash = xxh3::Xxh3::new();
        hash.update(lines.next().unwrap_or_default());
        for line in lines {
            hash.update(newline);
            hash.update(line);
        }
        self.id_of(offset, hash.digest())
    }

    /// The id of the message that begins at this offset and whose bytes have this hash.
    pub(super) fn id_of(self, offset: u64, hash: u64) -> Id {
        debug_assert!(offset < 1 << 48, "a stream is shorter than 256 TiB");
        let mut id = [0; 21];
        id[..10].copy_from_slice(&self.0);
        id[10..16].copy_from_slice(&offset.to_be_bytes()[2..]);
        id[16..].copy_from_slice(&hash.to_be_bytes()[..5]);
        Id(id)
    }
}

impl Id {
    /// How many characters an id's text has.
    pub const TEXT_BYTES: usize = 28;

    /// The id of the line with these bytes (without the newline) that begins at `offset` of `stream`.
    #[must_use]
    pub fn of(stream: Stream, offset: u64, line: &[u8]) -> Self {
        Prefix::of(stream).id(offset, line)
    }

    /// Reads an id's text; none if it is not one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether it is of a line of `stream`, as far as the 80 bits tell that an id has of it.
    #[must_use]
    pub fn is_of(&self, stream: Stream) -> bool {
        self.0[..10] == Prefix::of(stream).0
    }

    /// Where the line began in its stream, in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0[10..16].iter().fold(0, |offset, byte| offset << 8 | u64::from(*byte))
    }

    /// The id's text: letters, digits, `-` and `_`.
    #[must_use]
    pub fn text(&self) -> [u8; Self::TEXT_BYTES] {
        let mut text = [0; Self::TEXT_BYTES];
        BASE64_URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).expect("21 bytes are 28 characters of base64");
        text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("base64 is ASCII"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Id;
    use crate::record::{FileId, Stream};
    use std::collections::HashSet;

    const STREAM: Stream = Stream { file: FileId(7), generation: 1 };

    #[test]
    fn an_id_depends_on_the_stream_the_offset_and_the_bytes_and_on_nothing_else() {
        let later = Stream { generation: 2, ..STREAM };
        let other = Stream { file: FileId(8), ..STREAM };
        let ids = [
            Id::of(STREAM, 0, b"a"),
            Id::of(STREAM, 1, b"a"),
            Id::of(STREAM, 0, b"b"),
            Id::of(later, 0, b"a"),
            Id::of(other, 0, b"a"),
        ];
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(Id::of(STREAM, 0, b"a"), ids[0]);
    }

    #[test]
    fn the_text_is_28_characters_that_need_no_escape_and_never_changes_between_versions() {
        let id = Id::of(STREAM, 0x0102_0304_0506, b"a line").to_string();
        assert_eq!(id.len(), Id::TEXT_BYTES);
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(id, "rpBvSALG619jPgECAwQFBgzqabI1");
    }

    #[test]
    fn an_id_tells_its_stream_and_offset() {
        let id = Id::of(STREAM, 0x0102_0304_0506, b"a line");
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_eq!((id.offset(), id.is_of(STREAM)), (0x0102_0304_0506, true));
        assert!(!id.is_of(Stream { generation: 2, ..STREAM }));
        assert_eq!((Id::parse("a"), Id::parse("!")), (None, None));
    }

    #[test]
    fn ids_of_one_stream_are_in_the_order_of_the_lines() {
        assert!(Id::of(STREAM, 255, b"z") < Id::of(STREAM, 256, b"a"));
    }
}
