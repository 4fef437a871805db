//! Changes to JSON that keep every byte's place: lone surrogates mended, numbers blanked out.

use super::{extent::string_end, is_blank};

/// Replaces each escape of a surrogate that has no partner by that of U+FFFD, which is as long. Whether there
/// was one. `text` is JSON or to be read as JSON: a backslash begins an escape.
pub(super) fn mend_surrogates(text: &mut [u8]) -> bool {
    let mut mended = false;
    let mut at = 0;
    while let Some(next) = memchr::memchr(b'\\', &text[at..]) {
        at += next;
        at += match (surrogate(text, at), surrogate(text, at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                text[at + 2..at + 6].copy_from_slice(b"fffd");
                mended = true;
                6
            }
            _ => 2,
        };
        at = at.min(text.len());
    }
    mended
}

/// The number in an escape `\u` with four digits at `at`, if there is one.
pub(super) fn surrogate(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

/// Overwrites each number by 0 and blanks. Whether all that look like numbers are numbers as JSON has them.
pub(super) fn blank_numbers(text: &mut [u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = string_end(text, at),
            b'-' | b'0'..=b'9' => {
                let Some(end) = number_end(text, at) else { return false };
                text[at..end].fill(b' ');
                text[at] = b'0';
                at = end;
            }
            _ => at += 1,
        }
    }
    true
}

/// One past the number at `at`, by the grammar of RFC 8259, section 6, with nothing behind it that belongs to it.
fn number_end(text: &[u8], at: usize) -> Option<usize> {
    let digits = |at: usize| at + text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = at + usize::from(text[at] == b'-');
    let mut end = digits(whole);
    if end == whole || (text[whole] == b'0' && end > whole + 1) {
        return None;
    }
    if text.get(end) == Some(&b'.') {
        let fraction = end + 1;
        end = digits(fraction);
        if end == fraction {
            return None;
        }
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        end = digits(exponent.min(text.len()));
        if end <= exponent {
            return None;
        }
    }
    text.get(end).is_none_or(|byte| is_blank(*byte) || matches!(byte, b',' | b']' | b'}')).then_some(end)
}
