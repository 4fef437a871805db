//! What the text behind the last block yields: whole lines, a part of a line, or nothing yet.

use crate::{record::Part, splitter};

/// What to do with the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// So many bytes are a block of this kind.
    Block(Part, usize),
    /// So many bytes are a block of this kind because what has no newline has waited long enough.
    Late(Part, usize),
    /// The line goes on behind the buffer; a larger one is needed to see its end.
    Grow,
    /// Nothing is whole yet.
    Wait,
}

/// What is known beside the text itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// A longer line is cut, counting its newline. No text is longer, so whole lines in it are within the limit.
    pub(super) line_bytes_max: usize,
    /// The file goes on behind the text.
    pub(super) goes_on: bool,
    /// What has no newline has waited long enough.
    pub(super) flush: bool,
}

/// Decides about the beginning of `text`, which begins inside a line if `in_line`.
///
/// A line is cut every `line_bytes_max` bytes from where it began, so the same file is always cut at the same places.
/// Only a [`Cut::Late`] depends on when it was looked at.
pub(super) fn cut(text: &[u8], in_line: bool, bounds: Bounds) -> Cut {
    debug_assert!(text.len() <= bounds.line_bytes_max);
    if in_line {
        if let Some(end) = splitter::first_end(text) {
            return Cut::Block(Part::Last, end);
        }
    } else {
        let whole = splitter::whole_lines(text);
        if whole > 0 {
            return Cut::Block(Part::Whole, whole);
        }
    }
    let part = if in_line { Part::Middle } else { Part::First };
    match text.len() {
        0 => Cut::Wait,
        length if length >= bounds.line_bytes_max => Cut::Block(part, length),
        _ if bounds.goes_on => Cut::Grow,
        length if bounds.flush => Cut::Late(part, length),
        _ => Cut::Wait,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bounds, Cut, cut};
    use crate::record::Part;

    const BOUNDS: Bounds = Bounds { line_bytes_max: 8, goes_on: false, flush: false };

    #[test]
    fn whole_lines_go_and_the_rest_waits() {
        assert_eq!(cut(b"ab\nc\nd", false, BOUNDS), Cut::Block(Part::Whole, 5));
        assert_eq!(cut(b"d", false, BOUNDS), Cut::Wait);
        assert_eq!(cut(b"", false, Bounds { flush: true, ..BOUNDS }), Cut::Wait);
        assert_eq!(cut(b"d", false, Bounds { goes_on: true, ..BOUNDS }), Cut::Grow);
    }

    #[test]
    fn a_line_that_waited_long_enough_goes_in_parts_and_its_end_is_marked() {
        assert_eq!(cut(b"abc", false, Bounds { flush: true, ..BOUNDS }), Cut::Late(Part::First, 3));
        assert_eq!(cut(b"def", true, Bounds { flush: true, ..BOUNDS }), Cut::Late(Part::Middle, 3));
        assert_eq!(cut(b"g\nh\n", true, BOUNDS), Cut::Block(Part::Last, 2));
    }

    proptest! {
        #[test]
        fn the_parts_of_any_text_add_up_to_it_and_only_over_long_lines_are_cut(
            text in proptest::collection::vec(prop_oneof![3 => Just(b'\n'), 20 => Just(b'x')], 0..200),
        ) {
            let (mut at, mut in_line, mut whole) = (0, false, Vec::new());
            while at < text.len() {
                let seen = &text[at..text.len().min(at + BOUNDS.line_bytes_max)];
                let bounds = Bounds { goes_on: at + seen.len() < text.len(), flush: true, ..BOUNDS };
                match cut(seen, in_line, bounds) {
                    Cut::Block(part, length) | Cut::Late(part, length) => {
                        let block = &seen[..length];
                        prop_assert!(length > 0);
                        prop_assert_eq!(matches!(part, Part::Middle | Part::Last), in_line);
                        in_line = matches!(part, Part::First | Part::Middle);
                        prop_assert_eq!(block.ends_with(b"\n"), !in_line);
                        if part == Part::First {
                            prop_assert!(length == BOUNDS.line_bytes_max || at + length == text.len());
                        }
                        whole.extend_from_slice(block);
                        at += length;
                    }
                    other => prop_assert!(false, "{:?} at {}", other, at),
                }
            }
            prop_assert_eq!(whole, text);
        }
    }
}
