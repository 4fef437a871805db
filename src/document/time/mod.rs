//! The time of a line: found near its beginning, read without a general parser, and written as RFC 3339.
//!
//! A time counts if one of these forms begins within the first [`SEEN_BYTES`] bytes of a text line:
//!
//! | form | example |
//! |---|---|
//! | RFC 3339 and its kin | `2024-05-01T12:00:00.123456Z`, `2024-05-01 12:00:00,123 +0200`, `2024/05/01 12:00:00` |
//! | day first | `10/Oct/2000:13:55:36 -0700`, `02 Oct 2024 22:14:15.123`, `02-Oct-2024 22:14:15` |
//! | syslog and ctime | `Oct  2 22:14:15`, `Fri Sep 09 10:42:29.902022 2011`, `Oct 02 2024 22:14:15` |
//! | klog, at the very beginning | `E0102 15:04:05.678901` |
//! | seconds, milli-, micro- or nanoseconds since 1970, at the very beginning | `1700000000.123`, `1700000000123` |
//!
//! Before them comes a form of one's own ([`CustomForm`]), where a rule has one, in text lines and in JSON.
//!
//! A `<priority>` and a bracket may stand before the beginning. A time without a zone is in the zone of the
//! settings; one without a year is in the year that brings it nearest before the time of reading, or up to a day
//! behind it. A string in a JSON line must be such a time and nothing else; a number's unit is told by its size.
//!
//! Times before 1970 and after April 2262 are no times: stores keep nanoseconds since 1970 in 63 bits (Elasticsearch's
//! `date_nanos`), and a clock that was never set is not what anyone looks for.

mod custom;
mod forms;

use jiff::{Timestamp, civil, tz::TimeZone};

pub use custom::{CustomForm, FormatError};
pub(super) use forms::priority;
use forms::{Civil, Stamp};

/// A time in a text line has to begin within this many bytes.
pub const SEEN_BYTES: usize = 64;

/// The first second that is too late: 2^63 nanoseconds after 1970.
const SECOND_END: i64 = 9_223_372_036;

/// A point in time, and with how many digits it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970; 0 to 9 223 372 035.
    second: i64,
    /// Nanoseconds of the second.
    nanos: u32,
    /// How many digits of the fraction were given; 0 to 9.
    digits: u8,
}

impl Moment {
    fn new(second: i64, nanos: u32, digits: u8) -> Option<Self> {
        (0..SECOND_END).contains(&second).then_some(Self { second, nanos, digits })
    }

    /// The moment as a timestamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::new(self.second, self.nanos as i32).unwrap_or_default()
    }
}

impl From<Timestamp> for Moment {
    /// A time of our own clock, with as many groups of three digits as it has; 1970 if it is out of range.
    fn from(time: Timestamp) -> Self {
        let nanos = time.subsec_nanosecond().unsigned_abs();
        Self::new(time.as_second(), nanos, digits_of(nanos)).unwrap_or_default()
    }
}

/// How many digits a fraction is written with whose own digits nobody counted: as many groups of three as it has.
fn digits_of(nanos: u32) -> u8 {
    match nanos {
        0 => 0,
        _ if nanos.is_multiple_of(1_000_000) => 3,
        _ if nanos.is_multiple_of(1_000) => 6,
        _ => 9,
    }
}

/// What turns the times of lines into moments, and moments into text. Lines near in time cost it little: it
/// remembers the last minute's offset from UTC and the last second's text.
#[derive(Debug)]
pub struct Clock {
    zone: TimeZone,
    /// A form that comes before the usual ones.
    form: Option<CustomForm>,
    /// When the lines at hand were read, in seconds since 1970.
    read_second: i64,
    /// The year of `read_second`.
    read_year: i64,
    /// A minute of local time, counted from 1970, and its offset from UTC in seconds.
    minute: (i64, i64),
    /// A second and its text, `YYYY-MM-DDThh:mm:ss`.
    written: (i64, [u8; 19]),
}

