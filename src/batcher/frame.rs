//! The packed format: many lines of many files in one Kafka record (`docs/wire-format.md` specifies it).
//!
//! The value is one standard LZ4 frame whose content is the segments' bytes, one after the other, as they stood in
//! the files. The headers say what they are: the format's version, which is read first, and a JSON text with the
//! host, the tasks and the segments. What is read is not trusted: every size is checked against the text, every
//! limit has a name, and memory is taken for what a frame really holds, never for what it says.

use std::{
    io::{BufRead, ErrorKind, Read},
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
};

use lz4_flex::frame::FrameDecoder;
use thiserror::Error;

use super::{encoder::Encoder, meta};
use crate::{
    record::{Form, Labels, Messages, Part, Stream, TailMark},
    splitter,
};

/// The versions of the format that this program reads and writes. Whatever a lower one can say is written in it.
pub const VERSIONS: RangeInclusive<u32> = 1..=3;
/// The header that says the version, as a decimal number. It is read before anything else.
pub const VERSION_HEADER: &str = "logdrive.version";
/// The header that says where the text comes from, as JSON.
pub const META_HEADER: &str = "logdrive.meta";
/// The most bytes of text that a record may hold.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;
/// The most segments that a record may hold.
pub const SEGMENTS_MAX: usize = 10_000;
/// The most bytes that the metadata may take.
pub const META_BYTES_MAX: usize = 8 << 20;

/// A record in the packed format, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// The record's value: one LZ4 frame.
    pub value: Vec<u8>,
    /// The record's headers.
    pub headers: Vec<(&'static str, Vec<u8>)>,
}

/// What a record's headers say of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The name of the host where the text was read.
    pub host: String,
    /// The identity of the machine where the text was read.
    pub machine: String,
    /// The tasks that collected it; at least one.
    pub tasks: Vec<Task>,
    /// When the first of the text was read.
    pub read_at: jiff::Timestamp,
    /// The stretches of text, in the order in which they stand in it.
    pub segments: Vec<Segment>,
}

/// A task that collected some of a record's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub name: Arc<str>,
    /// What it says of all its lines.
    pub labels: Labels,
}

/// A stretch of text from one stream: whole lines, or one part of a cut line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The task that collected it, by its place in [`Meta::tasks`].
    pub task: u32,
    /// The file and its generation.
    pub stream: Stream,
    /// The file's path when the text was read; any bytes.
    pub path: PathBuf,
    /// Where the segment begins in the stream, in bytes.
    pub offset: u64,
    /// How many bytes it has; more than 0.
    pub bytes: u64,
    /// How many lines it has; 1 for a part.
    pub lines: u32,
    /// Whole lines, or one part of a cut line.
    pub part: Part,
    /// How its text is to be understood.
    pub form: Form,
    /// Which of its lines make one message together; plain for a part.
    pub messages: Messages,
}

/// Why a record could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The record was not written in this format.
    #[error("the record has no header {0}: it is in none of our formats, or something removed its headers")]
    Missing(&'static str),
    /// The record was written in another version of the format.
    #[error("the record has format version {found:?} and this program reads versions up to {known}: upgrade it")]
    Version {
        /// Which one.
        found: String,
        /// The newest that is known.
        known: u32,
    },
    /// The metadata can't be read.
    #[error("the record's metadata can't be read: {0}")]
    Meta(String),
    /// The record says that it holds more than a record may.
    #[error("the record has {found} {what}, more than the {max} that a record may have")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much of it there is.
        found: u64,
        /// How much there may be.
        max: u64,
    },
    /// The value is not a frame, or was changed on its way.
    #[error("the record's text can't be decompressed: {0}")]
    Text(String),
    /// The value ends before the frame does.
    #[error("the record's text is cut short: the value ends before its frame does")]
    Truncated,
    /// The value goes on behind the frame.
    #[error("the record's value has {0} bytes behind its frame")]
    Trailing(usize),
    /// The value is not the one that the headers were written for.
    #[error("the record's value was changed: its CRC-32 is {found:08x} and not {announced:08x}")]
    Changed {
        /// What its headers say.
        announced: u32,
        /// What it is.
        found: u32,
    },
    /// The value is not the JSON that the headers say it is.
    #[error("the record's JSON can't be read: {0}")]
    Value(String),
    /// The text is longer or shorter than the segments say.
    #[error("the record's text is {0} than its segments say")]
    Size(&'static str),
    /// A segment does not agree with its text.
    #[error("segment {index} of the record does not agree with its text: {why}")]
    Segment {
        /// Which segment, the first being 0.
        index: usize,
        /// What does not agree.
        why: &'static str,
    },
}

