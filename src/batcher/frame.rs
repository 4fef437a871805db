//! The packed format: many lines of many files in one Kafka record (`docs/wire-format.md` specifies it).
//!
//! The value is one standard LZ4 frame whose content is the segments' bytes, one after the other, as they stood in
//! the files. The headers say what they are: the format's version, which is read first, and a JSON text with the
//! host, the task and the segments. What is read is not trusted: every size is checked against the text, every
//! limit has a name, and memory is taken for what a frame really holds, never for what it says.

use std::{
    io::{BufRead, ErrorKind, Read, Write},
    ops::RangeInclusive,
    path::PathBuf,
};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use thiserror::Error;

use super::meta;
use crate::{
    record::{Form, Labels, Messages, Part, Stream, TailMark},
    splitter,
};

/// The versions of the format that this program reads and writes. Whatever version 1 can say is written in it.
pub const VERSIONS: RangeInclusive<u32> = 1..=2;
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
    /// The name of the task that collected it.
    pub task: String,
    /// What the task says of all its lines.
    pub labels: Labels,
    /// When the first of the text was read.
    pub read_at: jiff::Timestamp,
    /// The stretches of text, in the order in which they stand in it.
    pub segments: Vec<Segment>,
}

/// A stretch of text from one stream: whole lines, or one part of a cut line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
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
    #[error("the record has no header {0}: it is not in the packed format, or something removed its headers")]
    Missing(&'static str),
    /// The record was written in another version of the format.
    #[error("the record has format version {0:?} and this program reads versions up to {end}: upgrade it", end = VERSIONS.end())]
    Version(String),
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
    /// The headers that say it.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, Vec<u8>)> {
        vec![(VERSION_HEADER, self.version().to_string().into_bytes()), (META_HEADER, meta::write(self))]
    }

    /// The lowest version of the format that can say it.
    #[must_use]
    pub fn version(&self) -> u32 {
        if self.segments.iter().all(Segment::is_plain) { *VERSIONS.start() } else { *VERSIONS.end() }
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
    let mut encoder = Encoder::new();
    encoder.write(text);
    Packed { value: encoder.finish(), headers: meta.headers() }
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
    let written = headers(VERSION_HEADER).ok_or(FrameError::Missing(VERSION_HEADER))?;
    let Some(version) = VERSIONS.into_iter().find(|version| written == version.to_string().as_bytes()) else {
        let shown: String = String::from_utf8_lossy(written).chars().take(20).collect();
        return Err(FrameError::Version(shown));
    };
    let json = headers(META_HEADER).ok_or(FrameError::Missing(META_HEADER))?;
    limit("bytes of metadata", json.len() as u64, META_BYTES_MAX as u64)?;
    let meta = meta::read(json, version)?;
    let bytes = bytes_of(&meta.segments)?;
    decompress(value, bytes as usize, text)?;
    for (index, (segment, piece)) in meta.segments_of(text).enumerate() {
        agree(segment, piece).map_err(|why| FrameError::Segment { index, why })?;
    }
    Ok(meta)
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

/// Compresses text into frames, one after the other, with the same buffers.
///
/// The text is copied once, into the compressor's input. The frame has independent blocks of 256 KiB and a checksum
/// of its content. Measured on 60 MB of mixed system logs of 148 bytes a line, in CPU time:
///
/// | blocks | checksum | ratio | packed MB/s | unpacked MB/s |
/// |---|---|---|---|---|
/// | 64 KiB independent | block | 3.112 | 725 | 3232 |
/// | 64 KiB linked | block | 3.215 | 748 | 3017 |
/// | 256 KiB independent | none | 3.194 | 824 | 3580 |
/// | 256 KiB independent | block | 3.194 | 818 | 3238 |
/// | **256 KiB independent** | **content** | 3.194 | 758 | 2709 |
/// | 256 KiB linked | block | 3.217 | 808 | 3001 |
/// | 1 MiB independent | block | 3.217 | 845 | 3154 |
///
/// Blocks of 1 MiB gain 3 % and cost every open batch 2 MiB of buffers. Checksums of blocks would cost a tenth of
/// what the checksum of the content does; but lz4 1.9.4, which is on many machines, can't read frames that follow
/// each other if they have checksums of blocks alone, and `kcat … | lz4 -d` is to print the log.
#[derive(Debug)]
pub(super) struct Encoder {
    inner: FrameEncoder<Vec<u8>>,
    /// How much to reserve for the next frame: the size of the last one and an eighth.
    guess: usize,
}

impl Encoder {
    /// What the encoder holds besides the compressed text: its input, its output (which is a tenth larger) and
    /// its table of 16 KiB.
    pub(super) const BYTES_HELD: usize = 576 << 10;

    pub(super) fn new() -> Self {
        let info =
            FrameInfo::new().block_size(BlockSize::Max256KB).block_mode(BlockMode::Independent).content_checksum(true);
        Self { inner: FrameEncoder::with_frame_info(info, Vec::new()), guess: 0 }
    }

    /// Adds `text` to the frame.
    pub(super) fn write(&mut self, text: &[u8]) {
        if self.inner.get_ref().capacity() == 0 {
            self.inner.get_mut().reserve(self.guess);
        }
        self.inner.write_all(text).expect("memory takes what is written, and every block fits its buffer");
    }

    /// How many bytes of compressed text are held.
    pub(super) fn bytes_held(&self) -> usize {
        self.inner.get_ref().capacity()
    }

    /// Ends the frame and hands it over.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.inner.try_finish().expect("memory takes what is written, and no content size was announced");
        let mut value = std::mem::take(self.inner.get_mut());
        self.guess = value.len() + value.len() / 8;
        if value.capacity() > self.guess {
            value.shrink_to_fit();
        }
        value
    }
}
