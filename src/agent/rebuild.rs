//! Rebuilds lost checkpoints from what Kafka holds: the newest records of the tasks' topics say of each file how far
//! it was sent.
//!
//! A stream's bytes go to one partition in order, so what follows on each other in the records that were read is
//! safe up to its first gap, and reading may go on there. Behind a gap everything is sent again. Of single lines
//! only those tell anything that stand in their records as they stood in the file, and have headers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    batcher::{
        frame::{self, Meta},
        lines::{self, LINE_HEADER, Line, Value},
    },
    config::{Config, Task},
    kafka::{self, KafkaError, Past, Reach},
    metrics::{self, Part, list},
    reader::{self, Trace},
    record::{self, Checkpoint, Stream, TailMark},
};

/// How far back each topic is read.
const REACH: Reach = Reach { records_max: 20_000, bytes_max: 256 << 20 };

/// How many records back a topic of single lines is read.
const LINES_MAX: u64 = 2_000_000;

/// So much adjacent text of single lines is told together.
const PENDING_BYTES_MAX: usize = 256 << 10;

/// The most streams that are remembered; the files of others are begun anew.
const STREAMS_MAX: usize = 100_000;

/// How long to wait before Kafka is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// What Kafka had to say.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    /// Checkpoints of the files that were found again.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// How many streams of this machine's the records told of.
    pub(super) streams: usize,
    /// How many records were read.
    pub(super) records: u64,
}

/// Reads what Kafka holds of this machine's files. It waits for Kafka until `stop` is cancelled; what Kafka refuses
/// to show is left out, and said. `seed` is the one of the store that was lost, if it is known.
pub(super) async fn rebuild(
    config: &Config,
    machine: &str,
    seed: Option<u128>,
    health: &Part,
    stop: &CancellationToken,
) -> Option<Rebuilt> {
    // A configuration whose tasks have no topics is refused when it is loaded.
    let topics = reaches(&config.agent.tasks, &config.agent.topics().unwrap_or_default());
    let mut trails = Trails::new(machine);
    let mut records = 0;
    for (topic, reach) in topics {
        let read = stop.run_until_cancelled(read(config, &topic, reach, trails, health)).await?;
        trails = read.0;
        records += read.1;
    }
    let traces = trails.traces();
    let streams = traces.len();
    let checkpoints = spawn_blocking(move || reader::find_again(traces, seed)).await.unwrap_or_default();
    metrics::counter(&list::REBUILT_FILES, &[]).increment(checkpoints.len() as u64);
    Some(Rebuilt { checkpoints, streams, records })
}

/// How far each topic is looked back in, where `topics` has the one of each task: further if it has single lines that tell
/// where they come from, since each tells of itself alone.
fn reaches(tasks: &[Task], topics: &[Arc<str>]) -> BTreeMap<Arc<str>, Reach> {
    let tells = |style: lines::Style| style.headers && style.value == Value::Raw;
    let mut reaches = BTreeMap::new();
    for (task, topic) in tasks.iter().zip(topics) {
        let reach = reaches.entry(Arc::clone(topic)).or_insert(REACH);
        if task.style().is_some_and(tells) {
            *reach = Reach { records_max: LINES_MAX, ..REACH };
        }
    }
    reaches
}

/// Reads one topic, however often it takes; gives how many records there were.
async fn read(config: &Config, topic: &str, reach: Reach, mut trails: Trails, health: &Part) -> (Trails, u64) {
    let counter = metrics::counter(&list::REBUILD_RECORDS, &[topic]);
    let mut is_told = false;
    loop {
        let (settings, name, counter) = (config.kafka.clone(), topic.to_owned(), counter.clone());
        let kept = trails.clone();
        let reading = spawn_blocking(move || {
            let mut text = Vec::new();
            let read = kafka::newest(&settings, &name, reach, |past| {
                counter.increment(1);
                trails.take(&past, &mut text);
            });
            trails.note_pending();
            (trails, read)
        });
        // The reading panicked or the runtime goes down: what was known before it is as good as it gets.
        let Ok((read_trails, result)) = reading.await else { return (kept, 0) };
        match result {
            Ok(extent) => {
                info!(
                    topic,
                    records = extent.records,
                    whole = extent.is_whole,
                    "read what kafka holds of lost checkpoints"
                );
                return (read_trails, extent.records);
            }
            Err(KafkaError::UnknownTopic { .. }) => return (kept, 0),
            Err(error @ KafkaError::Away { .. }) => {
                if !is_told {
                    warn!(topic, error = %error, "lost checkpoints are rebuilt from kafka before reading begins; reading waits for it");
                    is_told = true;
                }
                health.failing(format!("{error}; lost checkpoints are rebuilt from kafka before reading begins"));
                trails = kept;
            }
            Err(error) => {
                warn!(topic, error = %error, "kafka can't say how far the files of this topic were sent");
                return (kept, 0);
            }
        }
        sleep(AGAIN).await;
    }
}

/// What the records told so far.
#[derive(Clone, Debug)]
struct Trails {
    machine: String,
    streams: HashMap<Stream, Trail>,
    /// Adjacent single lines of one stream, as one segment, and their text. More text is better evidence.
    pending: Option<(Meta, Vec<u8>)>,
}

