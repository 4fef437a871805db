//! Every message of a stream is a record, whatever the sizes, and can be read back with where it stood.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytesize::ByteSize;
use proptest::prelude::*;
use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_64;

use super::{Decoded, Decoder, Line, LineBatch, LineBatcher, RECORDS_MAX, Settings, Style, Value, cut, decode, linger};
use crate::{
    batcher::{
        frame::FrameError,
        tests::{block, blocks, sender},
    },
    record::{Amount, Block, Budget, Charset, Form, Labels, Origin, Part, Run, SentLine, json},
};

const RAW: Style = Style { value: Value::Raw, headers: true };
const JSON: Style = Style { value: Value::Json, headers: true };

fn batcher(style: Style, bytes_max: u64) -> LineBatcher {
    LineBatcher::new(&Settings { bytes_max: ByteSize::b(bytes_max), ..Settings::default() }, style, sender())
}

fn all(batcher: &mut LineBatcher, blocks: Vec<Block>) -> Vec<LineBatch> {
    let mut batches: Vec<LineBatch> =
        blocks.into_iter().flat_map(|block| batcher.push(block, None, Instant::now())).collect();
    batches.extend(batcher.seal());
    batches
}

fn read(batch: &LineBatch, index: usize) -> Result<(Line, Vec<u8>), FrameError> {
    let (piece, mut text) = (&batch.pieces.each[index], b"left over".to_vec());
    let header = |wanted: &str| {
        batch.pieces.headers_of(piece, &batch.buffer).find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    Ok((decode(header, batch.pieces.value(piece, &batch.buffer), &mut text)?, text))
}

fn values(batches: &[LineBatch]) -> Vec<String> {
    let value =
        |batch: &LineBatch, piece| String::from_utf8_lossy(batch.pieces.value(piece, &batch.buffer)).into_owned();
    batches.iter().flat_map(|batch| batch.pieces.each.iter().map(move |piece| value(batch, piece))).collect()
}

/// What the blocks' messages are: file, offset, part, and the bytes without the last newline, in the order of the blocks.
fn expected(blocks: &[Block]) -> Vec<(u128, u64, Part, Vec<u8>)> {
    let mut messages = Vec::new();
    for block in blocks {
        let file = block.origin.stream.file.0;
        if block.part != Part::Whole {
            let text = block.text.strip_suffix(b"\n").unwrap_or(&block.text);
            messages.push((file, block.offset, block.part, text.to_vec()));
            continue;
        }
        let mut at = block.offset;
        let mut lines = block.text.split_inclusive(|byte| *byte == b'\n').map(|line| {
            at += line.len() as u64;
            (at - line.len() as u64, line)
        });
        let mut numbers = Vec::new();
        for run in block.messages.runs() {
            match run {
                Run::Single(lines) => numbers.extend((0..lines).map(|_| vec![0])),
                Run::Joined(lines) => numbers.push(vec![0; lines as usize]),
                Run::Mixed(mixed) => numbers.push(mixed.to_vec()),
            }
        }
        if block.messages.is_plain() {
            numbers.resize(block.lines as usize, vec![0]);
        }
        for unit in numbers {
            let mut of_unit: Vec<(u64, Vec<u8>)> = Vec::new();
            for number in unit {
                let (offset, line) = lines.next().expect("messages have as many lines as the block");
                match of_unit.get_mut(number as usize) {
                    Some((_, text)) => text.extend(line),
                    None => of_unit.push((offset, line.to_vec())),
                }
            }
            messages.extend(of_unit.into_iter().map(|(offset, mut text)| {
                text.pop();
                (file, offset, Part::Whole, text)
            }));
        }
    }
    messages
}

fn cover_the_streams(batches: &[LineBatch], streams: &HashMap<u128, Vec<u8>>) -> Result<(), TestCaseError> {
    let mut covered: HashMap<u128, u64> = HashMap::new();
    for batch in batches {
        let mut bytes = 0;
        for span in &batch.spans {
            let at = covered.insert(span.source.file.0, span.end).unwrap_or(0);
            prop_assert!(at == span.start && span.start < span.end, "a stream's spans are adjacent and not empty");
            bytes += span.end - span.start;
        }
        prop_assert_eq!(bytes, batch.share.held.amount().bytes);
    }
    let lengths: HashMap<u128, u64> = streams.iter().map(|(file, text)| (*file, text.len() as u64)).collect();
    prop_assert_eq!(covered, lengths);
    Ok(())
}

proptest! {
    #[test]
    fn raw_records_are_the_messages_byte_for_byte_with_where_they_stood(
        (blocks, streams) in blocks(),
        bytes_max in 1_u64..3000,
    ) {
        let (expected, lines) = (expected(&blocks), blocks.iter().map(|block| u64::from(block.lines)).sum::<u64>());
        let batches = all(&mut batcher(RAW, bytes_max), blocks);
        let mut found = Vec::new();
        for batch in &batches {
            for index in 0..batch.pieces.each.len() {
                let (line, mut text) = read(batch, index).expect("its own writing");
                let Line::Raw(meta) = line else { panic!("it was written raw") };
                let segment = &meta.segments[0];
                if !segment.part.goes_on() && text.last() == Some(&b'\n') {
                    text.pop();
                }
                found.push((segment.stream.file.0, segment.offset, segment.part, text));
                prop_assert_eq!((&*meta.host, &*meta.machine, &*meta.tasks[0].name), ("web-1", "4f6c1", "app"));
                prop_assert_eq!(segment.path.to_str(), Some(&*format!("/var/log/{}.log", segment.stream.file.0)));
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert_eq!(batches.iter().map(|batch| batch.share.held.amount().lines).sum::<u64>(), lines);
        cover_the_streams(&batches, &streams)?;
    }

    #[test]
    fn json_records_have_the_text_and_remember_what_the_bytes_were(
        (blocks, streams) in blocks(),
        bytes_max in 1_u64..3000,
    ) {
        let expected = expected(&blocks);
        let batches = all(&mut batcher(JSON, bytes_max), blocks);
        let mut found = Vec::new();
        for batch in &batches {
            for index in 0..batch.pieces.each.len() {
                let (line, text) = read(batch, index).expect("its own writing");
                let Line::Json(meta, hash) = line else { panic!("it was written as JSON") };
                let (segment, piece) = (&meta.segments[0], &batch.pieces.each[index]);
                let json: Json = serde_json::from_slice(batch.pieces.value(piece, &batch.buffer)).expect("JSON");
                prop_assert_eq!(json["message"].as_str().map(str::as_bytes), Some(&text[..]));
                // Nearly all are of the form that is read without a search for members.
                let has_odd_escapes = text.iter().any(|byte| *byte < b' ' && !b"\x08\x0c\n\r\t".contains(byte));
                let sent = SentLine::of(batch.pieces.value(piece, &batch.buffer));
                prop_assert_eq!(sent.map(|sent| sent.offset), (!has_odd_escapes).then_some(segment.offset));
                prop_assert_eq!(json["log.offset"].as_u64(), Some(segment.offset));
                prop_assert_eq!(json["host.name"].as_str(), Some("web-1"));
                prop_assert_eq!(json["log.file.path"].as_str(), segment.path.to_str());
                prop_assert_eq!(json["@timestamp"].as_str(), Some("1970-01-01T00:00:00.000Z"));
                found.push((segment.stream.file.0, segment.offset, segment.part, text, hash));
            }
        }
        let text_of = |part: Part, bytes: &[u8]| {
            let lines: Vec<String> = bytes.split(|byte| *byte == b'\n').map(|line| {
                let line = if part.goes_on() { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
                String::from_utf8_lossy(line).into_owned()
            }).collect();
            lines.join("\n").into_bytes()
        };
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(file, offset, part, bytes)| (file, offset, part, text_of(part, &bytes), xxh3_64(&bytes)))
            .collect();
        prop_assert_eq!(found, expected);
        cover_the_streams(&batches, &streams)?;
    }

    #[test]
    fn whatever_stands_in_headers_and_value_is_read_or_refused(
        headers in proptest::collection::vec(
            prop_oneof![any::<Option<Vec<u8>>>(), Just(Some(br#"{"version":1,"offset":7}"#.to_vec()))], 2),
        value in any::<Vec<u8>>(),
    ) {
        let names = ["logdrive.line", "logdrive.meta"];
        let header = |name: &str| headers[names.iter().position(|known| *known == name)?].as_deref();
        let _ = decode(header, &value, &mut Vec::new());
    }
}

#[test]
fn what_is_read_does_not_depend_on_what_was_read_before() {
    let of = |path: &str, offset, text: &[u8], part| {
        let mut block = block(1, offset, text, part);
        Arc::make_mut(&mut block.origin).path = path.into();
        block
    };
    let blocks = |joined: &str| {
        let mut several = of("/a", 4, joined.as_bytes(), Part::Whole);
        assert!(several.messages.push(Run::Joined(several.lines)));
        vec![
            of("/a", 0, b"one\n", Part::Whole),
            several,
            of("/b", 0, b"be", Part::First),
            of("/b", 2, b"gin\n", Part::Last),
            of("/a", 50, b"two\n", Part::Whole),
        ]
    };
    let batches = [RAW, JSON].map(|style| all(&mut batcher(style, 1 << 20), blocks("a\n b\n")));
    let records: Vec<(&LineBatch, usize)> = batches
        .iter()
        .flatten()
        .flat_map(|batch| (0..batch.pieces.each.len()).map(move |index| (batch, index)))
        .collect();
    assert_eq!(records.len(), 10);
    for (first, second) in records.iter().flat_map(|first| records.iter().map(move |second| (first, second))) {
        let mut decoder = Decoder::default();
        for (batch, index) in [first, second] {
            let piece = &batch.pieces.each[*index];
            let header = |wanted: &str| {
                batch.pieces.headers_of(piece, &batch.buffer).find(|(name, _)| *name == wanted).map(|(_, value)| value)
            };
            let mut text = b"left over".to_vec();
            let value = batch.pieces.value(piece, &batch.buffer);
            let line = match decoder.read(header, value, &mut text).expect("readable") {
                None => Line::Raw(decoder.meta().clone()),
                Some(Decoded { hash, is_plain }) => {
                    assert!(!is_plain || json::first_escape(&text).is_none() && std::str::from_utf8(&text).is_ok());
                    Line::Json(decoder.meta().clone(), hash)
                }
            };
            assert_eq!((line, text), read(batch, *index).expect("readable"));
            // A record that can't be read in between takes nothing along.
            assert!(decoder.read(|_| Some(b"1"), b"", &mut Vec::new()).is_err());
        }
    }
}

#[test]
fn a_set_is_sealed_when_it_has_enough_text_or_records_or_is_old_and_its_permit_covers_no_more_than_it_was_given() {
    let budget = Budget::new(1 << 20);
    let mut batcher = batcher(Style::default(), 100);
    let now = Instant::now();
    let mut first = block(1, 0, b"short\n", Part::Whole);
    first.permit = budget.try_take(6).expect("it is free");
    assert!(batcher.push(first, None, now).is_empty() && batcher.due(now).is_none());
    let due = batcher.due_at().expect("something waits");
    let age_max = Settings::default().age_max;
    assert_eq!(due + linger(age_max), now + age_max, "with what waits in the producer, it is as old as it may get");
    let batch = [batcher.due(due).expect("it is old enough")];
    assert_eq!((values(&batch), batch[0].permit.bytes()), (vec!["short".to_owned()], 6));
    drop(batch);
    assert_eq!(budget.in_flight(), 0);
    let long = [&[b'x'; 90][..], b"\n"].concat();
    let text = [long.clone(), b"y\n".to_vec(), long].concat();
    let sealed = batcher.push(block(1, 6, &text, Part::Whole), None, now);
    assert_eq!((sealed.len(), sealed[0].share.held.amount()), (1, Amount { lines: 2, bytes: 93 }));
    assert_eq!(batcher.seal().map(|batch| batch.share.held.amount().lines), Some(1));

    let mut batcher = self::batcher(Style::default(), 1 << 20);
    let sealed = batcher.push(block(1, 0, &b"\n".repeat(RECORDS_MAX + 1), Part::Whole), None, now);
    assert_eq!((sealed.len(), sealed[0].pieces.each.len()), (1, RECORDS_MAX));
}

#[test]
fn text_in_another_charset_stays_as_it_is_in_raw_values_and_is_decoded_in_json() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut one = block(1, 0, &wide("\u{feff}né\r\nzwei\n"), Part::Whole);
    let form = Form { charset: Charset::of_label("utf-16le").expect("a label"), container: None };
    one.origin = Arc::new(Origin { form, ..(*one.origin).clone() });
    one.lines = 2;
    let again = Block { origin: Arc::clone(&one.origin), ..block(1, 0, &one.text.clone(), Part::Whole) };
    let raw = all(&mut batcher(RAW, 1000), vec![one]);
    let (Line::Raw(meta), text) = read(&raw[0], 1).expect("readable") else { panic!("it was written raw") };
    assert_eq!((text, meta.segments[0].form, meta.segments[0].offset), (wide("zwei\n"), form, 10));
    let json = all(&mut batcher(JSON, 1000), vec![again]);
    assert_eq!(
        [0, 1].map(|index| read(&json[0], index).expect("readable").1),
        [b"n\xc3\xa9".to_vec(), b"zwei".to_vec()]
    );
}

#[test]
fn each_record_has_the_key_of_its_block_and_so_have_its_halves() {
    let mut batcher = batcher(RAW, 1 << 20);
    let long = format!("{}\n", "x".repeat(100_000));
    let keys: [Option<&[u8]>; 5] = [Some(b"a"), Some(b"a"), Some(b"bc"), None, Some(b"a")];
    for (file, key) in keys.iter().enumerate() {
        assert!(batcher.push(block(file as u128, 0, long.as_bytes(), Part::Whole), *key, Instant::now()).is_empty());
    }
    let batch = batcher.seal().expect("a set");
    let found: Vec<_> = batch.pieces.each.iter().map(|piece| batch.pieces.key(piece, &batch.buffer)).collect();
    assert_eq!(found, keys);
    for (piece, key) in batch.pieces.each.iter().zip(keys) {
        let halves = cut(&batch.buffer, &batch.pieces, piece, RAW).expect("it is long");
        assert!(halves.pieces.each.iter().all(|half| halves.pieces.key(half, &halves.buffer) == key));
    }
}

#[test]
fn labels_stand_in_the_headers_and_in_json() {
    let labels: Labels = [("service", "a \"b\"")].into_iter().collect();
    for style in [RAW, JSON] {
        let mut one = block(1, 0, b"x\n", Part::Whole);
        one.origin = Arc::new(Origin { labels: labels.clone(), ..(*one.origin).clone() });
        let batch = all(&mut batcher(style, 1000), vec![one]).remove(0);
        let (Line::Raw(meta) | Line::Json(meta, _), _) = read(&batch, 0).expect("readable");
        assert_eq!(meta.tasks[0].labels, labels);
        if style.value == Value::Json {
            let json: Json =
                serde_json::from_slice(batch.pieces.value(&batch.pieces.each[0], &batch.buffer)).expect("JSON");
            assert_eq!(json["labels"]["service"].as_str(), Some("a \"b\""));
        }
    }
}

#[test]
fn a_record_that_is_too_large_is_cut_into_marked_parts_and_those_can_be_cut_again() {
    let line = format!("{}\"\\é{}", "a".repeat(100_000), "é".repeat(60_000));
    for style in [RAW, JSON, Style { headers: false, ..JSON }, Style { headers: false, ..RAW }] {
        let batch = all(&mut batcher(style, 1 << 20), vec![block(1, 40, format!("{line}\n").as_bytes(), Part::Whole)]);
        let halves = cut(&batch[0].buffer, &batch[0].pieces, &batch[0].pieces.each[0], style).expect("it is long");
        let again = cut(&halves.buffer, &halves.pieces, &halves.pieces.each[1], style).expect("its half is long");
        let short = cut(&again.buffer, &again.pieces, &again.pieces.each[0], style);
        assert!(short.is_none(), "a part of 64 KiB is small enough");
        let mut parts = [(&halves, 0), (&again, 0), (&again, 1)].map(|(halves, index)| {
            let piece = &halves.pieces.each[index];
            let value = halves.pieces.value(piece, &halves.buffer);
            let headers: Vec<_> = halves.pieces.headers_of(piece, &halves.buffer).collect();
            let header = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
            let text = match (style.headers, style.value) {
                (_, Value::Json) => {
                    let json: Json = serde_json::from_slice(value).expect("JSON");
                    assert_eq!(json["host.name"].as_str(), Some("web-1"));
                    let part = json["logdrive.part"].as_str().expect("it is marked").to_owned();
                    (json["log.offset"].as_u64(), Some(part), json["message"].as_str().expect("text").to_owned())
                }
                (true, Value::Raw) => {
                    let mut text = Vec::new();
                    let Line::Raw(meta) = decode(header, value, &mut text).expect("readable") else { panic!("raw") };
                    let part = format!("{:?}", meta.segments[0].part).to_lowercase();
                    let text = String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned();
                    (Some(meta.segments[0].offset), Some(part), text)
                }
                (false, Value::Raw) => (None, None, String::from_utf8_lossy(value).into_owned()),
            };
            if style.headers && style.value == Value::Json {
                let read = decode(header, value, &mut Vec::new());
                assert!(matches!(read, Ok(Line::Json(..))), "{read:?}");
            }
            text
        });
        let mut at = 40;
        for ((offset, part, text), name) in parts.iter_mut().zip(["first", "middle", "last"]) {
            assert_eq!((offset.unwrap_or(at), part.as_deref().unwrap_or(name)), (at, name), "{style:?}");
            at += text.len() as u64;
        }
        let joined: String = parts.into_iter().map(|(.., text)| text).collect();
        assert_eq!(joined.len(), line.len());
        assert!(joined == line, "{style:?}: nothing is changed");
    }
}
