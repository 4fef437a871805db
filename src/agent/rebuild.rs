//! Rebuilds lost checkpoints from what Kafka holds: the newest records of the tasks' topics say of each file how far
//! it was sent.
//!
//! A stream's bytes go to one partition in order, so what follows on each other in the records that were read is
//! safe up to its first gap, and reading may go on there. Behind a gap everything is sent again.

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
    batcher::frame::{self, Meta},
    config::Config,
    kafka::{self, KafkaError, Past, Reach},
    metrics::{self, Part, list},
    reader::{self, Trace},
    record::{Checkpoint, Stream, TailMark},
};

/// How far back each topic is read.
const REACH: Reach = Reach { records_max: 20_000, bytes_max: 256 << 20 };

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
    let mut topics: Vec<&str> = config.agent.tasks.iter().map(|task| task.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let mut trails = Trails::new(machine);
    let mut records = 0;
    for topic in topics {
        let read = stop.run_until_cancelled(read(config, topic, trails, health)).await?;
        trails = read.0;
        records += read.1;
    }
    let traces = trails.traces();
    let streams = traces.len();
    let checkpoints = spawn_blocking(move || reader::find_again(traces, seed)).await.unwrap_or_default();
    metrics::counter(&list::REBUILT_FILES, &[]).increment(checkpoints.len() as u64);
    Some(Rebuilt { checkpoints, streams, records })
}

/// Reads one topic, however often it takes; gives how many records there were.
async fn read(config: &Config, topic: &str, mut trails: Trails, health: &Part) -> (Trails, u64) {
    let counter = metrics::counter(&list::REBUILD_RECORDS, &[topic]);
    let mut is_told = false;
    loop {
        let (settings, name, counter) = (config.kafka.clone(), topic.to_owned(), counter.clone());
        let kept = trails.clone();
        let reading = spawn_blocking(move || {
            let mut text = Vec::new();
            let read = kafka::newest(&settings, &name, REACH, |past| {
                counter.increment(1);
                trails.take(&past, &mut text);
            });
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
        Self { machine: machine.to_owned(), streams: HashMap::new() }
    }

    /// Takes what a record tells; one that is not ours, or can't be read, tells nothing.
    fn take(&mut self, past: &Past, text: &mut Vec<u8>) {
        let Some(value) = &past.value else { return };
        let Ok(meta) = frame::decode(|name| past.header(name), value, text) else { return };
        if meta.machine == self.machine {
            self.note(&meta, text);
        }
    }

    fn note(&mut self, meta: &Meta, text: &[u8]) {
        let task: Arc<str> = meta.task.as_str().into();
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
            let trail = trail.or_insert_with(|| Trail { task: Arc::clone(&task), runs: BTreeMap::new() });
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

    use super::{Last, Trail, Trails};
    use crate::{
        batcher::frame::{Meta, Segment, encode},
        kafka::Past,
        record::{FileId, Form, Messages, Part, Stream, TailMark},
    };

    fn stream(file: u128) -> Stream {
        Stream { file: FileId(file), generation: 0 }
    }

    fn record(machine: &str, file: u128, offset: u64, text: &str) -> Past {
        let segment = Segment {
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
            task: "t".to_owned(),
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
