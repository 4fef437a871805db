//! What a record says of the messages in it: where they stood and how many they are, its text left packed; or, with its
//! text, each of them.
//!
//! A message is what becomes a document, mostly a line. For who counts what was sent.

use std::{path::PathBuf, sync::Arc};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    frame::{self, FrameError, Meta, Segment, VERSION_HEADER},
    lines::{self, LINE_HEADER, Line},
};
use crate::{
    record::{Form, Part, Run, Stream},
    splitter,
};

/// Where messages stood that a record holds: a segment of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The stream.
    pub stream: Stream,
    /// The file's path when it was read; any bytes.
    pub path: PathBuf,
    /// The task that collected it.
    pub task: Arc<str>,
    /// Where the segment begins in the stream, in bytes.
    pub start: u64,
    /// Where it ends; none if that can't be told: of a message that others lay among, or that is JSON whose text is
    /// not what its bytes were.
    pub end: Option<u64>,
    /// How many messages begin in it; none if only its text can tell.
    pub messages: Option<u64>,
}

/// A message, with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The stream.
    pub stream: Stream,
    /// Where it begins in the stream, in bytes.
    pub start: u64,
    /// Where its first stretch of adjacent lines ends; `start` if that can't be told.
    pub end: u64,
    /// How its text is to be understood.
    pub form: Form,
    /// Its bytes up to there, with their last newline; of JSON, the message's text.
    pub text: &'a [u8],
}

/// Reads what a record says of its messages; none if it is not one of an agent's that tells of files.
///
/// `scratch` is used and means nothing afterwards.
///
/// # Errors
/// If what it says can't be read. The text of a packed record is not looked at, and may be damaged all the same.
pub fn outline<'a>(
    header: impl Fn(&str) -> Option<&'a [u8]>,
    value: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<Option<Vec<Told>>, FrameError> {
    if header(LINE_HEADER).is_some() {
        let told = match lines::decode(header, value, scratch)? {
            Line::Raw(meta) => {
                let is_exact = |segment: &Segment| segment.form.container.is_none() || segment.messages.is_plain();
                told(&meta, is_exact)
            }
            Line::Json(meta, hash) => {
                let mut told = told(&meta, |_| false);
                told.iter_mut().zip(&meta.segments).for_each(|(told, segment)| {
                    told.messages = Some(u64::from(segment.part != Part::Last || !scratch.is_empty()));
                    told.end = end_of(segment, hash, scratch);
                });
                told
            }
        };
        return Ok(Some(told));
    }
    match header(VERSION_HEADER) {
        None => Ok(None),
        Some(_) => Ok(Some(told(&frame::describe(header)?, |_| true))),
    }
}

/// Shows each message of a record, in the order in which they begin within a segment. A record that tells of no files shows
/// none. `scratch` is used and means nothing afterwards.
///
/// # Errors
/// If the record can't be read.
pub fn each<'a>(
    header: impl Fn(&str) -> Option<&'a [u8]>,
    value: &[u8],
    scratch: &mut Vec<u8>,
    mut show: impl FnMut(Message<'_>),
) -> Result<(), FrameError> {
    if header(LINE_HEADER).is_none() {
        if header(VERSION_HEADER).is_some() {
            let meta = frame::decode(header, value, scratch)?;
            meta.segments_of(scratch).for_each(|(segment, piece)| of_segment(segment, piece, &mut show));
        }
        return Ok(());
    }
    match lines::decode(header, value, scratch)? {
        Line::Raw(meta) => meta.segments_of(scratch).for_each(|(segment, piece)| of_segment(segment, piece, &mut show)),
        Line::Json(meta, _) => {
            for segment in meta.segments.iter().filter(|segment| segment.part != Part::Last || !scratch.is_empty()) {
                let Segment { stream, offset, .. } = *segment;
                show(Message { stream, start: offset, end: offset, form: Form::default(), text: scratch });
            }
        }
    }
    Ok(())
}

