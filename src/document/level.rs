//! The level of a text line, read near its beginning and never out of prose.
//!
//! These forms count, the first in the line first, within its first [`SEEN_BYTES`] bytes:
//!
//! | form | example |
//! |---|---|
//! | syslog priority in front | `<3>kernel: …`, `<34>1 2003-10-11T22:14:15Z …` |
//! | klog head in front | `E0102 15:04:05.678901 …` |
//! | a word in capitals, alone | `2024-05-01 12:00:00,123 ERROR [main] …`, `WARN: …` |
//! | a word in brackets | `[warn]`, `[ INFO ]`, `<debug>`, `[core:error]` |
//! | a word behind a key | `level=info`, `lvl="warn"`, `severity: error`, `"level":"info"` |
//! | a word and a colon, in front or behind a colon | `error: …`, `sshd[7]: fatal: …` |
//!
//! `no error found` has none of them.

use crate::record::Level;

/// A level is looked for in this many bytes of a line.
pub const SEEN_BYTES: usize = 100;

/// The longest name of a level, `informational`.
const WORD_BYTES_MAX: usize = 13;

/// The level of a text line, if it names one.
#[must_use]
pub fn of_line(line: &[u8]) -> Option<Level> {
    let seen = &line[..line.len().min(SEEN_BYTES)];
    priority(seen).or_else(|| klog(seen)).or_else(|| words(seen))
}

/// The severity in a syslog priority, `<` number `>`: facility × 8 + severity, at most 191 (RFC 5424, 6.2.1).
fn priority(line: &[u8]) -> Option<Level> {
    let (number, _) = super::time::priority(line)?;
    Some(match number % 8 {
        0..=2 => Level::Critical,
        3 => Level::Error,
        4 => Level::Warn,
        5 => Level::Notice,
        6 => Level::Info,
        _ => Level::Debug,
    })
}

/// The letter of a klog head: `I`, `W`, `E` or `F`, month, day and a space.
fn klog(line: &[u8]) -> Option<Level> {
    let (letter, rest) = line.split_first()?;
    let is_head = rest.len() > 4 && rest[..4].iter().all(u8::is_ascii_digit) && rest[4] == b' ';
    let level = match letter {
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' => Level::Fatal,
        _ => return None,
    };
    is_head.then_some(level)
}

/// The first word of `line`, which has at most [`SEEN_BYTES`] bytes, that names a level in one of the forms.
fn words(line: &[u8]) -> Option<Level> {
    let letters = letters(line);
    let mut starts = letters & !(letters << 1);
    while starts != 0 {
        let start = starts.trailing_zeros() as usize;
        starts &= starts - 1;
        // Most words end here: a first letter with which no level begins, or the wrong length.
        if BEGINS_LEVEL[usize::from(line[start])] {
            let length = (letters >> start).trailing_ones() as usize;
            if length <= WORD_BYTES_MAX
                && let Some(level) = word(line, start, start + length)
            {
                return Some(level);
            }
        }
    }
    None
}

/// A bit for each byte of `line` that is an ASCII letter, the lowest for the first; eight bytes at a time.
fn letters(line: &[u8]) -> u128 {
    const WORDS: usize = SEEN_BYTES.div_ceil(8);
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // Behind the line stand zeros, which are no letters.
    let mut padded = [0; WORDS * 8];
    padded[..line.len()].copy_from_slice(line);
    let mut letters = 0;
    for (index, word) in padded.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // No sum of seven bits and these leaves its byte; its highest bit then says what is compared.
        let lower = (word | each(0x20)) & each(0x7f);
        let (from_a, behind_z) = (lower + each(0x80 - b'a'), lower + each(0x7f - b'z'));
        let marks = from_a & !behind_z & !word & each(0x80);
        // The highest bits of the eight bytes, side by side: no two of the products fall on one bit.
        let bits = marks.wrapping_mul(0x0002_0408_1020_4081) >> 56;
        letters |= u128::from(bits) << (8 * index);
    }
    letters
}

/// The letters with which names of levels begin, in either case.
const BEGINS_LEVEL: [bool; 256] = {
    let (letters, mut begins, mut at) = (b"acdefinpstvwACDEFINPSTVW", [false; 256], 0);
    while at < letters.len() {
        begins[letters[at] as usize] = true;
        at += 1;
    }
    begins
};

/// The level named by the word at `start..end` of `line`, if it stands there as a level does.
fn word(line: &[u8], start: usize, end: usize) -> Option<Level> {
    let (before, word, after) = (&line[..start], &line[start..end], line.get(end).copied());
    // Letters, digits and what glues them make a longer word; the end of what is seen may be within a word.
    if before.last().is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'/' | 0x80..)) {
        return None;
    }
    if after.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'/' | b'(' | 0x80..)) {
        return None;
    }
    let stands = is_bracketed(before, &line[end..])
        || (word.len() > 2 && (is_alone(before, word, after) || is_headed(before, after)))
        || is_keyed(before);
    if stands { Level::parse(word) } else { None }
}

