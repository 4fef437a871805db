//! Two records from one, for a message that a broker refuses as too large.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    Style, Value,
    header::{LINE_HEADER, push},
    place::Place,
    value::{MESSAGE, part_name, push_member},
};
use crate::record::{Part, Piece, Pieces, json::push_number};

/// A value that is not longer than this is not cut; no broker's limit is that low.
const CUT_BYTES_MIN: usize = 64 * 1024;

/// The two halves of a record.
#[derive(Debug)]
pub struct Halves {
    /// The values, and what the headers say.
    pub buffer: Vec<u8>,
    /// The two records, in order.
    pub pieces: Pieces,
}

/// Cuts the record `piece`, which is one of `pieces` of `buffer`, into two parts, always the same ones. None if it is
/// short, or has several lines as they stood in a file, which would not be lines any more.
#[must_use]
pub fn cut(buffer: &[u8], pieces: &Pieces, piece: &Piece, style: Style) -> Option<Halves> {
    let value = pieces.value(piece, buffer);
    if value.len() <= CUT_BYTES_MIN {
        return None;
    }
    match style.value {
        Value::Raw if value.contains(&b'\n') => None,
        Value::Raw => {
            // Not within a character of any charset whose characters have a fixed width.
            let at = (value.len() / 2) & !3;
            let (first, second) = value.split_at(at);
            let halves = [first, second].map(|half| Half { value: half.to_vec(), hash: None });
            Some(records(buffer, pieces, piece, halves, at as u64))
        }
        Value::Json => cut_json(buffer, pieces, piece, value, style),
    }
}

struct Half {
    value: Vec<u8>,
    hash: Option<u64>,
}

/// The records of two values, the second of which begins `ahead` bytes behind the first.
fn records(buffer: &[u8], pieces: &Pieces, piece: &Piece, halves: [Half; 2], ahead: u64) -> Halves {
    let mut headers = pieces.headers_of(piece, buffer);
    let place = headers.find(|(name, _)| *name == LINE_HEADER).and_then(|(_, place)| Place::read(place).ok());
    let parts = halves_of(place.map_or(Part::Whole, |place| place.part));
    let (mut out, mut made) = (Vec::new(), Pieces::default());
    // What both say alike stands there once.
    let common: Vec<(&'static str, Range<u32>)> = pieces
        .headers_of(piece, buffer)
        .filter(|(name, _)| *name != LINE_HEADER)
        .map(|(name, value)| (name, push(&mut out, value)))
        .collect();
    let key = pieces.key(piece, buffer).map_or(0..0, |key| push(&mut out, key));
    for ((half, part), ahead) in halves.into_iter().zip(parts).zip([0, ahead]) {
        let first = made.headers.len() as u32;
        if let Some(Place { offset, .. }) = place {
            let place = Place { offset: offset + ahead, part, hash: half.hash };
            made.headers.push((LINE_HEADER, place.write(&mut out)));
        }
        made.headers.extend(common.iter().cloned());
        let value = push(&mut out, &half.value);
        out.push(b'\n');
        made.each.push(Piece { value, key: key.clone(), headers: first..made.headers.len() as u32 });
    }
    Halves { buffer: out, pieces: made }
}

/// What the halves of a line, or of a part of one, are.
fn halves_of(part: Part) -> [Part; 2] {
    match part {
        Part::Whole => [Part::First, Part::Last],
        Part::First => [Part::First, Part::Middle],
        Part::Middle => [Part::Middle, Part::Middle],
        Part::Last => [Part::Middle, Part::Last],
    }
}

/// Cuts the message in a JSON value. Where the second part begins is counted in bytes of its text, which are those of
/// the file unless it had to be decoded or mended.
fn cut_json(buffer: &[u8], pieces: &Pieces, piece: &Piece, value: &[u8], style: Style) -> Option<Halves> {
    let Members { head, offset, message, tail, part } = members(value)?;
    let (at, ahead) = middle(message);
    let parts = halves_of(part);
    let (first, second) = message.split_at(at);
    let mut halves =
        [first, second].into_iter().zip(parts).zip([offset, offset + ahead]).map(|((text, part), offset)| {
            let mut value = head.to_vec();
            push_number(offset, &mut value);
            value.extend_from_slice(MESSAGE);
            value.extend_from_slice(text);
            value.push(b'"');
            value.extend_from_slice(tail);
            if let Some(name) = part_name(part) {
                push_member("logdrive.part", name.as_bytes(), &mut value);
            }
            value.push(b'}');
            Half { value, hash: style.headers.then(|| xxh3_64(text)) }
        });
    let halves = [halves.next()?, halves.next()?];
    Some(records(buffer, pieces, piece, halves, ahead))
}

/// A JSON value as this room writes it.
struct Members<'a> {
    /// Up to the number of the offset.
    head: &'a [u8],
    offset: u64,
    /// The message as it stands, with its escapes.
    message: &'a [u8],
    /// From behind the message to the part, or else to the end.
    tail: &'a [u8],
    part: Part,
}

fn members(value: &[u8]) -> Option<Members<'_>> {
    let find =
        |what: &[u8], from: usize| value[from..].windows(what.len()).position(|at| at == what).map(|at| from + at);
    let head_end = find(b"\"log.offset\":", 0)? + b"\"log.offset\":".len();
    let message_key = find(MESSAGE, head_end)?;
    let offset = std::str::from_utf8(&value[head_end..message_key]).ok()?.parse().ok()?;
    let start = message_key + MESSAGE.len();
    let mut end = start;
    while *value.get(end)? != b'"' {
        end += if value[end] == b'\\' { 2 } else { 1 };
    }
    let rest = &value[end + 1..value.len() - 1];
    const PART: &[u8] = b",\"logdrive.part\":\"";
    // It is the last member, and a quote within a string is never bare.
    let part_at = rest.windows(PART.len()).rposition(|at| at == PART);
    let (tail, part) = match part_at {
        Some(at) => (&rest[..at], part_called(&rest[at + PART.len()..])),
        None => (rest, Part::Whole),
    };
    Some(Members { head: &value[..head_end], offset, message: &value[start..end], tail, part })
}

/// The part whose name, and a quotation mark, stand there.
fn part_called(name: &[u8]) -> Part {
    match name {
        b"first\"" => Part::First,
        b"last\"" => Part::Last,
        _ => Part::Middle,
    }
}

/// Where to cut the inside of a JSON string: at a character's beginning, at its half or right behind; and how many
/// bytes the text before it has without its escapes.
fn middle(message: &[u8]) -> (usize, u64) {
    let (mut at, mut bytes) = (0, 0);
    while at < message.len() / 2 || message.get(at).is_some_and(|byte| byte & 0xc0 == 0x80) {
        at += match &message[at..] {
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 2,
            _ => 1,
        };
        bytes += 1;
    }
    (at, bytes)
}
