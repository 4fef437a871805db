//! Many small records in one buffer, so that a record is a range and not memory of its own.

use std::ops::Range;

/// How a buffer is cut into records. Empty, it says that the buffer is one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// The records, in order. No two begin at the same place of the buffer.
    pub each: Vec<Piece>,
    /// The headers of all of them: the name, and where in the buffer the value is. Records may share values.
    pub headers: Vec<(&'static str, Range<u32>)>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in the buffer its value is.
    pub value: Range<u32>,
    /// Where in the buffer its key is; it has none if that is empty.
    pub key: Range<u32>,
    /// Which of [`Pieces::headers`] are its own.
    pub headers: Range<u32>,
}

impl Pieces {
    /// Whether the buffer is one record.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.each.is_empty()
    }

    /// The value of a piece of `buffer`.
    #[must_use]
    pub fn value<'a>(&self, piece: &Piece, buffer: &'a [u8]) -> &'a [u8] {
        range(&piece.value, buffer)
    }

    /// The key of a piece of `buffer`.
    #[must_use]
    pub fn key<'a>(&self, piece: &Piece, buffer: &'a [u8]) -> Option<&'a [u8]> {
        (!piece.key.is_empty()).then(|| range(&piece.key, buffer))
    }

    /// The headers of a piece of `buffer`, in order.
    pub fn headers_of<'a>(
        &'a self,
        piece: &Piece,
        buffer: &'a [u8],
    ) -> impl Iterator<Item = (&'static str, &'a [u8])> + 'a {
        let headers = &self.headers[piece.headers.start as usize..piece.headers.end as usize];
        headers.iter().map(move |(name, value)| (*name, range(value, buffer)))
    }

    /// How many bytes of memory it takes.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.each.capacity() * size_of::<Piece>() + self.headers.capacity() * size_of::<(&str, Range<u32>)>()
    }
}

fn range<'a>(range: &Range<u32>, buffer: &'a [u8]) -> &'a [u8] {
    &buffer[range.start as usize..range.end as usize]
}
