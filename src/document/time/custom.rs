//! Times in a form that the settings describe, as conversions of `strptime`.
//!
//! The form is tried where a word begins near the beginning of a line, and only where the first character can be its
//! first, so that a line without such a time costs little.

use jiff::{Timestamp, fmt::strtime::BrokenDownTime};
use thiserror::Error;

use super::{
    SEEN_BYTES, digits_of,
    forms::{Civil, Stamp, priority},
};

/// The longest text that a form is tried on.
pub(super) const BYTES_MAX: usize = 128;

/// Why a form can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// A conversion that doesn't exist or only writes.
    #[error("the time format {format:?} can't be read: {why}")]
    Unknown {
        /// The format.
        format: String,
        /// What is wrong with it.
        why: String,
    },
    /// It has no day, or no time of day.
    #[error("the time format {0:?} doesn't say which day and hour it is")]
    Partial(String),
}

/// A form that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomForm {
    format: String,
    begins: Begins,
}

/// With what a time in the form can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    With(u8),
    Digit,
    Letter,
    Anything,
}

impl CustomForm {
    /// Understands a form.
    ///
    /// # Errors
    /// If it has conversions that can't be read, or leaves out the day or the hour.
    pub fn parse(format: &str) -> Result<Self, FormatError> {
        let form = Self { format: format.to_owned(), begins: Begins::of(format.as_bytes()) };
        let unknown = |why: jiff::Error| FormatError::Unknown { format: format.to_owned(), why: why.to_string() };
        // What it writes, it must be able to read.
        let sample: Timestamp = "2023-11-12T13:14:15.123456789Z".parse().map_err(unknown)?;
        let text = jiff::fmt::strtime::format(format, &sample.to_zoned(jiff::tz::TimeZone::UTC)).map_err(unknown)?;
        let time = BrokenDownTime::parse(format, &text).map_err(unknown)?;
        match stamp(&time) {
            Some(Stamp::Epoch { .. }) => Ok(form),
            Some(Stamp::Civil(_)) if time.hour().is_some() => Ok(form),
            _ => Err(FormatError::Partial(format.to_owned())),
        }
    }

    /// The first time in this form that begins near the beginning of `line`.
    pub(super) fn find(&self, line: &[u8]) -> Option<Stamp> {
        let start = priority(line).map_or(0, |(_, bytes)| bytes);
        let mut in_word = false;
        for at in start..line.len().min(start + SEEN_BYTES) {
            let byte = line[at];
            if !in_word && self.begins.allows(byte) {
                let text = &line[at..line.len().min(at + BYTES_MAX)];
                if let Some((stamp, bytes)) = self.read(text)
                    && !text.get(bytes).is_some_and(u8::is_ascii_digit)
                {
                    return Some(stamp);
                }
            }
            in_word = byte.is_ascii_alphanumeric() || byte >= 0x80;
        }
        None
    }

    /// The time that `text` is, with nothing before or behind it.
    pub(super) fn whole(&self, text: &[u8]) -> Option<Stamp> {
        let (stamp, bytes) = self.read(text.get(..text.len().min(BYTES_MAX))?)?;
        (bytes == text.len()).then_some(stamp)
    }

    fn read(&self, text: &[u8]) -> Option<(Stamp, usize)> {
        let (time, bytes) = BrokenDownTime::parse_prefix(&self.format, text).ok()?;
        Some((stamp(&time)?, bytes))
    }
}

impl Begins {
    fn of(format: &[u8]) -> Self {
        match format {
            [b'%', b'-' | b'0', letter, ..] | [b'%', letter, ..] => match letter {
                b'Y' | b'y' | b'm' | b'd' | b'H' | b'I' | b'j' | b'F' | b'D' | b's' => Self::Digit,
                b'A' | b'a' | b'B' | b'b' | b'h' => Self::Letter,
                b'%' => Self::With(b'%'),
                _ => Self::Anything,
            },
            [byte, ..] if !byte.is_ascii_whitespace() => Self::With(*byte),
            _ => Self::Anything,
        }
    }

    fn allows(self, byte: u8) -> bool {
        match self {
            Self::With(first) => byte == first,
            Self::Digit => byte.is_ascii_digit(),
            Self::Letter => byte.is_ascii_alphabetic(),
            Self::Anything => true,
        }
    }
}

/// What was read, as far as it is a time: since 1970 if it says so or names a zone, else by the calendar, perhaps
/// without a year.
fn stamp(time: &BrokenDownTime) -> Option<Stamp> {
    let epoch = |time: Timestamp| {
        let nanos = u32::try_from(time.subsec_nanosecond()).ok()?;
        Some(Stamp::Epoch { second: time.as_second(), nanos, digits: digits_of(nanos) })
    };
    if let Some(second) = time.timestamp() {
        let nanos = i64::from(time.subsec_nanosecond().unwrap_or(0));
        return epoch(
            second + jiff::SignedDuration::from_nanos(if second.subsec_nanosecond() == 0 { nanos } else { 0 }),
        );
    }
    if time.iana_time_zone().is_some() {
        return epoch(time.to_zoned().ok()?.timestamp());
    }
    let (year, month, day) = match (time.year(), time.month(), time.day()) {
        (None, Some(month), Some(day)) => (None, month, day),
        _ => {
            let date = time.to_date().ok()?;
            (Some(date.year()), date.month(), date.day())
        }
    };
    let clock = time.to_time().ok()?;
    let nanos = u32::try_from(clock.subsec_nanosecond()).ok()?;
    Some(Stamp::Civil(Civil {
        year,
        month: month.unsigned_abs(),
        day: day.unsigned_abs(),
        hour: clock.hour().unsigned_abs(),
        minute: clock.minute().unsigned_abs(),
        second: clock.second().unsigned_abs(),
        nanos,
        digits: digits_of(nanos),
        offset: time.offset().map(jiff::tz::Offset::seconds),
    }))
}

