//! What the text behind the last block yields: whole messages, a part of a line, or nothing yet.

use super::{multiline::Group, reading::Reading};
use crate::{
    record::{Messages, Part},
    splitter,
};

/// What to do with the beginning of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// There is a block.
    Block(Piece),
    /// There is a block because what has no end has waited long enough.
    Late(Piece),
    /// The line, or the message, goes on behind the buffer; a larger one is needed to see its end.
    Grow,
    /// Nothing is whole yet.
    Wait,
}

/// What becomes a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) bytes: usize,
    pub(super) lines: u32,
    pub(super) messages: Messages,
}

/// What is known beside the text itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'a> {
    /// How the text is taken apart.
    pub(super) reading: &'a Reading,
    /// A longer line is cut, counting its newline. No text is longer, so whole lines in it are within the limit.
    pub(super) line_bytes_max: usize,
    /// The file goes on behind the text.
    pub(super) goes_on: bool,
    /// What has no newline has waited long enough.
    pub(super) flush_line: bool,
    /// A message has waited long enough for its next line.
    pub(super) flush_message: bool,
}

/// Decides about the beginning of `text`, which begins inside a line if `in_line`, else with a message.
///
/// A line is cut every `line_bytes_max` bytes from where it began, and a message ends where its limits say, so the same
/// file is always cut at the same places. Only a [`Cut::Late`] depends on when it was looked at.
pub(super) fn cut(text: &[u8], in_line: bool, bounds: Bounds<'_>) -> Cut {
    debug_assert!(text.len() <= bounds.line_bytes_max);
    let newline = bounds.reading.newline();
    if in_line {
        if let Some(end) = splitter::first_end_by(newline, text) {
            return Cut::Block(Piece::part(Part::Last, end));
        }
    } else {
        let whole = splitter::whole_lines_by(newline, text);
        if whole > 0 {
            return whole_messages(text, whole, bounds);
        }
    }
    let part = if in_line { Part::Middle } else { Part::First };
    // A character of UTF-16 is not cut in two.
    let whole = |bytes: usize| bytes - bytes % newline.width();
    match whole(text.len()) {
        _ if text.is_empty() => Cut::Wait,
        bytes if bytes >= whole(bounds.line_bytes_max) => Cut::Block(Piece::part(part, bytes)),
        _ if bounds.goes_on => Cut::Grow,
        bytes if bounds.flush_line && bytes > 0 => Cut::Late(Piece::part(part, bytes)),
        _ => Cut::Wait,
    }
}

/// Decides about a text whose first `whole` bytes are whole lines.
fn whole_messages(text: &[u8], whole: usize, bounds: Bounds<'_>) -> Cut {
    let Some(grouping) = &bounds.reading.grouping else {
        let lines = splitter::count_by(bounds.reading.newline(), &text[..whole]);
        return Cut::Block(Piece { part: Part::Whole, bytes: whole, lines, messages: Messages::default() });
    };
    match grouping.whole_units(text, false) {
        group if group.bytes > 0 => Cut::Block(group.into()),
        _ if bounds.goes_on => Cut::Grow,
        _ if bounds.flush_message => Cut::Late(grouping.whole_units(text, true).into()),
        _ => Cut::Wait,
    }
}

impl Piece {
    fn part(part: Part, bytes: usize) -> Self {
        Self { part, bytes, lines: 1, messages: Messages::default() }
    }
}

impl From<Group> for Piece {
    fn from(Group { bytes, lines, messages }: Group) -> Self {
        Self { part: Part::Whole, bytes, lines, messages }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Bounds, Cut, Piece, cut};
    use crate::{
        reader::{Multiline, Task, reading::Reading},
        record::{Charset, Newline, Part},
        splitter,
    };

    const LINE_MAX: usize = 8;

    fn reading(charset: &str, start: Option<&str>) -> Arc<Reading> {
        let mut task = Task::new("t", Vec::new());
        task.charset = Charset::of_label(charset).expect("a label");
        task.multiline =
            start.map(|start| Multiline { start: Some(start.to_owned()), lines_max: 3, ..Multiline::default() });
        Reading::of(&task, LINE_MAX).expect("a pattern")
    }

