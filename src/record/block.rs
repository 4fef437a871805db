//! A block: whole lines of one stream in one buffer, as they stood in the file.

use std::sync::Arc;

use super::{Held, Messages, Origin, Permit, Span, Stream, TailMark};

/// Whether a block holds whole lines or one part of a line that had to be cut.
///
/// A line is cut when it is longer than the limit, or when it had no newline for the idle time and was sent as
/// far as it went. Its parts are blocks of their own, so that lines in [`Part::Whole`] need no table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Whole lines, each with its end in the text.
    #[default]
    Whole,
    /// The beginning of a line; its end is not in the text.
    First,
    /// A further part; its end is not in the text.
    Middle,
    /// The end of a line; the text ends with the line.
    Last,
}

/// Lines of one stream, in file order, in one buffer.
#[derive(Debug)]
pub struct Block {
    /// The file, its generation, its path and its task.
    pub origin: Arc<Origin>,
    /// Where `text` begins in the stream, in bytes.
    pub offset: u64,
    /// The bytes exactly as they stood in the file; never empty.
    pub text: Vec<u8>,
    /// How many lines `text` holds; 1 for a part.
    pub lines: u32,
    /// Whole lines, or one part of a cut line.
    pub part: Part,
    /// Which lines make one message together; plain for a part.
    pub messages: Messages,
    /// When the bytes were read.
    pub read_at: jiff::Timestamp,
    /// Its lines, for which somebody has to answer.
    pub held: Held,
    /// The block's share of the budget for what is in flight; given back when it is dropped.
    pub permit: Permit,
}

impl Part {
    /// Whether the line goes on behind the text.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Part::First | Part::Middle)
    }
}

impl Block {
    /// The bytes of the file that this block accounts for.
    #[must_use]
    pub fn span(&self) -> Span<Stream, TailMark> {
        Span {
            source: self.origin.stream,
            start: self.offset,
            end: self.offset + self.text.len() as u64,
            mark: TailMark { in_line: self.part.goes_on(), ..TailMark::behind(&self.text) },
        }
    }
}