impl Packed {
    /// The value of the header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_slice())
    }

    /// How many bytes of memory it holds.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.value.capacity() + self.headers.iter().map(|(_, value)| value.capacity()).sum::<usize>()
    }
}

impl Meta {
    /// The headers that say it of the record whose value is `value`.
    #[must_use]
    pub fn headers(&self, value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let meta = meta::write(self, crc32fast::hash(value));
        vec![(VERSION_HEADER, self.version().to_string().into_bytes()), (META_HEADER, meta)]
    }

    /// The lowest version of the format that can say it.
    #[must_use]
    pub fn version(&self) -> u32 {
        match self {
            Self { tasks, .. } if tasks.len() != 1 => 3,
            Self { segments, .. } if segments.iter().all(Segment::is_plain) => 1,
            _ => 2,
        }
    }

    /// The task that collected a segment of this record.
    #[must_use]
    pub fn task(&self, segment: &Segment) -> &Task {
        &self.tasks[segment.task as usize]
    }

    /// The segments with their text, where `text` is what [`decode`] wrote beside this.
    pub fn segments_of<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (&'a Segment, &'a [u8])> {
        let mut rest = text;
        self.segments.iter().map(move |segment| {
            let (piece, behind) = rest.split_at((segment.bytes as usize).min(rest.len()));
            rest = behind;
            (segment, piece)
        })
    }
}

impl Segment {
    /// Whether its lines are UTF-8, stand for themselves, and are a message each.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.form.is_plain() && self.messages.is_plain()
    }

    /// What to remember of the stream if everything up to the segment's end, whose text is `piece`, is safe.
    #[must_use]
    pub fn mark(&self, piece: &[u8]) -> TailMark {
        TailMark { in_line: self.part.goes_on(), ..TailMark::behind(piece) }
    }
}

/// Packs `text`, which `meta` describes, into a record.
#[must_use]
pub fn encode(meta: &Meta, text: &[u8]) -> Packed {
    let mut encoder = Encoder::default();
    encoder.write(text);
    let value = encoder.finish();
    Packed { headers: meta.headers(&value), value }
}

/// Reads a record: its metadata, and the segments' bytes one after the other into `text`, whose former content is
/// lost. Nothing of `text` means anything after an error.
///
/// # Errors
/// If the record is not in the packed format, or is damaged, or does not hold what it says, or more than it may.
pub fn decode<'a>(
    headers: impl Fn(&str) -> Option<&'a [u8]>,
    value: &[u8],
    text: &mut Vec<u8>,
) -> Result<Meta, FrameError> {
    text.clear();
    let (meta, crc32, bytes) = described(headers)?;
    decompress(value, bytes as usize, text)?;
    check(value, crc32)?;
    for (index, (segment, piece)) in meta.segments_of(text).enumerate() {
        agree(segment, piece).map_err(|why| FrameError::Segment { index, why })?;
    }
    Ok(meta)
}

/// Reads what the headers of a record say of its text, and nothing of the text.
///
/// # Errors
/// If the record is not in the packed format, or its headers are damaged or say more than they may.
pub fn describe<'a>(headers: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Meta, FrameError> {
    Ok(described(headers)?.0)
}

/// What the headers say, with the checksum of the value, and how many bytes of text there are.
fn described<'a>(headers: impl Fn(&str) -> Option<&'a [u8]>) -> Result<(Meta, Option<u32>, u64), FrameError> {
    let written = headers(VERSION_HEADER).ok_or(FrameError::Missing(VERSION_HEADER))?;
    let Some(version) = VERSIONS.into_iter().find(|version| written == version.to_string().as_bytes()) else {
        let shown: String = String::from_utf8_lossy(written).chars().take(20).collect();
        return Err(FrameError::Version { found: shown, known: *VERSIONS.end() });
    };
    let json = headers(META_HEADER).ok_or(FrameError::Missing(META_HEADER))?;
    limit("bytes of metadata", json.len() as u64, META_BYTES_MAX as u64)?;
    let (meta, crc32) = meta::read(json, version)?;
    let bytes = bytes_of(&meta.segments)?;
    Ok((meta, crc32, bytes))
}

