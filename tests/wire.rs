//! The packed format against records that stand in files: this program and an independent decoder, written in Python
//! from `docs/wire-format.md` alone, must read the same out of each, or both refuse it.
//!
//! `LOGDRIVE_WRITE_VECTORS=1 cargo test --test wire` makes the files anew.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use logdrive::{
    batcher::frame::{self, META_HEADER, Meta, Packed, Segment, Task, VERSION_HEADER},
    record::{Charset, Container, FileId, Form, Messages, Part, Run, Stream},
};
use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize};

/// A record in a file, with what is to be read out of it.
#[derive(Serialize, Deserialize)]
struct Vector {
    about: String,
    headers: BTreeMap<String, String>,
    value: String,
    /// The text, as a piece and how often it stands there; none if the record is to be refused.
    text: Option<(String, usize)>,
}

impl Vector {
    fn new(about: &str, packed: &Packed, text: Option<(&[u8], usize)>) -> Self {
        let headers = packed.headers.iter().map(|(name, value)| ((*name).to_owned(), BASE64_STANDARD.encode(value)));
        Self {
            about: about.to_owned(),
            headers: headers.collect(),
            value: BASE64_STANDARD.encode(&packed.value),
            text: text.map(|(piece, count)| (BASE64_STANDARD.encode(piece), count)),
        }
    }

    fn expected(&self) -> Option<Vec<u8>> {
        self.text.as_ref().map(|(piece, count)| bytes(piece).repeat(*count))
    }
}

fn bytes(base64: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(base64).expect("the vectors hold base64")
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

fn stored() -> Vec<(PathBuf, Vector)> {
    let entries = fs::read_dir(directory()).expect("the directory of the vectors");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "json")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "the vectors are gone");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let vector = serde_json::from_str(&text).expect("a vector");
        (path, vector)
    };
    paths.into_iter().map(read).collect()
}

fn segment(file: u128, path: &[u8], offset: u64, text: &[u8], part: Part) -> Segment {
    let newlines = text.iter().filter(|byte| **byte == b'\n').count() as u32;
    Segment {
        task: 0,
        stream: Stream { file: FileId(file), generation: 2 },
        path: std::ffi::OsString::from_vec(path.to_vec()).into(),
        offset,
        bytes: text.len() as u64,
        lines: if part == Part::Whole { newlines } else { 1 },
        part,
        form: Form::default(),
        messages: Messages::default(),
    }
}

fn task(name: &str, labels: &[(&str, &str)]) -> Task {
    Task { name: name.into(), labels: labels.iter().copied().collect() }
}

fn meta(segments: Vec<Segment>) -> Meta {
    Meta {
        host: "web-1".to_owned(),
        machine: "9b0c2e7d5f1a4c3e8d6b7a5f4e3d2c1b".to_owned(),
        tasks: vec![task("nginx", &[])],
        read_at: "2026-01-31T12:34:56.789Z".parse().expect("a time"),
        segments,
    }
}

