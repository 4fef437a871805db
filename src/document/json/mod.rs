//! JSON lines: read in place, their members found as stretches of bytes.
//!
//! simd-json checks the line and lays its structure on a tape; it unescapes strings in place and turns numbers
//! into machine words, so nothing is copied from what it made. What is taken from the tape is where each name
//! begins: a member reaches from its name's quotation mark to the comma before the next name, and so its bytes
//! are known without looking at its value. Only a line with a backslash, which reading in place changes, is
//! copied before.
//!
//! simd-json refuses what JSON allows: numbers beyond 64 bits. A line that it refuses is looked at again, more
//! slowly, with numbers blanked out for the structure's sake (their bytes are taken from the line), and with
//! broken UTF-8 replaced; what is refused then is no JSON.

mod extent;
mod outline;
mod patch;
pub mod path;

use std::{borrow::Cow, ops::Range};

use bytesize::ByteSize;
use simd_json::{Buffers, ErrorType, Tape};

use super::{Settings, Tags, names::Name};
pub(super) use extent::names_of;
use extent::string_end;
use outline::Outline;
use patch::{blank_numbers, mend_surrogates};

/// Memory grown for lines longer than this is given back: a tape takes up to 24 times what its line does.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// A member at the root of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The quotation mark before the name.
    start: u32,
    /// One past the value.
    end: u32,
    /// What the name means to us.
    pub name: Name,
    /// It is not copied into the document.
    is_left_out: bool,
}

/// Reads JSON lines, one after the other; its buffers are used again.
pub struct Reader {
    limits: Limits,
    /// How deep a member at the root may be nested; less for lines whose members go under a field.
    depth_max: usize,
    buffers: Buffers,
    /// Empty between lines; kept for its memory.
    tape: Tape<'static>,
    /// The line's bytes as they were before reading changed them, if `is_kept`.
    kept: Vec<u8>,
    is_kept: bool,
    /// The line as it is read on the second look.
    patched: Vec<u8>,
    outline: Outline,
    /// Whether the line has escapes of lone surrogates, which are replaced in what is copied from it.
    has_lone_surrogates: bool,
    tags: Tags,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes_max: usize,
    fields_max: usize,
    depth_max: usize,
    /// The members go under a field, where none has to give way to ours.
    is_nested: bool,
    name_bytes_max: usize,
    string_bytes_max: usize,
}

/// Why a line is kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Broken,
    Unfit,
}

/// Whether a line is to be read as JSON: its first byte that is no blank is `{`.
#[must_use]
pub fn begins(line: &[u8]) -> bool {
    line.iter().find(|byte| !is_blank(**byte)) == Some(&b'{')
}

