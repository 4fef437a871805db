//! What is JSON and what is not, and the agreement with another parser.

use super::{
    Reader, begins,
    patch::{blank_numbers, mend_surrogates},
};
use crate::document::{Settings, Tags};
use proptest::prelude::*;

fn read(line: &[u8]) -> (bool, Tags) {
    let mut reader = Reader::new(&Settings::default());
    let is_json = reader.read(&mut line.to_vec());
    (is_json, reader.tags())
}

#[test]
fn whatever_rfc_8259_calls_an_object_is_accepted() {
    let accepted: [&[u8]; 22] = [
        b"{}",
        b" { } ",
        b"{\"a\":1}",
        b"\t{\"a\" : [ 1 , -0 , 0.5e-3 , true , false , null , \"\" , {} , [] ] , \"b\":{\"c\":\"d\"}} \r",
        b"{\"a\":18446744073709551616}",
        b"{\"a\":-9223372036854775809}",
        b"{\"a\":1e400,\"b\":-1E+400,\"c\":1e-999}",
        b"{\"a\":123456789012345678901234567890.123456789012345678901234567890}",
        b"{\"a\":-0,\"b\":-0.0,\"c\":0e1}",
        br#"{"a":"\"\\\/\b\f\n\r\t\u0000\u00e9"}"#,
        br#"{"a":"\ud83d\ude00"}"#,
        br#"{"a":"\\ud800"}"#,
        br#"{"a":"\\\\","b":"1e400 -01"}"#,
        "{\"é\":\"\u{7f}\u{10ffff}\u{2028}\"}".as_bytes(),
        br#"{"a.b":1,"a":{"c.d":2}}"#,
        b"{\"a\":[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]}",
        b"{\"a\":9007199254740993}",
        b"{\"a\":0.1}",
        b"{\"a\":4.9e-324}",
        b"{\"a\":1.7976931348623157e308}",
        b"{\"a\":[1e400,\"\\\"1e\",2]}",
        b"{\"\\u0061\":1}",
    ];
    for line in accepted {
        assert_eq!(read(line), (true, Tags::NONE), "{}", line.escape_ascii());
    }
}

#[test]
fn whatever_it_does_not_is_broken() {
    let broken: [&[u8]; 40] = [
        b"{",
        b"}",
        b"{]",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{,}",
        b"{\"a\":1 \"b\":2}",
        b"{\"a\":1}{\"b\":2}",
        b"{\"a\":1} x",
        b"{\"a\":1}}",
        b"{a:1}",
        b"{'a':1}",
        b"{\"a\":01}",
        b"{\"a\":-01}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":5.}",
        b"{\"a\":1e}",
        b"{\"a\":1e+}",
        b"{\"a\":-}",
        b"{\"a\":--1}",
        b"{\"a\":1-2}",
        b"{\"a\":0x10}",
        b"{\"a\":1e400x}",
        b"{\"a\":NaN}",
        b"{\"a\":Infinity}",
        b"{\"a\":tru}",
        b"{\"a\":truex}",
        b"{\"a\":nul}",
        b"{\"a\":True}",
        b"{\"a\":\"\t\"}",
        b"{\"a\":\"\0\"}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\\u12\"}",
        b"{\"a\":\"\\u12g4\"}",
        b"{\"a\":\"b}",
        b"{\"a\":\"b\\\"}",
        b"{\"a\":[1,2}",
        b"{\"a\":1}\0",
    ];
    for line in broken {
        assert_eq!(read(line), (false, Tags::JSON_BROKEN), "{}", line.escape_ascii());
    }
}