/// The vectors as this program writes them, by the names of their files.
fn made() -> Vec<(&'static str, Vector)> {
    const FILE: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
    let mut vectors = Vec::new();

    let (access, error): (&[u8], &[u8]) = (b"GET / 200\r\n\nGET /a 404\n", b"\x00\xff not text\n");
    let text = [access, error].concat();
    let segments = vec![
        segment(FILE, b"/var/log/nginx/access.log", 4096, access, Part::Whole),
        segment(FILE + 1, b"/var/log/nginx/error.log", 0, error, Part::Whole),
    ];
    let lines = frame::encode(&meta(segments), &text);
    let good = |about, packed: &Packed| Vector::new(about, packed, Some((&text, 1)));
    let bad = |about, packed: &Packed| Vector::new(about, packed, None);
    vectors.push(("lines.json", good("whole lines of two files; CRLF, an empty line, NUL and broken UTF-8", &lines)));

    let parts: [(&[u8], Part); 4] =
        [(b"begin", Part::First), (b" and ", Part::Middle), (b"end\n", Part::Last), (b"next\n", Part::Whole)];
    let mut offset = 100;
    let segments = parts.map(|(text, part)| {
        offset += text.len() as u64;
        segment(FILE, b"/srv/app.log", offset - text.len() as u64, text, part)
    });
    let text = parts.map(|(text, _)| text).concat();
    let packed = frame::encode(&meta(segments.into()), &text);
    vectors.push(("parts.json", Vector::new("a line in three parts, then a whole one", &packed, Some((&text, 1)))));

    let packed = frame::encode(&meta(vec![segment(FILE, b"/tmp/\xe9t\xe9\n\".log", 0, b"x\n", Part::Whole)]), b"x\n");
    vectors.push(("path.json", Vector::new("a path that is not UTF-8", &packed, Some((b"x\n", 1)))));

    let piece = b"the same line over and over again, for more than one block of the frame\n";
    let text = piece.repeat(9000);
    let packed = frame::encode(&meta(vec![segment(FILE, b"/srv/app.log", 1 << 40, &text, Part::Whole)]), &text);
    vectors.push(("blocks.json", Vector::new("a frame of several blocks", &packed, Some((piece, 9000)))));

    let with = |task| Meta { tasks: vec![task], ..meta(vec![segment(FILE, b"/srv/app.log", 0, b"x\n", Part::Whole)]) };
    let packed = frame::encode(&with(task("nginx", &[("service", "api"), ("owner", "\"größe\"")])), b"x\n");
    vectors.push(("labels.json", Vector::new("labels of the task", &packed, Some((b"x\n", 1)))));
    let packed = frame::encode(&with(task("nginx", &[("a.b", "x")])), b"x\n");
    vectors.push(("bad-labels.json", Vector::new("a label whose name no label may have", &packed, None)));

    vectors.extend(made_of_messages(FILE));
    vectors.extend(made_of_tasks(FILE));
    vectors.extend(made_by_others(FILE));

    let changed = |change: &dyn Fn(&mut Packed)| {
        let mut packed = lines.clone();
        change(&mut packed);
        packed
    };
    let version = changed(&|packed| packed.headers[0].1 = b"4".to_vec());
    vectors.push(("bad-version.json", bad("a later version", &version)));
    let headless = changed(&|packed| packed.headers.retain(|(name, _)| *name != META_HEADER));
    vectors.push(("bad-no-meta.json", bad("no metadata", &headless)));
    let foreign = changed(&|packed| packed.headers.retain(|(name, _)| *name != VERSION_HEADER));
    vectors.push(("bad-no-version.json", bad("no version", &foreign)));
    let cut = changed(&|packed| packed.value.truncate(packed.value.len() - 4));
    vectors.push(("bad-cut.json", bad("the frame's end mark is cut off", &cut)));
    let trailing = changed(&|packed| packed.value.push(0));
    vectors.push(("bad-trailing.json", bad("a byte behind the frame", &trailing)));
    let flipped = changed(&|packed| packed.value[13] ^= 1);
    vectors.push(("bad-flipped.json", bad("a flipped bit, which the value's CRC-32 shows", &flipped)));
    let other = |segments| frame::encode(&meta(segments), b"one\ntwo\n");
    let short = other(vec![segment(FILE, b"/a", 0, b"one\n", Part::Whole)]);
    vectors.push(("bad-longer.json", bad("more text than the segments say", &short)));
    let inner = other(vec![segment(FILE, b"/a", 0, b"one\ntwo\n", Part::First)]);
    vectors.push(("bad-part.json", bad("a line ends within a first part", &inner)));
    vectors
}

