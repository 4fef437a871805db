//! Times as people write them: `1h`, `today`, `14:30`, `2026-11-20`, `2026-11-20T14:30Z`, seconds since 1970.

use jiff::{Span, Timestamp, ToSpan, Zoned, civil};

/// Which end of a window a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The beginning, which belongs to the window.
    Since,
    /// The end, which doesn't; a day named alone is meant whole.
    Until,
}

/// Reads a time. A duration counts back from `now`; a time without a zone is in the zone of `now`.
///
/// Times are kept within what nanoseconds since 1970 in 64 bits can say, which is what stores compare.
#[must_use]
pub fn parse(text: &str, end: End, now: &Zoned) -> Option<Timestamp> {
    let latest = Timestamp::from_nanosecond(i128::from(i64::MAX)).ok()?;
    Some(read(text, end, now)?.clamp(Timestamp::UNIX_EPOCH, latest))
}

fn read(text: &str, end: End, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    let day = |day: civil::Date| {
        let day = if end == End::Until { day.tomorrow().ok()? } else { day };
        day.to_zoned(now.time_zone().clone()).ok().map(|day| day.timestamp())
    };
    match text {
        "now" => return Some(now.timestamp()),
        "today" => return day(now.date()),
        "yesterday" => return day(now.date().yesterday().ok()?),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => return since_1970(text),
        _ => (),
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(span) = text.parse::<Span>() {
        return now.checked_sub(span.abs()).ok().map(|time| time.timestamp());
    }
    if text.len() == "2026-11-20".len()
        && let Ok(date) = text.parse::<civil::Date>()
    {
        return day(date);
    }
    let time = match text.parse::<civil::DateTime>() {
        Ok(time) => time,
        Err(_) => now.date().to_datetime(text.parse::<civil::Time>().ok()?),
    };
    time.to_zoned(now.time_zone().clone()).ok().map(|time| time.timestamp())
}

/// Seconds, or, with 13 digits and more, milliseconds.
fn since_1970(digits: &str) -> Option<Timestamp> {
    let number = digits.parse().ok()?;
    if digits.len() >= 13 { Timestamp::from_millisecond(number).ok() } else { Timestamp::from_second(number).ok() }
}

/// A window of an hour that ends now, for messages.
pub(super) fn example(now: &Zoned) -> String {
    let hour_ago = now.checked_sub(1.hour()).unwrap_or_else(|_| now.clone());
    hour_ago.strftime("%Y-%m-%dT%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Zoned = "2026-11-21T10:00:00+01:00[Europe/Berlin]".parse().unwrap();
        for (text, since) in [
            ("now", "2026-11-21T09:00:00Z"),
            ("1h", "2026-11-21T08:00:00Z"),
            ("1h30m", "2026-11-21T07:30:00Z"),
            ("15m", "2026-11-21T08:45:00Z"),
            ("2d", "2026-11-19T09:00:00Z"),
            ("1w", "2026-11-14T09:00:00Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("yesterday", "2026-11-19T23:00:00Z"),
            ("08:30", "2026-11-21T07:30:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20T14:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20 14:00:01", "2026-11-20T13:00:01Z"),
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:00.123456789+02:00", "2026-11-20T12:00:00.123456789Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000123", "2023-11-14T22:13:20.123Z"),
        ] {
            assert_eq!(parse(text, End::Since, &now), Some(since.parse().unwrap()), "{text}");
        }
        assert_eq!(parse("2026-11-20", End::Until, &now), Some("2026-11-20T23:00:00Z".parse().unwrap()));
        assert_eq!(parse("900y", End::Since, &now), Some(Timestamp::UNIX_EPOCH));
        for nonsense in ["", "soon", "12:99", "99999999999999999999", "99999999999h", "2026-13-01"] {
            assert_eq!(parse(nonsense, End::Since, &now), None, "{nonsense}");
        }
    }
}
