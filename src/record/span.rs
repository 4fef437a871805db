//! A stretch of a source, the unit in which delivery is promised and settled.

/// A stretch of one source: bytes of a stream, or records of a partition.
///
/// The spans handed over for a source are adjacent and disjoint: each begins where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<K, M = ()> {
    /// The source, a [`Stream`](super::Stream) or a partition.
    pub source: K,
    /// The first byte or record of the stretch.
    pub start: u64,
    /// One past the last byte or record; greater than `start`.
    pub end: u64,
    /// What to remember of the source if everything up to `end` is safe.
    pub mark: M,
}

/// A hash of the last bytes before an offset, which tells a file that merely grew from one that was rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailMark {
    /// How many bytes before the offset the hash covers: 0 (nothing is known) to [`TailMark::BYTES_MAX`].
    pub bytes: u16,
    /// Whether the offset lies inside a line, because a part of a cut line ends there.
    pub in_line: bool,
    /// XXH3-64 of those bytes.
    pub hash: u64,
}

impl TailMark {
    /// The most bytes that a mark covers.
    pub const BYTES_MAX: usize = 1024;

    /// The mark for the position right behind `text`.
    #[must_use]
    pub fn behind(text: &[u8]) -> Self {
        let tail = &text[text.len().saturating_sub(Self::BYTES_MAX)..];
        let in_line = tail.last().is_some_and(|last| *last != b'\n');
        Self { bytes: tail.len() as u16, in_line, hash: xxhash_rust::xxh3::xxh3_64(tail) }
    }
}
