//! The workers: from records of Kafka to bulk bodies, good records and bad ones.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytesize::ByteSize;
use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{Budget, Builder, Ids, IndexName, Job, Naming, Outlets, Parcel, Stretch, Worker, bulk, frame};
use crate::{
    batcher::{
        self,
        frame::{Meta, Segment, Task},
        lines::{LineBatch, LineBatcher, Style, Value},
    },
    document,
    elastic::{self, Flavor, Server},
    kafka::{AssignmentId, Content, Records},
    record::{Block, Charset, FileId, Form, Labels, Messages, Origin, Part, Permit, Run, Span, Stream, Tally},
};

/// A worker with its inlets and outlets.
struct Bench {
    jobs: Sender<Job>,
    parcels: Receiver<Parcel>,
    settled: Receiver<Arc<Stretch>>,
    budget: Budget,
}

fn start(settings: &elastic::Settings) -> Bench {
    let server = Server { flavor: Flavor::Elasticsearch, version: (8, 19, 0) };
    let client = elastic::Client::new(settings).expect("a client");
    let sender = Arc::new(bulk::Sender::new(client, &server, settings, false));
    let (jobs, jobs_out) = mpsc::channel(10);
    let (parcels_in, parcels) = mpsc::channel(100);
    let (settled_in, settled) = mpsc::channel(100);
    let budget = Budget::new(32 << 20);
    let outlets = Outlets { parcels: parcels_in, settled: settled_in };
    let index = IndexName::parse("logs-{topic}-%Y.%m.%d").expect("a template");
    let builder = Builder::new(&document::Settings::default());
    let naming = Naming { index, ids: Ids::default() };
    let worker = Worker::new(builder, naming, sender, budget.clone(), outlets);
    worker.start(0, Arc::new(Mutex::new(jobs_out))).expect("a thread");
    Bench { jobs, parcels, settled, budget }
}

/// A record as it is made for a test.
#[derive(Clone)]
struct Record {
    offset: u64,
    headers: Vec<(String, Option<Vec<u8>>)>,
    value: Option<Vec<u8>>,
}

fn record(offset: u64, headers: Vec<(String, Option<Vec<u8>>)>, value: Option<&[u8]>) -> Record {
    Record { offset, headers, value: value.map(<[u8]>::to_vec) }
}

fn foreign(offset: u64, value: &[u8]) -> Record {
    record(offset, vec![], Some(value))
}

fn segment(text: &str, offset: u64, part: Part) -> Segment {
    let stream = Stream { file: FileId(7), generation: 1 };
    let lines = text.matches('\n').count().max(1) as u32;
    Segment {
        task: 0,
        stream,
        path: PathBuf::from("/var/log/a"),
        offset,
        bytes: text.len() as u64,
        lines,
        part,
        form: Form::default(),
        messages: Messages::default(),
    }
}

fn packed(offset: u64, segments: &[(&str, u64, Part)]) -> Record {
    let text: String = segments.iter().map(|(text, ..)| *text).collect();
    let segments = segments.iter().map(|(text, offset, part)| segment(text, *offset, *part)).collect();
    packed_of(offset, segments, &text)
}

fn packed_of(offset: u64, segments: Vec<Segment>, text: &str) -> Record {
    let read_at = Timestamp::from_second(1_700_000_000).expect("a time");
    let tasks = vec![Task { name: "t".into(), labels: Labels::default() }];
    let meta = Meta { host: "web".to_owned(), machine: "m".to_owned(), tasks, read_at, segments };
    let packed = frame::encode(&meta, text.as_bytes());
    let headers = packed.headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect();
    record(offset, headers, Some(&packed.value))
}

fn job(records: Vec<Record>) -> (Arc<Stretch>, Job) {
    let (start, end) = (records[0].offset, records[records.len() - 1].offset + 1);
    let stretch = Stretch::new(Span { source: (AssignmentId(1), 0), start, end, mark: () });
    let mut of_partition = Records::new(AssignmentId(1), "app".into(), 0);
    for Record { offset, headers, value } in &records {
        let timestamp_ms = Some(1_700_000_000_000);
        let content = Content { offset: *offset, timestamp_ms, key: None, value: value.as_deref() };
        of_partition.push(content, headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref())));
    }
    (Arc::clone(&stretch), Job { stretch, records: of_partition })
}

impl Bench {
    /// Sends one job and returns what the worker made of it, as one parcel.
    async fn parcel(&mut self, records: Vec<Record>) -> Parcel {
        let (_, job) = job(records);
        self.jobs.send(job).await.expect("the worker lives");
        self.parcels.recv().await.expect("the worker lives")
    }
}

