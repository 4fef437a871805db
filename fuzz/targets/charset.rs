//! Text in any charset, of any container and in messages of any size becomes JSON objects, one a message; UTF-16 is
//! split as its units say.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use logdrive::{
    document::{Builder, Passage, Settings, Source},
    record::{Charset, Container, FileId, Form, Messages, NO_LABELS, Part, Run, Stream},
    splitter,
};

fuzz_target!(|input: (u8, u8, &[u8], &[u8])| {
    let (charset, container, wishes, text) = input;
    let charset = Charset::of_label(Charset::NAMES[usize::from(charset) % Charset::NAMES.len()]).expect("a name");
    let newline = charset.newline();

    let units = text.chunks_exact(newline.width()).enumerate().filter(|(_, unit)| *unit == newline.bytes());
    let ends: Vec<usize> = units.map(|(index, _)| (index + 1) * newline.width()).collect();
    assert!(splitter::line_ends_by(newline, text).eq(ends.iter().copied()));
    assert_eq!(splitter::first_end_by(newline, text), ends.first().copied());
    let whole = splitter::whole_lines_by(newline, text);
    assert_eq!(whole, ends.last().copied().unwrap_or(0));

    let mut decoded = Vec::new();
    let all_text = charset.decode(text, &mut decoded);
    let shown = std::str::from_utf8(&decoded).expect("it is decoded");
    assert!(all_text || shown.contains(char::REPLACEMENT_CHARACTER));

    let container = [None, Some(Container::Cri), Some(Container::DockerJson)][usize::from(container % 3)];
    let source = Source {
        stream: Stream { file: FileId(7), generation: 1 },
        path: Path::new("/var/log/a.log"),
        host: "host",
        task: "task",
        labels: &NO_LABELS,
        topic: "",
        read_at: jiff::Timestamp::from_second(1_718_445_600).expect("in range"),
        form: Form { charset, container },
    };
    let mut builder = Builder::new(&Settings { time_zone: jiff::tz::TimeZone::UTC, ..Settings::default() });
    let (messages, count) = messages(ends.len(), wishes);
    let rest = text.len() - whole;
    let passages = [(0..whole, Part::Whole, &messages), (whole..text.len(), Part::First, &Messages::default())];
    let mut made = 0;
    for (range, part, messages) in passages {
        let passage = Passage { text: &mut text[range.clone()].to_vec(), offset: range.start as u64, part, messages };
        let mut out = Vec::new();
        let done: Result<(), ()> = builder.source(&source).each(passage, &mut out, |built, json| {
            let document: serde_json::Value = serde_json::from_slice(json).expect("a document is JSON");
            let built = built.expect("no last part");
            let time: jiff::Timestamp = document["@timestamp"].as_str().expect("a text").parse().expect("RFC 3339");
            assert_eq!(time, built.time);
            made += 1;
            Ok(())
        });
        done.expect("nothing is refused");
    }
    // The first part of a line is a document even if it is empty.
    assert_eq!(made, count + 1, "{rest} bytes are left");
});

/// Messages of so many lines, and how many they are; plain ones if nothing is wished for.
fn messages(lines: usize, wishes: &[u8]) -> (Messages, usize) {
    let (mut messages, mut count, mut left) = (Messages::default(), 0, lines);
    for wish in wishes.iter().cycle().take(if wishes.is_empty() { 0 } else { lines }) {
        let lines = left.min(usize::from(wish % 16) + 1);
        let numbers: Vec<i32> = (0..lines as i32).map(|line| line % 3).collect();
        let (run, of) = match lines {
            0 => break,
            1 => (Run::Single(1), 1),
            _ if *wish >= 128 => (Run::Mixed(&numbers), lines.min(3)),
            lines => (Run::Joined(lines as u32), 1),
        };
        assert!(messages.push(run));
        count += of;
        left -= lines;
    }
    (messages, count + left)
}
