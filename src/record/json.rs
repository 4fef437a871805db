//! Bytes to JSON: strings and numbers, appended to what is being written.

/// What a byte is written as in a JSON string: 0 for itself, `u` for `\u00XX`, else the letter after `\`.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0c] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Appends `text` as the inside of a JSON string; what is not UTF-8 becomes U+FFFD, a maximal broken sequence
/// each, as in [`String::from_utf8_lossy`]. Returns whether all of it was UTF-8.
pub fn push_escaped(text: &[u8], out: &mut Vec<u8>) -> bool {
    if simdutf8::basic::from_utf8(text).is_ok() {
        push_escaped_utf8(text, out);
        return true;
    }
    for chunk in text.utf8_chunks() {
        push_escaped_utf8(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    false
}

/// Appends UTF-8 as the inside of a JSON string.
fn push_escaped_utf8(text: &[u8], out: &mut Vec<u8>) {
    let mut escapes = Escapes::of(text);
    // Most text has nothing to escape.
    let Some(first) = escapes.next() else { return out.extend_from_slice(text) };
    // A few escapes fit without growing again.
    out.reserve(text.len() + text.len() / 8 + 16);
    // Everything before `done` is in `out`.
    let mut done = 0;
    for at in std::iter::once(first).chain(escapes) {
        out.extend_from_slice(&text[done..at]);
        push_escape(text[at], out);
        done = at + 1;
    }
    out.extend_from_slice(&text[done..]);
}

/// Where the first byte of `text` is that does not stand for itself in a JSON string: a control character, `"` or `\`.
#[must_use]
pub fn first_escape(text: &[u8]) -> Option<usize> {
    Escapes::of(text).next()
}

/// Where the bytes of a text are that do not stand for themselves in a JSON string: control characters, `"` and `\`.
///
/// Each byte is looked at once, many at a time, however dense they are.
#[derive(Clone, Debug)]
pub struct Escapes<'t> {
    /// What was not looked at yet.
    rest: &'t [u8],
    /// Where that begins, in whole chunks; behind the text at the end.
    looked_at: usize,
    /// Those of the chunk before it that were not told yet: a bit for each byte, the lowest for the first.
    marks: u32,
}

const CHUNK: usize = 32;

impl<'t> Escapes<'t> {
    /// Those of `text`.
    #[must_use]
    pub fn of(text: &'t [u8]) -> Self {
        Self { rest: text, looked_at: 0, marks: 0 }
    }
}

impl Iterator for Escapes<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.marks == 0 {
            if let Some((chunk, rest)) = self.rest.split_first_chunk::<CHUNK>() {
                self.rest = rest;
                self.marks = marks(chunk);
            } else if self.rest.is_empty() {
                return None;
            } else {
                // Blanks stand for themselves.
                let mut chunk = [b' '; CHUNK];
                chunk[..self.rest.len()].copy_from_slice(self.rest);
                self.rest = &[];
                self.marks = marks(&chunk);
            }
            self.looked_at += CHUNK;
        }
        let at = self.looked_at - CHUNK + self.marks.trailing_zeros() as usize;
        self.marks &= self.marks - 1;
        Some(at)
    }
}

/// A bit for each byte of `chunk` that does not stand for itself, the lowest for the first.
fn marks(chunk: &[u8; CHUNK]) -> u32 {
    // Without an end before the last byte, which lets the compiler compare many bytes at once.
    let is_escape = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    let flags = chunk.map(is_escape);
    let words = flags.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    if words.clone().fold(0, |all, word| all | word) == 0 {
        return 0;
    }
    words.enumerate().fold(0, |marks, (index, word)| {
        // The lowest bits of the eight bytes, side by side: no two of the products fall on one bit.
        let bits = word.wrapping_mul(0x0102_0408_1020_4080) >> 56;
        marks | (bits as u32) << (8 * index)
    })
}

#[cold]
fn push_control(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    match ESCAPES[usize::from(byte)] {
        b'u' => push_control(byte, out),
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

/// Appends a whole number in decimal digits.
pub fn push_number(number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, ESCAPES, first_escape, marks, push_escaped, push_number};
    use proptest::prelude::*;

    fn read_back(text: &[u8]) -> (String, bool) {
        let mut json = vec![b'"'];
        let valid = push_escaped(text, &mut json);
        json.push(b'"');
        (serde_json::from_slice(&json).expect("a JSON string"), valid)
    }

    #[test]
    fn every_byte_in_every_place_of_a_word_reads_back() {
        for byte in 0..=255_u8 {
            for place in 0..84 {
                let mut text = *b"abcdefghijklmnopqrst".as_slice().repeat(5).first_chunk::<84>().expect("100 bytes");
                text[place] = byte;
                let (read, valid) = read_back(&text);
                assert_eq!(read, String::from_utf8_lossy(&text));
                assert_eq!(valid, byte < 0x80);
                assert_eq!(first_escape(&text), (ESCAPES[usize::from(byte)] != 0).then_some(place));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_back_as_their_lossy_text(text in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), 0_u8..0x20, 0x20_u8..0x7f], 0..200,
        )) {
            let (read, valid) = read_back(&text);
            prop_assert_eq!(read, String::from_utf8_lossy(&text));
            prop_assert_eq!(valid, std::str::from_utf8(&text).is_ok());
        }

        #[test]
        fn the_bytes_that_do_not_stand_for_themselves_are_marked(
            chunk in prop::array::uniform32(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), 0x1e_u8..0x24])
        ) {
            let wanted = (0..CHUNK).filter(|at| ESCAPES[usize::from(chunk[*at])] != 0).fold(0, |all, at| all | 1 << at);
            prop_assert_eq!(marks(&chunk), wanted);
        }

        #[test]
        fn numbers_are_written_as_everywhere(number in prop_oneof![any::<u64>(), 0_u64..1000]) {
            let mut out = Vec::new();
            push_number(number, &mut out);
            prop_assert_eq!(String::from_utf8(out).expect("ASCII"), number.to_string());
        }
    }
}
