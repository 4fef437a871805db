//! What a file holds, as evidence that it is the one that is known: its head, and the bytes before an offset.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::inflate::Look;
use crate::{
    record::{Checkpoint, Head, Newline, TailMark},
    splitter,
};

/// Whether a file of `size` bytes still holds what is known of it.
///
/// # Errors
/// If it can't be read.
pub(super) fn agrees(file: &File, known: &Checkpoint, size: u64) -> io::Result<bool> {
    if size < known.offset {
        return Ok(false);
    }
    Ok(has_head(file, known.head)? && has_mark(file, known.offset, known.mark)?)
}

/// Whether a file goes on with a stream that lost its own file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its text is the stream's, as far as that was read.
    Yes,
    /// It may be, once it has grown.
    NotYet,
    /// It holds something else, or too little is known of the stream.
    No,
}

/// Whether `file`, of `size` bytes and with `begin` as its first ones, goes on with the stream of `known`. Of a
/// compressed file only the head is compared; the rest is seen on the way to the offset.
///
/// # Errors
/// If it can't be read.
pub(super) fn goes_on(file: &File, size: u64, begin: &Look, known: &Checkpoint) -> io::Result<Answer> {
    if known.head.bytes == 0 && known.mark.bytes == 0 {
        return Ok(Answer::No);
    }
    Ok(match begin.text.get(..usize::from(known.head.bytes)) {
        None => Answer::NotYet,
        Some(head) if !head.is_empty() && Head::of(head) != known.head => Answer::No,
        Some(head) if begin.packing.is_some() => {
            if head.is_empty() {
                Answer::No
            } else {
                Answer::Yes
            }
        }
        Some(_) if size < known.offset => Answer::NotYet,
        Some(_) if has_mark(file, known.offset, known.mark)? => Answer::Yes,
        Some(_) => Answer::No,
    })
}

/// Whether all that `copy` holds, as far as its beginning and its end tell, stands at the beginning of `original`.
///
/// # Errors
/// If one of them can't be read.
pub(super) fn is_prefix(copy: &File, size: u64, original: &File) -> io::Result<bool> {
    let (mut here, mut there) = (vec![0; Head::BYTES_MAX], vec![0; Head::BYTES_MAX]);
    let bytes = size.min(here.len() as u64) as usize;
    for from in [0, size - bytes as u64] {
        let (here, there) = (&mut here[..bytes], &mut there[..bytes]);
        if !fill(copy, here, from)? || !fill(original, there, from)? || here != there {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file begins with `text`.
///
/// # Errors
/// If it can't be read.
pub(super) fn begins_with(file: &File, text: &[u8]) -> io::Result<bool> {
    let mut begin = vec![0; text.len()];
    Ok(fill(file, &mut begin, 0)? && begin == text)
}

/// Whether a file begins with what `head` is a hash of.
pub(super) fn has_head(file: &File, head: Head) -> io::Result<bool> {
    let mut text = vec![0; usize::from(head.bytes)];
    Ok(fill(file, &mut text, 0)? && (text.is_empty() || Head::of(&text) == head))
}

/// Whether what `mark` is a hash of stands before `offset`.
fn has_mark(file: &File, offset: u64, mark: TailMark) -> io::Result<bool> {
    let mut text = vec![0; usize::from(mark.bytes)];
    let from = offset.saturating_sub(text.len() as u64);
    Ok(fill(file, &mut text, from)? && (text.is_empty() || TailMark::behind(&text).hash == mark.hash))
}

/// Fills the buffer; whether the file went that far.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
        Ok(()) => Ok(true),
    }
}

/// Where the last line begins that does not end before `end`, and whether that is inside a line because the line
/// is longer than `limit`.
///
/// # Errors
/// If the file can't be read.
pub(super) fn line_begin(file: &File, end: u64, limit: u64, newline: Newline) -> io::Result<(u64, bool)> {
    // Where every read begins between two characters, and ends there.
    let end = end - end % newline.width() as u64;
    let mut chunk = vec![0; 64 * 1024];
    let mut at = end;
    while at > 0 && end - at < limit {
        let bytes = at.min(chunk.len() as u64);
        let text = &mut chunk[..bytes as usize];
        // The file was cut short meanwhile: what it holds now is read.
        if !fill(file, text, at - bytes)? {
            return Ok((0, false));
        }
        let whole = splitter::whole_lines_by(newline, text);
        if whole > 0 {
            return Ok((at - bytes + whole as u64, false));
        }
        at -= bytes;
    }
    Ok(if at == 0 { (0, false) } else { (end, true) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{agrees, line_begin};
    use crate::record::{Checkpoint, FileId, Head, Newline, Place, Stream, TailMark};

    fn file(text: &[u8]) -> std::fs::File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text).expect("written");
        file
    }

    #[test]
    fn a_file_that_is_begun_at_its_end_is_begun_with_a_line() {
        let text = [vec![b'x'; 70_000], b"\nlast\nunended".to_vec()].concat();
        let file = file(&text);
        let end = text.len() as u64;
        assert_eq!(line_begin(&file, end, 1 << 20, Newline::Byte).expect("readable"), (end - 7, false));
        assert_eq!(
            line_begin(&file, end - 7, 1 << 20, Newline::Byte).expect("readable"),
            (end - 7, false),
            "right behind a line"
        );
        assert_eq!(
            line_begin(&file, 69_000, 1 << 20, Newline::Byte).expect("readable"),
            (0, false),
            "in the first line"
        );
        assert_eq!(
            line_begin(&file, 69_000, 1000, Newline::Byte).expect("readable"),
            (69_000, true),
            "in a line over the limit"
        );
        assert_eq!(
            line_begin(&file, end + 5, 1 << 20, Newline::Byte).expect("readable"),
            (0, false),
            "cut short meanwhile"
        );
        let wide: Vec<u8> = "a\nb\u{a00}c".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide = self::file(&wide);
        assert_eq!(line_begin(&wide, 9, 1 << 20, Newline::Utf16Le).expect("readable"), (4, false));
    }

    #[test]
    fn a_file_is_known_by_its_head_and_by_what_stands_before_the_offset() {
        let known = Checkpoint {
            stream: Stream { file: FileId(1), generation: 0 },
            task: "t".into(),
            offset: 8,
            mark: TailMark::behind(b"one\ntwo\n"),
            path: "/a".into(),
            place: Place::default(),
            head: Head::of(b"one\n"),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 0,
        };
        let agrees = |text: &[u8]| agrees(&file(text), &known, text.len() as u64).expect("readable");
        assert!(agrees(b"one\ntwo\n") && agrees(b"one\ntwo\nthree\n"));
        assert!(!agrees(b"one\ntwo") && !agrees(b"one\ntwx\nthree\n") && !agrees(b""));
    }
}