/// What only version 2 can say.
fn made_of_messages(file: u128) -> Vec<(&'static str, Vector)> {
    let messages = |runs: &[Run<'_>]| {
        let mut messages = Messages::default();
        assert!(runs.iter().all(|run| messages.push(*run)));
        messages
    };
    let java = b"one\nException: two\n\tat three\nfour\nfive\n";
    let joined = messages(&[Run::Single(1), Run::Joined(2), Run::Single(2)]);
    let joined = Segment { messages: joined, ..segment(file, b"/srv/app.log", 0, java, Part::Whole) };
    let cri = b"2024-01-01T00:00:00Z stderr P a\n2024-01-01T00:00:00Z stdout F b\n2024-01-01T00:00:00Z stderr F c\n";
    let form = Form { charset: Charset::UTF_8, container: Some(Container::Cri) };
    let mixed = messages(&[Run::Mixed(&[0, 1, 0])]);
    let mixed = Segment { form, messages: mixed, ..segment(file + 1, b"/srv/pod.log", 0, cri, Part::Whole) };
    let text = [&java[..], cri].concat();
    let packed = frame::encode(&meta(vec![joined.clone(), mixed.clone()]), &text);
    let about = "messages of two lines, and two of a container's streams whose lines lie among each other";
    let mut vectors = vec![("messages.json", Vector::new(about, &packed, Some((&text, 1))))];

    let wide = b"a\0\n\0\x0a\x01\n\0";
    let charset = Charset::of_label("utf-16le").expect("a label");
    let form = Form { charset, container: None };
    let lines = Segment { form, lines: 2, ..segment(file, b"/srv/wide.log", 0, wide, Part::Whole) };
    let first =
        Segment { form, part: Part::First, lines: 1, ..segment(file, b"/srv/wide.log", 8, b"\n\n", Part::Whole) };
    let text = [&wide[..], b"\n\n"].concat();
    let packed = frame::encode(&meta(vec![lines, first]), &text);
    let about = "UTF-16LE, where a byte 0x0A alone ends no line; behind it the first part of a line";
    vectors.push(("utf-16.json", Vector::new(about, &packed, Some((&text, 1)))));

    let bad = |segment: Segment| frame::encode(&meta(vec![segment]), java);
    let few = bad(Segment { messages: messages(&[Run::Joined(2)]), ..joined.clone() });
    vectors.push(("bad-messages.json", Vector::new("messages of fewer lines than there are", &few, None)));
    let mut odd = bad(joined);
    odd.headers[1].1 = String::from_utf8_lossy(&odd.headers[1].1).replace("[-1,2,-2]", "[-1,[0,2],-2]").into_bytes();
    vectors.push(("bad-numbers.json", Vector::new("messages that are numbered out of order", &odd, None)));
    let mut strange = frame::encode(&meta(vec![mixed]), cri);
    strange.headers[1].1 = String::from_utf8_lossy(&strange.headers[1].1).replace("cri", "xyz").into_bytes();
    vectors.push(("bad-format.json", Vector::new("a format that nobody knows", &strange, None)));
    vectors
}

/// What only version 3 can say.
fn made_of_tasks(file: u128) -> Vec<(&'static str, Vector)> {
    let text = b"of nginx\nof app\n\tand its trace\nof nginx again\n";
    let (nginx, rest) = text.split_at(9);
    let (app, again) = rest.split_at(22);
    let mut messages = Messages::default();
    assert!(messages.push(Run::Joined(2)));
    let of = |task, segment| Segment { task, ..segment };
    let segments = vec![
        segment(file, b"/var/log/nginx/access.log", 0, nginx, Part::Whole),
        of(1, Segment { messages, ..segment(file + 1, b"/srv/app.log", 700, app, Part::Whole) }),
        segment(file, b"/var/log/nginx/access.log", 9, again, Part::Whole),
    ];
    let tasks = vec![task("nginx", &[]), task("app", &[("service", "api")])];
    let shared = frame::encode(&Meta { tasks, ..meta(segments) }, text);
    let changed = |from: &str, to: &str| {
        let mut packed = shared.clone();
        packed.headers[1].1 = String::from_utf8_lossy(&packed.headers[1].1).replace(from, to).into_bytes();
        packed
    };
    let unknown = changed("\"task\":1", "\"task\":2");
    let none = changed("\"tasks\":", "\"others\":");
    vec![
        ("tasks.json", Vector::new("lines of two tasks, one of which has labels", &shared, Some((text, 1)))),
        ("bad-task.json", Vector::new("a segment of a task that is not there", &unknown, None)),
        ("bad-tasks.json", Vector::new("no tasks", &none, None)),
    ]
}

