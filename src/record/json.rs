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
    if std::str::from_utf8(text).is_ok() {
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
    // Most text has nothing to escape.
    let Some(first) = first_escape(text) else { return out.extend_from_slice(text) };
    // A few escapes fit without growing again.
    out.reserve(text.len() + text.len() / 8 + 16);
    out.extend_from_slice(&text[..first]);
    push_rest_escaped(&text[first..], out);
}

/// [`push_escaped_utf8`], eight bytes at a time.
fn push_rest_escaped(text: &[u8], out: &mut Vec<u8>) {
    // Everything before `done` is in `out`.
    let mut done = 0;
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let mut marks = needs_escape(u64::from_le_bytes(*word));
        while marks != 0 {
            let at = index * 8 + (marks.trailing_zeros() / 8) as usize;
            out.extend_from_slice(&text[done..at]);
            push_escape(text[at], out);
            done = at + 1;
            marks &= marks - 1;
        }
    }
    let rest_at = text.len() - rest.len();
    for (index, byte) in rest.iter().enumerate() {
        if ESCAPES[usize::from(*byte)] != 0 {
            out.extend_from_slice(&text[done..rest_at + index]);
            push_escape(*byte, out);
            done = rest_at + index + 1;
        }
    }
    out.extend_from_slice(&text[done..]);
}

/// Where the first byte of `text` is that does not stand for itself in a JSON string: a control character, `"` or `\`.
#[must_use]
pub fn first_escape(text: &[u8]) -> Option<usize> {
    let clean = text.as_chunks::<32>().0.iter().take_while(|chunk| !has_escape(chunk)).count() * 32;
    first_escape_by_words(&text[clean..]).map(|at| clean + at)
}

/// Whether a byte of `chunk` does not stand for itself. Without an end before the last byte, which lets the compiler compare
/// many bytes at once.
fn has_escape(chunk: &[u8; 32]) -> bool {
    let is_escape = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    chunk.iter().fold(0, |found, byte| found | is_escape(*byte)) != 0
}

fn first_escape_by_words(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marks = needs_escape(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(index * 8 + (marks.trailing_zeros() / 8) as usize);
        }
    }
    let at = rest.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0)?;
    Some(text.len() - rest.len() + at)
}

/// Marks, by its highest bit, each byte of `word` that is a control character, `"` or `\`.
fn needs_escape(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    /// The highest bit of each byte of `word` that is zero, exactly: no carry leaves a byte.
    fn zeros(word: u64) -> u64 {
        !(((word & each(0x7f)) + each(0x7f)) | word | each(0x7f))
    }
    zeros(word & each(0xe0)) | zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\'))
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
    use super::{ESCAPES, first_escape, push_escaped, push_number};
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
        fn numbers_are_written_as_everywhere(number in prop_oneof![any::<u64>(), 0_u64..1000]) {
            let mut out = Vec::new();
            push_number(number, &mut out);
            prop_assert_eq!(String::from_utf8(out).expect("ASCII"), number.to_string());
        }
    }
}