impl Clock {
    /// A clock for lines in `zone` where they don't say theirs.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        let written = (0, *b"1970-01-01T00:00:00");
        Self { zone, form: None, read_second: 0, read_year: 1970, minute: (i64::MIN, 0), written }
    }

    /// The clock, which also reads times in this form, before the usual ones.
    #[must_use]
    pub fn with_form(self, form: Option<CustomForm>) -> Self {
        Self { form, ..self }
    }

    /// Says when the lines that follow were read.
    pub fn begin(&mut self, read_at: Timestamp) {
        self.read_second = read_at.as_second();
        self.read_year = forms::civil_day(self.read_second.div_euclid(86_400)).0;
    }

    /// The time near the beginning of a text line.
    pub fn of_line(&mut self, line: &[u8]) -> Option<Moment> {
        if let Some(stamp) = self.form.as_ref().and_then(|form| form.find(line)) {
            return self.moment(stamp);
        }
        let stamp = forms::find(&line[..line.len().min(SEEN_BYTES + forms::LONGEST_BYTES)])?;
        self.moment(stamp)
    }

    /// The time that a text is, and nothing else.
    pub fn of_text(&mut self, text: &[u8]) -> Option<Moment> {
        let stamp = forms::whole(text)?;
        self.moment(stamp)
    }

    /// The time that a value of a JSON line is, a number or a string with its quotation marks.
    pub fn of_json(&mut self, value: &[u8]) -> Option<Moment> {
        let text = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        let own = self.form.as_ref().and_then(|form| form.whole(text.unwrap_or(value)));
        let stamp = match (own, text) {
            (Some(stamp), _) => stamp,
            (None, Some(text)) => forms::whole(text)?,
            (None, None) => forms::number(value)?,
        };
        self.moment(stamp)
    }

    fn moment(&mut self, stamp: Stamp) -> Option<Moment> {
        match stamp {
            Stamp::Epoch { second, nanos, digits } => Moment::new(second, nanos, digits),
            Stamp::Civil(civil @ Civil { year: Some(_), .. }) => {
                Moment::new(self.second(&civil)?, civil.nanos, civil.digits)
            }
            Stamp::Civil(civil) => self.nearest(civil),
        }
    }

    /// The moment of a time without a year: the last one that is not more than a day after the reading, give or
    /// take the zone. February 29 may be eight years back.
    fn nearest(&mut self, civil: Civil) -> Option<Moment> {
        const DAY: i64 = 86_400;
        let latest = self.read_second + DAY;
        let civil = (self.read_year - 8..=self.read_year + 1).rev().find_map(|year| {
            let civil = Civil { year: i16::try_from(year).ok(), ..civil };
            (civil.local_second()? <= latest).then_some(civil)
        })?;
        Moment::new(self.second(&civil)?, civil.nanos, civil.digits)
    }

    /// The seconds since 1970 of a time with a year; none if its day doesn't exist.
    fn second(&mut self, civil: &Civil) -> Option<i64> {
        let local = civil.local_second()?;
        let offset = match civil.offset {
            Some(offset) => i64::from(offset),
            None => self.local_offset(local, civil)?,
        };
        Some(local - offset)
    }

    /// The zone's offset at a local time. A time that a change of the clocks skips or repeats is taken by
    /// the offset before the change.
    fn local_offset(&mut self, local: i64, civil: &Civil) -> Option<i64> {
        // Clocks change at whole minutes.
        let minute = local.div_euclid(60);
        if self.minute.0 != minute {
            let date = civil::date(civil.year?, civil.month as i8, civil.day as i8);
            let time = date.at(civil.hour as i8, civil.minute as i8, 0, 0);
            let second = self.zone.to_ambiguous_zoned(time).compatible().ok()?.timestamp().as_second();
            self.minute = (minute, minute * 60 - second);
        }
        Some(self.minute.1)
    }

    /// Appends a moment as RFC 3339 in UTC, with the digits it was given with.
    pub fn write(&mut self, moment: Moment, out: &mut Vec<u8>) {
        if self.written.0 != moment.second {
            self.written = (moment.second, forms::text_of(moment.second));
        }
        out.extend_from_slice(&self.written.1);
        if moment.digits > 0 {
            let mut fraction = *b".000000000";
            let mut rest = moment.nanos;
            for digit in fraction[1..10].iter_mut().rev() {
                *digit += (rest % 10) as u8;
                rest /= 10;
            }
            out.extend_from_slice(&fraction[..=usize::from(moment.digits)]);
        }
        out.push(b'Z');
    }
}

#[cfg(test)]
mod tests;
