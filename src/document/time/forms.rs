//! The forms of times, read over bytes.

use super::SEEN_BYTES;

/// More than the longest form has, from its first byte to its last.
pub(super) const LONGEST_BYTES: usize = 48;

/// A time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Since 1970.
    Epoch { second: i64, nanos: u32, digits: u8 },
    /// By the calendar.
    Civil(Civil),
}

/// A time by the calendar; the clock's parts are in range, the day may not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: Option<i16>,
    /// 1 to 12.
    pub(super) month: u8,
    /// 1 to 31.
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    /// 0 to 59; a leap second is the one before it.
    pub(super) second: u8,
    pub(super) nanos: u32,
    /// How many digits the fraction has, at most 9.
    pub(super) digits: u8,
    /// Seconds east of UTC, if the time says it.
    pub(super) offset: Option<i32>,
}

impl Civil {
    /// The seconds from 1970 to this time in the same zone; none without a year or if the day doesn't exist.
    pub(super) fn local_second(&self) -> Option<i64> {
        let year = i64::from(self.year?);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match self.month {
            2 => 28 + u8::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if self.day > days {
            return None;
        }
        let day = day_number(year, i64::from(self.month), i64::from(self.day));
        Some(day * 86_400 + i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second))
    }
}

/// The days from 1970-01-01 to a day of the Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `days_from_civil`).
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is a year's last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year, month and day that is `number` days after 1970-01-01 (the inverse, `civil_from_days`).
pub(super) fn civil_day(number: i64) -> (i64, u8, u8) {
    let number = number + 719_468;
    let era = number.div_euclid(146_097);
    let day_of_era = number.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = ((month_from_march + 2) % 12 + 1) as u8;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// `YYYY-MM-DDThh:mm:ss` of a second since 1970, up to the year 9999.
pub(super) fn text_of(second: i64) -> [u8; 19] {
    let (year, month, day) = civil_day(second.div_euclid(86_400));
    let of_day = second.rem_euclid(86_400);
    let mut text = *b"0000-00-00T00:00:00";
    let mut put = |at: usize, number: i64| {
        text[at] = b'0' + (number / 10 % 10) as u8;
        text[at + 1] = b'0' + (number % 10) as u8;
    };
    put(0, year / 100);
    put(2, year);
    put(5, i64::from(month));
    put(8, i64::from(day));
    put(11, of_day / 3600);
    put(14, of_day / 60 % 60);
    put(17, of_day % 60);
    text
}

/// The number of a syslog priority in front, `<` 0 to 191 `>`, and how many bytes it takes.
pub(in super::super) fn priority(line: &[u8]) -> Option<(u8, usize)> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 3 || rest.get(digits) != Some(&b'>') {
        return None;
    }
    let number = rest[..digits].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    (number < 192).then_some((number as u8, digits + 2))
}

/// The first time that begins in the first [`SEEN_BYTES`] bytes of `line`.
pub(super) fn find(line: &[u8]) -> Option<Stamp> {
    let start = priority(line).map_or(0, |(_, bytes)| bytes);
    let start = start + usize::from(line.get(start) == Some(&b'['));
    let front = line.get(start..)?;
    if let Some((stamp, _)) = klog(front).or_else(|| since_1970(front)) {
        return Some(stamp);
    }
    let mut in_word = false;
    // The shortest form has 15 bytes, `Oct  2 22:14:15`.
    for at in start..line.len().saturating_sub(14).min(SEEN_BYTES) {
        let byte = line[at];
        if !in_word
            && MAY_BEGIN[usize::from(byte)]
            && let Some((stamp, _)) = calendar(&line[at..], is_weekday(&line[..at]))
        {
            return Some(stamp);
        }
        in_word = byte.is_ascii_alphanumeric() || byte >= 0x80;
    }
    None
}

/// The time that `text` is, with nothing before or behind it.
pub(super) fn whole(text: &[u8]) -> Option<Stamp> {
    let (stamp, bytes) = since_1970(text).or_else(|| calendar(text, false)).or_else(|| {
        let date = text.iter().take(5).position(|byte| *byte == b' ')? + 1;
        if !is_weekday(&text[..date]) {
            return None;
        }
        calendar(&text[date..], true).map(|(stamp, bytes)| (stamp, date + bytes))
    })?;
    (bytes == text.len()).then_some(stamp)
}

