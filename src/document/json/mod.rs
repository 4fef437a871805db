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

mod patch;

use std::{borrow::Cow, ops::Range};

use simd_json::{Buffers, ErrorType, Node, Tape};

use super::{
    Settings, Tags,
    names::{self, Name},
};
use patch::{blank_numbers, mend_surrogates, string_end};

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
}

/// Reads JSON lines, one after the other; its buffers are used again.
pub struct Reader {
    limits: Limits,
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
    name_bytes_max: usize,
}

/// Where the parts of a line are.
#[derive(Debug, Default)]
struct Outline {
    members: Vec<Member>,
    /// Members that do not count because their name occurs again behind them, with the comma behind them.
    cuts: Vec<Range<u32>>,
    /// The names of all objects that the walk is in, one object behind the other.
    names: Vec<Noted>,
    fields: usize,
}

/// A name that the walk has met.
#[derive(Clone, Copy, Debug)]
struct Noted {
    hash: u64,
    /// Its quotation mark.
    start: u32,
    /// Its node on the tape; none if the name was met again.
    node: Option<usize>,
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
        let limits = Limits {
            bytes_max: usize::try_from(settings.json_bytes_max.as_u64()).unwrap_or(usize::MAX).min(u32::MAX as usize),
            fields_max: settings.json_fields_max,
            // The walk's recursion has to end; simd-json stops at 1024.
            depth_max: settings.json_depth_max.min(1000),
            name_bytes_max: usize::try_from(settings.json_name_bytes_max.as_u64()).unwrap_or(usize::MAX),
        };
        Self {
            limits,
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

    /// Reads a line, which is changed by it. Whether it is a JSON object within the limits; if it is not, the
    /// tags say why. What the line was is in [`Reader::original`] either way.
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
            self.outline.end_members(if self.is_kept { &self.kept } else { line });
            if !self.outline.cuts.is_empty() {
                self.tags.add(Tags::JSON_DUPLICATE);
            }
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

    fn look(&mut self, line: &mut [u8]) -> Result<(), Refused> {
        if line.len() > self.limits.bytes_max {
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

    /// The members at the root, in order, without those whose name occurs again.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.outline.members.iter().copied().filter(|member| {
            // Cuts are in order, and a cut that begins where a member does covers it.
            self.outline.cuts.is_empty()
                || self.outline.cuts.binary_search_by_key(&member.start, |cut| cut.start).is_err()
        })
    }

    /// Appends a stretch of the original line, from a token's beginning to a token's end, without what was cut
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
        Ok(()) => Walk { nodes: &tape.0, base, limits, outline }.root(),
        Err(error) if matches!(error.error(), ErrorType::DepthLimitExceeded) => Err(Refused::Unfit),
        Err(_) => Err(Refused::Broken),
    };
    *memory = tape.reset();
    result
}

impl Outline {
    /// Sets where each member ends in the original line: before the comma before the next, or before the last
    /// brace. Puts the cuts in order.
    fn end_members(&mut self, original: &[u8]) {
        let last_before = |end: usize| original[..end].iter().rposition(|byte| !is_blank(*byte)).unwrap_or(0);
        let mut separator = memchr::memrchr(b'}', original).unwrap_or(0);
        for member in self.members.iter_mut().rev() {
            member.end = last_before(separator) as u32 + 1;
            separator = last_before(member.start as usize);
        }
        self.cuts.sort_unstable_by_key(|cut| cut.start);
    }
}

/// A walk over the tape.
struct Walk<'a, 'text> {
    nodes: &'a [Node<'text>],
    /// The address of the text's first byte.
    base: usize,
    limits: Limits,
    outline: &'a mut Outline,
}

impl Walk<'_, '_> {
    fn root(&mut self) -> Result<(), Refused> {
        self.outline.members.clear();
        self.outline.cuts.clear();
        self.outline.names.clear();
        self.outline.fields = 0;
        match self.nodes.first() {
            Some(Node::Object { .. }) => self.object(0, 1, true).map(|_| ()),
            _ => Err(Refused::Broken),
        }
    }

    /// Walks the object at node `at`; returns the node behind it. Its depth is at most the limit, which bounds
    /// the recursion.
    fn object(&mut self, at: usize, depth: usize, is_root: bool) -> Result<usize, Refused> {
        let Node::Object { len, .. } = self.nodes[at] else { return Err(Refused::Broken) };
        self.outline.fields += len;
        if depth > self.limits.depth_max || self.outline.fields > self.limits.fields_max {
            return Err(Refused::Unfit);
        }
        let frame = self.outline.names.len();
        let mut seen = 0_u64;
        let mut at = at + 1;
        for _ in 0..len {
            let Node::String(name) = self.nodes[at] else { return Err(Refused::Broken) };
            let start = (name.as_ptr() as usize - self.base - 1) as u32;
            let dots = names::dots(name).ok_or(Refused::Unfit)?;
            if name.len() > self.limits.name_bytes_max {
                return Err(Refused::Unfit);
            }
            seen = self.note_name(frame, seen, at, start);
            let mut moved = 0;
            if is_root {
                let name = Name::of(name);
                moved = usize::from(name.is_moved());
                self.outline.members.push(Member { start, end: start, name });
            }
            at = self.value(at + 1, depth + dots + moved)?;
        }
        self.outline.names.truncate(frame);
        Ok(at)
    }

    /// Walks any value; returns the node behind it. `depth` is that of the object or array that holds it.
    fn value(&mut self, at: usize, depth: usize) -> Result<usize, Refused> {
        match self.nodes[at] {
            Node::Object { .. } => self.object(at, depth + 1, false),
            Node::Array { len, .. } => {
                if depth >= self.limits.depth_max {
                    return Err(Refused::Unfit);
                }
                let mut at = at + 1;
                for _ in 0..len {
                    at = self.value(at, depth + 1)?;
                }
                Ok(at)
            }
            Node::String(_) | Node::Static(_) => Ok(at + 1),
        }
    }

    /// Notes the name at node `at` in the object whose names begin at `frame`, and cuts out the member that has
    /// had it before. `seen` has a bit for the hash of each name so far; mostly it says at once that a name is new.
    fn note_name(&mut self, frame: usize, seen: u64, at: usize, start: u32) -> u64 {
        let Node::String(name) = self.nodes[at] else { return seen };
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        let bit = 1 << (hash >> 58);
        if seen & bit != 0 {
            let is_same =
                |known: &Noted| known.hash == hash && known.node.is_some_and(|node| self.nodes[node] == self.nodes[at]);
            let names = &mut self.outline.names[frame..];
            if let Some(before) = names.iter().position(is_same) {
                let end = names.get(before + 1).map_or(start, |next| next.start);
                self.outline.cuts.push(names[before].start..end);
                names[before].node = None;
            }
        }
        self.outline.names.push(Noted { hash, start, node: Some(at) });
        seen | bit
    }
}

/// A blank as JSON has it.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