fn documents(parcel: &Parcel) -> Vec<Json> {
    let document = |item| serde_json::from_slice(parcel.body.document(item)).expect("a document is JSON");
    (0..parcel.body.len()).map(document).collect()
}

/// The offset of each item's record.
fn offsets(parcel: &Parcel) -> Vec<u64> {
    (0..parcel.body.len()).map(|item| parcel.origin_of(item).offset).collect()
}

#[tokio::test]
async fn the_lines_of_a_packed_record_become_documents_with_their_places() {
    let mut bench = start(&elastic::Settings::default());
    let segments = [("one\n{\"a\":1}\n", 100, Part::Whole), ("be", 200, Part::First), ("gin\n", 202, Part::Last)];
    let parcel = bench.parcel(vec![packed(5, &segments)]).await;
    let places: Vec<_> = documents(&parcel)
        .iter()
        .map(|document| {
            (document["message"].clone(), document["log.offset"].as_u64(), document["log.file.path"].clone())
        })
        .collect();
    let of = |message: &str, offset| (Json::from(message), Some(offset), Json::from("/var/log/a"));
    assert_eq!(places, [of("one", 100), of("{\"a\":1}", 104), of("be", 200), of("gin", 202)]);
    assert!(parcel.body.item(0).starts_with(b"{\"create\":{\"_index\":\"logs-app-2023.11.14\",\"_id\":\""));
    assert_eq!(offsets(&parcel), [5; 4]);
}

#[tokio::test]
async fn messages_of_several_lines_and_other_charsets_become_documents() {
    let mut bench = start(&elastic::Settings::default());
    let mut joined = segment("a\n b\nc\n", 0, Part::Whole);
    assert!(joined.messages.push(Run::Joined(2)) && joined.messages.push(Run::Single(1)));
    let mut wide = segment("d\0\n\0", 8, Part::Whole);
    wide.form.charset = Charset::of_label("utf-16le").expect("a label");
    let record = packed_of(5, vec![joined, wide], "a\n b\nc\nd\0\n\0");
    let messages: Vec<_> =
        documents(&bench.parcel(vec![record]).await).iter().map(|document| document["message"].clone()).collect();
    assert_eq!(messages, ["a\n b", "c", "d"]);
}

/// A set of single lines as records, the first of them at `offset`.
fn lines(offset: u64, value: Value, text: &str) -> Vec<Record> {
    let segment = segment(text, 100, Part::Whole);
    let origin = Origin {
        stream: segment.stream,
        path: segment.path,
        task: "t".into(),
        labels: Labels::default(),
        form: segment.form,
    };
    let block = Block {
        origin: Arc::new(origin),
        offset: segment.offset,
        text: text.as_bytes().to_vec(),
        lines: segment.lines,
        part: segment.part,
        messages: segment.messages,
        read_at: Timestamp::from_second(1_700_000_000).expect("a time"),
        held: Arc::new(Tally::default()).read(segment.lines.into(), text.len() as u64),
        permit: Permit::none(),
    };
    let sender = batcher::Sender { host: "web".into(), machine: "m".into() };
    let mut batcher = LineBatcher::new(&batcher::Settings::default(), Style { value, headers: true }, sender);
    assert!(batcher.push(block, None, std::time::Instant::now()).is_empty());
    let LineBatch { buffer, pieces, .. } = batcher.seal().expect("there are lines");
    let of = |(piece, offset)| {
        let headers = pieces.headers_of(piece, &buffer).map(|(name, value)| (name.to_owned(), Some(value.to_vec())));
        record(offset, headers.collect(), Some(pieces.value(piece, &buffer)))
    };
    pieces.each.iter().zip(offset..).map(of).collect()
}

#[tokio::test]
async fn a_line_is_the_same_document_packed_alone_and_as_json() {
    let mut bench = start(&elastic::Settings::default());
    let text = "one\r\n{\"a\":1}\n\n2026-01-31 12:00:00 ERROR é\n";
    let mut parcels = Vec::new();
    for records in
        [vec![packed(5, &[(text, 100, Part::Whole)])], lines(6, Value::Raw, text), lines(10, Value::Json, text)]
    {
        let parcel = bench.parcel(records).await;
        parcels.push((0..parcel.body.len()).map(|item| parcel.body.item(item).to_vec()).collect::<Vec<_>>());
    }
    assert_eq!(parcels[0].len(), 4);
    assert_eq!((&parcels[0], &parcels[0]), (&parcels[1], &parcels[2]), "identity, index and document agree");
}

