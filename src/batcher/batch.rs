//! When a batch is full, and what it carries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use serde::Deserialize;

use super::{
    encoder::Encoder,
    frame::{Meta, Packed, Segment, TEXT_BYTES_MAX, Task},
    meta,
};
use crate::{
    record::{Amount, Block, Held, Messages, Newline, Part, Permit, Run, Span, Stream, TailMark},
    splitter,
};

/// The most segments in a batch.
pub const SEGMENTS_MAX: usize = 64;

/// When a batch is sealed.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A batch is full with this many bytes of text and of the table that says where it comes from, in which every
    /// task counts but the first.
    ///
    /// The default, 960 KiB, fits a record limit of 1 000 000 bytes (librdkafka's; the broker's is 48 588 bytes
    /// larger) even if nothing can be compressed:
    ///
    /// | | bytes |
    /// |---|---|
    /// | text and table | 983 040 |
    /// | frame: header 7, 4 for each of at most 31 blocks, end mark 4 | 135 |
    /// | headers' names, version, host, machine and task (each up to 255 bytes) | 880 |
    /// | labels: 16 with names of 64 and values of 256 bytes, if each of these had to be escaped | 9 324 |
    /// | record and record batch | 200 |
    /// | **sum** | **993 579** |
    pub bytes_max: ByteSize,
    /// A batch that is not full is sealed this long after its first block came.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub age_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bytes_max: ByteSize::kib(960), age_max: Duration::from_millis(100) }
    }
}

/// Who sends: what a record says of the machine where its text was read.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The host's name.
    pub host: Arc<str>,
    /// The machine's identity.
    pub machine: Arc<str>,
}

/// A record, with the return ticket for what is in it.
#[derive(Debug)]
pub struct Batch {
    /// The record.
    pub packed: Packed,
    /// What the record accounts for. Within a batch a stream may have several spans; in the order of the list,
    /// and from batch to batch, the spans of a stream are adjacent.
    pub spans: Vec<Span<Stream, TailMark>>,
    /// What each task has in it.
    pub shares: Vec<Share>,
    /// The record's share of the budget; given back when it is dropped.
    pub permit: Permit,
}

/// What a task has in a batch.
#[derive(Debug)]
pub struct Share {
    /// The task that collected the text.
    pub task: Arc<str>,
    /// Its lines, for which somebody has to answer.
    pub held: Held,
}

/// Gathers the blocks of one topic, partition and key, whichever tasks they are of.
#[derive(Debug)]
pub struct Batcher {
    bytes_max: usize,
    age_max: Duration,
    sender: Sender,
    /// The batch that is being gathered.
    open: Option<Open>,
    /// The compressor's buffers, kept between batches while they follow each other closely.
    spare: Option<Encoder>,
}

#[derive(Debug)]
struct Open {
    encoder: Encoder,
    since: Instant,
    read_at: jiff::Timestamp,
    tasks: Vec<Task>,
    /// As long as the tasks are.
    shares: Vec<Share>,
    segments: Vec<Segment>,
    spans: Vec<Span<Stream, TailMark>>,
    text_bytes: usize,
    /// At most how many bytes the segments, and the tasks but the first, take in the record's headers.
    table_bytes: usize,
    permit: Permit,
}

impl Batcher {
    /// A batcher with nothing in it.
    #[must_use]
    pub fn new(settings: &Settings, sender: Sender) -> Self {
        let bytes_max = settings.bytes_max.as_u64().min(TEXT_BYTES_MAX) as usize;
        Self { bytes_max, age_max: settings.age_max, sender, open: None, spare: None }
    }

    /// Adds a block, whose bytes are copied once, into the compressor; returns the batches that this filled,
    /// mostly none. A block that does not fit is split between units.
    #[must_use]
    pub fn push(&mut self, mut block: Block, now: Instant) -> Vec<Batch> {
        let newline = block.origin.form.charset.newline();
        let is_ended = block.text.ends_with(newline.bytes());
        debug_assert!(is_ended != block.part.goes_on(), "every reader would refuse it");
        let mut full = Vec::new();
        let mut messages = std::mem::take(&mut block.messages);
        let mut at = 0;
        while at < block.text.len() {
            let rest = Rest { text: &block.text[at..], part: block.part, newline, messages: &messages };
            let fits = rest.fitting(self.room(&block, block.offset + at as u64, &messages));
            if fits == 0 && self.open.is_some() {
                full.extend(self.seal());
                continue;
            }
            // A unit that is longer than a batch may be is a batch of its own.
            let bytes = if fits > 0 { fits } else { rest.first_unit() };
            let lines = if bytes == block.text.len() { block.lines } else { rest.lines(bytes) };
            let (taken, behind) = match bytes == rest.text.len() {
                true => (messages, Messages::default()),
                false => messages.divide(lines),
            };
            messages = behind;
            let (permit, held) = (block.permit.split(bytes), block.held.split(lines.into(), bytes as u64));
            self.add(&block, Piece { at, bytes, lines, messages: taken }, (permit, held), now);
            at += bytes;
        }
        full
    }