impl Reader {
    /// A reader with the limits of `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let bytes = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        let limits = Limits {
            bytes_max: bytes(settings.json_bytes_max).min(u32::MAX as usize),
            fields_max: settings.json_fields_max,
            // The walk's recursion has to end; simd-json stops at 1024.
            depth_max: settings.json_depth_max.min(1000),
            is_nested: false,
            name_bytes_max: bytes(settings.json_name_bytes_max),
            string_bytes_max: bytes(settings.json_string_bytes_max),
        };
        Self {
            limits,
            depth_max: limits.depth_max,
            buffers: Buffers::default(),
            tape: Tape(Vec::new()),
            kept: Vec::new(),
            is_kept: false,
            patched: Vec::new(),
            outline: Outline::default(),
            has_lone_surrogates: false,
            tags: Tags::NONE,
        }
    }

    /// What is read next stands so much deeper in its document than it does in its line.
    pub fn nest(&mut self, depth: usize) {
        self.limits.depth_max = self.depth_max.saturating_sub(depth).max(1);
        self.limits.is_nested = depth > 0;
    }

    /// Reads a line, which is changed by it. Whether it is a JSON object that can be copied, if not in all its
    /// members; the tags say what was wrong. What the line was is in [`Reader::original`] either way.
    pub fn read(&mut self, line: &mut [u8]) -> bool {
        self.shrink();
        self.tags = Tags::NONE;
        self.is_kept = false;
        self.has_lone_surrogates = false;
        let result = self.look(line);
        self.tags.add(match result {
            Ok(()) if self.has_lone_surrogates => Tags::INVALID_UTF8,
            Ok(()) => Tags::NONE,
            Err(Refused::Broken) => Tags::JSON_BROKEN,
            Err(Refused::Unfit) => Tags::JSON_UNFIT,
        });
        if result.is_ok() {
            self.outline.finish(if self.is_kept { &self.kept } else { line }, self.limits.string_bytes_max);
            self.tags.add(self.outline.tags);
        }
        result.is_ok()
    }

    /// Gives back what a long line before this one took.
    fn shrink(&mut self) {
        if self.tape.0.capacity() > KEPT_BYTES_MAX {
            self.tape = Tape(Vec::new());
            self.buffers = Buffers::default();
        }
        for memory in [&mut self.kept, &mut self.patched] {
            memory.clear();
            memory.shrink_to(KEPT_BYTES_MAX);
        }
    }

    /// Whether the line is no longer than what is read.
    pub fn takes(&self, line: &[u8]) -> bool {
        line.len() <= self.limits.bytes_max
    }

    fn look(&mut self, line: &mut [u8]) -> Result<(), Refused> {
        if !self.takes(line) {
            return Err(Refused::Unfit);
        }
        if memchr::memchr(b'\\', line).is_some() {
            self.keep(line);
            self.has_lone_surrogates = mend_surrogates(line);
        }
        match outline(line, self.limits, &mut self.buffers, &mut self.tape, &mut self.outline) {
            Err(Refused::Broken) => self.look_again(line),
            result => result,
        }
    }

    /// Looks again at a line that simd-json refused.
    fn look_again(&mut self, line: &[u8]) -> Result<(), Refused> {
        if !self.is_kept {
            self.keep(line);
        }
        if let Cow::Owned(text) = String::from_utf8_lossy(&self.kept) {
            self.kept = text.into_bytes();
            self.tags.add(Tags::INVALID_UTF8);
        }
        self.patched.extend_from_slice(&self.kept);
        mend_surrogates(&mut self.patched);
        if self.patched.len() > self.limits.bytes_max || !blank_numbers(&mut self.patched) {
            return Err(Refused::Broken);
        }
        outline(&mut self.patched, self.limits, &mut self.buffers, &mut self.tape, &mut self.outline)
    }

    fn keep(&mut self, line: &[u8]) {
        self.kept.extend_from_slice(line);
        self.is_kept = true;
    }

    /// What was wrong with the line.
    #[must_use]
    pub fn tags(&self) -> Tags {
        self.tags
    }

    /// The bytes of the line as they were, given the line that was read; broken UTF-8 may be replaced.
    #[must_use]
    pub fn original<'a>(&'a self, line: &'a [u8]) -> &'a [u8] {
        if self.is_kept { &self.kept } else { line }
    }

    /// The members at the root that the document has, in order.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.outline.members.iter().copied().filter(|member| !member.is_left_out)
    }

    /// Appends a stretch of the original line, from a token's beginning to a token's end, without what is left
    /// out of it and with lone surrogates mended.
    pub fn push(&self, original: &[u8], stretch: Range<usize>, out: &mut Vec<u8>) {
        let from = out.len();
        let mut at = stretch.start;
        for cut in &self.outline.cuts {
            let (start, end) = (cut.start as usize, cut.end as usize);
            if start >= at && start < stretch.end {
                out.extend_from_slice(&original[at..start]);
                at = end;
            }
        }
        out.extend_from_slice(&original[at..stretch.end]);
        if self.has_lone_surrogates {
            mend_surrogates(&mut out[from..]);
        }
    }
}

impl Member {
    /// Where the name stands, behind its quotation mark, to the end of the value.
    #[must_use]
    pub fn behind_mark(&self) -> Range<usize> {
        self.start as usize + 1..self.end as usize
    }

    /// Where the value stands in the original line.
    #[must_use]
    pub fn value(&self, original: &[u8]) -> Range<usize> {
        let end = self.end as usize;
        let mut at = string_end(original, self.start as usize);
        while at < end && (is_blank(original[at]) || original[at] == b':') {
            at += 1;
        }
        at..end
    }
}

/// Reads `text` in place with simd-json and writes its outline.
fn outline(
    text: &mut [u8],
    limits: Limits,
    buffers: &mut Buffers,
    memory: &mut Tape<'static>,
    outline: &mut Outline,
) -> Result<(), Refused> {
    let base = text.as_ptr() as usize;
    let mut tape = std::mem::replace(memory, Tape(Vec::new())).reset();
    let result = match simd_json::fill_tape(text, buffers, &mut tape) {
        Ok(()) => outline.draw(&tape.0, base, limits),
        Err(error) if matches!(error.error(), ErrorType::DepthLimitExceeded) => Err(Refused::Unfit),
        Err(_) => Err(Refused::Broken),
    };
    *memory = tape.reset();
    result
}

/// A blank as JSON has it.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