    fn bounds(reading: &Reading) -> Bounds<'_> {
        Bounds { reading, line_bytes_max: LINE_MAX, goes_on: false, flush_line: false, flush_message: false }
    }

    fn part(part: Part, bytes: usize) -> Piece {
        Piece::part(part, bytes)
    }

    #[test]
    fn whole_lines_go_and_the_rest_waits() {
        let reading = reading("utf-8", None);
        let bounds = bounds(&reading);
        assert_eq!(cut(b"ab\nc\nd", false, bounds), Cut::Block(Piece { lines: 2, ..part(Part::Whole, 5) }));
        assert_eq!(cut(b"d", false, bounds), Cut::Wait);
        assert_eq!(cut(b"", false, Bounds { flush_line: true, ..bounds }), Cut::Wait);
        assert_eq!(cut(b"d", false, Bounds { goes_on: true, ..bounds }), Cut::Grow);
    }

    #[test]
    fn a_line_that_waited_long_enough_goes_in_parts_and_its_end_is_marked() {
        let reading = reading("utf-8", None);
        let flush = Bounds { flush_line: true, ..bounds(&reading) };
        assert_eq!(cut(b"abc", false, flush), Cut::Late(part(Part::First, 3)));
        assert_eq!(cut(b"def", true, flush), Cut::Late(part(Part::Middle, 3)));
        assert_eq!(cut(b"g\nh\n", true, bounds(&reading)), Cut::Block(part(Part::Last, 2)));
    }

    #[test]
    fn a_message_that_waited_long_enough_goes_without_what_has_no_newline() {
        let reading = reading("utf-8", Some("^1"));
        let bounds = bounds(&reading);
        assert_eq!(cut(b"1\n 2\n1\n", false, bounds), Cut::Block(whole(2, 5)));
        assert_eq!(cut(b"1\n 2\nx", false, bounds), Cut::Wait);
        assert_eq!(cut(b"1\n 2\nx", false, Bounds { goes_on: true, ..bounds }), Cut::Grow);
        let flush = Bounds { flush_message: true, ..bounds };
        assert_eq!(cut(b"1\n 2\nx", false, flush), Cut::Late(whole(2, 5)));
        assert_eq!(cut(b"x", false, flush), Cut::Wait);
    }

    fn whole(lines: u32, bytes: usize) -> Piece {
        let mut messages = crate::record::Messages::default();
        assert!(messages.push(crate::record::Run::Joined(lines)));
        Piece { part: Part::Whole, bytes, lines, messages }
    }

    #[test]
    fn half_a_character_of_utf_16_is_never_cut_off() {
        let reading = reading("utf-16le", None);
        let flush = Bounds { flush_line: true, ..bounds(&reading) };
        assert_eq!(cut(b"a\0b", false, flush), Cut::Late(part(Part::First, 2)));
        assert_eq!(cut(b"b", false, flush), Cut::Wait);
        let odd = Bounds { line_bytes_max: 7, ..flush };
        assert_eq!(cut(b"a\0b\0c\0d", false, odd), Cut::Block(part(Part::First, 6)));
    }

    proptest! {
        #[test]
        fn the_parts_of_any_text_add_up_to_it_and_only_over_long_lines_are_cut(
            text in proptest::collection::vec(prop_oneof![3 => Just(b'\n'), 3 => Just(0), 20 => Just(b'x')], 0..200),
            charset in prop::sample::select(vec!["utf-8", "utf-16le", "utf-16be"]),
            start in prop_oneof![Just(None), Just(Some("^x"))],
        ) {
            let reading = reading(charset, start);
            let newline = reading.newline();
            let (mut at, mut in_line, mut whole) = (0, false, Vec::new());
            while at < text.len() {
                let seen = &text[at..text.len().min(at + LINE_MAX)];
                let goes_on = at + seen.len() < text.len();
                let bounds = Bounds { goes_on, flush_line: true, flush_message: true, ..bounds(&reading) };
                match cut(seen, in_line, bounds) {
                    Cut::Block(Piece { part, bytes, lines, messages }) | Cut::Late(Piece { part, bytes, lines, messages }) => {
                        let block = &seen[..bytes];
                        prop_assert!(bytes > 0);
                        prop_assert_eq!(matches!(part, Part::Middle | Part::Last), in_line);
                        in_line = part.goes_on();
                        prop_assert_eq!(block.ends_with(newline.bytes()), !in_line);
                        prop_assert_eq!(lines, if part == Part::Whole { splitter::count_by(newline, block) } else { 1 });
                        prop_assert!(messages.is_plain() || messages.lines() == u64::from(lines));
                        if part == Part::First {
                            prop_assert!(bytes == LINE_MAX || at + bytes + newline.width() > text.len());
                        }
                        whole.extend_from_slice(block);
                        at += bytes;
                    }
                    Cut::Wait if newline != Newline::Byte && seen.len() == 1 => {
                        whole.push(seen[0]);
                        at += 1;
                    }
                    other => prop_assert!(false, "{:?} at {}", other, at),
                }
            }
            prop_assert_eq!(whole, text);
        }
    }
}
