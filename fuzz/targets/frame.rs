//! Reading a record never panics, whatever its headers and value are; what was packed is read back as it was; a
//! byte changed on the way is noticed or changes nothing but what it says.
#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use logdrive::{
    batcher::frame::{self, META_HEADER, Meta, Segment, Task, VERSION_HEADER},
    record::{Container, FileId, Form, Labels, Messages, Part, Run, Stream},
    splitter,
};

/// Messages of so many lines, whose units have as many as `wish` says.
fn messages(lines: u32, wish: u8) -> Messages {
    let (mut messages, mut left) = (Messages::default(), lines);
    while wish > 100 && left > 0 {
        let lines = left.min(u32::from(wish % 7) + 1);
        let numbers: Vec<i32> = (0..lines as i32).map(|line| line % 3).collect();
        let run = match lines {
            1 => Run::Single(1),
            _ if wish.is_multiple_of(3) => Run::Mixed(&numbers),
            lines => Run::Joined(lines),
        };
        assert!(messages.push(run));
        left -= lines;
    }
    messages
}

fuzz_target!(|input: (&[u8], Vec<u8>, usize, u8)| {
    let (meta, value, at, flip) = input;
    let mut text = Vec::new();

    // Headers and value from anywhere.
    let headers = |name: &str| match name {
        VERSION_HEADER => Some([&b"1"[..], b"2", b"3"][usize::from(flip % 3)]),
        META_HEADER => Some(meta),
        _ => None,
    };
    if let Ok(read) = frame::decode(headers, &value, &mut text) {
        assert_eq!(read.segments.iter().map(|segment| segment.bytes).sum::<u64>(), text.len() as u64);
    }

    // A record of ours: whole lines, and one part of a line behind them.
    let whole = splitter::whole_lines(&value);
    let mut segments = Vec::new();
    for (range, part) in [(0..whole, Part::Whole), (whole..value.len(), Part::First)] {
        if !range.is_empty() {
            let bytes = &value[range.clone()];
            segments.push(Segment {
                task: segments.len() as u32 * u32::from(flip % 3),
                stream: Stream { file: FileId(7), generation: 1 },
                path: PathBuf::from("/var/log/a.log"),
                offset: range.start as u64,
                bytes: bytes.len() as u64,
                lines: splitter::count(bytes).max(1),
                part,
                form: Form { container: (flip > 200).then_some(Container::Cri), ..Form::default() },
                messages: if part == Part::Whole { messages(splitter::count(bytes), flip) } else { Messages::default() },
            });
        }
    }
    let meta = Meta {
        host: "host".to_owned(),
        machine: "machine".to_owned(),
        tasks: (0..3).map(|task| Task { name: task.to_string().into(), labels: Labels::default() }).collect(),
        read_at: jiff::Timestamp::UNIX_EPOCH,
        segments,
    };
    let mut packed = frame::encode(&meta, &value);
    let read = frame::decode(|name| packed.header(name), &packed.value, &mut text);
    assert_eq!(read, Ok(meta.clone()));
    assert_eq!(text, value);

    if !packed.value.is_empty() {
        let at = at % packed.value.len();
        packed.value[at] ^= flip;
        if frame::decode(|name| packed.header(name), &packed.value, &mut text).is_ok() {
            assert_eq!(text, value, "a changed byte changed the text unnoticed");
        }
    }
});