/// The stretches of a stream that records hold.
#[derive(Clone, Debug)]
struct Trail {
    task: Arc<str>,
    /// By where they begin; disjoint, and not adjacent.
    runs: BTreeMap<u64, Run>,
}

#[derive(Clone, Debug, PartialEq)]
struct Run {
    end: u64,
    /// The segment that ends there.
    last: Last,
}

#[derive(Clone, Debug, PartialEq)]
struct Last {
    start: u64,
    hash: u64,
    mark: TailMark,
    path: std::path::PathBuf,
    read_at: Timestamp,
}

impl Trails {
    fn new(machine: &str) -> Self {
        Self { machine: machine.to_owned(), streams: HashMap::new(), pending: None }
    }

    /// Takes what a record tells; one that is not ours, or can't be read, tells nothing.
    fn take(&mut self, past: &Past, text: &mut Vec<u8>) {
        let Some(value) = &past.value else { return };
        let header = |name: &str| past.header(name);
        if header(LINE_HEADER).is_some() {
            // JSON doesn't have the bytes that the file had.
            if let Ok(Line::Raw(meta)) = lines::decode(header, value, text)
                && meta.machine == self.machine
            {
                self.take_line(meta, text);
            }
            return;
        }
        let Ok(meta) = frame::decode(header, value, text) else { return };
        if meta.machine == self.machine {
            self.note(&meta, text);
        }
    }

    /// Takes a single line, or message.
    fn take_line(&mut self, meta: Meta, text: &[u8]) {
        let Some(line) = meta.segments.first() else { return };
        // Its lines may have had others between them.
        if line.form.container.is_some() && !line.messages.is_plain() {
            return;
        }
        if let Some((pending, before)) = &mut self.pending
            && let Some(last) = pending.segments.first_mut()
            && last.stream == line.stream
            && (last.part, line.part) == (record::Part::Whole, record::Part::Whole)
            && last.offset + last.bytes == line.offset
            && (&last.path, &pending.tasks) == (&line.path, &meta.tasks)
            && before.len() < PENDING_BYTES_MAX
        {
            last.bytes += line.bytes;
            before.extend_from_slice(text);
            pending.read_at = meta.read_at;
            return;
        }
        self.note_pending();
        self.pending = Some((meta, text.to_vec()));
    }

    /// Notes the single lines that wait for others.
    fn note_pending(&mut self) {
        if let Some((meta, text)) = self.pending.take() {
            self.note(&meta, &text);
        }
    }

    fn note(&mut self, meta: &Meta, text: &[u8]) {
        for (segment, piece) in meta.segments_of(text) {
            if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&segment.stream) {
                continue;
            }
            let last = Last {
                start: segment.offset,
                hash: xxh3_64(piece),
                mark: segment.mark(piece),
                path: segment.path.clone(),
                read_at: meta.read_at,
            };
            let trail = self.streams.entry(segment.stream);
            let trail =
                trail.or_insert_with(|| Trail { task: Arc::clone(&meta.task(segment).name), runs: BTreeMap::new() });
            trail.add(segment.offset, segment.offset + segment.bytes, last);
        }
    }

    /// Up to where each stream is safe, with the text that ends there.
    fn traces(self) -> Vec<Trace> {
        let traces = self.streams.into_iter().filter_map(|(stream, trail)| {
            let (_, Run { end, last }) = trail.runs.into_iter().next()?;
            let Last { start, hash, mark, path, read_at } = last;
            Some(Trace { stream, task: trail.task, path, start, end, hash, mark, read_at })
        });
        traces.collect()
    }
}

