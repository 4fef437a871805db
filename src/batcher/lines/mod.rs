//! Blocks to sets of records of one message each, mostly a line, for consumers that expect a line a record.
//!
//! All values of a set lie in one buffer, and so does what their headers say; a record is a range of it. What a value
//! is, [`value`] says; what stands in the headers, [`header`]. A record that is too large for the broker is cut in
//! [`cut`](fn@cut), with the same marks as a line that is too long for the reader.

mod cut;
mod header;
mod place;
mod value;

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{Sender, Settings, Share, batch::add_span, frame::TEXT_BYTES_MAX};
use crate::{
    record::{Block, Held, Newline, Origin, Part, Permit, Piece, Pieces, Run, Span, Stream, TailMark},
    splitter,
};
pub use cut::{Halves, cut};
pub use header::{Decoded, Decoder, LINE_HEADER, Line, decode};
use place::Place;

/// The most records in a set.
pub const RECORDS_MAX: usize = 10_000;

/// What a record's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// The message's bytes as they stood in the file, without the last newline.
    #[default]
    Raw,
    /// A JSON object with the message as text, and where it comes from.
    Json,
}

/// What the records of a task look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What the value is.
    pub value: Value,
    /// Whether headers say where the message comes from.
    pub headers: bool,
}

/// A set of records, with the return ticket for what is in it.
#[derive(Debug)]
pub struct LineBatch {
    /// The values, and what the headers say.
    pub buffer: Vec<u8>,
    /// The records.
    pub pieces: Pieces,
    /// What the records account for, as in [`Batch`](super::Batch).
    pub spans: Vec<Span<Stream, TailMark>>,
    /// What the records hold, all of it of one task.
    pub share: Share,
    /// The set's share of the budget; given back when it is dropped.
    pub permit: Permit,
}

/// What part of `batch.age_max` a set may wait here: a tenth.
const HELD_SHARE: u32 = 10;

/// For how long of `age_max` single records may wait for others behind the batcher, in a producer that gathers them into
/// requests: together they wait as long as a packed record does.
#[must_use]
pub fn linger(age_max: Duration) -> Duration {
    age_max - age_max / HELD_SHARE
}

/// Gathers the blocks of one task and partition.
#[derive(Debug)]
pub struct LineBatcher {
    bytes_max: usize,
    age_max: Duration,
    style: Style,
    sender: Sender,
    open: Option<Open>,
    scratch: value::Scratch,
}

/// The set that is being gathered.
#[derive(Debug)]
struct Open {
    since: Instant,
    buffer: Vec<u8>,
    pieces: Pieces,
    /// What the headers of the last block's records say alike.
    common: Option<(Arc<Origin>, header::Common)>,
    /// Where in the buffer the key of the records that are added now is; empty if they have none.
    key: Range<u32>,
    spans: Vec<Span<Stream, TailMark>>,
    share: Share,
    permit: Permit,
}

/// A line without its end: the number of its message within the unit, and where it stands in the block's text.
type Numbered = (i32, Range<usize>);

impl LineBatcher {
    /// A batcher with nothing in it.
    #[must_use]
    pub fn new(settings: &Settings, style: Style, sender: Sender) -> Self {
        let bytes_max = settings.bytes_max.as_u64().min(TEXT_BYTES_MAX) as usize;
        Self {
            bytes_max,
            age_max: settings.age_max / HELD_SHARE,
            style,
            sender,
            open: None,
            scratch: value::Scratch::default(),
        }
    }

    /// Adds a block, whose records get `key`; returns the sets that this filled, mostly none.
    #[must_use]
    pub fn push(&mut self, mut block: Block, key: Option<&[u8]>, now: Instant) -> Vec<LineBatch> {
        let mut permit = std::mem::replace(&mut block.permit, Permit::none());
        let mut held = block.held.split(u64::MAX, u64::MAX);
        let sender = self.sender.clone();
        let form = value::Form::of(&block, self.style.value, &sender);
        if let Some(open) = &mut self.open {
            open.begin(key);
        }
        let (mut full, mut taken, mut at, mut lines) = (Vec::new(), 0, 0, 0);
        each_unit(&block, |unit, end| {
            if self.open.as_ref().is_some_and(|open| open.is_full_for(end - at, self.bytes_max)) {
                let part = held.split(lines, (at - taken) as u64);
                self.close(&block, taken..at, (permit.split(at - taken), part));
                full.extend(self.seal());
                (taken, lines) = (at, 0);
            }
            let open = self.open.get_or_insert_with(|| Open::new(&block, held.split(0, 0), key, now));
            for message in unit.chunk_by(|one, next| one.0 == next.0) {
                open.add(&block, message, &form, (self.style, &sender), &mut self.scratch);
            }
            lines += unit.len() as u64;
            at = end;
        });
        self.close(&block, taken..at, (permit, held));
        full
    }