/// The time that a JSON number is: its whole part has 9 or 10 digits for seconds, up to 13 for milliseconds,
/// 16 for microseconds, 19 for nanoseconds.
pub(super) fn number(text: &[u8]) -> Option<Stamp> {
    let (stamp, bytes) = since_1970(text)?;
    (bytes == text.len()).then_some(stamp)
}

/// Digits and capital letters with which a month begins.
const MAY_BEGIN: [bool; 256] = {
    let (bytes, mut begins, mut at) = (b"0123456789JFMASOND", [false; 256], 0);
    while at < bytes.len() {
        begins[bytes[at] as usize] = true;
        at += 1;
    }
    begins
};

type Read = Option<(Stamp, usize)>;

/// A time by the calendar at the beginning of `text`, and how many bytes it takes.
fn calendar(text: &[u8], behind_weekday: bool) -> Read {
    if text.len() < 15 {
        return None;
    }
    match text {
        [b'0'..=b'9', _, _, _, b'-' | b'/', ..] => year_first(text),
        [b'0'..=b'9', ..] => day_first(text),
        _ => month_first(text, behind_weekday),
    }
}

/// `2024-05-01T12:00:00.123+02:00` and its kin.
fn year_first(text: &[u8]) -> Read {
    let separator = text[4];
    let year = i16::from(two(text, 0)?) * 100 + i16::from(two(text, 2)?);
    let (month, day) = (two(text, 5)?, two(text, 8)?);
    if text.get(7) != Some(&separator) || !matches!(text.get(10)?, b'T' | b't' | b' ' | b'_') {
        return None;
    }
    with_clock(text, 11, Civil { year: Some(year), month, day, ..Civil::default() })
}

/// `10/Oct/2000:13:55:36 -0700`, `02 Oct 2024 22:14:15`, `2-Oct-2024 22:14:15`.
fn day_first(text: &[u8]) -> Read {
    let (day, at) = if text[1].is_ascii_digit() { (two(text, 0)?, 2) } else { (text[0] - b'0', 1) };
    let separator = *text.get(at)?;
    let month = month(text.get(at + 1..at + 4)?)?;
    let year = i16::from(two(text, at + 5)?) * 100 + i16::from(two(text, at + 7)?);
    let is_form = matches!(separator, b'/' | b'-' | b' ')
        && text.get(at + 4) == Some(&separator)
        && matches!(text.get(at + 9)?, b':' | b' ');
    if !is_form {
        return None;
    }
    with_clock(text, at + 10, Civil { year: Some(year), month, day, ..Civil::default() })
}

/// `Oct  2 22:14:15`, `Oct 02 2024 22:14:15`, and behind a weekday also `Sep  9 10:42:29.902022 2011`.
fn month_first(text: &[u8], behind_weekday: bool) -> Read {
    let month = month(&text[..3])?;
    let (day, at) = match &text[3..7] {
        [b' ', b' ', day @ b'1'..=b'9', b' '] => (day - b'0', 7),
        [b' ', day @ b'1'..=b'9', b' ', _] => (day - b'0', 6),
        [b' ', b'0'..=b'3', b'0'..=b'9', b' '] => (two(text, 4)?, 7),
        _ => return None,
    };
    let civil = Civil { month, day, ..Civil::default() };
    if let Some(year) = four(text, at)
        && text.get(at + 4) == Some(&b' ')
    {
        return with_clock(text, at + 5, Civil { year: Some(year), ..civil });
    }
    let (stamp, end) = with_clock(text, at, civil)?;
    match (stamp, text.get(end), four(text, end + 1), text.get(end + 5)) {
        (Stamp::Civil(civil), Some(b' '), Some(year), None | Some(b' ' | b']')) if behind_weekday => {
            Some((Stamp::Civil(Civil { year: Some(year), ..civil }), end + 5))
        }
        read => Some((read.0, end)),
    }
}

/// `E0102 15:04:05.678901`: a letter for the level, month and day without a year.
fn klog(text: &[u8]) -> Read {
    if !matches!(text.first()?, b'I' | b'W' | b'E' | b'F') || text.get(5) != Some(&b' ') {
        return None;
    }
    with_clock(text, 6, Civil { month: two(text, 1)?, day: two(text, 3)?, ..Civil::default() })
}

