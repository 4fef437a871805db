//! Two batches from one, for a record that a broker refuses as too large.

use std::sync::Arc;

use super::{
    batch::{Batch, add_span},
    frame::{self, Meta, Segment},
};
use crate::{
    record::{Part, Permit, Span, TailMark},
    splitter,
};

/// What became of a batch that was to be split.
#[derive(Debug)]
pub enum Split {
    /// The text of the first half comes before the text of the second. Together their spans cover what the spans
    /// of the batch covered, and one of those may have been cut in two.
    Halves(Box<[Batch; 2]>),
    /// The batch is a single line, or a single part of one, and can't be split.
    Line(Box<Batch>),
}

/// Splits `batch` between two lines, as near to the middle of its text as there is an end of a line before it.
#[must_use]
pub fn split(batch: Batch) -> Split {
    let mut text = Vec::with_capacity(batch.text_bytes as usize);
    let meta = frame::decode(|name| batch.packed.header(name), &batch.packed.value, &mut text)
        .expect("the record was packed by this process and is still in its memory");
    let Some(at) = middle(&meta.segments, &text) else { return Split::Line(Box::new(batch)) };
    let (first_segments, second_segments) = divide(&meta.segments, &text, at as u64);
    let Batch { task, mut permit, packed, .. } = batch;
    let share = permit.split(packed.value.len() / 2);
    drop(packed);
    let first = half(&meta, first_segments, &text[..at], &task, share);
    let second = half(&meta, second_segments, &text[at..], &task, permit);
    Split::Halves(Box::new([first, second]))
}

/// The last end of a line or part in the first half of the text, or else the first one behind it.
fn middle(segments: &[Segment], text: &[u8]) -> Option<usize> {
    let half = text.len() / 2;
    let ends = segments.iter().scan(0, |end, segment| {
        *end += segment.bytes as usize;
        Some(*end)
    });
    let before = ends.clone().filter(|end| *end <= half).max().unwrap_or(0).max(splitter::whole_lines(&text[..half]));
    if before > 0 {
        return Some(before);
    }
    let line_end = splitter::first_end(&text[half..]).map_or(text.len(), |end| half + end);
    let behind = ends.filter(|end| *end > half).min().unwrap_or(text.len()).min(line_end);
    (behind < text.len()).then_some(behind)
}

/// The segments of the text before `at`, and those of the text from `at` on.
fn divide(segments: &[Segment], text: &[u8], at: u64) -> (Vec<Segment>, Vec<Segment>) {
    let (mut first, mut second, mut start) = (Vec::new(), Vec::new(), 0);
    for segment in segments {
        let end = start + segment.bytes;
        if end <= at {
            first.push(segment.clone());
        } else if start >= at {
            second.push(segment.clone());
        } else {
            // Only a segment of whole lines has an end of a line within it.
            debug_assert_eq!(segment.part, Part::Whole);
            let lines = splitter::count(&text[start as usize..at as usize]);
            first.push(Segment { bytes: at - start, lines, ..segment.clone() });
            let (offset, bytes) = (segment.offset + (at - start), end - at);
            second.push(Segment { offset, bytes, lines: segment.lines - lines, ..segment.clone() });
        }
        start = end;
    }
    (first, second)
}

fn half(meta: &Meta, segments: Vec<Segment>, text: &[u8], task: &Arc<str>, permit: Permit) -> Batch {
    let meta = Meta { segments, ..meta.clone() };
    let packed = frame::encode(&meta, text);
    let (mut spans, mut lines) = (Vec::new(), 0);
    for (segment, piece) in meta.segments_of(text) {
        let (start, end) = (segment.offset, segment.offset + segment.bytes);
        add_span(&mut spans, Span { source: segment.stream, start, end, mark: TailMark::behind(piece) });
        lines += u64::from(segment.lines);
    }
    Batch::new(packed, spans, Arc::clone(task), lines, text.len() as u64, permit)
}