#[tokio::test]
async fn a_single_line_that_can_not_be_read_is_a_dead_letter() {
    let mut bench = start(&elastic::Settings::default());
    let mut records = [lines(1, Value::Raw, "a\n"), lines(2, Value::Json, "b\n"), lines(3, Value::Raw, "c\n")].concat();
    records[0].headers.retain(|(name, _)| name != "logdrive.meta");
    records[1].value = Some(b"{\"message\":".to_vec());
    let parcel = bench.parcel(records).await;
    let reasons: Vec<_> = parcel.letters.iter().map(|letter| (letter.origin.offset, &*letter.reason_type)).collect();
    assert_eq!((parcel.body.len(), reasons), (1, vec![(1, "record_meta"), (2, "record_text")]));
}

#[tokio::test]
async fn foreign_records_are_lines_and_equal_lines_are_told_apart() {
    let mut bench = start(&elastic::Settings::default());
    let parcel = bench.parcel(vec![foreign(1, b"same\nsame\n\nlast"), foreign(2, b"same"), foreign(9, b"")]).await;
    let messages: Vec<_> = documents(&parcel).iter().map(|document| document["message"].clone()).collect();
    assert_eq!(messages, ["same", "same", "", "last", "same"]);
    let mut actions: Vec<Vec<u8>> = (0..5).map(|item| parcel.body.item(item).to_vec()).collect();
    actions.sort();
    actions.dedup();
    assert_eq!(actions.len(), 5, "every line has an id of its own");
    assert_eq!(offsets(&parcel), [1, 1, 1, 1, 2]);
}

#[tokio::test]
async fn a_record_that_can_not_be_read_is_a_dead_letter_and_its_neighbours_are_not() {
    let mut bench = start(&elastic::Settings::default());
    let whole = [("a\n", 0, Part::Whole)];
    let mut cut = packed(2, &whole);
    cut.value.as_mut().expect("a value").truncate(12);
    let mut newer = packed(3, &whole);
    newer.headers[0].1 = Some(b"99".to_vec());
    let mut bare = packed(4, &whole);
    bare.headers.truncate(1);
    let kept = cut.clone();
    let parcel = bench.parcel(vec![packed(1, &whole), cut, newer, bare, packed(5, &whole)]).await;
    assert_eq!(parcel.body.len(), 2);
    let reasons: Vec<_> = parcel.letters.iter().map(|letter| (letter.origin.offset, &*letter.reason_type)).collect();
    assert_eq!(reasons, [(2, "record_text"), (3, "record_version"), (4, "record_meta")]);
    let crate::letter::Content::Record { value, headers, .. } = &parcel.letters[0].content else {
        panic!("a record's letter has the record")
    };
    assert_eq!((Some(value), headers), (kept.value.as_ref(), &kept.headers));
}

#[tokio::test]
async fn a_stretch_without_a_line_is_settled_at_once() {
    let mut bench = start(&elastic::Settings::default());
    let (stretch, job) = job(vec![record(1, vec![], None), foreign(2, b"")]);
    bench.jobs.send(job).await.expect("the worker lives");
    let settled = bench.settled.recv().await.expect("the worker lives");
    assert!(Arc::ptr_eq(&stretch, &settled) && bench.parcels.try_recv().is_err());
}

#[tokio::test]
async fn a_large_record_goes_off_in_several_parcels_and_is_settled_with_the_last() {
    let settings = elastic::Settings { bulk_bytes_max: ByteSize::kib(64), ..elastic::Settings::default() };
    let mut bench = start(&settings);
    let text = "a line of some length, to fill the bodies that are made of it\n".repeat(1000);
    let (stretch, job) = job(vec![packed(1, &[(&text, 0, Part::Whole)])]);
    bench.jobs.send(job).await.expect("the worker lives");
    let (mut lines, mut parcels) = (0, Vec::new());
    while lines < 1000 {
        let parcel = bench.parcels.recv().await.expect("the worker lives");
        assert!(parcel.permit.bytes() <= parcel.body.bytes_max());
        lines += parcel.body.len();
        parcels.push(parcel);
    }
    assert!(parcels.len() > 3 && bench.budget.in_flight() > 0);
    drop(bench.jobs);
    assert!(bench.parcels.recv().await.is_none(), "the worker is done");
    let last = parcels.pop().expect("there are several");
    for parcel in parcels {
        assert!(!parcel.stretches[0].release());
    }
    assert!(last.stretches[0].release() && Arc::ptr_eq(&last.stretches[0], &stretch));
    drop(last);
    assert_eq!(bench.budget.in_flight(), 0);
}