/// What other programs may write: any standard frame, and no CRC-32 in the headers.
fn made_by_others(file: u128) -> Vec<(&'static str, Vector)> {
    let text = b"a frame of\nanother program\n";
    let mut packed = frame::encode(&meta(vec![segment(file, b"/a", 0, text, Part::Whole)]), text);
    let info = FrameInfo::new().block_mode(BlockMode::Linked).block_checksums(true).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(text).expect("memory takes it");
    packed.value = encoder.finish().expect("memory takes it");
    let mut json: serde_json::Value = serde_json::from_slice(&packed.headers[1].1).expect("JSON");
    json.as_object_mut().expect("an object").remove("crc32");
    packed.headers[1].1 = json.to_string().into_bytes();
    let good =
        Vector::new("linked blocks, all checksums of the frame, and none in the headers", &packed, Some((text, 1)));
    let last = packed.value.len() - 1;
    packed.value[last] ^= 1;
    vec![("others.json", good), ("bad-others.json", Vector::new("the content's checksum is wrong", &packed, None))]
}

/// The headers, without the CRC-32 of how the value was packed.
fn said(vector: &Vector) -> Vec<(String, Vec<u8>)> {
    let said = vector.headers.iter().map(|(name, value)| {
        let value = bytes(value);
        match serde_json::from_slice::<serde_json::Value>(&value) {
            Ok(serde_json::Value::Object(mut meta)) => {
                meta.remove("crc32");
                (name.clone(), serde_json::Value::Object(meta).to_string().into_bytes())
            }
            _ => (name.clone(), value),
        }
    });
    said.collect()
}

fn decode(vector: &Vector) -> Option<(Meta, Vec<u8>)> {
    let headers: BTreeMap<&str, Vec<u8>> = vector.headers.iter().map(|(name, value)| (&**name, bytes(value))).collect();
    let mut text = Vec::new();
    let header = |name: &str| headers.get(name).map(Vec::as_slice);
    frame::decode(header, &bytes(&vector.value), &mut text).ok().map(|meta| (meta, text))
}

#[test]
fn the_stored_records_are_read_as_they_were_meant_and_written_so_today() {
    if env::var_os("LOGDRIVE_WRITE_VECTORS").is_some() {
        for (name, vector) in made() {
            let json = serde_json::to_string_pretty(&vector).expect("plain data") + "\n";
            fs::write(directory().join(name), json).expect("writable");
        }
    }
    let (stored, made) = (stored(), made());
    assert_eq!(stored.len(), made.len(), "a vector is missing or nobody makes it");
    for (path, vector) in stored {
        let read = decode(&vector);
        assert_eq!(read.as_ref().map(|(_, text)| text), vector.expected().as_ref(), "{}", path.display());
        // The compressor may pack otherwise some day; what it packs and what the headers say may not change.
        let today = made.iter().find(|(name, _)| path.ends_with(name)).expect("a vector that is made");
        assert_eq!((said(&today.1), today.1.expected()), (said(&vector), vector.expected()), "{}", path.display());
        assert_eq!(decode(&today.1), read, "{}", path.display());
    }
}

#[test]
fn an_independent_decoder_reads_the_same_out_of_the_stored_records_or_refuses_them_too() {
    let python =
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services/python")).arg("lz4==4.4.5").output();
    let python = String::from_utf8(python.expect("a shell").stdout).expect("a path");
    for (path, vector) in stored() {
        let mut command = Command::new(python.trim());
        let output = command.arg(directory().join("decode.py")).arg("--file").arg(&path).output().expect("a Python");
        let complaint = String::from_utf8_lossy(&output.stderr);
        match vector.expected() {
            Some(text) => assert!(output.status.success() && output.stdout == text, "{}: {complaint}", path.display()),
            None => assert!(complaint.starts_with("decode.py: ") && !output.status.success(), "{}", path.display()),
        }
    }
}