impl Trail {
    /// Adds a stretch, joined with what it touches.
    fn add(&mut self, start: u64, end: u64, last: Last) {
        let (mut start, mut run) = (start, Run { end, last });
        let touched: Vec<u64> =
            (self.runs.range(..=end)).filter(|(_, run)| run.end >= start).map(|(at, _)| *at).collect();
        for at in touched {
            if let Some(other) = self.runs.remove(&at) {
                start = start.min(at);
                // Of two that end at the same place, the one that was known is from a later window.
                if other.end >= run.end {
                    run = other;
                }
            }
        }
        self.runs.insert(start, run);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::{sync::Arc, time::Instant};

    use super::{Last, Trail, Trails, xxh3_64};
    use crate::{
        batcher::{
            self, Sender,
            frame::{Meta, Segment, Task, encode},
            lines::{LineBatch, LineBatcher, Style, Value},
        },
        kafka::Past,
        record::{Block, FileId, Form, Labels, Messages, Origin, Part, Permit, Stream, TailMark, Tally},
    };

    fn stream(file: u128) -> Stream {
        Stream { file: FileId(file), generation: 0 }
    }

    fn record(machine: &str, file: u128, offset: u64, text: &str) -> Past {
        let segment = Segment {
            task: 0,
            stream: stream(file),
            path: "/var/log/a.log".into(),
            offset,
            bytes: text.len() as u64,
            lines: text.lines().count() as u32,
            part: Part::Whole,
            form: Form::default(),
            messages: Messages::default(),
        };
        let meta = Meta {
            host: "h".to_owned(),
            machine: machine.to_owned(),
            tasks: vec![Task { name: "t".into(), labels: Labels::default() }],
            read_at: "2026-11-21T10:00:00Z".parse().expect("a time"),
            segments: vec![segment],
        };
        let packed = encode(&meta, text.as_bytes());
        let headers = packed.headers.into_iter().map(|(name, value)| (name.to_owned(), Some(value)));
        Past { headers: headers.collect(), value: Some(packed.value), ..Past::default() }
    }

    #[test]
    fn a_stream_is_safe_up_to_the_first_gap_of_what_the_newest_records_hold() {
        let mut trails = Trails::new("m");
        let mut text = Vec::new();
        // The newest window comes first, each in order.
        for past in [
            record("m", 1, 8, "three\n"),
            record("m", 2, 90, "behind a gap\n"),
            record("m", 1, 0, "one\n"),
            record("m", 1, 4, "two\n"),
            record("m", 2, 40, "sent twice\n"),
            record("m", 2, 40, "sent twice\n"),
            record("other", 3, 0, "not ours\n"),
            Past { value: Some(b"anything".to_vec()), ..Past::default() },
            Past::default(),
        ] {
            trails.take(&past, &mut text);
        }
        let mut traces = trails.traces();
        traces.sort_by_key(|trace| trace.stream);
        let found: Vec<_> = traces.iter().map(|trace| (trace.stream, trace.start, trace.end, trace.mark)).collect();
        let expected =
            [(stream(1), 8, 14, TailMark::behind(b"three\n")), (stream(2), 40, 51, TailMark::behind(b"sent twice\n"))];
        assert_eq!(found, expected);
    }

    #[test]
    fn single_lines_that_follow_each_other_are_told_as_one_text_and_json_tells_nothing() {
        let sender = Sender { host: "h".into(), machine: "m".into() };
        let origin = Origin {
            stream: stream(1),
            path: "/var/log/a.log".into(),
            task: "t".into(),
            labels: Labels::default(),
            form: Form::default(),
        };
        let tally = Arc::new(Tally::default());
        let block = |offset, text: &str| Block {
            origin: Arc::new(origin.clone()),
            offset,
            text: text.as_bytes().to_vec(),
            lines: text.lines().count() as u32,
            part: Part::Whole,
            messages: Messages::default(),
            read_at: "2026-11-21T10:00:00Z".parse().expect("a time"),
            held: tally.read(text.lines().count() as u64, text.len() as u64),
            permit: Permit::none(),
        };
        let pasts = |value, offset, text: &str| -> Vec<Past> {
            let style = Style { value, headers: true };
            let mut batcher = LineBatcher::new(&batcher::Settings::default(), style, sender.clone());
            assert!(batcher.push(block(offset, text), None, Instant::now()).is_empty());
            let LineBatch { buffer, pieces, .. } = batcher.seal().expect("lines");
            let headers =
                |piece| pieces.headers_of(piece, &buffer).map(|(name, value)| (name.to_owned(), Some(value.to_vec())));
            let past = |piece| Past {
                partition: 0,
                offset: 0,
                headers: headers(piece).collect(),
                value: Some(pieces.value(piece, &buffer).to_vec()),
            };
            pieces.each.iter().map(past).collect()
        };
        let mut trails = Trails::new("m");
        let told = [pasts(Value::Raw, 10, "one\ntwo\n"), pasts(Value::Raw, 18, "\nx\n"), pasts(Value::Json, 21, "y\n")];
        told.iter().flatten().for_each(|past| trails.take(past, &mut Vec::new()));
        trails.note_pending();
        let traces = trails.traces();
        let found: Vec<_> = traces.iter().map(|trace| (trace.stream, trace.start, trace.end, trace.hash)).collect();
        assert_eq!(found, [(stream(1), 10, 21, xxh3_64(b"one\ntwo\n\nx\n"))]);
        assert_eq!(traces[0].mark, TailMark::behind(b"one\ntwo\n\nx\n"));
    }

    proptest! {
        #[test]
        fn runs_are_what_the_pieces_cover_whatever_their_order(
            pieces in proptest::collection::vec((0_u64..60, 1_u64..9), 1..40),
        ) {
            let mut trail = Trail { task: "t".into(), runs: Default::default() };
            let mut covered = [false; 80];
            for (start, length) in pieces {
                let last = Last {
                    start,
                    hash: 0,
                    mark: TailMark::default(),
                    path: Default::default(),
                    read_at: jiff::Timestamp::UNIX_EPOCH,
                };
                trail.add(start, start + length, last);
                covered[start as usize..(start + length) as usize].fill(true);
            }
            let mut runs = [false; 80];
            let mut before = None;
            for (start, run) in &trail.runs {
                prop_assert!(before.is_none_or(|before| before < *start), "apart from each other");
                runs[*start as usize..run.end as usize].fill(true);
                prop_assert!(run.last.start >= *start && run.last.start < run.end);
                before = Some(run.end);
            }
            prop_assert_eq!(runs, covered);
        }
    }
}
