//! Whole documents: what lines become, and what holds for any line.

use super::{Builder, Built, Source};
use crate::{
    document::{Id, Settings, Tags},
    record::{FileId, Form, Labels, Level, NO_LABELS, Part, Stream},
};
use bytesize::ByteSize;
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

const STREAM: Stream = Stream { file: FileId(0xab), generation: 3 };

fn build_part(line: &[u8], part: Part) -> Option<(String, Built)> {
    build_with(&Settings::default(), line, part)
}

fn build_with(settings: &Settings, line: &[u8], part: Part) -> Option<(String, Built)> {
    build_labelled(settings, &NO_LABELS, line, part)
}

fn build_labelled(settings: &Settings, labels: &Labels, line: &[u8], part: Part) -> Option<(String, Built)> {
    let mut builder = Builder::new(&Settings { time_zone: TimeZone::UTC, ..settings.clone() });
    let source = Source {
        stream: STREAM,
        path: Path::new("/var/log/a \"b\".log"),
        host: "web-1",
        task: "web",
        labels,
        topic: "",
        read_at: "2024-06-15T10:00:00.5Z".parse().expect("a time"),
        form: Form::default(),
    };
    let mut out = b"before ".to_vec();
    let built = builder.build(&source, &mut line.to_vec(), 42, part, &mut out);
    let json = String::from_utf8(out).expect("UTF-8");
    let json = json.strip_prefix("before ").expect("it appends").to_owned();
    assert_eq!(built.is_none(), json.is_empty());
    built.map(|built| (json, built))
}

fn build(line: &[u8]) -> (String, Built) {
    build_part(line, Part::Whole).expect("a whole line is a document")
}

/// The members of a document with the bytes of their values; fails if a name occurs twice at any depth.
fn members(json: &str) -> BTreeMap<String, String> {
    fn check(value: &str) {
        if value.starts_with('{') {
            let members = pairs(value);
            let names: std::collections::HashSet<_> = members.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), members.len(), "{value}");
            members.iter().for_each(|(_, value)| check(value.get()));
        } else if value.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(value).expect("JSON");
            items.iter().for_each(|item| check(item.get()));
        }
    }
    check(json);
    pairs(json).into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