    /// When the batch that is being gathered is due; none if there is none.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.since + self.age_max)
    }

    /// How many bytes of text are being gathered, and since when; none if there are none.
    #[must_use]
    pub fn gathering(&self) -> Option<(usize, Instant)> {
        self.open.as_ref().map(|open| (open.text_bytes, open.since))
    }

    /// The batch that is being gathered, if it is due.
    #[must_use]
    pub fn due(&mut self, now: Instant) -> Option<Batch> {
        if self.due_at()? > now {
            return None;
        }
        let batch = self.seal();
        // A batch that did not fill in time belongs to a slow flow, which needs no buffers kept for it.
        self.spare = None;
        batch
    }

    /// The batch that is being gathered, as far as it went.
    #[must_use]
    pub fn seal(&mut self) -> Option<Batch> {
        let mut open = self.open.take()?;
        let meta = Meta {
            host: self.sender.host.to_string(),
            machine: self.sender.machine.to_string(),
            tasks: open.tasks,
            read_at: open.read_at,
            segments: open.segments,
        };
        let value = open.encoder.finish();
        let packed = Packed { headers: meta.headers(&value), value };
        self.spare = Some(open.encoder);
        Some(Batch::new(packed, open.spans, open.shares, open.permit))
    }

    /// How many bytes of `block`, from `offset` on, and of its `messages` fit into the batch that is being gathered,
    /// or into a new one if there is none.
    fn room(&self, block: &Block, offset: u64, messages: &Messages) -> usize {
        let Some(open) = &self.open else { return self.bytes_max.saturating_sub(segment_bytes(block, messages)) };
        let task = open.task(block);
        let said = match task.and_then(|task| open.continued_by(block, offset, task)) {
            Some(last) => continued_bytes(last, messages),
            None if open.segments.len() >= SEGMENTS_MAX => return 0,
            None if task.is_none() => task_bytes(block) + segment_bytes(block, messages),
            None => segment_bytes(block, messages),
        };
        self.bytes_max.saturating_sub(open.text_bytes + open.table_bytes + said)
    }

    /// Adds a piece of `block` to the batch that is being gathered.
    fn add(&mut self, block: &Block, piece: Piece, (permit, held): (Permit, Held), now: Instant) {
        let Piece { at, bytes, .. } = piece;
        let text = &block.text[at..at + bytes];
        let spare = &mut self.spare;
        let open = self.open.get_or_insert_with(|| Open {
            encoder: spare.take().unwrap_or_default(),
            since: now,
            read_at: block.read_at,
            tasks: Vec::new(),
            shares: Vec::new(),
            segments: Vec::new(),
            spans: Vec::new(),
            text_bytes: 0,
            table_bytes: 0,
            permit: Permit::none(),
        });
        let task = open.add_share(block, held);
        open.encoder.write(text);
        let offset = block.offset + at as u64;
        open.add_segment(block, offset, task, piece);
        let span = Span {
            source: block.origin.stream,
            start: offset,
            end: offset + bytes as u64,
            mark: TailMark { in_line: block.part.goes_on(), ..TailMark::behind(text) },
        };
        add_span(&mut open.spans, span);
        open.text_bytes += bytes;
        // The text is in the compressor now; what is held is what it keeps.
        open.permit.merge(permit);
        open.permit.shrink_to(open.encoder.bytes_held());
    }
}

impl Batch {
    /// A batch whose permit shrinks to what the record holds.
    pub(super) fn new(
        packed: Packed,
        spans: Vec<Span<Stream, TailMark>>,
        shares: Vec<Share>,
        mut permit: Permit,
    ) -> Self {
        permit.shrink_to(packed.bytes_held() + size_of_val(&spans[..]) + size_of_val(&shares[..]));
        Self { packed, spans, shares, permit }
    }

    /// How many lines the record holds; a part of a cut line counts as one.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.amount().lines
    }

    /// How many bytes of text the record holds, before compression.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        self.amount().bytes
    }

    fn amount(&self) -> Amount {
        self.shares.iter().map(|share| share.held.amount()).sum()
    }
}

impl Open {
    /// The task of `block`, by its place among those that are there.
    fn task(&self, block: &Block) -> Option<usize> {
        let origin = &block.origin;
        self.tasks.iter().rposition(|task| task.name == origin.task && task.labels == origin.labels)
    }

    /// Adds to the share of the task of `block`, which is there from now on; which it is.
    fn add_share(&mut self, block: &Block, held: Held) -> usize {
        if let Some(place) = self.task(block) {
            self.shares[place].held.merge(held);
            return place;
        }
        let (name, labels) = (Arc::clone(&block.origin.task), block.origin.labels.clone());
        self.table_bytes += if self.tasks.is_empty() { 0 } else { task_bytes(block) };
        self.shares.push(Share { task: Arc::clone(&name), held });
        self.tasks.push(Task { name, labels });
        self.tasks.len() - 1
    }