/// Reads the time of day at `at`, its fraction and its zone, into `civil`, whose date was read.
fn with_clock(text: &[u8], at: usize, civil: Civil) -> Read {
    let (hour, minute, second) = (two(text, at)?, two(text, at + 3)?, two(text, at + 6)?);
    let is_clock = text[at + 2] == b':' && text[at + 5] == b':' && hour < 24 && minute < 60 && second < 61;
    if !is_clock || !(1..=12).contains(&civil.month) || !(1..=31).contains(&civil.day) {
        return None;
    }
    let (nanos, digits, end) = fraction(text, at + 8);
    if text.get(end).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let (offset, end) = zone(text, end);
    Some((Stamp::Civil(Civil { hour, minute, second: second.min(59), nanos, digits, offset, ..civil }), end))
}

/// The fraction of a second at `at`, a point or comma and digits, of which nine count.
fn fraction(text: &[u8], at: usize) -> (u32, u8, usize) {
    if !matches!(text.get(at), Some(b'.' | b',')) || !text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        return (0, 0, at);
    }
    let (mut nanos, mut digits, mut end) = (0, 0, at + 1);
    while let Some(digit @ b'0'..=b'9') = text.get(end) {
        if digits < 9 {
            nanos = nanos * 10 + u32::from(digit - b'0');
            digits += 1;
        }
        end += 1;
    }
    (nanos * 10_u32.pow(9 - u32::from(digits)), digits, end)
}

/// The zone at `at`, if there is one: `Z`, `+02:00`, `+0200`, `+02`, and behind a blank ` +0200`, ` UTC`, ` GMT`.
fn zone(text: &[u8], at: usize) -> (Option<i32>, usize) {
    let none = (None, at);
    let ends = |end: usize| !text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    let (behind_blank, sign_at) = if text.get(at) == Some(&b' ') { (true, at + 1) } else { (false, at) };
    let sign = match text.get(sign_at) {
        Some(b'Z' | b'z') if ends(sign_at + 1) => return (Some(0), sign_at + 1),
        Some(b'U' | b'G') => {
            let is_name = text[sign_at..].starts_with(b"UTC") || text[sign_at..].starts_with(b"GMT");
            return if is_name && ends(sign_at + 3) { (Some(0), sign_at + 3) } else { none };
        }
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return none,
    };
    let Some(hours) = two(text, sign_at + 1) else { return none };
    let colon = usize::from(text.get(sign_at + 3) == Some(&b':'));
    let (minutes, end) = match two(text, sign_at + 3 + colon) {
        Some(minutes) => (minutes, sign_at + 5 + colon),
        // ` -05 ` behind a blank is more often a number than a zone.
        None if behind_blank || colon == 1 => return none,
        None => (0, sign_at + 3),
    };
    if hours > 18 || minutes > 59 || !ends(end) {
        return none;
    }
    (Some(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)), end)
}

/// Digits since 1970 at the beginning of `text`, of a time after 2001 (10, 13, 16 or 19 digits); seconds may have
/// a fraction, and so may the others, of which whole nanoseconds count.
fn since_1970(text: &[u8]) -> Read {
    let whole = text.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    let unit_digits = match whole {
        10 => 0,
        13 => 3,
        16 => 6,
        19 => 9,
        _ => return None,
    };
    let (second, rest) = text[..whole].split_at(10);
    if second[0] == b'0' {
        return None;
    }
    let number = |digits: &[u8]| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    let below = number(rest) as u32 * 10_u32.pow(9 - unit_digits);
    let (mut nanos, mut digits, end) = fraction(text, whole);
    if end > whole {
        nanos /= 10_u32.pow(unit_digits);
        digits = (digits + unit_digits as u8).min(9);
    } else {
        digits = unit_digits as u8;
    }
    // What goes on is no time but an identifier, a version or a number with an exponent.
    if text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | 0x80..)) {
        return None;
    }
    Some((Stamp::Epoch { second: number(second), nanos: below + nanos, digits }, end))
}

/// Whether `before` ends in a weekday's short name and a blank, or a comma and a blank.
fn is_weekday(before: &[u8]) -> bool {
    let Some(name) = before.strip_suffix(b" ") else { return false };
    let name = name.strip_suffix(b",").unwrap_or(name);
    [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"].iter().any(|day| name.ends_with(*day))
}

/// The number of a month's short English name.
fn month(name: &[u8]) -> Option<u8> {
    const NAMES: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|known| *known == name).map(|index| index as u8 + 1)
}

/// The number that two digits at `at` are.
fn two(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..at + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    }
}

/// The year that four digits at `at` are.
fn four(text: &[u8], at: usize) -> Option<i16> {
    Some(i16::from(two(text, at)?) * 100 + i16::from(two(text, at + 2)?))
}