/// Compares the value with what the headers say of it, if they do. It comes behind the decompressor, which tells more
/// of a value that was cut short.
fn check(value: &[u8], announced: Option<u32>) -> Result<(), FrameError> {
    let Some(announced) = announced else { return Ok(()) };
    let found = crc32fast::hash(value);
    if found == announced { Ok(()) } else { Err(FrameError::Changed { announced, found }) }
}

/// How many bytes of text the segments say there are.
pub(super) fn bytes_of(segments: &[Segment]) -> Result<u64, FrameError> {
    limit("segments", segments.len() as u64, SEGMENTS_MAX as u64)?;
    let mut bytes = 0_u64;
    for (index, segment) in segments.iter().enumerate() {
        if segment.bytes == 0 {
            return Err(FrameError::Segment { index, why: "it is empty" });
        }
        if segment.offset.checked_add(segment.bytes).is_none() {
            return Err(FrameError::Segment { index, why: "it ends beyond the largest offset" });
        }
        bytes = bytes.saturating_add(segment.bytes);
    }
    limit("bytes of text", bytes, TEXT_BYTES_MAX)?;
    Ok(bytes)
}

pub(super) fn limit(what: &'static str, found: u64, max: u64) -> Result<(), FrameError> {
    if found > max { Err(FrameError::Limit { what, found, max }) } else { Ok(()) }
}

/// Whether `piece` is what `segment` says; if not, what is wrong.
pub(super) fn agree(segment: &Segment, piece: &[u8]) -> Result<(), &'static str> {
    let newline = segment.form.charset.newline();
    let is_plain = segment.messages.is_plain();
    match segment.part {
        Part::Whole if splitter::whole_lines_by(newline, piece) != piece.len() => Err("its last line has no end"),
        Part::Whole if splitter::count_by(newline, piece) != segment.lines => Err("it has another number of lines"),
        Part::Whole if !is_plain && segment.messages.lines() != u64::from(segment.lines) => {
            Err("its messages have another number of lines")
        }
        Part::Whole => Ok(()),
        Part::First | Part::Middle | Part::Last if segment.lines != 1 => Err("a part of a line is not one line"),
        Part::First | Part::Middle | Part::Last if !is_plain => Err("a part of a line has no messages"),
        Part::Last if splitter::first_end_by(newline, piece) == Some(piece.len()) => Ok(()),
        Part::Last => Err("a line's last part does not end where the line ends"),
        Part::First | Part::Middle if splitter::first_end_by(newline, piece).is_none() => Ok(()),
        Part::First | Part::Middle => Err("a line ends within a part that is not its last"),
    }
}

/// Decompresses one frame of exactly `bytes` bytes behind the end of `text`.
///
/// The frame's own idea of its size is not used: at most `bytes` bytes are written, and besides them only the
/// decoder's window of two blocks, 8 MiB at most, is held.
fn decompress(value: &[u8], bytes: usize, text: &mut Vec<u8>) -> Result<(), FrameError> {
    let mut decoder = FrameDecoder::new(Source { rest: value, starved: false });
    loop {
        let chunk = match decoder.fill_buf() {
            Ok(chunk) => chunk,
            Err(err) if err.kind() == ErrorKind::UnexpectedEof => return Err(FrameError::Truncated),
            Err(err) => return Err(FrameError::Text(err.to_string())),
        };
        if chunk.is_empty() {
            break;
        }
        if text.len() + chunk.len() > bytes {
            return Err(FrameError::Size("longer"));
        }
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        decoder.consume(taken);
    }
    // The decoder takes the end of its input for the end of the frame, and an empty block too.
    let source = decoder.into_inner();
    match (source.starved, source.rest.len()) {
        (true, _) => Err(FrameError::Truncated),
        (false, 0) if text.len() == bytes => Ok(()),
        (false, 0) => Err(FrameError::Size("shorter")),
        (false, trailing) => Err(FrameError::Trailing(trailing)),
    }
}

/// The value as the decoder reads it; remembers whether more was asked for than there was.
struct Source<'a> {
    rest: &'a [u8],
    starved: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.starved |= buf.len() > self.rest.len();
        self.rest.read(buf)
    }
}