    /// When the set that is being gathered is due; none if there is none.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.since + self.age_max)
    }

    /// How many bytes of text are being gathered, and since when; none if there are none.
    #[must_use]
    pub fn gathering(&self) -> Option<(usize, Instant)> {
        self.open.as_ref().map(|open| (open.share.held.amount().bytes as usize, open.since))
    }

    /// The set that is being gathered, if it is due.
    #[must_use]
    pub fn due(&mut self, now: Instant) -> Option<LineBatch> {
        if self.due_at()? > now { None } else { self.seal() }
    }

    /// The set that is being gathered, as far as it went.
    #[must_use]
    pub fn seal(&mut self) -> Option<LineBatch> {
        let Open { mut buffer, mut pieces, spans, share, mut permit, .. } = self.open.take()?;
        buffer.shrink_to_fit();
        pieces.each.shrink_to_fit();
        pieces.headers.shrink_to_fit();
        permit.shrink_to(buffer.capacity() + pieces.bytes_held() + size_of_val(&spans[..]));
        Some(LineBatch { buffer, pieces, spans, share, permit })
    }

    /// Notes that what stands in `range` of the block's text is in the open set.
    fn close(&mut self, block: &Block, range: Range<usize>, (permit, held): (Permit, Held)) {
        let Some(open) = self.open.as_mut().filter(|_| !range.is_empty()) else { return };
        let text = &block.text[range.clone()];
        let span = Span {
            source: block.origin.stream,
            start: block.offset + range.start as u64,
            end: block.offset + range.end as u64,
            mark: TailMark { in_line: block.part.goes_on(), ..TailMark::behind(text) },
        };
        add_span(&mut open.spans, span);
        open.share.held.merge(held);
        open.permit.merge(permit);
    }
}

impl Open {
    fn new(block: &Block, nothing: Held, key: Option<&[u8]>, now: Instant) -> Self {
        let mut open = Self {
            since: now,
            buffer: Vec::with_capacity(block.text.len()),
            pieces: Pieces::default(),
            common: None,
            key: 0..0,
            spans: Vec::new(),
            share: Share { task: Arc::clone(&block.origin.task), held: nothing },
            permit: Permit::none(),
        };
        open.begin(key);
        open
    }

    /// Whether `bytes` more would be too much.
    fn is_full_for(&self, bytes: usize, bytes_max: usize) -> bool {
        self.pieces.each.len() >= RECORDS_MAX || self.buffer.len() + bytes > bytes_max
    }

    /// Notes the key of what is added next, unless it is that of what was added last.
    fn begin(&mut self, key: Option<&[u8]>) {
        let key = key.unwrap_or_default();
        if self.buffer[self.key.start as usize..self.key.end as usize] != *key {
            self.key = header::push(&mut self.buffer, key);
        }
    }

    /// Adds the record of a message.
    fn add(
        &mut self,
        block: &Block,
        message: &[Numbered],
        form: &value::Form,
        (style, sender): (Style, &Sender),
        scratch: &mut value::Scratch,
    ) {
        let Some((_, first)) = message.first() else { return };
        let offset = block.offset + first.start as u64;
        let first_header = self.pieces.headers.len() as u32;
        if style.headers {
            let common = match &self.common {
                Some((origin, common)) if Arc::ptr_eq(origin, &block.origin) => common.clone(),
                _ => header::Common::write(block, style.value, sender, &mut self.buffer),
            };
            let place = Place { offset, part: block.part, hash: form.hash(message) };
            common.add(&place, &mut self.pieces.headers, &mut self.buffer);
            self.common = Some((Arc::clone(&block.origin), common));
        }
        let start = self.buffer.len() as u32;
        form.write(message, offset, scratch, &mut self.buffer);
        let value = start..self.buffer.len() as u32;
        // So that an empty value does not begin where the next one does.
        self.buffer.push(b'\n');
        let headers = first_header..self.pieces.headers.len() as u32;
        self.pieces.each.push(Piece { value, key: self.key.clone(), headers });
    }
}

/// Shows each unit of a block: its lines, ordered by the messages that they are of, and where it ends in the text.
fn each_unit(block: &Block, mut show: impl FnMut(&[Numbered], usize)) {
    let (text, newline) = (&block.text[..], block.origin.form.charset.newline());
    if block.part != Part::Whole {
        let is_ended = block.part == Part::Last && text.ends_with(newline.bytes());
        let end = text.len() - if is_ended { newline.width() } else { 0 };
        return show(&[(0, 0..end)], text.len());
    }
    let mut start = 0;
    let mut lines = splitter::line_ends_by(newline, text).map(|end| {
        let line = start..end - newline.width();
        start = end;
        line
    });
    let mut unit: Vec<Numbered> = Vec::new();
    for run in block.messages.runs() {
        unit.clear();
        match run {
            Run::Single(count) => {
                lines.by_ref().take(count as usize).for_each(|line| show_line(line, newline, &mut show));
                continue;
            }
            Run::Joined(count) => unit.extend(lines.by_ref().take(count as usize).map(|line| (0, line))),
            Run::Mixed(numbers) => unit.extend(numbers.iter().copied().zip(lines.by_ref())),
        }
        let end = unit.last().map_or(0, |(_, line)| line.end + newline.width());
        // Numbers are in the order in which messages begin, and the sort keeps that of their lines.
        unit.sort_by_key(|(number, _)| *number);
        show(&unit, end);
    }
    // What no run tells of is a message a line.
    lines.for_each(|line| show_line(line, newline, &mut show));
}

fn show_line(line: Range<usize>, newline: Newline, show: &mut impl FnMut(&[Numbered], usize)) {
    let end = line.end + newline.width();
    show(&[(0, line)], end);
}

#[cfg(test)]
mod tests;