/// Capitals, between blanks or the punctuation that fields of a line are set off with.
fn is_alone(before: &[u8], word: &[u8], after: Option<u8>) -> bool {
    word.iter().all(u8::is_ascii_uppercase)
        && before
            .last()
            .is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'[' | b'(' | b'<' | b'|' | b':' | b']' | b'*'))
        && after.is_none_or(|byte| matches!(byte, b' ' | b'\t' | b']' | b')' | b'>' | b'|' | b':' | b',' | b'['))
}

/// A word and a colon, at the beginning or right behind a colon and a blank.
fn is_headed(before: &[u8], after: Option<u8>) -> bool {
    after == Some(b':') && (before.is_empty() || before.ends_with(b": "))
}

/// Nothing but blanks between the word and its brackets, or a module's name and a colon in front of it.
fn is_bracketed(before: &[u8], after: &[u8]) -> bool {
    let blank = |byte: &&u8| **byte == b' ';
    let close = after.iter().find(|byte| !blank(byte));
    let open = match before.strip_suffix(b":") {
        // Apache's [module:level].
        Some(module) => module.iter().rev().find(|byte| !byte.is_ascii_alphanumeric() && **byte != b'_'),
        None => before.iter().rev().find(|byte| !blank(byte)),
    };
    matches!((open, close), (Some(b'['), Some(b']')) | (Some(b'<'), Some(b'>')))
}

/// A key that is called level or severity, `=` or `:`, and perhaps a blank or a quotation mark.
fn is_keyed(before: &[u8]) -> bool {
    let before = before.strip_suffix(b"\"").unwrap_or(before);
    let before = before.strip_suffix(b" ").unwrap_or(before);
    let Some((b'=' | b':', before)) = before.split_last() else { return false };
    let before = before.strip_suffix(b"\"").unwrap_or(before);
    let key = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let (before, key) = before.split_at(before.len() - key);
    // The key of a line's own, not one in a URL.
    if before.last().is_some_and(|byte| matches!(byte, b'?' | b'&' | b'/' | b'%' | b';')) {
        return false;
    }
    [&b"level"[..], b"lvl", b"severity", b"loglevel", b"sev"].iter().any(|name| key.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SEEN_BYTES, letters, of_line};
    use crate::record::Level::{self, Critical, Debug, Error, Fatal, Info, Notice, Trace, Warn};

    proptest! {
        #[test]
        fn letters_are_what_they_are_elsewhere(line in prop::collection::vec(any::<u8>(), 0..=SEEN_BYTES)) {
            let expected = line.iter().rev().fold(0, |bits: u128, byte| bits << 1 | u128::from(byte.is_ascii_alphabetic()));
            prop_assert_eq!(letters(&line), expected);
        }
    }

    #[test]
    fn levels_are_read_in_the_forms_of_the_table_and_never_out_of_prose() {
        let table: &[(&str, Option<Level>)] = &[
            ("<3>kernel: oops", Some(Error)),
            ("<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - BOM", Some(Critical)),
            ("<191>x", Some(Debug)),
            ("<192>x", None),
            ("<x>", None),
            ("E0102 15:04:05.678901    1 main.go:1] failed", Some(Error)),
            ("I0102 15:04:05.678901    1 main.go:1] fine", Some(Info)),
            ("F010 nothing", None),
            ("2024-05-01 12:00:00,123 ERROR [main] com.example.Main - no", Some(Error)),
            ("2024-05-01 12:00:00.123  WARN 1 --- [main] o.s.Boot : slow", Some(Warn)),
            ("WARNING: disk is full", Some(Warn)),
            ("|DEBUG|main|x", Some(Debug)),
            ("[warn] x", Some(Warn)),
            ("[ INFO ] x", Some(Info)),
            ("[INFO ] x", Some(Info)),
            ("[E] x", Some(Error)),
            ("NetworkManager[1]: <info>  [1700000000.1] x", Some(Info)),
            ("[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 1] x", Some(Error)),
            ("[Fri Sep 09 10:42:29 2011] [:notice] x", Some(Notice)),
            ("2024/05/01 12:00:00 [crit] 7#7: *1 connect() failed", Some(Critical)),
            ("time=\"2024-05-01T12:00:00Z\" level=info msg=\"x\"", Some(Info)),
            ("lvl=\"trace\" x", Some(Trace)),
            ("Severity: fatal", Some(Fatal)),
            ("{\"level\":\"warn\",\"a\":", Some(Warn)),
            ("{\"level\": \"warn\",\"a\":", Some(Warn)),
            ("error: no such file", Some(Error)),
            ("May  1 12:00:00 web sshd[7]: fatal: cannot", Some(Fatal)),
            ("INFO", Some(Info)),
            ("no error found", None),
            ("No errors: 0 warnings", None),
            ("an ERRORS counter", None),
            ("the level is low", None),
            ("GET /INFO HTTP/1.1", None),
            ("GET /x?level=info HTTP/1.1", None),
            ("\"DEBUG /x\" 200", None),
            ("X-ERROR: 1", None),
            ("log_ERROR x", None),
            ("ERROR_LOG x", None),
            ("java.lang.ERROR x", None),
            ("a E b I c", None),
            ("", None),
        ];
        for (line, level) in table {
            assert_eq!(of_line(line.as_bytes()), *level, "{line}");
        }
        let far = [b"x ".repeat(60), b"ERROR x".to_vec()].concat();
        assert_eq!(of_line(&far), None);
    }
}
