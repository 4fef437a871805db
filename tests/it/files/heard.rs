//! What reached Kafka, as it is being heard, and the verdict on it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use logdrive::{
    batcher::frame::{self, Segment},
    record::{Part, Stream},
};
use rdkafka::{Message, message::Headers};
use tokio_util::sync::CancellationToken;

use crate::rig::kafka;

/// Where a line stood: its stream, and where the documents begin and end that it became.
pub type Place = (Stream, Vec<(u64, u64)>);

/// Parts of lines by their offsets.
type Parts = BTreeMap<u64, Vec<(Part, Vec<u8>)>>;

/// Everything that was heard so far.
#[derive(Default)]
pub struct Heard {
    /// Whole lines, without their newlines, and where they stood.
    whole: HashMap<Vec<u8>, HashSet<Place>>,
    /// Parts of lines, by stream and offset; more than one text only if an offset had several.
    parts: HashMap<Stream, Parts>,
    /// What was heard of each stream: its partition, how far, and each document.
    streams: HashMap<Stream, Told>,
    faults: Vec<String>,
    records: usize,
}

#[derive(Default)]
struct Told {
    partition: i32,
    to: u64,
    documents: HashSet<(u64, u64, u64)>,
}

/// Listens to a topic from its beginning on, until it is dropped.
pub struct Listener {
    heard: Arc<Mutex<Heard>>,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Listener {
    /// Begins to listen.
    pub fn on(servers: &str, topic: &str) -> Self {
        let (heard, stop) = (Arc::<Mutex<Heard>>::default(), CancellationToken::new());
        let consumer = kafka::from_the_beginning(servers, topic);
        let (ears, stopped) = (Arc::clone(&heard), stop.clone());
        let listen = move || {
            while !stopped.is_cancelled() {
                // A broker that is paused is no fault; whoever waits for what it holds has a limit.
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
                let headers = message.headers().map(|all| {
                    all.iter().map(|one| (one.key.to_owned(), one.value.unwrap_or_default().to_vec())).collect()
                });
                let headers: HashMap<String, Vec<u8>> = headers.unwrap_or_default();
                lock(&ears).hear(message.partition(), &headers, message.payload().unwrap_or_default());
            }
        };
        Self { heard, stop, thread: Some(thread::spawn(listen)) }
    }

    /// What was heard until now.
    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
        // A panic in the thread is told by the thread.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    fn hear(&mut self, partition: i32, headers: &HashMap<String, Vec<u8>>, value: &[u8]) {
        self.records += 1;
        let mut text = Vec::new();
        let header = |name: &str| headers.get(name).map(Vec::as_slice);
        let meta = match frame::decode(header, value, &mut text) {
            Ok(meta) => meta,
            Err(error) => return self.faults.push(format!("a record can't be read: {error}")),
        };
        let mut rest = &text[..];
        for segment in meta.segments {
            let (mine, behind) = rest.split_at(segment.bytes as usize);
            self.hear_segment(partition, &segment, mine);
            rest = behind;
        }
    }

    fn hear_segment(&mut self, partition: i32, segment: &Segment, text: &[u8]) {
        let mut offset = segment.offset;
        if segment.part != Part::Whole {
            self.hear_document(partition, segment, offset, text);
            let texts = self.parts.entry(segment.stream).or_default().entry(offset).or_default();
            let heard = (segment.part, text.to_vec());
            if !texts.contains(&heard) {
                texts.push(heard);
            }
            return;
        }
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.hear_document(partition, segment, offset, line);
            let end = offset + line.len() as u64;
            let place = (segment.stream, vec![(offset, end)]);
            self.whole.entry(line[..line.len() - 1].to_vec()).or_default().insert(place);
            offset = end;
        }
    }

    /// Checks the order: what is new of a stream stands behind all that was heard of it, in the same partition.
    fn hear_document(&mut self, partition: i32, segment: &Segment, start: u64, text: &[u8]) {
        let end = start + text.len() as u64;
        let told = self.streams.entry(segment.stream).or_insert_with(|| Told { partition, ..Told::default() });
        let is_new = told.documents.insert((start, end, hash(text)));
        if told.partition != partition {
            self.faults.push(format!("{} is in two partitions", segment.path.display()));
        } else if is_new && start < told.to && !told.documents.iter().any(|(other, _, _)| *other == start) {
            self.faults.push(format!("{} is out of order at {start}", segment.path.display()));
        }
        told.to = told.to.max(end);
    }

    /// The lines that were heard, those in parts put together, and where they stood.
    pub fn lines(&self) -> HashMap<Vec<u8>, HashSet<Place>> {
        let mut lines = self.whole.clone();
        for (stream, parts) in &self.parts {
            let firsts = parts.iter().flat_map(|(offset, texts)| texts.iter().map(move |text| (*offset, text)));
            for (offset, (_, text)) in firsts.filter(|(_, (part, _))| *part == Part::First) {
                let (line, documents) = joined(parts, offset, text);
                lines.entry(line).or_default().insert((*stream, documents));
            }
        }
        lines
    }

    /// Whether all of these lines were heard.
    pub fn has<'a>(&self, lines: impl Iterator<Item = &'a Vec<u8>>) -> bool {
        let missing: Vec<&Vec<u8>> = lines.filter(|line| !self.whole.contains_key(*line)).collect();
        if missing.is_empty() || self.parts.is_empty() {
            return missing.is_empty();
        }
        let all = self.lines();
        missing.into_iter().all(|line| all.contains_key(line))
    }

    /// How many records were heard.
    pub fn records(&self) -> usize {
        self.records
    }

    /// What was wrong with the records themselves.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

/// A line from its first part on, as far as its parts go.
fn joined(parts: &Parts, start: u64, first: &[u8]) -> (Vec<u8>, Vec<(u64, u64)>) {
    let mut line = first.to_vec();
    let mut end = start + line.len() as u64;
    let mut documents = vec![(start, end)];
    while let Some((part, text)) = parts.get(&end).and_then(|texts| texts.first()) {
        if *part == Part::First {
            break;
        }
        line.extend_from_slice(text);
        documents.push((end, end + text.len() as u64));
        end += text.len() as u64;
        if *part == Part::Last {
            line.pop();
            break;
        }
    }
    (line, documents)
}

fn hash(text: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}
