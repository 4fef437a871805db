//! A stretch of text to the documents of its messages: lines found, decoded, taken out of what a container runtime
//! put around them, and joined.

use std::ops::Range;

use super::{Built, Facts, Lines, Said};
use crate::{
    document::Tags,
    record::{Form, Messages, Part, Run},
    splitter::{self, container},
};

/// Memory grown for a message longer than this is given back.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// A stretch of a stream's text.
#[derive(Debug)]
pub struct Passage<'a> {
    /// Its bytes: whole lines, or one part of a line. They are changed by reading JSON in them.
    pub text: &'a mut [u8],
    /// Where it begins in the stream, in bytes.
    pub offset: u64,
    /// Whole lines, or one part of a cut line.
    pub part: Part,
    /// Which of its lines make one message together.
    pub messages: &'a Messages,
}

/// What is used from message to message.
#[derive(Default)]
pub(super) struct Scratch {
    /// A line as UTF-8.
    decoded: Vec<u8>,
    /// The message's text.
    joined: Vec<u8>,
    /// The lines of a unit, each with the number of its message.
    unit: Vec<(i32, Range<usize>)>,
}

impl Lines<'_> {
    /// Makes the documents of a passage, one after the other in `out`, and hands each to `take`; in the place of a
    /// message of which there is nothing to index, none. The source says how the text is to be understood.
    ///
    /// # Errors
    /// The first of `take`'s, which ends it.
    pub fn each<E>(
        &mut self,
        passage: Passage<'_>,
        out: &mut Vec<u8>,
        mut take: impl FnMut(Option<Built>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Passage { text, offset, part, messages } = passage;
        let is_plain = self.0.form.is_plain() && messages.is_plain();
        if part == Part::Whole {
            return match is_plain {
                true => self.each_line(text, offset, out, take),
                false => self.each_message(text, offset, messages, out, take),
            };
        }
        let newline = self.0.form.charset.newline().bytes();
        let is_ended = part == Part::Last && text.ends_with(newline);
        let end = text.len() - if is_ended { newline.len() } else { 0 };
        out.clear();
        let built = match is_plain {
            true => self.build(&mut text[..end], offset, part, out),
            false => self.message(text, &[(0, 0..end)], offset, part, out),
        };
        take(built, out)
    }

    /// [`Lines::each`] for whole lines that are a message each and stand for themselves, which nearly all do.
    fn each_line<E>(
        &mut self,
        text: &mut [u8],
        offset: u64,
        out: &mut Vec<u8>,
        mut take: impl FnMut(Option<Built>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while at < text.len() {
            let end = splitter::first_end(&text[at..]).map_or(text.len() + 1, |end| at + end);
            out.clear();
            let built = self.build(&mut text[at..end - 1], offset + at as u64, Part::Whole, out);
            take(built, out)?;
            at = end;
        }
        Ok(())
    }

    fn each_message<E>(
        &mut self,
        text: &[u8],
        offset: u64,
        messages: &Messages,
        out: &mut Vec<u8>,
        mut take: impl FnMut(Option<Built>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let newline = self.0.form.charset.newline();
        let mut start = 0;
        let mut lines = splitter::line_ends_by(newline, text).map(|end| {
            let line = start..end - newline.width();
            start = end;
            line
        });
        let mut unit = std::mem::take(&mut self.0.scratch.unit);
        let mut make = |unit: &[(i32, Range<usize>)]| {
            let Some((_, first)) = unit.first() else { return Ok(()) };
            out.clear();
            let built = self.message(text, unit, offset + first.start as u64, Part::Whole, out);
            take(built, out)
        };
        for run in messages.runs() {
            match run {
                Run::Single(count) => {
                    lines.by_ref().take(count as usize).try_for_each(|line| make(&[(0, line)]))?;
                }
                Run::Joined(count) => {
                    unit.clear();
                    unit.extend(lines.by_ref().take(count as usize).map(|line| (0, line)));
                    make(&unit)?;
                }
                Run::Mixed(numbers) => {
                    unit.clear();
                    unit.extend(numbers.iter().copied().zip(lines.by_ref()));
                    // Numbers are in the order in which messages begin, and the sort keeps that of their lines.
                    unit.sort_by_key(|(number, _)| *number);
                    unit.chunk_by(|one, next| one.0 == next.0).try_for_each(&mut make)?;
                }
            }
        }
        // What no run tells of is a message a line.
        lines.try_for_each(|line| make(&[(0, line)]))?;
        self.0.scratch.unit = unit;
        Ok(())
    }

    /// Appends the document of the message that has these lines of `text`, which have no newlines.
    fn message(
        &mut self,
        text: &[u8],
        lines: &[(i32, Range<usize>)],
        offset: u64,
        part: Part,
        out: &mut Vec<u8>,
    ) -> Option<Built> {
        let builder = &mut *self.0;
        let newline = builder.form.charset.newline().bytes();
        let id = builder.source.id.id_of_lines(offset, newline, lines.iter().map(|(_, line)| &text[line.clone()]));
        let mut scratch = std::mem::take(&mut builder.scratch);
        let mut joint = Joint {
            form: builder.form,
            part,
            is_begun: false,
            is_inside: false,
            said: None,
            tags: Tags::NONE,
            is_multiline: false,
        };
        scratch.joined.clear();
        scratch.joined.shrink_to(KEPT_BYTES_MAX);
        let clock = &mut builder.rules.current().clock;
        for (_, range) in lines {
            let mut line = &text[range.clone()];
            if offset == 0 && range.start == 0 {
                line = line.strip_prefix(builder.form.charset.mark()).unwrap_or(line);
            }
            joint.add(line, &mut scratch, |time| clock.of_text(time));
        }
        let Joint { said, tags, is_multiline, .. } = joint;
        let facts = Facts { offset, part, said, is_multiline, is_plain: false, tags };
        let built = builder.document(id, &mut scratch.joined, facts, out);
        builder.scratch = scratch;
        built
    }
}

/// Where a message stands that is being joined.
struct Joint {
    form: Form,
    part: Part,
    /// There is a line in it.
    is_begun: bool,
    /// The last line was only a piece of one, which the next goes on with.
    is_inside: bool,
    said: Option<Said>,
    tags: Tags,
    /// Its text has several lines.
    is_multiline: bool,
}

impl Joint {
    /// Adds a line to the message's text.
    fn add(&mut self, line: &[u8], scratch: &mut Scratch, mut moment_of: impl FnMut(&[u8]) -> Option<super::Moment>) {
        let Scratch { decoded, joined, .. } = scratch;
        let line = if self.form.charset.is_utf8() {
            line
        } else {
            decoded.clear();
            decoded.shrink_to(KEPT_BYTES_MAX);
            if !self.form.charset.decode(line, decoded) {
                self.tags.add(Tags::INVALID_UTF8);
            }
            decoded
        };
        let Some(container) = self.form.container else { return self.join(line, self.part.goes_on(), joined) };
        // A part of a line is too long for any runtime to have written it.
        let piece = if self.part == Part::Whole { container::unwrap(container, line) } else { None };
        match piece {
            Some(piece) => {
                let said = || Said { stream: piece.stream, moment: moment_of(piece.time.as_bytes()) };
                self.said.get_or_insert_with(said);
                self.join(&piece.text, piece.is_partial, joined);
            }
            None => {
                self.tags.add(Tags::CONTAINER_BROKEN);
                self.join(line, self.part.goes_on(), joined);
            }
        }
    }

    fn join(&mut self, text: &[u8], goes_on: bool, joined: &mut Vec<u8>) {
        if self.is_begun && !self.is_inside {
            joined.push(b'\n');
            self.is_multiline = true;
        }
        self.is_begun = true;
        let end = if goes_on { text } else { text.strip_suffix(b"\r").unwrap_or(text) };
        joined.extend_from_slice(end);
        self.is_inside = goes_on;
    }
}

#[cfg(test)]
#[path = "passage_tests.rs"]
mod tests;