/// The members of an object in order, repeated ones too.
fn pairs(json: &str) -> Vec<(String, Box<RawValue>)> {
    struct Pairs(Vec<(String, Box<RawValue>)>);
    impl<'de> serde::Deserialize<'de> for Pairs {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Pairs;
                fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some(pair) = map.next_entry()? {
                        pairs.push(pair);
                    }
                    Ok(Pairs(pairs))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Pairs>(json).expect("a JSON object").0
}

fn message(json: &str) -> String {
    serde_json::from_str(&members(json)["message"]).expect("a string")
}

/// The members that came from the line, in order.
fn own(json: &str) -> String {
    let ours = ["@timestamp", "message", "log.", "host.name", "logdrive.", "tags"];
    let pairs = pairs(json);
    let own = pairs.iter().filter(|(name, _)| !ours.iter().any(|ours| name.starts_with(ours)));
    own.map(|(name, value)| format!("{name}={}", value.get())).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_text_line_becomes_a_document_with_the_members_in_order() {
    let (json, built) = build(b"2024-05-01T12:00:00.120+02:00 ERROR a \"quoted\" line\r");
    assert_eq!(
        json,
        "{\"@timestamp\":\"2024-05-01T10:00:00.120Z\",\"message\":\"2024-05-01T12:00:00.120+02:00 ERROR a \\\"quoted\\\" line\",\
         \"log.level\":\"error\",\"log.file.path\":\"/var/log/a \\\"b\\\".log\",\"log.offset\":42,\"host.name\":\"web-1\",\
         \"logdrive.task\":\"web\",\"logdrive.file\":\"000000000000000000000000000000ab\",\"logdrive.generation\":3,\
         \"logdrive.time\":\"line\"}"
    );
    assert_eq!((built.level, built.tags), (Some(Level::Error), Tags::NONE));
    assert_eq!(built.time.to_string(), "2024-05-01T10:00:00.12Z");
    assert_eq!(built.id, Id::of(STREAM, 42, b"2024-05-01T12:00:00.120+02:00 ERROR a \"quoted\" line\r"));
}

#[test]
fn a_json_line_becomes_a_document_with_its_own_members_behind_ours() {
    let line = br#" {"ts":1700000000.25, "level":"WARN","msg":"a \u00e9 \/","n": 1e400 ,"o":{"p" : [1,-0]} } "#;
    let (json, built) = build(line);
    assert_eq!(
        json,
        "{\"@timestamp\":\"2023-11-14T22:13:20.25Z\",\"message\":\"a \\u00e9 \\/\",\"log.level\":\"warn\",\
         \"log.file.path\":\"/var/log/a \\\"b\\\".log\",\"log.offset\":42,\"host.name\":\"web-1\",\"logdrive.task\":\"web\",\
         \"logdrive.file\":\"000000000000000000000000000000ab\",\"logdrive.generation\":3,\"logdrive.time\":\"field\",\
         \"ts\":1700000000.25,\"level\":\"WARN\",\"n\": 1e400,\"o\":{\"p\" : [1,-0]}}"
    );
    assert_eq!((built.level, built.tags), (Some(Level::Warn), Tags::NONE));
    assert_eq!(built.id, Id::of(STREAM, 42, line));
}

#[test]
fn a_tasks_labels_stand_in_every_document_beside_those_of_the_line_unless_they_collide() {
    let labels: Labels = [("env", "prod"), ("service", "a \"b\"")].into_iter().collect();
    let build = |line: &str| build_labelled(&Settings::default(), &labels, line.as_bytes(), Part::Whole);
    let (json, _) = build("text").expect("a document");
    assert!(
        json.contains(r#""logdrive.task":"web","labels.env":"prod","labels.service":"a \"b\"","logdrive.file""#),
        "{json}"
    );
    for (line, expected) in [
        (r#"{"labels":{"user":1}}"#, r#"labels.env="prod" labels.service="a \"b\"" labels={"user":1}"#),
        (r#"{"labels":{"env":1}}"#, r#"labels.env="prod" labels.service="a \"b\"" fields.labels={"env":1}"#),
        (r#"{"labels":["a"]}"#, r#"labels.env="prod" labels.service="a \"b\"" fields.labels=["a"]"#),
        (
            r#"{"labels.env":1,"labels.user":2}"#,
            r#"labels.env="prod" labels.service="a \"b\"" fields.labels.env=1 labels.user=2"#,
        ),
    ] {
        let (json, built) = build(line).expect("a document");
        assert_eq!((own(&json).as_str(), built.tags), (expected, Tags::NONE), "{line}");
    }
    assert_eq!(own(&self::build(br#"{"labels":{"env":1}}"#).0), r#"labels={"env":1}"#, "without labels of a task");
}

#[test]
fn a_line_without_a_time_has_that_of_its_reading() {
    for line in [&b"x"[..], b"{\"a\":1}", b""] {
        let (json, built) = build(line);
        assert!(json.starts_with("{\"@timestamp\":\"2024-06-15T10:00:00.500Z\","), "{json}");
        assert!(json.contains("\"logdrive.time\":\"read\""), "{json}");
        assert_eq!(built.time.to_string(), "2024-06-15T10:00:00.5Z");
    }
}

#[test]
fn names_of_json_lines_that_are_ours_go_under_fields_unchanged() {
    let table = [
        (r#"{"host":"h","host.name": 1,"hostname":2}"#, r#"fields.host="h" fields.host.name=1 hostname=2"#),
        (r#"{"log":{"level":"x"},"tags":["a"]}"#, r#"fields.log={"level":"x"} fields.tags=["a"]"#),
        (r#"{"message":1,"msg":"m"}"#, "fields.message=1"),
        (r#"{"message":"a","msg":"m"}"#, r#"msg="m""#),
        (r#"{"msg":{"a":1}}"#, r#"msg={"a":1}"#),
        (r#"{"@timestamp":"x","time":"2024-05-01T12:00:00Z"}"#, r#"fields.@timestamp="x" time="2024-05-01T12:00:00Z""#),
        (r#"{"@timestamp":"2024-05-01T12:00:00Z","time":"x"}"#, r#"time="x""#),
        (r#"{"log.level":"odd","level":"info"}"#, r#"fields.log.level="odd" level="info""#),
        (r#"{"log.level":"WARN","lvl":"info"}"#, r#"lvl="info""#),
        (
            r#"{"_id":1,"fields":2,"fields.host":3,"host":4}"#,
            "fields._id=1 fields.fields=2 fields.fields.host=3 fields.host=4",
        ),
        (r#"{"h\u006fst":1,"\u0061":2}"#, "fields.host=1 a=2"),
        (r#"{"logdrive.file":1}"#, "fields.logdrive.file=1"),
    ];
    for (line, expected) in table {
        let (json, built) = build(line.as_bytes());
        members(&json);
        assert_eq!(own(&json), expected, "{line}");
        assert_eq!(built.tags, Tags::NONE, "{line}");
    }
}

#[test]
fn of_a_repeated_name_the_last_value_counts_and_the_whole_line_is_kept() {
    let table = [
        (r#"{"a":1,"a":2}"#, "a=2"),
        (r#"{"a":1,"b":2,"a":3,"c":4,"a":5}"#, "b=2 c=4 a=5"),
        (r#"{"a":1,"\u0061":2}"#, "a=2"),
        (r#"{"a":{"b":1,"c":2,"b":[{"d":1,"d" : 2}]},"e":1}"#, r#"a={"c":2,"b":[{"d" : 2}]} e=1"#),
        (r#"{"a":{"b":1,"b":2},"a":{"b":1,"b":3}}"#, r#"a={"b":3}"#),
        (r#"{"host":1,"host":{"x":1,"x":2}}"#, r#"fields.host={"x":2}"#),
        (r#"{"a":1e400,"a":1e401}"#, "a=1e401"),
        (r#"{"level":"info","level":"error"}"#, r#"level="error""#),
    ];
    for (line, expected) in table {
        let (json, built) = build(line.as_bytes());
        let members = members(&json);
        assert_eq!(own(&json), expected, "{line}");
        assert_eq!(built.tags, Tags::JSON_DUPLICATE);
        assert_eq!(members["tags"], "[\"json_duplicate\"]");
        assert_eq!((message(&json).as_str(), members.get("logdrive.original")), (line, None), "it is there already");
    }
    let line = r#"{"msg":"m","a":1,"a":2}"#;
    let original = members(&build(line.as_bytes()).0).remove("logdrive.original").expect("the message is another");
    assert_eq!(serde_json::from_str::<String>(&original).expect("a string"), line);
}

#[test]
fn what_is_beyond_a_limit_is_left_out_alone_and_the_whole_line_is_kept() {
    let settings = Settings {
        json_fields_max: 8,
        json_depth_max: 3,
        json_name_bytes_max: ByteSize::b(8),
        json_string_bytes_max: ByteSize::b(4),
        ..Settings::default()
    };
    let table = [
        // Too deep: the member that holds it, in whatever it stands.
        (r#"{"a":{"b":{"c":{"d":1},"e":2}},"f":3}"#, r#"a={"b":{"e":2}} f=3"#, Tags::JSON_DEPTH),
        (r#"{"a":{"b":{"c":1 , "d":{"e":2} } },"f":3}"#, r#"a={"b":{"c":1  } } f=3"#, Tags::JSON_DEPTH),
        (r#"{"a":{"b":{ "c":{},"d":[[]] } },"f":3}"#, r#"a={"b":{  } } f=3"#, Tags::JSON_DEPTH),
        (r#"{"a":[[[1]]],"b":[{"c":{"x":1}}],"d":[[2]]}"#, r#"b=[{}] d=[[2]]"#, Tags::JSON_DEPTH),
        (r#"{"a.b.c":1,"a.b.c.d":2,"e":{"f.g":1,"f.g.h":2}}"#, r#"a.b.c=1 e={"f.g":1}"#, Tags::JSON_DEPTH),
        (r#"{"host":{"x":{}},"host.x":1}"#, "fields.host={} host.x=1", Tags::JSON_DEPTH),
        // Too many: an object that does not fit as a whole, and of the root what comes last.
        (r#"{"a":{"b":1,"c":2,"d":3,"e":4,"f":5,"j":{}},"g":{"h":6},"i":7}"#, r#"g={"h":6} i=7"#, Tags::JSON_FIELDS),
        (
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"ts":1700000000,"j":10}"#,
            "a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 ts=1700000000",
            Tags::JSON_FIELDS,
        ),
        // Names that no store takes, or too long.
        (r#"{"":1,"a":{".":2},"b":[{" ":3,"c":4},{"d":5,"e..f":6}]}"#, r#"a={} b=[{"c":4},{"d":5}]"#, Tags::JSON_NAME),
        (r#"{"ninechars":1,"b":{"ninechars" : {"x":1}, "c":2}}"#, r#"b={"c":2}"#, Tags::JSON_NAME),
        // Strings lose their end; members with an end stay.
        (
            r#"{"a":"12345","b":["1234","123456"],"c":{"d":"ééé"}}"#,
            r#"a="1234" b=["1234","1234"] c={"d":"éé"}"#,
            Tags::JSON_STRING,
        ),
        // A name that occurs again where what follows is left out, too.
        (r#"{"a":{"b":1,"c":2,"c":[[]]},"d":3}"#, r#"a={"b":1} d=3"#, Tags::JSON_DEPTH),
    ];
    for (line, expected, tag) in table {
        let line_with = |message: &str| line.replacen('{', message, 1);
        for line in [line.to_owned(), line_with(r#"{"msg":"any length","#)] {
            let settings = Settings { json_fields_max: 8 + usize::from(line.contains("msg")), ..settings.clone() };
            let (json, built) = build_with(&settings, line.as_bytes(), Part::Whole).expect("a document");
            let members = members(&json);
            assert_eq!(own(&json), expected, "{line}");
            assert!(built.tags.has(tag) && built.tags.has_any(Tags::LEFT_OUT), "{line} {:?}", built.tags);
            let whole = if line.contains("msg") { &members["logdrive.original"] } else { &members["message"] };
            assert_eq!(&serde_json::from_str::<String>(whole).expect("a string"), &line);
        }
    }
}

#[test]
fn what_is_not_unicode_is_replaced_and_tagged() {
    let (json, built) = build(b"a\xffb\0");
    assert_eq!((message(&json).as_str(), built.tags), ("a\u{fffd}b\0", Tags::INVALID_UTF8));
    assert!(json.ends_with(",\"tags\":[\"invalid_utf8\"]}"), "{json}");
    let (json, built) = build(br#"{"a":"x\ud800y","message":"\udfffz","n":1e999}"#);
    assert_eq!((own(&json).as_str(), built.tags), (r#"a="x\ufffdy" n=1e999"#, Tags::INVALID_UTF8));
    assert_eq!(message(&json), "\u{fffd}z");
    let (json, built) = build(b"{\"a\":\"x\xffy\\n\"}");
    assert_eq!((own(&json).as_str(), built.tags), ("a=\"x\u{fffd}y\\n\"", Tags::INVALID_UTF8));
}

#[test]
fn a_json_line_that_is_broken_or_unfit_is_a_text_line() {
    let broken = br#"{"time":"2024-05-01T12:00:00Z","level":"warn","a":"\n"#;
    let (json, built) = build(broken);
    assert_eq!((message(&json).as_bytes(), built.tags), (&broken[..], Tags::JSON_BROKEN));
    assert_eq!((built.level, built.time.to_string().as_str()), (Some(Level::Warn), "2024-05-01T12:00:00Z"));
    assert_eq!(members(&json)["tags"], "[\"json_broken\"]");
    let deep = "{\"\\ud800\":".repeat(1100) + "1" + &"}".repeat(1100);
    let (json, built) = build(deep.as_bytes());
    assert_eq!((message(&json), built.tags), (deep, Tags::JSON_UNFIT));
    let (json, built) = build(b"{\"a\":\"\xff}");
    assert_eq!(message(&json), "{\"a\":\"\u{fffd}}");
    assert!(built.tags.has(Tags::JSON_BROKEN) && built.tags.has(Tags::INVALID_UTF8));
}

#[test]
fn a_json_line_without_a_message_is_its_own_message() {
    let line = "{\"user\":\"bob\",\"path\":\"C:\\\\x\",\"bad\":\"\\ud800\"}";
    assert_eq!(message(&build(line.as_bytes()).0), line);
}

#[test]
fn parts_of_a_cut_line_say_which_and_an_empty_rest_is_no_document() {
    for (part, name) in [(Part::First, "first"), (Part::Middle, "middle"), (Part::Last, "last")] {
        let (json, built) = build_part(b"{\"a\":1}", part).expect("a document");
        assert_eq!(members(&json)["logdrive.part"], format!("\"{name}\""));
        assert_eq!((message(&json).as_str(), built.tags), ("{\"a\":1}", Tags::NONE));
    }
    assert_eq!(message(&build_part(b"x\r", Part::First).expect("a document").0), "x\r");
    assert_eq!(build_part(b"", Part::Last), None);
    assert_eq!(build_part(b"\r", Part::Last), None);
    assert_eq!(build_part(b"2024-05-01T12:00:00Z FATAL", Part::Last).expect("a document").1.level, None);
}

#[test]
fn a_path_that_is_not_utf_8_is_shown_as_far_as_it_is() {
    let mut builder = Builder::new(&Settings::default());
    let path = Path::new(OsStr::from_bytes(b"/a\xff\n"));
    let source = Source {
        stream: STREAM,
        path,
        host: "h",
        task: "t",
        labels: &NO_LABELS,
        topic: "",
        read_at: jiff::Timestamp::UNIX_EPOCH,
        form: Form::default(),
    };
    let mut out = Vec::new();
    builder.build(&source, &mut b"x".to_vec(), 0, Part::Whole, &mut out).expect("a document");
    assert_eq!(members(std::str::from_utf8(&out).expect("UTF-8"))["log.file.path"], "\"/a\u{fffd}\\n\"");
}

/// JSON values as text, with numbers and escapes in many spellings.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "-0",
            "1E5",
            "1e400",
            "0.10",
            "12345678901234567890123",
            "\"\\u00e9\\/\"",
            "\"\\ud83d\\ude00\""
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[ {} ]", items.join(" , "))),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|members| object(&members)),
        ]
    })
}

/// How many members are in a value, whose holder stands at depth `at`; fails if it is too deep or a string too long.
fn measure(value: &str, at: usize, depth: usize, bytes: usize) -> Result<usize, TestCaseError> {
    let mut count = 0;
    if value.starts_with('{') {
        prop_assert!(at < depth, "{} at {}", value, at);
        for (name, value) in pairs(value) {
            let at = at + 1 + name.matches('.').count();
            prop_assert!(at <= depth, "{} at {}", name, at);
            count += 1 + measure(value.get(), at, depth, bytes)?;
        }
    } else if value.starts_with('[') {
        prop_assert!(at < depth, "{} at {}", value, at);
        let items: Vec<&RawValue> = serde_json::from_str(value).expect("an array");
        for item in items {
            count += measure(item.get(), at + 1, depth, bytes)?;
        }
    } else if value.starts_with('"') {
        prop_assert!(value.len() - 2 <= bytes.max(1) * 6, "{}", value);
        let text: String = serde_json::from_str(value).expect("a string");
        prop_assert!(text.len() <= bytes, "{}", value);
    }
    Ok(count)
}

fn object<'a>(members: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

proptest! {
    #[test]
    fn any_line_becomes_one_object_whose_message_is_the_line(line in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[ -~]{0,80}".prop_map(String::into_bytes),
        "\\{\"a\":[ -~]{0,40}\\}?".prop_map(String::into_bytes),
        proptest::collection::vec(prop::sample::select(b"{}[]\",:\\ud80019e.-\xff\0\r a".to_vec()), 0..60),
    ], part in prop::sample::select(vec![Part::Whole, Part::First, Part::Middle, Part::Last])) {
        let Some((json, built)) = build_part(&line, part) else { return Ok(()) };
        let members = members(&json);
        let is_ended = matches!(part, Part::Whole | Part::Last);
        let text = if is_ended { line.strip_suffix(b"\r").unwrap_or(&line) } else { &line };
        if !members.contains_key("msg") && own(&json).is_empty() {
            prop_assert_eq!(message(&json), String::from_utf8_lossy(text));
        }
        prop_assert_eq!(members.contains_key("tags"), built.tags != Tags::NONE);
        prop_assert_eq!(built.id, Id::of(STREAM, 42, &line));
        let time: jiff::Timestamp = serde_json::from_str(&members["@timestamp"]).expect("a time");
        prop_assert_eq!(time, built.time);
    }

    #[test]
    fn no_document_is_beyond_the_limits_whatever_the_line(
        fields in proptest::collection::vec(("[a-d.]{0,3}", value()), 0..8),
        depth in 1_usize..5,
        count in 0_usize..12,
        bytes in 0_u64..8,
    ) {
        let settings = Settings {
            json_fields_max: count,
            json_depth_max: depth,
            json_name_bytes_max: ByteSize::b(2),
            json_string_bytes_max: ByteSize::b(bytes),
            ..Settings::default()
        };
        let line = object(fields.iter().map(|(name, value)| (name, value)));
        let (json, built) = build_with(&settings, line.as_bytes(), Part::Whole).expect("a document");
        members(&json);
        let ours = ["@timestamp", "message", "log.", "host.name", "logdrive.", "tags"];
        let mut found = 0;
        for (name, value) in pairs(&json).iter().filter(|(name, _)| !ours.iter().any(|ours| name.starts_with(ours))) {
            found += 1 + measure(value.get(), 1 + name.matches('.').count(), depth, bytes as usize)?;
            prop_assert!(name.len() <= 2 && !name.split('.').any(str::is_empty), "{}", name);
        }
        prop_assert!(found <= count, "{} members of {} in {}", found, count, json);
        prop_assert_eq!(message(&json), line.as_str());
        if !built.tags.has_any(Tags::LEFT_OUT) {
            let whole = pairs(&line);
            let kept = pairs(&json);
            let is_there = |value: &RawValue| kept.iter().any(|(_, other)| other.get() == value.get());
            prop_assert!(whole.iter().all(|(_, value)| is_there(value)), "{}", json);
        }
    }

    #[test]
    fn members_of_json_lines_are_copied_byte_for_byte(
        fields in proptest::collection::btree_map("[a-z]{1,8}(\\.[a-z]{1,4})?", value(), 0..8),
    ) {
        let line = object(&fields);
        let (json, built) = build(line.as_bytes());
        prop_assert_eq!(built.tags, Tags::NONE, "{}", line);
        let members = members(&json);
        for (name, value) in &fields {
            let is_message = (name == "message" || name == "msg") && value.starts_with('"');
            let found = members.get(name).or_else(|| members.get(&format!("fields.{name}")));
            prop_assert!(is_message || found == Some(value), "{} in {}", name, json);
        }
        if !fields.contains_key("message") && !fields.contains_key("msg") {
            prop_assert_eq!(message(&json), line);
        }
    }
}

#[test]
fn a_document_does_not_depend_on_the_sources_before_it() {
    let [one, two] = ["1", "2"].map(|value| Labels::from_iter([("a", value)]));
    let plain = Source {
        stream: STREAM,
        path: Path::new("/a"),
        host: "h",
        task: "t",
        labels: &NO_LABELS,
        topic: "",
        read_at: Timestamp::UNIX_EPOCH,
        form: Form::default(),
    };
    let later = "2024-06-15T10:00:00Z".parse().expect("a time");
    let sources = [
        plain,
        Source { stream: Stream { generation: 4, ..STREAM }, ..plain },
        Source { stream: Stream { file: FileId(u128::MAX), ..STREAM }, ..plain },
        Source { path: Path::new("/b"), ..plain },
        Source { host: "ht", task: "", ..plain },
        Source { task: "u", ..plain },
        Source { labels: &one, ..plain },
        Source { labels: &two, ..plain },
        Source { read_at: later, ..plain },
        Source { read_at: later, path: Path::new("/b"), labels: &one, ..plain },
    ];
    let made = |builder: &mut Builder, source: &Source| {
        let mut out = Vec::new();
        let built = builder.build(source, &mut b"a line".to_vec(), 42, Part::Whole, &mut out).expect("a document");
        (built, String::from_utf8(out).expect("UTF-8"))
    };
    let mut builder = Builder::new(&Settings::default());
    for source in sources.iter().flat_map(|first| sources.iter().flat_map(move |second| [first, second])) {
        let alone = made(&mut Builder::new(&Settings::default()), source);
        assert!(alone.1.contains(&format!("\"logdrive.file\":\"{}\"", source.stream.file)), "{}", alone.1);
        assert_eq!(made(&mut builder, source), alone);
    }
}
