//! What is written to a terminal, character by character.

use serde_json::json;

use super::*;
use crate::store::{Total, parse};

fn now() -> Zoned {
    "2026-11-21T10:00:00Z[UTC]".parse().unwrap()
}

fn found(messages: &[&str]) -> Found {
    let hits = messages.iter().enumerate().map(|(n, message)| {
        let source = json!({
            "message": message,
            "log.level": "error",
            "host.name": "web-1",
            "log.file.path": "/var/log/app.log",
        });
        Hit {
            id: format!("id{n}"),
            time: format!("2026-11-21T10:00:0{}.5Z", 9 - n).parse().unwrap(),
            source: source.as_object().unwrap().clone(),
        }
    });
    Found { hits: hits.collect(), total: Total { count: 2, exact: true }, ..Found::default() }
}

fn printed(question: &str, messages: &[&str], options: &Options) -> String {
    let mut out = Vec::new();
    print(&found(messages), &parse(question, &now()).unwrap(), options, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_newest_hit_is_at_the_bottom_and_its_further_lines_are_indented() {
    assert_eq!(
        printed("", &["newest\r\n  at Foo\n", "older"], &Options::default()),
        "2026-11-21 10:00:08.500 web-1 app.log error older\n2026-11-21 10:00:09.500 web-1 app.log error newest\n      at Foo\n"
    );
}

#[test]
fn what_was_found_is_coloured_only_if_asked_for() {
    let options = Options { color: true, ..Options::default() };
    let line = printed("disk", &["a disk b"], &options);
    assert!(line.contains("a \x1b[1;33mdisk\x1b[0m b") && line.contains("\x1b[31merror\x1b[0m"), "{line:?}");
}

#[test]
fn log_text_can_not_command_the_terminal() {
    let evil = "\x1b]0;title\x07 \x1b[2J \u{9b}31m \u{202e}txt.exe\u{2066} \x08 \x7f tab\there";
    let line = printed("", &[evil], &Options::default());
    assert!(line.contains("␛]0;title␇ ␛[2J <U+009B>31m <U+202E>txt.exe<U+2066> ␈ ␡ tab\there"), "{line:?}");
    let json = printed("", &[evil], &Options { json: true, ..Options::default() });
    assert!(!json.trim_end().chars().any(is_unsafe), "{json:?}");
    let read: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((read["message"].as_str(), read["_id"].as_str()), (Some(evil), Some("id0")));
}

#[test]
fn an_error_shows_the_place_and_the_repair() {
    let text = "größe level>=wran";
    let error = parse(text, &now()).unwrap_err();
    let shown = explain(text, &error);
    let mut lines = shown.lines().skip(1);
    assert_eq!(lines.next(), Some("  größe level>=wran"));
    assert_eq!(lines.next(), Some("             ^^^^^^"));
    assert_eq!(lines.next(), Some("hint: größe level>=warn"));
}

#[test]
fn notes_say_what_is_not_shown_and_what_to_try() {
    let noted = |found: &Found, question: &str| {
        let mut notes = Vec::new();
        note(found, &store::read(question, &now()).unwrap(), &mut notes).unwrap();
        String::from_utf8(notes).unwrap()
    };
    let partial = Found { partial: Some("2 of 40 shards failed".to_owned()), ..found(&["one"]) };
    assert_eq!(
        noted(&partial, "one"),
        "the newest 1 of 2 hits; --limit shows more\nthe answer may be incomplete: 2 of 40 shards failed\n"
    );
    assert_eq!(
        noted(&Found::default(), "localhost:9092"),
        "nothing found\nhint: to search for the text \"localhost:9092\": \"localhost:9092\"\n"
    );
}