/// Where a message ends of which the text in JSON and the hash of its bytes are known: if the text is what its bytes were, as
/// most are. The end may be a carriage return longer. `text` means nothing afterwards.
fn end_of(segment: &Segment, hash: u64, text: &mut Vec<u8>) -> Option<u64> {
    let Form { charset, container } = segment.form;
    // Others may have lain among the lines of a message out of a container.
    if container.is_some() {
        return None;
    }
    if xxh3_64(text) != hash {
        text.push(b'\r');
        if segment.part.goes_on() || xxh3_64(text) != hash {
            return None;
        }
    }
    let newline = if segment.part.goes_on() { 0 } else { charset.newline().width() };
    Some(segment.offset + (text.len() + newline) as u64)
}

fn told(meta: &Meta, is_exact: impl Fn(&Segment) -> bool) -> Vec<Told> {
    let told = |segment: &Segment| Told {
        stream: segment.stream,
        path: segment.path.clone(),
        task: Arc::clone(&meta.task(segment).name),
        start: segment.offset,
        end: is_exact(segment).then_some(segment.offset + segment.bytes),
        messages: count(segment),
    };
    meta.segments.iter().map(told).collect()
}

/// How many messages begin in a segment, if that can be told without its text.
fn count(segment: &Segment) -> Option<u64> {
    match segment.part {
        Part::First | Part::Middle => Some(1),
        Part::Last => {
            // An end that is nothing but the newline is none; with a carriage return too, only the text can tell, and
            // in some charsets more bytes may stand for nothing.
            let width = segment.form.charset.newline().width() as u64;
            let unsure = if segment.form.charset.is_utf8() { 2 * width } else { 16 * width };
            match segment.bytes {
                bytes if bytes <= width => Some(0),
                bytes if bytes <= unsure => None,
                _ => Some(1),
            }
        }
        Part::Whole if segment.messages.is_plain() => Some(segment.lines.into()),
        Part::Whole => Some(segment.messages.runs().map(messages_of).sum()),
    }
}

fn messages_of(run: Run<'_>) -> u64 {
    match run {
        Run::Single(lines) => lines.into(),
        Run::Joined(_) => 1,
        Run::Mixed(numbers) => numbers.iter().max().map_or(0, |last| u64::from(last.unsigned_abs()) + 1),
    }
}

