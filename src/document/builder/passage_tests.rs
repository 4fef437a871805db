//! Messages of several lines, of containers and of other charsets, as documents.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::Passage;
use crate::{
    document::{Builder, Id, Settings, Source},
    record::{Charset, Container, FileId, Form, Messages, NO_LABELS, Newline, Part, Run, Stream},
    splitter,
};

const STREAM: Stream = Stream { file: FileId(0xab), generation: 3 };

const CRI: Form = Form { charset: Charset::UTF_8, container: Some(Container::Cri) };

fn documents(form: Form, text: &[u8], offset: u64, part: Part, messages: &Messages) -> Vec<(Id, Value)> {
    let mut builder = Builder::new(&Settings { time_zone: jiff::tz::TimeZone::UTC, ..Settings::default() });
    let source = Source {
        stream: STREAM,
        path: Path::new("/a.log"),
        host: "h",
        task: "t",
        labels: &NO_LABELS,
        topic: "",
        read_at: "2024-06-15T10:00:00Z".parse().expect("a time"),
        form,
    };
    let (mut made, mut out) = (Vec::new(), Vec::new());
    let passage = Passage { text: &mut text.to_vec(), offset, part, messages };
    let done: Result<(), ()> = builder.source(&source).each(passage, &mut out, |built, json| {
        made.extend(built.map(|built| (built.id, serde_json::from_slice(json).expect("JSON"))));
        Ok(())
    });
    done.expect("nothing is refused");
    made
}

