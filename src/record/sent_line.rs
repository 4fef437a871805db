//! A line as our agents send it in JSON (`value = "json"`), taken apart without a search for its members.
//!
//! In that form what differs from line to line stands in front (time, offset, message), and behind it stands what the
//! lines of a file have in common (host, path, labels). Whoever reads many lines has to understand what stands behind only
//! where it is another than that of the line before: strings and numbers in front can't change what it means.
//!
//! What is not exactly of this form is none, and is to be read as any JSON is. So is a line with an escape in its message
//! beyond the usual ones, since such an escape may be wrong.

use super::json::Escapes;

const TIME: &[u8] = b"{\"@timestamp\":";
const OFFSET: &[u8] = b",\"log.offset\":";
const MESSAGE: &[u8] = b",\"message\":";

/// RFC 3339 in UTC with milliseconds, and its quotation marks.
const TIME_BYTES: usize = 26;
/// So many digits are no more than 64 bits hold.
const DIGITS_MAX: usize = 19;

/// The parts of a line in the form of our agents, as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentLine<'a> {
    /// The value of `@timestamp`, with its quotation marks: as long as a time is, and of the characters of one.
    pub time: &'a [u8],
    /// The value of `log.offset`.
    pub offset: u64,
    /// The digits of that, as JSON has them.
    pub digits: &'a [u8],
    /// The value of `message`, with its quotation marks.
    pub message: &'a str,
    /// Whether there are escapes in it: `\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, and no others.
    pub has_escapes: bool,
    /// From the comma behind the message to the last brace. Nothing is known of what is in between.
    pub rest: &'a [u8],
}

impl<'a> SentLine<'a> {
    /// Takes a line apart; none, if it isn't of the form.
    #[must_use]
    pub fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_prefix(TIME)?;
        let (time, line) = line.split_at_checked(TIME_BYTES)?;
        let line = line.strip_prefix(OFFSET)?;
        let count = line.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, line) = line.split_at(count);
        let line = line.strip_prefix(MESSAGE)?;
        if !is_time(time) || !is_number(digits) {
            return None;
        }
        let (end, has_escapes) = string_end(line)?;
        let (message, rest) = line.split_at(end);
        if !rest.starts_with(b",\"") || !rest.ends_with(b"}") {
            return None;
        }
        let offset = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        Some(Self { time, offset, digits, message: simdutf8::basic::from_utf8(message).ok()?, has_escapes, rest })
    }

    /// Appends the message as text.
    pub fn push_message(&self, out: &mut Vec<u8>) {
        let inside = &self.message.as_bytes()[1..self.message.len() - 1];
        if !self.has_escapes {
            return out.extend_from_slice(inside);
        }
        out.reserve(inside.len());
        // Everything before `done` is in `out`.
        let mut done = 0;
        for at in Escapes::of(inside) {
            // What is escaped may be such a byte itself.
            if at >= done {
                out.extend_from_slice(&inside[done..at]);
                out.push(match inside[at + 1] {
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    itself => itself,
                });
                done = at + 2;
            }
        }
        out.extend_from_slice(&inside[done..]);
    }
}

fn is_time(value: &[u8]) -> bool {
    let [b'"', time @ .., b'"'] = value else { return false };
    time.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b':' | b'.' | b'T' | b'Z'))
}

fn is_number(digits: &[u8]) -> bool {
    (1..=DIGITS_MAX).contains(&digits.len()) && (digits[0] != b'0' || digits.len() == 1)
}

/// One past the string that `text` begins with, and whether it has escapes; none, if it has no end, or odd escapes.
fn string_end(text: &[u8]) -> Option<(usize, bool)> {
    let inside = text.strip_prefix(b"\"")?;
    // Everything before `seen` is understood.
    let (mut seen, mut has_escapes) = (0, false);
    for at in Escapes::of(inside) {
        if at < seen {
            continue;
        }
        match inside[at] {
            b'"' => return Some((at + 2, has_escapes)),
            b'\\' if matches!(inside.get(at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                seen = at + 2
            }
            _ => return None,
        }
        has_escapes = true;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::SentLine;

    const REST: &str = r#","host.name":"web-1","log.file.path":"/var/log/a.log"}"#;

    fn line(offset: &str, message: &str) -> String {
        format!(r#"{{"@timestamp":"2026-11-21T20:10:00.123Z","log.offset":{offset},"message":"{message}"{REST}"#)
    }

    #[test]
    fn a_line_of_the_form_is_taken_apart() {
        let line = line("1207", r"a \\ \/ \t line");
        let sent = SentLine::of(line.as_bytes()).expect("of the form");
        assert_eq!((sent.time, sent.offset, sent.digits), (&br#""2026-11-21T20:10:00.123Z""#[..], 1207, &b"1207"[..]));
        assert_eq!((sent.message, sent.rest), (r#""a \\ \/ \t line""#, REST.as_bytes()));
        let mut text = Vec::new();
        sent.push_message(&mut text);
        assert_eq!(text, b"a \\ / \t line");
    }

    #[test]
    fn what_is_not_exactly_of_the_form_is_none() {
        let good = line("7", "x");
        assert!(SentLine::of(good.as_bytes()).is_some());
        let odd = [
            line("", "x"),
            line("07", "x"),
            line("-7", "x"),
            line("7.0", "x"),
            line("12345678901234567890", "x"),
            line("7", r"\u0041"),
            line("7", r"\x"),
            line("7", r"\"),
            line("7", "\t"),
            line("7", "\u{1}"),
            good.replace("2026-11-21T20:10:00.123Z", "2026-11-21T20:10:00Z"),
            good.replace("2026-11-21T20:10:00.123Z", r"2026-11-21T20:10:00.\n3Z"),
            good.replace(":7,", ": 7,"),
            good.replace("\"message\":", "\"message\" :"),
            format!(" {good}"),
            format!("{good} "),
            good.replace(REST, "}"),
            r#"{"log.offset":7,"@timestamp":"2026-11-21T20:10:00.123Z","message":"x","a":1}"#.to_owned(),
        ];
        for line in odd {
            assert_eq!(SentLine::of(line.as_bytes()), None, "{line}");
        }
        let broken = [good.as_bytes().split_at(70).0, b"\xff", good.as_bytes().split_at(70).1].concat();
        assert_eq!(SentLine::of(&broken), None);
        (0..good.len()).for_each(|end| assert_eq!(SentLine::of(&good.as_bytes()[..end]), None));
    }

    proptest! {
        #[test]
        fn what_is_taken_apart_says_what_the_whole_line_does(
            message in r#"([a-zé ]|\\["\\/bfnrtu0x]|[\t"]){0,12}"#, offset in any::<u64>(), is_valid in any::<bool>()
        ) {
            let mut line = line(&offset.to_string(), &message).into_bytes();
            if !is_valid {
                line[72] = 0xc3;
            }
            if let Some(sent) = SentLine::of(&line) {
                let whole: Value = serde_json::from_slice(&line).expect("what is of the form is JSON, if the rest is");
                let mut text = Vec::new();
                sent.push_message(&mut text);
                prop_assert_eq!(whole["message"].as_str().map(str::as_bytes), Some(&text[..]));
                prop_assert_eq!(whole["log.offset"].as_u64(), Some(sent.offset));
                let time: Value = serde_json::from_slice(sent.time).expect("a string");
                prop_assert_eq!(&time, &whole["@timestamp"]);
            }
        }
    }
}
