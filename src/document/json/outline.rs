//! What of a JSON line goes into the document: its members at the root, and what is left out of them.
//!
//! The tape is walked once. A member that a store would refuse (too deep, one too many, a name that no store
//! takes), or whose name occurs again, is left out alone, wherever it stands: the object that it stood in stays an
//! object, so that no field changes its kind. A string that is too long loses its end.

use std::ops::Range;

use simd_json::Node;

use super::{
    Limits, Member, Refused,
    extent::{member_end, string_cut},
    is_blank,
};
use crate::document::{
    Tags,
    names::{self, Name},
};

/// Where the parts of a line are, and what is left out of it.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Those at the root, in order.
    pub(super) members: Vec<Member>,
    /// What is left out within them, in order once the outline is finished.
    pub(super) cuts: Vec<Range<u32>>,
    /// What was wrong.
    pub(super) tags: Tags,
    /// The last members of an object that are left out: where the first and the last of them begin.
    tails: Vec<(u32, u32)>,
    /// The quotation marks in front of strings that are too long.
    long_strings: Vec<u32>,
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
    /// Its node on the tape; none if its member is left out.
    node: Option<usize>,
}

/// What a member has that makes it be left out, as a tag.
type Excess = Tags;

impl Outline {
    /// Draws the outline of the line whose tape is `nodes` and whose first byte is at the address `base`.
    pub(super) fn draw(&mut self, nodes: &[Node], base: usize, limits: Limits) -> Result<(), Refused> {
        self.members.clear();
        self.cuts.clear();
        self.tails.clear();
        self.long_strings.clear();
        self.names.clear();
        self.fields = 0;
        self.tags = Tags::NONE;
        let Some(Node::Object { len, .. }) = nodes.first() else { return Err(Refused::Broken) };
        Walk { nodes, base, limits, outline: self }.object(0, *len, 1, true).map(drop).map_err(|_| Refused::Unfit)
    }

    /// Sets where each member ends in the original line: before the comma before the next, or before the last
    /// brace. Sets where that begins and ends which is left out, and puts it in order.
    pub(super) fn finish(&mut self, original: &[u8], string_bytes_max: usize) {
        let last_before = |end: usize| original[..end].iter().rposition(|byte| !is_blank(*byte)).unwrap_or(0);
        let mut separator = memchr::memrchr(b'}', original).unwrap_or(0);
        for member in self.members.iter_mut().rev() {
            member.end = last_before(separator) as u32 + 1;
            separator = last_before(member.start as usize);
        }
        for (first, last) in self.tails.drain(..) {
            // What is left before them ends without a comma.
            let before = last_before(first as usize);
            let start = if original[before] == b',' { before as u32 } else { first };
            self.cuts.push(start..member_end(original, last as usize) as u32);
        }
        for string in self.long_strings.drain(..) {
            let (cut, mark) = string_cut(original, string as usize, string_bytes_max);
            self.cuts.push(cut as u32..mark as u32);
        }
        self.cuts.sort_unstable_by_key(|cut| cut.start);
    }
}

/// A walk over the tape.
struct Walk<'a, 'text> {
    nodes: &'a [Node<'text>],
    base: usize,
    limits: Limits,
    outline: &'a mut Outline,
}

impl Walk<'_, '_> {
    /// Walks the object of `len` members at node `at`; returns the node behind it. Its depth is at most the limit,
    /// which bounds the recursion.
    fn object(&mut self, at: usize, len: usize, depth: usize, is_root: bool) -> Result<usize, Excess> {
        if depth > self.limits.depth_max {
            return Err(Tags::JSON_DEPTH);
        }
        // The root keeps what fits; of another object a part is worth less than the members that stand beside it.
        if !is_root && self.outline.fields + len > self.limits.fields_max {
            return Err(Tags::JSON_FIELDS);
        }
        self.outline.fields += len;
        let frame = self.outline.names.len();
        let (mut seen, mut at) = (0_u64, at + 1);
        for index in 0..len {
            let Node::String(name) = self.nodes[at] else { return Err(Tags::JSON_UNFIT) };
            let start = (name.as_ptr() as usize - self.base - 1) as u32;
            seen = self.note_name(frame, seen, at, start);
            let (fields, noted) = (self.outline.fields, self.outline.names.len());
            let value = if is_root {
                self.root_value(name, at + 1, start, index)
            } else {
                self.depth(name, depth).and_then(|depth| self.value(at + 1, depth))
            };
            at = value.unwrap_or_else(|excess| {
                self.outline.tags.add(excess);
                self.outline.fields = fields;
                self.outline.names.truncate(noted);
                self.outline.names[noted - 1].node = None;
                self.behind(at + 1)
            });
        }
        self.leave_out(frame, is_root);
        self.outline.names.truncate(frame);
        Ok(at)
    }