fn told(runs: &[Run<'_>]) -> Messages {
    let mut messages = Messages::default();
    assert!(runs.iter().all(|run| messages.push(*run)));
    messages
}

fn whole(form: Form, text: &[u8], runs: &[Run<'_>]) -> Vec<Value> {
    documents(form, text, 100, Part::Whole, &told(runs)).into_iter().map(|(_, document)| document).collect()
}

fn messages_of(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|document| document["message"].as_str().expect("a string")).collect()
}

#[test]
fn the_lines_of_a_message_are_joined_and_it_begins_where_the_first_does() {
    let text = b"2024-05-01T12:00:00Z ERROR x\r\n\tat y\r\n\nlast\n{\n \"message\":\"m\",\"n\":1\n}\n";
    let made = whole(Form::default(), text, &[Run::Joined(3), Run::Single(1), Run::Joined(3)]);
    assert_eq!(messages_of(&made), ["2024-05-01T12:00:00Z ERROR x\n\tat y\n", "last", "m"]);
    assert_eq!((&made[0]["log.offset"], &made[1]["log.offset"]), (&Value::from(100), &Value::from(138)));
    assert_eq!(
        (&made[0]["log.level"], &made[0]["@timestamp"]),
        (&Value::from("error"), &Value::from("2024-05-01T12:00:00Z"))
    );
    assert_eq!((&made[0]["log.flags"][0], &made[1]["log.flags"]), (&Value::from("multiline"), &Value::Null));
    assert_eq!(made[2]["n"], 1);
}

#[test]
fn a_message_is_known_by_all_its_bytes_whatever_lies_between_its_lines() {
    let made = |text: &[u8], runs: &[Run<'_>]| documents(Form::default(), text, 0, Part::Whole, &told(runs))[0].0;
    let joined = made(b"a\nb\nx\n", &[Run::Joined(2), Run::Single(1)]);
    assert_eq!(joined, made(b"a\nx\nb\n", &[Run::Mixed(&[0, 1, 0])]));
    assert_eq!(joined, Id::of(STREAM, 0, b"a\nb"));
    assert_ne!(joined, made(b"a\nc\n", &[Run::Joined(2)]));
}

#[test]
fn what_a_container_runtime_put_around_lines_is_taken_off_and_told() {
    let text = b"2024-01-01T00:00:00.5Z stderr P Caused \n\
        2024-01-01T00:00:01.25Z stdout F {\"level\":\"warn\",\"message\":\"m\",\"@timestamp\":\"2020-01-01T00:00:00Z\"}\n\
        2024-01-01T00:00:02Z stderr F by: x\r\n\
        2024-01-01T00:00:03Z stderr F \tat y\n\
        not of a container\n";
    let made = whole(CRI, text, &[Run::Mixed(&[0, 1, 0, 0]), Run::Single(1)]);
    assert_eq!(messages_of(&made), ["Caused by: x\n\tat y", "m", "not of a container"]);
    let of = |name: &str| made.iter().map(|document| document[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("log.iostream"), [Value::from("stderr"), Value::from("stdout"), Value::Null]);
    assert_eq!(of("@timestamp"), ["2024-01-01T00:00:00.5Z", "2024-01-01T00:00:01.25Z", "2024-06-15T10:00:00Z"]);
    assert_eq!(of("logdrive.time"), ["container", "container", "read"]);
    assert_eq!(
        (&made[1]["log.level"], &made[1]["fields.@timestamp"]),
        (&Value::from("warn"), &Value::from("2020-01-01T00:00:00Z"))
    );
    assert_eq!(of("tags"), [Value::Null, Value::Null, Value::from(vec!["container_broken"])]);
    let docker = br#"{"log":"level=error a \"b\"\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#;
    let form = Form { container: Some(Container::DockerJson), ..Form::default() };
    let made = whole(form, &[&docker[..], b"\n"].concat(), &[]);
    assert_eq!((messages_of(&made), &made[0]["log.level"]), (vec!["level=error a \"b\""], &Value::from("error")));
}

#[test]
fn text_in_another_charset_is_decoded_and_known_by_its_bytes() {
    let form = |label| Form { charset: Charset::of_label(label).expect("a label"), container: None };
    let wide: Vec<u8> = "\u{feff}é ERROR\r\n\u{10a}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let made = documents(form("utf-16le"), &wide, 0, Part::Whole, &Messages::default());
    assert_eq!(made.iter().map(|(_, document)| &document["message"]).collect::<Vec<_>>(), ["é ERROR", "\u{10a}"]);
    assert_eq!((made[0].0, &made[0].1["log.level"]), (Id::of(STREAM, 0, &wide[..18]), &Value::from("error")));
    assert_eq!(messages_of(&whole(form("gb18030"), b"\xc8\xd5\xd6\xbe\n\xff\n", &[])), ["日志", "\u{fffd}"]);
    assert_eq!(whole(form("gb18030"), b"\xff\n", &[])[0]["tags"][0], "invalid_utf8");
    let part = documents(form("utf-16le"), &wide[20..24], 20, Part::Last, &Messages::default());
    assert_eq!(part[0].1["message"], "\u{10a}");
    assert!(documents(form("utf-16le"), b"\r\0\n\0", 20, Part::Last, &Messages::default()).is_empty());
}

#[test]
fn a_byte_order_mark_at_a_files_beginning_is_no_text() {
    let text = b"\xef\xbb\xbf{\"message\":\"m\"}\n\xef\xbb\xbfx\n";
    let made = documents(Form::default(), text, 0, Part::Whole, &Messages::default());
    assert_eq!((&made[0].1["message"], &made[1].1["message"]), (&Value::from("m"), &Value::from("\u{feff}x")));
    assert_eq!(made[0].0, Id::of(STREAM, 0, &text[..18]));
}

proptest! {
    /// Whatever lines are put together, no byte of text is lost, and every message has an id of its own.
    #[test]
    fn joined_or_not_every_line_is_in_one_document(
        lines in proptest::collection::vec("[a-z \r]{0,6}", 1..12),
        joined in any::<bool>(),
        container in prop_oneof![Just(None), Just(Some(Container::Cri)), Just(Some(Container::DockerJson))],
        label in prop::sample::select(vec!["utf-8", "utf-16le", "utf-16be", "latin1"]),
    ) {
        let charset = Charset::of_label(label).expect("a label");
        let text = lines.join("\n") + "\n";
        let text: Vec<u8> = match charset.newline() {
            Newline::Byte => text.into_bytes(),
            Newline::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Newline::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        };
        prop_assert_eq!(splitter::count_by(charset.newline(), &text) as usize, lines.len());
        let runs = if joined && lines.len() > 1 { vec![Run::Joined(lines.len() as u32)] } else { Vec::new() };
        let made = documents(Form { charset, container }, &text, 0, Part::Whole, &told(&runs));
        let shown: Vec<&str> = made.iter().map(|(_, document)| document["message"].as_str().expect("a string")).collect();
        let lines: Vec<&str> = lines.iter().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
        prop_assert_eq!(shown.join("\n"), lines.join("\n"));
        let ids: std::collections::HashSet<Id> = made.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(ids.len(), made.len());
    }
}