    /// The last segment, if `block`, which is of `task`, continues it from `offset` on.
    fn continued_by(&self, block: &Block, offset: u64, task: usize) -> Option<&Segment> {
        self.segments.last().filter(|last| {
            last.part == Part::Whole
                && block.part == Part::Whole
                && last.stream == block.origin.stream
                && last.path == block.origin.path
                && last.form == block.origin.form
                && last.task as usize == task
                && last.offset + last.bytes == offset
        })
    }

    /// Adds a piece of `block`, which is of `task` and begins at `offset`, to the last segment, or as a segment of its own.
    fn add_segment(&mut self, block: &Block, offset: u64, task: usize, piece: Piece) {
        let Piece { bytes, lines, messages, .. } = piece;
        let bytes = bytes as u64;
        self.table_bytes += messages.runs().map(meta::run_bytes_max).sum::<usize>();
        match self.continued_by(block, offset, task).map(|last| continued_bytes(last, &messages)) {
            Some(table_bytes) => {
                self.table_bytes += table_bytes;
                if let Some(last) = self.segments.last_mut() {
                    last.messages.append(last.lines, &messages, lines);
                    last.bytes += bytes;
                    last.lines += lines;
                }
            }
            None => {
                let origin = &block.origin;
                self.table_bytes += segment_bytes(block, &messages);
                let (stream, path, form) = (origin.stream, origin.path.clone(), origin.form);
                let task = task as u32;
                self.segments.push(Segment {
                    task,
                    stream,
                    path,
                    offset,
                    bytes,
                    lines,
                    part: block.part,
                    form,
                    messages,
                });
            }
        }
    }
}

/// What the task of `block` takes in the table.
fn task_bytes(block: &Block) -> usize {
    meta::task_bytes_max(&block.origin.task, &block.origin.labels)
}

/// What a segment of `block` takes in the table, without the runs of `messages`.
fn segment_bytes(block: &Block, messages: &Messages) -> usize {
    meta::segment_bytes_max(&block.origin.path, block.origin.form.is_plain() && messages.is_plain())
}

/// What it takes in the table that `last` goes on, without the runs of `messages`.
fn continued_bytes(last: &Segment, messages: &Messages) -> usize {
    if last.messages.is_plain() && messages.is_plain() { 0 } else { meta::FORM_BYTES }
}

/// Adds `span` to its stream's last one if they are adjacent.
pub(super) fn add_span(spans: &mut Vec<Span<Stream, TailMark>>, span: Span<Stream, TailMark>) {
    match spans.iter_mut().rev().find(|earlier| earlier.source == span.source) {
        Some(earlier) if earlier.end == span.start => (earlier.end, earlier.mark) = (span.end, span.mark),
        _ => spans.push(span),
    }
}

/// Some of a block, between two units.
struct Piece {
    at: usize,
    bytes: usize,
    lines: u32,
    messages: Messages,
}

/// What of a block has to find room.
struct Rest<'a> {
    text: &'a [u8],
    part: Part,
    newline: Newline,
    messages: &'a Messages,
}

impl Rest<'_> {
    /// How many bytes to take into `room` bytes: all of them, or whole units, or nothing.
    fn fitting(&self, room: usize) -> usize {
        let Self { text, newline, .. } = *self;
        match self.part {
            Part::Whole if !self.messages.is_plain() => self.units(room, false),
            _ if text.len() <= room => text.len(),
            Part::Whole => splitter::whole_lines_by(newline, &text[..room]),
            Part::First | Part::Middle | Part::Last => 0,
        }
    }

    /// How many bytes can't be split: the first unit, or all of a part.
    fn first_unit(&self) -> usize {
        match self.part {
            Part::Whole if !self.messages.is_plain() => self.units(0, true),
            Part::Whole => splitter::first_end_by(self.newline, self.text).unwrap_or(self.text.len()),
            Part::First | Part::Middle | Part::Last => self.text.len(),
        }
    }

    /// How many bytes the units have that fit into `room` bytes together with what is said of them.
    fn units(&self, room: usize, at_least_one: bool) -> usize {
        let mut ends = splitter::line_ends_by(self.newline, self.text);
        let (mut taken, mut said) = (0, 0);
        for run in self.messages.runs() {
            said += meta::run_bytes_max(run);
            let (units, lines) = match run {
                Run::Single(units) => (units, 1),
                run => (1, run.lines()),
            };
            for _ in 0..units {
                let end = ends.nth(lines as usize - 1).unwrap_or(self.text.len());
                if end + said > room && (taken > 0 || !at_least_one) {
                    return taken;
                }
                taken = end;
            }
        }
        taken
    }

    /// How many lines the first `bytes` bytes have.
    fn lines(&self, bytes: usize) -> u32 {
        if self.part == Part::Whole { splitter::count_by(self.newline, &self.text[..bytes]) } else { 1 }
    }
}