fn of_segment(segment: &Segment, piece: &[u8], show: &mut impl FnMut(Message<'_>)) {
    let newline = segment.form.charset.newline();
    let mut show = |start: usize, end: usize| {
        let (stream, form, text) = (segment.stream, segment.form, &piece[start..end]);
        show(Message { stream, start: segment.offset + start as u64, end: segment.offset + end as u64, form, text });
    };
    if segment.part != Part::Whole {
        if segment.part != Part::Last || !is_nothing(segment, piece) {
            show(0, piece.len());
        }
        return;
    }
    let mut start = 0;
    let mut lines = splitter::line_ends_by(newline, piece).map(|end| {
        let line = (start, end);
        start = end;
        line
    });
    for run in segment.messages.runs() {
        match run {
            Run::Single(count) => lines.by_ref().take(count as usize).for_each(|(start, end)| show(start, end)),
            Run::Joined(count) => {
                let unit = lines.by_ref().take(count as usize);
                if let Some((start, end)) = unit.reduce(|first, last| (first.0, last.1)) {
                    show(start, end);
                }
            }
            Run::Mixed(numbers) => {
                let mut next = 0;
                for (number, (start, end)) in numbers.iter().zip(lines.by_ref()) {
                    if *number == next {
                        next += 1;
                        show(start, end);
                    }
                }
            }
        }
    }
    // What no run tells of is a message a line.
    lines.for_each(|(start, end)| show(start, end));
}

/// Whether the last part of a line is nothing but the line's end.
fn is_nothing(segment: &Segment, piece: &[u8]) -> bool {
    let charset = segment.form.charset;
    let text = piece.strip_suffix(charset.newline().bytes()).unwrap_or(piece);
    let mut decoded = Vec::new();
    charset.decode(text, &mut decoded);
    matches!(decoded.as_slice(), b"" | b"\r")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Instant};

    use proptest::prelude::*;

    use super::{Message, Told, each, outline};
    use crate::{
        batcher::{
            Sender,
            frame::{self, Meta, Segment, Task},
            lines::{LineBatch, LineBatcher, Style, Value},
        },
        document::{Builder, Passage, Settings, Source},
        record::{Block, Charset, Container, FileId, Form, Labels, Messages, Origin, Part, Permit, Run, Stream, Tally},
    };

    fn meta(segments: Vec<Segment>) -> Meta {
        Meta {
            host: "h".to_owned(),
            machine: "m".to_owned(),
            tasks: vec![Task { name: "t".into(), labels: Labels::default() }],
            read_at: "2026-11-21T10:00:00Z".parse().expect("a time"),
            segments,
        }
    }

    fn segment(text: &str, part: Part, form: Form, messages: Messages) -> Segment {
        Segment {
            task: 0,
            stream: Stream { file: FileId(7), generation: 1 },
            path: "/var/log/a.log".into(),
            offset: 100,
            bytes: text.len() as u64,
            lines: if part == Part::Whole { text.matches('\n').count() as u32 } else { 1 },
            part,
            form,
            messages,
        }
    }

    fn both(segment: Segment, text: &str) -> (Vec<Told>, Vec<(u64, u64)>) {
        let packed = frame::encode(&meta(vec![segment]), text.as_bytes());
        let header = |name: &str| packed.header(name);
        let told = outline(header, &packed.value, &mut Vec::new()).expect("its own").expect("ours");
        let mut found = Vec::new();
        each(header, &packed.value, &mut Vec::new(), |Message { start, end, .. }| found.push((start, end)))
            .expect("its own");
        (told, found)
    }

    #[test]
    fn messages_are_counted_by_the_headers_and_found_in_the_text() {
        let mut messages = Messages::default();
        assert!(
            messages.push(Run::Single(1)) && messages.push(Run::Joined(2)) && messages.push(Run::Mixed(&[0, 1, 0]))
        );
        let form = Form { container: Some(Container::Cri), ..Form::default() };
        let text = "one\ntwo\nand\nx\ny\nx\n";
        let (told, found) = both(segment(text, Part::Whole, form, messages), text);
        assert_eq!((told[0].start, told[0].end, told[0].messages), (100, Some(118), Some(4)));
        assert_eq!(found, [(100, 104), (104, 112), (112, 114), (114, 116)]);
    }

    #[test]
    fn the_end_of_a_cut_line_that_is_no_more_than_that_is_no_message() {
        for (text, told_count, count) in
            [("\n", Some(0), 0), ("\r\n", None, 0), ("x\n", None, 1), ("xyz\n", Some(1), 1)]
        {
            let (told, found) = both(segment(text, Part::Last, Form::default(), Messages::default()), text);
            assert_eq!((told[0].messages, found.len()), (told_count, count), "{text:?}");
        }
    }

    #[test]
    fn json_tells_where_a_line_ends_whose_text_is_what_its_bytes_were() {
        let told = |text: &[u8], form: Form| {
            let origin = Origin {
                stream: Stream { file: FileId(7), generation: 1 },
                path: "/var/log/a.log".into(),
                task: "t".into(),
                labels: Labels::default(),
                form,
            };
            let block = Block {
                origin: Arc::new(origin),
                offset: 100,
                text: text.to_vec(),
                lines: 1,
                part: Part::Whole,
                messages: Messages::default(),
                read_at: "2026-11-21T10:00:00Z".parse().expect("a time"),
                held: Arc::new(Tally::default()).read(1, text.len() as u64),
                permit: Permit::none(),
            };
            let (style, sender) = (Style { value: Value::Json, headers: true }, ("h".into(), "m".into()));
            let sender = Sender { host: sender.0, machine: sender.1 };
            let mut batcher = LineBatcher::new(&crate::batcher::Settings::default(), style, sender);
            assert!(batcher.push(block, None, Instant::now()).is_empty());
            let LineBatch { buffer, pieces, .. } = batcher.seal().expect("a line");
            let piece = &pieces.each[0];
            let header = |name: &str| {
                pieces.headers_of(piece, &buffer).find(|(known, _)| *known == name).map(|(_, value)| value)
            };
            let told = outline(header, pieces.value(piece, &buffer), &mut Vec::new()).expect("its own").expect("ours");
            (told[0].start, told[0].end, told[0].messages)
        };
        let plain = Form::default();
        assert_eq!(told(b"a \"line\"\n", plain), (100, Some(109), Some(1)));
        assert_eq!(told(b"a line\r\n", plain), (100, Some(108), Some(1)));
        assert_eq!(told(b"\xff\n", plain), (100, None, Some(1)), "it was mended");
        let latin = Form { charset: Charset::of_label("latin1").expect("a label"), container: None };
        assert_eq!(told(b"caf\xe9\n", latin), (100, None, Some(1)), "it was decoded");
        let container = Form { container: Some(Container::Cri), ..plain };
        assert_eq!(told(b"2026-11-21T10:00:00Z stdout F x\n", container), (100, None, Some(1)));
    }

    #[test]
    fn a_record_of_others_tells_nothing() {
        assert_eq!(outline(|_| None, b"a line", &mut Vec::new()), Ok(None));
    }

    proptest! {
        /// What is counted here is what documents are made of.
        #[test]
        fn as_many_messages_are_counted_as_documents_are_made(
            lines in proptest::collection::vec("[a-z]{0,6}\r?", 1..12),
            joined in proptest::collection::vec(1_u32..4, 0..6),
            part in prop_oneof![3 => Just(Part::Whole), 1 => Just(Part::First), 1 => Just(Part::Last)],
            charset in prop_oneof![Just("utf-8"), Just("latin1"), Just("iso-2022-jp")],
        ) {
            let form = Form { charset: Charset::of_label(charset).expect("a label"), container: None };
            let (mut text, mut messages, mut left) = (lines.join("\n") + "\n", Messages::default(), lines.len() as u32);
            match part {
                Part::Whole => for count in joined {
                    let count = count.min(left);
                    left -= count;
                    if count > 0 {
                        messages.push(if count > 1 { Run::Joined(count) } else { Run::Single(1) });
                    }
                },
                Part::Last => text = lines[0].clone() + "\n",
                _ => text = lines[0].clone() + "x",
            }
            if part == Part::Whole && !messages.is_plain() && left > 0 {
                messages.push(Run::Single(left));
            }
            let segment = segment(&text, part, form, messages.clone());
            let (told, found) = both(segment.clone(), &text);
            let mut builder = Builder::new(&Settings::default());
            let (labels, path) = (Labels::default(), segment.path.clone());
            let source = Source {
                stream: segment.stream,
                path: &path,
                host: "h",
                task: "t",
                labels: &labels,
                topic: "app",
                read_at: "2026-11-21T10:00:00Z".parse().expect("a time"),
                form,
            };
            let mut bytes = text.clone().into_bytes();
            let passage = Passage { text: &mut bytes, offset: 100, part, messages: &messages };
            let mut offsets = Vec::new();
            builder.source(&source).each(passage, &mut Vec::new(), |built, json| {
                if built.is_some() {
                    let document: serde_json::Value = serde_json::from_slice(json).expect("JSON");
                    offsets.push(document["log.offset"].as_u64().expect("a number"));
                }
                Ok::<(), ()>(())
            }).expect("nothing is refused");
            prop_assert_eq!(found.iter().map(|(start, _)| *start).collect::<Vec<u64>>(), offsets);
            prop_assert!(told[0].messages.is_none_or(|count| count == found.len() as u64));
        }
    }
}
