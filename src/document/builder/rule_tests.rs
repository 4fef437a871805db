//! What rules make of lines.

use super::{Builder, Source};
use crate::{
    document::{Rule, Settings, Tags, TimeRule},
    record::{FileId, Form, NO_LABELS, Part, Stream},
};
use jiff::tz::TimeZone;
use std::path::Path;

/// The document of a line under a rule, from the value of `@timestamp` on and without what is of the source.
fn build(rule: Rule, line: &str) -> (String, Tags) {
    let settings = Settings { time_zone: TimeZone::UTC, rules: vec![rule], json_depth_max: 3, ..Settings::default() };
    let source = Source {
        stream: Stream { file: FileId(1), generation: 0 },
        path: Path::new("/a"),
        host: "h",
        task: "t",
        labels: &NO_LABELS,
        topic: "app",
        read_at: "2024-06-15T10:00:00Z".parse().expect("a time"),
        form: Form::default(),
    };
    let mut out = Vec::new();
    let built = Builder::new(&settings).build(&source, &mut line.as_bytes().to_vec(), 0, Part::Whole, &mut out);
    let json = String::from_utf8(out).expect("UTF-8");
    let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let built = built.expect("a document");
    assert_eq!(document["@timestamp"].as_str().and_then(|time| time.parse().ok()), Some(built.time));
    let (front, rest) = json.split_once(",\"log.file.path\"").expect("a path");
    let (_, behind) = rest.split_once("\"logdrive.time\":").expect("a time");
    (format!("{} {behind}", &front["{\"@timestamp\":".len()..]), built.tags)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn members_go_under_the_field_that_the_rule_names() {
    let rule = || Rule { json_target: some("app"), ..Rule::default() };
    let table = [
        (
            r#"{"ts":1700000000,"level":"warn","msg":"m","host":"x","message.a":1,"_id":2}"#,
            r#""2023-11-14T22:13:20Z","message":"m","log.level":"warn" "field","app":{"ts":1700000000,"level":"warn","host":"x","message.a":1,"_id":2}}"#,
        ),
        (r#"{"msg":"m"}"#, r#""2024-06-15T10:00:00Z","message":"m" "read","app":{}}"#),
        (r#"{}"#, r#""2024-06-15T10:00:00Z","message":"{}" "read","app":{}}"#),
        ("text", r#""2024-06-15T10:00:00Z","message":"text" "read"}"#),
    ];
    for (line, expected) in table {
        assert_eq!(build(rule(), line), (expected.to_owned(), Tags::NONE), "{line}");
    }
    // A field is a level of depth, which counts.
    let (json, tags) = build(rule(), r#"{"msg":"m","a":{"b":1},"c":{"d":{}}}"#);
    assert!(json.ends_with(r#""app":{"a":{"b":1},"c":{}}}"#) && tags == Tags::JSON_DEPTH, "{json}");
}

#[test]
fn what_the_rule_names_comes_before_what_has_the_usual_name() {
    let rule = || Rule {
        message_key: some("event.text"),
        level_key: some("event.severity"),
        time_key: some("event.created"),
        ..Rule::default()
    };
    let line = r#"{"level":"info","time":"2024-05-01T12:00:00Z","msg":"usual","event":{"text":"named","severity":"err","created":1700000000}}"#;
    let expected = r#""2023-11-14T22:13:20Z","message":"named","log.level":"error" "field","level":"info","time":"2024-05-01T12:00:00Z","msg":"usual","event":{"text":"named","severity":"err","created":1700000000}}"#;
    assert_eq!(build(rule(), line).0, expected);
    // Where it is missing or something else, the usual names count.
    let line = r#"{"level":"info","time":"2024-05-01T12:00:00Z","msg":"usual","event":{"text":1,"severity":7}}"#;
    let expected = r#""2024-05-01T12:00:00Z","message":"usual","log.level":"info" "field","level":"info","time":"2024-05-01T12:00:00Z","event":{"text":1,"severity":7}}"#;
    assert_eq!(build(rule(), line).0, expected);
    // A member that is the message is in the document once.
    let flat = Rule { message_key: some("log"), time_key: some("@timestamp"), ..Rule::default() };
    let line = r#"{"log":"named","@timestamp":"2024-05-01T12:00:00Z","message":"other","a":1}"#;
    let expected = r#""2024-05-01T12:00:00Z","message":"named" "field","fields.message":"other","a":1}"#;
    assert_eq!(build(flat, line).0, expected);
}

#[test]
fn the_time_is_read_in_the_form_and_zone_of_the_rule_or_is_that_of_the_reading() {
    let zone = || TimeZone::get("America/New_York").ok();
    let form = || Rule { time_format: some("%d.%m.%Y %H:%M"), time_zone: zone(), ..Rule::default() };
    let time = |rule, line: &str| build(rule, line).0.split(',').next().expect("a time").to_owned();
    assert_eq!(time(form(), "01.05.2024 12:00 x"), "\"2024-05-01T16:00:00Z\"");
    assert_eq!(time(form(), r#"{"ts":"01.05.2024 12:00"}"#), "\"2024-05-01T16:00:00Z\"");
    assert_eq!(time(form(), "2024-05-01 12:00:00 x"), "\"2024-05-01T16:00:00Z\"");
    let named = Rule { time_key: some("at"), ..form() };
    assert_eq!(time(named, r#"{"ts":1,"at":"01.05.2024 12:00"}"#), "\"2024-05-01T16:00:00Z\"");
    let read = || Rule { time: TimeRule::Read, ..Rule::default() };
    let (json, _) = build(read(), "2024-05-01T12:00:00Z ERROR x");
    assert_eq!(json, r#""2024-06-15T10:00:00Z","message":"2024-05-01T12:00:00Z ERROR x","log.level":"error" "read"}"#);
    let (json, _) = build(read(), r#"{"@timestamp":"2024-05-01T12:00:00Z","msg":"m"}"#);
    assert_eq!(json, r#""2024-06-15T10:00:00Z","message":"m" "read","fields.@timestamp":"2024-05-01T12:00:00Z"}"#);
}

#[test]
fn a_rule_can_have_json_lines_kept_as_text_and_a_rule_of_others_changes_nothing() {
    let text = Rule { json: false, ..Rule::default() };
    assert_eq!(build(text, r#"{"a":"b"}"#).0, r#""2024-06-15T10:00:00Z","message":"{\"a\":\"b\"}" "read"}"#);
    let of_others = Rule { topics: vec!["other".to_owned()], json: false, ..Rule::default() };
    assert!(build(of_others, r#"{"a":"b"}"#).0.ends_with(",\"a\":\"b\"}"));
}