#[cfg(test)]
mod tests {
    use super::{CustomForm, FormatError};
    use crate::document::time::Clock;
    use jiff::tz::TimeZone;

    fn clock(format: &str) -> Clock {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let mut clock = Clock::new(zone).with_form(Some(CustomForm::parse(format).expect("a format")));
        clock.begin("2024-06-15T10:00:00Z".parse().expect("a time"));
        clock
    }

    fn line(format: &str, line: &str) -> Option<String> {
        let mut clock = clock(format);
        let moment = clock.of_line(line.as_bytes())?;
        let mut out = Vec::new();
        clock.write(moment, &mut out);
        Some(String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn a_time_in_a_form_of_ones_own_is_found_near_the_beginning() {
        let table = [
            ("%d.%m.%Y %H:%M:%S", "01.05.2024 12:00:00 x", "2024-05-01T10:00:00Z"),
            ("%d.%m.%Y %H:%M:%S", "[web] (01.05.2024 12:00:00) x", "2024-05-01T10:00:00Z"),
            ("%d.%m.%Y %H:%M:%S%.f", "<34>01.05.2024 12:00:00.5 x", "2024-05-01T10:00:00.500Z"),
            ("%d.%m.%Y %H:%M:%S,%f", "01.05.2024 12:00:00,123456 x", "2024-05-01T10:00:00.123456Z"),
            ("%m/%d/%Y %I:%M:%S %p", "05/01/2024 01:02:03 PM x", "2024-05-01T11:02:03Z"),
            ("%y%m%d %H%M%S %z", "240501 120000 -0500 x", "2024-05-01T17:00:00Z"),
            ("%d %b %H:%M", "01 May 12:00 x", "2024-05-01T10:00:00Z"),
            ("%d %b %H:%M", "01 Dec 12:00 x", "2023-12-01T11:00:00Z"),
            ("[%j/%Y %T]", "x [122/2024 12:00:00]", "2024-05-01T10:00:00Z"),
            ("@%s", "@1714557600 x", "2024-05-01T10:00:00Z"),
            ("%A, %d %B %Y %T", "Wednesday, 01 May 2024 12:00:00", "2024-05-01T10:00:00Z"),
            ("%F %T %Q", "2024-05-01 12:00:00 America/New_York x", "2024-05-01T16:00:00Z"),
            // What is not in the form may still be in a usual one.
            ("%d.%m.%Y %H:%M:%S", "2024-05-01T12:00:00Z x", "2024-05-01T12:00:00Z"),
        ];
        for (format, text, expected) in table {
            assert_eq!(line(format, text).as_deref(), Some(expected), "{format} {text}");
        }
        let none = [
            ("%d.%m.%Y %H:%M:%S", "32.05.2024 12:00:00 x"),
            ("%d.%m.%Y %H:%M:%S", "30.02.2024 12:00:00 x"),
            ("%d.%m.%Y %H:%M:%S", "v01.05.2024 12:00:00 x"),
            ("%d.%m.%Y %H:%M:%S", "01.05.2024 12:00:001 x"),
            ("%d.%m.%Y %H:%M:%S", "01.05.1924 12:00:00 x"),
            ("%d.%m.%Y %H:%M:%S", "\u{e9}\u{fffd}"),
            ("%d.%m.%Y %H:%M:%S", ""),
        ];
        for (format, text) in none {
            assert_eq!(line(format, text), None, "{format} {text}");
        }
    }

    #[test]
    fn a_value_of_a_json_line_must_be_the_time_and_nothing_else() {
        let mut clock = clock("%d.%m.%Y %H:%M");
        let mut read = |value: &str| clock.of_json(value.as_bytes()).map(|moment| moment.timestamp().to_string());
        assert_eq!(read("\"01.05.2024 12:00\"").as_deref(), Some("2024-05-01T10:00:00Z"));
        assert_eq!(read("\"01.05.2024 12:00 x\""), None);
        assert_eq!(read("1714557600").as_deref(), Some("2024-05-01T10:00:00Z"));
        assert_eq!(read("true"), None);
    }

    #[test]
    fn a_form_that_can_not_be_read_or_has_no_day_says_why() {
        for format in ["%Z %F %T", "%F %T %", "%F %T %i", "%F %c", ""] {
            assert!(CustomForm::parse(format).is_err(), "{format}");
        }
        assert_eq!(CustomForm::parse("%H:%M:%S"), Err(FormatError::Partial("%H:%M:%S".to_owned())));
        assert_eq!(CustomForm::parse("%Y-%m-%d"), Err(FormatError::Partial("%Y-%m-%d".to_owned())));
        assert_eq!(CustomForm::parse("%Y %H:%M"), Err(FormatError::Partial("%Y %H:%M".to_owned())));
    }
}