    /// Walks the value, at node `at`, of the member number `index` of the root.
    fn root_value(&mut self, name: &str, at: usize, start: u32, index: usize) -> Result<usize, Excess> {
        let meaning = Name::of(name);
        self.outline.members.push(Member { start, end: start, name: meaning, is_left_out: false });
        match (meaning, self.nodes[at]) {
            // A message may have any length.
            (Name::Message(_), Node::String(_)) => return Ok(at + 1),
            (Name::Plain | Name::Ours | Name::Labels, _) if index >= self.limits.fields_max => {
                return Err(Tags::JSON_FIELDS);
            }
            _ => (),
        }
        let is_moved = meaning.may_be_moved() && !self.limits.is_nested;
        let depth = self.depth(name, 1 + usize::from(is_moved))?;
        self.value(at, depth)
    }

    /// How deep a value stands whose name is `name`, in an object at `depth`.
    fn depth(&self, name: &str, depth: usize) -> Result<usize, Excess> {
        let dots = names::dots(name).ok_or(Tags::JSON_NAME)?;
        if name.len() > self.limits.name_bytes_max {
            return Err(Tags::JSON_NAME);
        }
        if depth + dots > self.limits.depth_max { Err(Tags::JSON_DEPTH) } else { Ok(depth + dots) }
    }

    /// Walks any value; returns the node behind it. `depth` is that of the object or array that holds it.
    fn value(&mut self, at: usize, depth: usize) -> Result<usize, Excess> {
        match self.nodes[at] {
            Node::Object { len, .. } => self.object(at, len, depth + 1, false),
            Node::Array { len, .. } => {
                if depth >= self.limits.depth_max {
                    return Err(Tags::JSON_DEPTH);
                }
                let mut at = at + 1;
                for _ in 0..len {
                    at = self.value(at, depth + 1)?;
                }
                Ok(at)
            }
            Node::String(text) => {
                if text.len() > self.limits.string_bytes_max {
                    self.outline.long_strings.push((text.as_ptr() as usize - self.base - 1) as u32);
                    self.outline.tags.add(Tags::JSON_STRING);
                }
                Ok(at + 1)
            }
            Node::Static(_) => Ok(at + 1),
        }
    }

    /// The node behind the value at node `at`.
    fn behind(&self, at: usize) -> usize {
        match self.nodes[at] {
            Node::Object { count, .. } | Node::Array { count, .. } => at + 1 + count,
            Node::String(_) | Node::Static(_) => at + 1,
        }
    }

    /// Notes the name at node `at` in the object whose names begin at `frame`, and leaves out the member that has
    /// had it before. `seen` has a bit for the hash of each name so far; mostly it says at once that a name is new.
    fn note_name(&mut self, frame: usize, seen: u64, at: usize, start: u32) -> u64 {
        let Node::String(name) = self.nodes[at] else { return seen };
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        let bit = 1 << (hash >> 58);
        if seen & bit != 0 {
            let is_same = |known: &&mut Noted| {
                known.hash == hash && known.node.is_some_and(|node| self.nodes[node] == self.nodes[at])
            };
            if let Some(before) = self.outline.names[frame..].iter_mut().find(is_same) {
                before.node = None;
                self.outline.tags.add(Tags::JSON_DUPLICATE);
            }
        }
        self.outline.names.push(Noted { hash, start, node: Some(at) });
        seen | bit
    }

    /// Sets what is left out of the object whose names begin at `frame`, its comma included.
    fn leave_out(&mut self, frame: usize, is_root: bool) {
        let Outline { members, cuts, tails, names, tags, .. } = &mut *self.outline;
        let names = &names[frame..];
        if *tags == Tags::NONE || names.iter().all(|name| name.node.is_some()) {
            return;
        }
        if is_root {
            for (member, name) in members.iter_mut().zip(names) {
                member.is_left_out = name.node.is_none();
            }
            return;
        }
        let kept = names.iter().rposition(|name| name.node.is_some()).map_or(0, |last| last + 1);
        let (before, tail) = names.split_at(kept);
        cuts.extend(before.windows(2).filter(|pair| pair[0].node.is_none()).map(|pair| pair[0].start..pair[1].start));
        if let (Some(first), Some(last)) = (tail.first(), tail.last()) {
            tails.push((first.start, last.start));
        }
    }
}
