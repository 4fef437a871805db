//! Any line becomes one JSON object without a repeated name, which has the line's text and the time it says it has.
#![no_main]

use std::{collections::HashSet, path::Path};

use libfuzzer_sys::fuzz_target;
use logdrive::{
    document::{Builder, Built, Id, Settings, Source, Tags},
    record::{FileId, Form, NO_LABELS, Part, Stream},
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

const STREAM: Stream = Stream { file: FileId(7), generation: 1 };

fuzz_target!(|line: &[u8]| {
    let settings = Settings { time_zone: jiff::tz::TimeZone::UTC, ..Settings::default() };
    let mut builder = Builder::new(&settings);
    for part in [Part::Whole, Part::First, Part::Middle, Part::Last] {
        let source = Source {
            stream: STREAM,
            path: Path::new("/var/log/a.log"),
            host: "host",
            task: "task",
            labels: &NO_LABELS,
            topic: "",
            read_at: jiff::Timestamp::from_second(1_718_445_600).expect("in range"),
            form: Form::default(),
        };
        let mut out = Vec::new();
        let built = builder.build(&source, &mut line.to_vec(), 42, part, &mut out);
        let is_rest = part == Part::Last && (line.is_empty() || line == b"\r");
        assert_eq!(built.is_none(), is_rest);
        if let Some(built) = built {
            check(line, part, &built, &out);
        }
    }
});

fn check(line: &[u8], part: Part, built: &Built, json: &[u8]) {
    let Members(members) = serde_json::from_slice(json).expect("a JSON object");
    let value = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.get());
    let string = |name| serde_json::from_str::<String>(value(name).expect("a member")).expect("a string");
    unique(std::str::from_utf8(json).expect("UTF-8"));

    assert_eq!(built.id, Id::of(STREAM, 42, line));
    assert_eq!(string("@timestamp").parse::<jiff::Timestamp>().expect("RFC 3339"), built.time);
    assert_eq!(value("tags").is_some(), built.tags != Tags::NONE);
    assert_eq!(value("log.level").is_some(), built.level.is_some());

    // The whole line is the message, unless it is JSON and has a message of its own.
    let is_ended = matches!(part, Part::Whole | Part::Last);
    let text = if is_ended { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
    let is_json = serde_json::from_slice::<&RawValue>(String::from_utf8_lossy(text).as_bytes()).is_ok();
    let lossy = String::from_utf8_lossy(text);
    if part == Part::Whole && lossy.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        assert_eq!(built.tags.has(Tags::JSON_BROKEN), !is_json && !built.tags.has(Tags::JSON_UNFIT));
    }
    let has_own = part == Part::Whole && is_json && (lossy.contains("me") || lossy.contains("ms") || lossy.contains("\\u"));
    if !has_own {
        assert_eq!(string("message"), lossy);
    }
}

/// Fails if an object, or one within it, has a name twice.
fn unique(json: &str) {
    if json.starts_with('{') {
        let Members(members) = serde_json::from_str(json).expect("an object");
        let names: HashSet<&String> = members.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), members.len(), "{json}");
        members.iter().for_each(|(_, value)| unique(value.get()));
    } else if json.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(json).expect("an array");
        items.iter().for_each(|item| unique(item.get()));
    }
}

/// An object's members in order, repeated ones too.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}
