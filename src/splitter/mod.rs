//! Where lines end: bytes in, positions out.
//!
//! Pure functions over slices, without state and without I/O; everything that decides where a line begins or
//! ends is here. A line ends with the byte `\n` and includes it; a carriage return before it belongs to the line,
//! and whoever shows the line takes it away. Any other byte, NUL and broken UTF-8 included, is text. UTF-16 alone
//! ends its lines otherwise ([`Newline`]); for it there are the functions whose names end in `_by`. What a container
//! runtime put around a line is in [`container`].

pub mod container;

use crate::record::Newline;

/// The positions one past each `\n` in `bytes`, in order.
pub fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memchr_iter(b'\n', bytes).map(|newline| newline + 1)
}

/// How many bytes of `bytes` are whole lines: one past the last `\n`, or 0.
#[must_use]
pub fn whole_lines(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |newline| newline + 1)
}

/// How many `\n` are in `bytes`.
#[must_use]
pub fn count(bytes: &[u8]) -> u32 {
    memchr::memchr_iter(b'\n', bytes).count() as u32
}

/// One past the first `\n`, if there is one.
#[must_use]
pub fn first_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|newline| newline + 1)
}

/// The lines of `text` with their offsets in it, each without its `\n`; a last line without `\n` is one too.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> + '_ {
    let mut start = 0;
    let unended = (whole_lines(text) < text.len()).then_some(text.len() + 1);
    line_ends(text).chain(unended).map(move |end| {
        let line = (start, &text[start..end - 1]);
        start = end;
        line
    })
}

/// [`line_ends`], for lines that end as `newline` says. In UTF-16, `bytes` begin between two characters.
pub fn line_ends_by(newline: Newline, bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memchr_iter(b'\n', bytes).filter_map(move |at| end_at(newline, bytes, at))
}

/// [`whole_lines`], for lines that end as `newline` says.
#[must_use]
pub fn whole_lines_by(newline: Newline, bytes: &[u8]) -> usize {
    memchr::memrchr_iter(b'\n', bytes).find_map(|at| end_at(newline, bytes, at)).unwrap_or(0)
}

/// [`count`], for lines that end as `newline` says.
#[must_use]
pub fn count_by(newline: Newline, bytes: &[u8]) -> u32 {
    match newline {
        Newline::Byte => count(bytes),
        Newline::Utf16Le | Newline::Utf16Be => line_ends_by(newline, bytes).count() as u32,
    }
}

/// [`first_end`], for lines that end as `newline` says.
#[must_use]
pub fn first_end_by(newline: Newline, bytes: &[u8]) -> Option<usize> {
    line_ends_by(newline, bytes).next()
}

/// One past the end of the line whose byte 0x0A is at `at`, if that byte is part of one.
fn end_at(newline: Newline, bytes: &[u8], at: usize) -> Option<usize> {
    let is_end = match newline {
        Newline::Byte => return Some(at + 1),
        Newline::Utf16Le => at.is_multiple_of(2) && bytes.get(at + 1) == Some(&0),
        Newline::Utf16Be => !at.is_multiple_of(2) && bytes[at - 1] == 0,
    };
    is_end.then_some((at | 1) + 1)
}

#[cfg(test)]
mod tests {
    use super::{
        count, count_by, first_end, first_end_by, line_ends, line_ends_by, lines, whole_lines, whole_lines_by,
    };
    use crate::record::Newline;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn splitting_random_input_cut_at_random_places_agrees_with_split(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0_u8), any::<u8>()], 0..400),
            cuts in proptest::collection::vec(0_usize..400, 0..8),
        ) {
            // Feed the text in pieces as a reader meets it: the unfinished line stays and is seen again.
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([text.len()]).collect();
            cuts.sort_unstable();
            let (mut at, mut found) = (0, Vec::new());
            for cut in cuts {
                let piece = &text[at..cut];
                let whole = whole_lines(piece);
                let mut start = 0;
                for end in line_ends(&piece[..whole]) {
                    found.push(piece[start..end - 1].to_vec());
                    start = end;
                }
                prop_assert_eq!(start, whole);
                prop_assert_eq!(count(piece), count(&piece[..whole]));
                at += whole;
            }
            found.push(text[at..].to_vec());
            let expected: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn utf_16_is_split_as_its_units_say(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0_u8), any::<u8>()], 0..200),
        ) {
            for newline in [Newline::Byte, Newline::Utf16Le, Newline::Utf16Be] {
                let width = newline.width();
                let ends: Vec<usize> = text
                    .chunks_exact(width)
                    .enumerate()
                    .filter(|(_, unit)| *unit == newline.bytes())
                    .map(|(index, _)| (index + 1) * width)
                    .collect();
                prop_assert_eq!(line_ends_by(newline, &text).collect::<Vec<_>>(), &ends[..]);
                prop_assert_eq!(whole_lines_by(newline, &text), ends.last().copied().unwrap_or(0));
                prop_assert_eq!(first_end_by(newline, &text), ends.first().copied());
                prop_assert_eq!(count_by(newline, &text) as usize, ends.len());
            }
        }

        #[test]
        fn the_lines_of_a_text_and_their_offsets_rebuild_the_text(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
        ) {
            let mut rebuilt = Vec::new();
            for (offset, line) in lines(&text) {
                prop_assert_eq!(offset, rebuilt.len());
                rebuilt.extend_from_slice(line);
                rebuilt.push(b'\n');
            }
            if text.last().is_some_and(|last| *last != b'\n') {
                rebuilt.pop();
            }
            prop_assert_eq!(rebuilt, text);
        }
    }

    #[test]
    fn the_first_end_is_the_end_of_the_first_line() {
        assert_eq!(first_end(b"a\nb\n"), Some(2));
        assert_eq!(first_end(b"ab"), None);
        assert_eq!(first_end(b""), None);
    }
}
