//! The table of forms, and the properties of reading and writing times.

use super::Clock;
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

fn clock(read_at: &str) -> Clock {
    let mut clock = Clock::new(TimeZone::get("Europe/Berlin").expect("a zone"));
    clock.begin(read_at.parse().expect("a time"));
    clock
}

fn line(text: &str) -> Option<String> {
    let mut clock = clock("2024-06-15T10:00:00Z");
    let moment = clock.of_line(text.as_bytes())?;
    Some(text_of(&mut clock, moment))
}

fn json(text: &str) -> Option<String> {
    let mut clock = clock("2024-06-15T10:00:00Z");
    let moment = clock.of_json(text.as_bytes())?;
    Some(text_of(&mut clock, moment))
}

fn text_of(clock: &mut Clock, moment: super::Moment) -> String {
    let mut out = Vec::new();
    clock.write(moment, &mut out);
    let text = String::from_utf8(out).expect("ASCII");
    assert_eq!(text.parse::<Timestamp>().expect("RFC 3339"), moment.timestamp());
    text
}

#[test]
fn times_of_text_lines_are_read_in_the_forms_of_the_table() {
    let table = [
        ("2024-05-01T12:00:00Z x", "2024-05-01T12:00:00Z"),
        ("2024-05-01T12:00:00.120Z x", "2024-05-01T12:00:00.120Z"),
        ("2016-10-06T00:17:09.669794202Z stdout F x", "2016-10-06T00:17:09.669794202Z"),
        ("2024-05-01T12:00:00.1234567891Z", "2024-05-01T12:00:00.123456789Z"),
        ("2024-05-01T12:00:00+02:00 x", "2024-05-01T10:00:00Z"),
        ("2024-05-01T12:00:00.5-0730 x", "2024-05-01T19:30:00.5Z"),
        ("2024-05-01 12:00:00+02 x", "2024-05-01T10:00:00Z"),
        ("2024-05-01 12:00:00,123 +0000 x", "2024-05-01T12:00:00.123Z"),
        ("2024-05-01 12:00:00.123 UTC [7] LOG: x", "2024-05-01T12:00:00.123Z"),
        ("2024-05-01 12:00:00,123 ERROR x", "2024-05-01T10:00:00.123Z"),
        ("2024-01-01 12:00:00 -05 degrees", "2024-01-01T11:00:00Z"),
        ("2024/05/01 12:00:00 [error] 7#7: x", "2024-05-01T10:00:00Z"),
        ("[2024-05-01 12:00:00] x", "2024-05-01T10:00:00Z"),
        ("INFO  [main] 2024-05-01 12:00:00,1 x", "2024-05-01T10:00:00.1Z"),
        ("time=\"2024-05-01T12:00:00Z\" level=info", "2024-05-01T12:00:00Z"),
        ("<165>1 2003-10-11T22:14:15.003Z host app - ID47 - x", "2003-10-11T22:14:15.003Z"),
        ("<34>Oct 11 22:14:15 mymachine su: x", "2023-10-11T20:14:15Z"),
        ("May  1 12:00:00 web sshd[7]: x", "2024-05-01T10:00:00Z"),
        ("May 1 12:00:00 web sshd[7]: x", "2024-05-01T10:00:00Z"),
        ("Jun 15 12:30:00 web x", "2024-06-15T10:30:00Z"),
        ("Jun 17 12:00:00 web x", "2023-06-17T10:00:00Z"),
        ("Feb 29 12:00:00 web x", "2024-02-29T11:00:00Z"),
        ("Oct 02 2022 22:14:15: %ASA-6 x", "2022-10-02T20:14:15Z"),
        ("May  1 12:00:00 2022 x", "2024-05-01T10:00:00Z"),
        ("[Fri Sep 09 10:42:29.902022 2011] [core:error] x", "2011-09-09T08:42:29.902022Z"),
        ("Fri Sep  9 10:42:29 2011", "2011-09-09T08:42:29Z"),
        ("127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200", "2000-10-10T20:55:36Z"),
        ("1:M 01 May 2024 12:00:00.123 * Ready", "2024-05-01T10:00:00.123Z"),
        ("02-Oct-2023 22:14:15.123 INFO [main] x", "2023-10-02T20:14:15.123Z"),
        ("Mon, 2 Oct 2023 22:14:15 GMT x", "2023-10-02T22:14:15Z"),
        ("E0102 15:04:05.678901    1 main.go:1] x", "2024-01-02T14:04:05.678901Z"),
        ("1700000000.123    12 10.0.0.1 TCP_MISS/200 x", "2023-11-14T22:13:20.123Z"),
        ("1700000000 x", "2023-11-14T22:13:20Z"),
        ("1700000000123 x", "2023-11-14T22:13:20.123Z"),
        ("[1700000000123456] x", "2023-11-14T22:13:20.123456Z"),
        ("1700000000123456789: x", "2023-11-14T22:13:20.123456789Z"),
        ("2016-12-31T23:59:60Z leap", "2016-12-31T23:59:59Z"),
    ];
    for (text, expected) in table {
        assert_eq!(line(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_is_no_time_is_not_taken_for_one() {
    let table = [
        "",
        "x",
        "2024-05-01",
        "2024-05-01 x",
        "2024-05-01T12:00",
        "2024-13-01T12:00:00Z",
        "2024-00-01T12:00:00Z",
        "2023-02-29T12:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-05-01T12:60:00Z",
        "2024-05-01T12:00:000Z",
        "2024-05/01 12:00:00",
        "0001-01-01T00:00:00Z Go's zero",
        "1969-12-31T23:59:59Z",
        "2262-04-12T00:00:00Z",
        "x2024-05-01T12:00:00Z",
        "Foo  1 12:00:00 x",
        "May 32 12:00:00 x",
        "17000000000 x",
        "1700000000abc x",
        "1700000000-1 x",
        "1700000000.123.4 x",
        "0700000000 x",
        "[   12.345678] usb x",
        "10.0.0.1 - - \"GET / HTTP/1.1\" 200",
    ];
    for text in table {
        assert_eq!(line(text), None, "{text}");
    }
    assert_eq!(line(&format!("{}2024-05-01T12:00:00Z", " ".repeat(63))).as_deref(), Some("2024-05-01T12:00:00Z"));
    assert_eq!(line(&format!("{}2024-05-01T12:00:00Z", " ".repeat(64))), None);
}

#[test]
fn values_of_json_lines_are_times_only_as_a_whole() {
    let table = [
        ("1700000000", Some("2023-11-14T22:13:20Z")),
        ("1700000000.5", Some("2023-11-14T22:13:20.5Z")),
        ("1700000000.123456789", Some("2023-11-14T22:13:20.123456789Z")),
        ("1700000000123.25", Some("2023-11-14T22:13:20.12325Z")),
        ("1700000000123", Some("2023-11-14T22:13:20.123Z")),
        ("1700000000123456789", Some("2023-11-14T22:13:20.123456789Z")),
        ("\"1700000000123\"", Some("2023-11-14T22:13:20.123Z")),
        ("\"2024-05-01T12:00:00.000Z\"", Some("2024-05-01T12:00:00.000Z")),
        ("\"Fri Sep  9 10:42:29 2011\"", Some("2011-09-09T08:42:29Z")),
        ("\"Fri, 09 Sep 2011 10:42:29 GMT\"", Some("2011-09-09T10:42:29Z")),
        ("\"10/Oct/2000:13:55:36 -0700\"", Some("2000-10-10T20:55:36Z")),
        ("\"2024-05-01T12:00:00Z and more\"", None),
        ("\" 2024-05-01T12:00:00Z\"", None),
        ("\"2024-05-01\"", None),
        ("\"\"", None),
        ("1.7e9", None),
        ("17", None),
        ("-1700000000", None),
        ("99999999999999999999", None),
        ("9999999999999999999", None),
        ("null", None),
        ("{\"a\":1}", None),
    ];
    for (text, expected) in table {
        assert_eq!(json(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_local_time_that_the_clocks_skip_or_repeat_is_a_time() {
    assert_eq!(line("2024-03-31 02:30:00 skipped").as_deref(), Some("2024-03-31T01:30:00Z"));
    assert_eq!(line("2024-10-27 02:30:00 repeated").as_deref(), Some("2024-10-27T00:30:00Z"));
}

proptest! {
    #[test]
    fn any_time_of_rfc_3339_reads_back(second in 0_i64..9_223_372_036, nanos in 0_i32..1_000_000_000, offset in -64_i32..64) {
        let time = Timestamp::new(second, nanos).expect("in range");
        let zone = TimeZone::fixed(jiff::tz::Offset::from_seconds(offset * 900).expect("in range"));
        let text = time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string();
        let mut clock = clock("2024-06-15T10:00:00Z");
        prop_assert_eq!(clock.of_line(text.as_bytes()).map(super::Moment::timestamp), Some(time), "{}", text);
    }

    #[test]
    fn a_local_time_is_what_the_zone_makes_of_it(second in 0_i64..4_000_000_000) {
        let zone = TimeZone::get("Europe/Berlin").expect("a zone");
        let time = Timestamp::new(second, 0).expect("in range");
        let local = time.to_zoned(zone.clone()).datetime();
        let mut clock = clock("2024-06-15T10:00:00Z");
        let read = clock.of_line(local.strftime("%d/%b/%Y:%H:%M:%S").to_string().as_bytes());
        let expected = zone.to_ambiguous_zoned(local).compatible().expect("a time").timestamp();
        prop_assert_eq!(read.map(super::Moment::timestamp), Some(expected));
    }

    #[test]
    fn no_bytes_make_it_panic(text in proptest::collection::vec(
        prop_oneof![any::<u8>(), Just(b'2'), Just(b':'), Just(b'-'), Just(b' '), 0x30_u8..0x3a], 0..80,
    )) {
        let mut clock = clock("2024-06-15T10:00:00Z");
        for moment in [clock.of_line(&text), clock.of_json(&text)].into_iter().flatten() {
            text_of(&mut clock, moment);
        }
    }
}
