//! Two batches from one, for a record that a broker refuses as too large.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    batch::{Batch, Share, add_span},
    frame::{self, Meta, Segment},
};
use crate::{
    record::{Part, Permit, Run, Span},
    splitter,
};

/// A line, or a part of one, that is not longer than this is not cut; no broker's limit is that low.
const CUT_BYTES_MIN: usize = 64 * 1024;

/// What became of a batch that was to be split.
#[derive(Debug)]
pub enum Split {
    /// The text of the first half comes before the text of the second. Together their spans cover what the spans
    /// of the batch covered, and one of those may have been cut in two.
    Halves(Box<[Batch; 2]>),
    /// The batch is a short line, or a message of several lines, and can't be split.
    Line(Box<Batch>),
}

/// The segments of the first half of a text, and those of the second.
type Halves = (Vec<Segment>, Vec<Segment>);

/// Splits `batch` between two units, as near to the middle of its text as there is an end of one before it. A single
/// long line, or part of one, becomes two parts, always the same ones.
#[must_use]
pub fn split(batch: Batch) -> Split {
    let mut text = Vec::with_capacity(batch.text_bytes() as usize);
    let meta = frame::decode(|name| batch.packed.header(name), &batch.packed.value, &mut text)
        .expect("the record was packed by this process and is still in its memory");
    let middle = middle(&meta, &text);
    let divided = match middle {
        Some(at) => Some((at, divide(&meta.segments, &text, at as u64))),
        None => cut_line(&meta.segments, &text),
    };
    let Some((at, (first_segments, second_segments))) = divided else { return Split::Line(Box::new(batch)) };
    let Batch { mut permit, packed, mut shares, .. } = batch;
    if middle.is_none() {
        // It is a line of one task.
        shares.iter_mut().for_each(|share| share.held.cut_one());
    }
    let share = permit.split(packed.value.len() / 2);
    drop(packed);
    let first = half(&meta, first_segments, &text[..at], (&mut shares, share));
    let second = half(&meta, second_segments, &text[at..], (&mut shares, permit));
    Split::Halves(Box::new([first, second]))
}

/// The last end of a unit or part in the first half of the text, or else the first one behind it.
fn middle(meta: &Meta, text: &[u8]) -> Option<usize> {
    let (mut ends, mut start) = (Vec::new(), 0);
    for (segment, piece) in meta.segments_of(text) {
        unit_ends(segment, piece, start, &mut ends);
        start += piece.len();
    }
    let before = ends.partition_point(|end| *end <= text.len() / 2);
    ends.get(before.saturating_sub(1)).copied().filter(|at| *at < text.len())
}

/// Adds where in the text the units of a segment end, whose text `piece` begins at `start`.
fn unit_ends(segment: &Segment, piece: &[u8], start: usize, ends: &mut Vec<usize>) {
    let mut line_ends = splitter::line_ends_by(segment.form.charset.newline(), piece).map(|end| start + end);
    match segment.part {
        Part::First | Part::Middle | Part::Last => ends.push(start + piece.len()),
        Part::Whole if segment.messages.is_plain() => ends.extend(line_ends),
        Part::Whole => {
            for run in segment.messages.runs() {
                match run {
                    Run::Single(lines) => ends.extend(line_ends.by_ref().take(lines as usize)),
                    run => ends.extend(line_ends.nth(run.lines() as usize - 1)),
                }
            }
        }
    }
}

/// The segments of the text before `at`, and those of the text from `at` on.
fn divide(segments: &[Segment], text: &[u8], at: u64) -> Halves {
    let (mut first, mut second, mut start) = (Vec::new(), Vec::new(), 0);
    for segment in segments {
        let end = start + segment.bytes;
        if end <= at {
            first.push(segment.clone());
        } else if start >= at {
            second.push(segment.clone());
        } else {
            // Only a segment of whole lines has an end of a unit within it.
            debug_assert_eq!(segment.part, Part::Whole);
            let newline = segment.form.charset.newline();
            let lines = splitter::count_by(newline, &text[start as usize..at as usize]);
            let (messages, behind) = segment.messages.divide(lines);
            first.push(Segment { bytes: at - start, lines, messages, ..segment.clone() });
            let (offset, bytes, lines) = (segment.offset + (at - start), end - at, segment.lines - lines);
            second.push(Segment { offset, bytes, lines, messages: behind, ..segment.clone() });
        }
        start = end;
    }
    (first, second)
}

/// Two parts of a long line, or of a part of one, and where the text of the second begins.
fn cut_line(segments: &[Segment], text: &[u8]) -> Option<(usize, Halves)> {
    let [segment] = segments else { return None };
    if text.len() <= CUT_BYTES_MIN || !segment.messages.is_plain() {
        return None;
    }
    let (before, behind) = match segment.part {
        Part::Whole => (Part::First, Part::Last),
        Part::First => (Part::First, Part::Middle),
        Part::Middle => (Part::Middle, Part::Middle),
        Part::Last => (Part::Middle, Part::Last),
    };
    // Not within a character of any charset whose characters have a fixed width.
    let at = (text.len() / 2) & !3;
    let (offset, bytes) = (segment.offset + at as u64, segment.bytes - at as u64);
    let first = Segment { bytes: at as u64, part: before, ..segment.clone() };
    Some((at, (vec![first], vec![Segment { offset, bytes, part: behind, ..segment.clone() }])))
}

/// A batch of these segments of the `whole`, whose shares it takes its own from.
fn half(whole: &Meta, segments: Vec<Segment>, text: &[u8], (all, permit): (&mut [Share], Permit)) -> Batch {
    let mut sums: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for segment in &segments {
        let (lines, bytes) = sums.entry(segment.task).or_default();
        *lines += u64::from(segment.lines);
        *bytes += segment.bytes;
    }
    // In the order of the tasks, as those of the half are.
    let shares = sums.into_iter().map(|(task, (lines, bytes))| {
        let whole = &mut all[task as usize];
        Share { task: Arc::clone(&whole.task), held: whole.held.split(lines, bytes) }
    });
    let (shares, mut spans) = (shares.collect(), Vec::new());
    let meta = of_its_tasks(whole, segments);
    for (segment, piece) in meta.segments_of(text) {
        let (start, end) = (segment.offset, segment.offset + segment.bytes);
        add_span(&mut spans, Span { source: segment.stream, start, end, mark: segment.mark(piece) });
    }
    Batch::new(frame::encode(&meta, text), spans, shares, permit)
}

/// What `whole` says, of these segments and of those tasks alone that have some.
fn of_its_tasks(whole: &Meta, mut segments: Vec<Segment>) -> Meta {
    let mut places: Vec<u32> = segments.iter().map(|segment| segment.task).collect();
    places.sort_unstable();
    places.dedup();
    for segment in &mut segments {
        segment.task = places.partition_point(|place| *place < segment.task) as u32;
    }
    let tasks = places.into_iter().map(|place| whole.tasks[place as usize].clone()).collect();
    Meta { tasks, segments, ..whole.clone() }
}