#[test]
fn what_a_store_would_refuse_is_left_out_and_said() {
    let deep = |depth: usize| [b"{\"a\":".repeat(depth), b"1".to_vec(), b"}".repeat(depth)].concat();
    let many = |count: usize| {
        let members: Vec<String> = (0..count).map(|index| format!("\"a{index}\":{index}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    };
    let named = |bytes: usize| format!("{{\"{}\":1}}", "a".repeat(bytes)).into_bytes();
    let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "a".repeat(bytes)).into_bytes();
    let listed = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let dotted = |dots: usize| format!("{{\"a{}\":{{\"t\":1}},\"host\":1}}", ".a".repeat(dots)).into_bytes();
    for fit in [deep(20), many(1000), named(512), long(32_766), listed(19), dotted(18)] {
        assert_eq!(read(&fit), (true, Tags::NONE), "{}", fit[..fit.len().min(80)].escape_ascii());
    }
    let table = [
        (deep(21), Tags::JSON_DEPTH),
        (deep(900), Tags::JSON_DEPTH),
        (listed(20), Tags::JSON_DEPTH),
        (dotted(19), Tags::JSON_DEPTH),
        (format!("{{\"a{}\":1}}", ".a".repeat(20)).into_bytes(), Tags::JSON_DEPTH),
        (many(1001), Tags::JSON_FIELDS),
        (named(513), Tags::JSON_NAME),
        (b"{\"\":1}".to_vec(), Tags::JSON_NAME),
        (b"{\"a\":{\"b..c\":1}}".to_vec(), Tags::JSON_NAME),
        (b"{\"a\":[{\" \":1}]}".to_vec(), Tags::JSON_NAME),
        (long(32_767), Tags::JSON_STRING),
    ];
    for (line, tags) in table {
        assert_eq!(read(&line), (true, tags), "{}", line[..line.len().min(80)].escape_ascii());
    }
    for unfit in [deep(2000), listed(2000), long(2 << 20)] {
        assert_eq!(read(&unfit), (false, Tags::JSON_UNFIT));
    }
}

#[test]
fn a_surrogate_without_its_partner_is_mended_and_one_with_it_is_not() {
    let table = [
        (r"\ud83d\ude00", r"\ud83d\ude00"),
        (r"\ud800", r"\ufffd"),
        (r"\uDFFF\uD800x", r"\ufffd\ufffdx"),
        (r"\ud800\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\ud800\u0041", r"\ufffd\u0041"),
        (r"\\ud800", r"\\ud800"),
        (r"\\\ud800", r"\\\ufffd"),
        (r"\ud8", r"\ud8"),
        (r"\", r"\"),
    ];
    for (text, expected) in table {
        let mut mended = text.as_bytes().to_vec();
        assert_eq!(mend_surrogates(&mut mended), text != expected);
        assert_eq!(String::from_utf8(mended).expect("ASCII"), expected);
    }
}

#[test]
fn only_what_begins_with_a_brace_is_read_as_json() {
    assert!(begins(b"{") && begins(b" \t{\"a\""));
    assert!(!begins(b"") && !begins(b"  ") && !begins(b"[1]") && !begins(b"x {}"));
}

proptest! {
    /// Broken and unbroken texts made of the pieces of JSON: both parsers agree on which is which.
    #[test]
    fn it_accepts_what_another_parser_accepts(pieces in proptest::collection::vec(prop_oneof![
        prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\"a\":", "\"b\":1", "\"c\":{", "\"d\":[", "1", "-", "0", ".5",
            "e9", "E+400", "true", "false", "null", "\"x\"", "\\u0041", "\\ud83d\\ude00", "\\n", "99999999999999999999",
        ]).prop_map(str::to_owned),
        "[ -~]{1,3}",
    ], 0..24), closed in any::<bool>()) {
        let inner = pieces.concat();
        let line = if closed { format!("{{\"z\":[{inner}]}}") } else { format!("{{{inner}") };
        let (is_json, tags) = read(line.as_bytes());
        // Its raw values check the grammar and leave numbers and surrogates as they are.
        let other = serde_json::from_str::<&serde_json::value::RawValue>(&line).is_ok();
        prop_assert_eq!(is_json, other, "{} {:?}", line, tags);
    }

    #[test]
    fn blanking_numbers_keeps_all_else_in_its_place(line in "[{}\\[\\],:\"\\\\0-9eE.+a -]{0,40}") {
        let mut blanked = line.as_bytes().to_vec();
        if blank_numbers(&mut blanked) {
            prop_assert_eq!(blanked.len(), line.len());
            for (new, old) in blanked.iter().zip(line.as_bytes()) {
                prop_assert!(new == old || matches!(new, b'0' | b' '));
            }
        }
    }
}
