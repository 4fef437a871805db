//! A worker: records to documents to bulk bodies, on a thread of its own.
//!
//! A record of ours, packed or a single line, is decoded and its lines built in place; a foreign one is taken as text; one that can't be
//! read becomes a dead letter, whole. A body goes off when it is full, or when there is nothing more to do at
//! once, so a lone line is not kept waiting.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, TryLockError},
    time::Instant,
};

use tokio::{
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, error::TryRecvError},
};
use tracing::debug;

use super::{
    dead_letter,
    foreign::Places,
    parcel::{Job, Parcel, Stretch},
};
use crate::{
    batcher::{
        frame::{self, FrameError, META_HEADER, Meta, Segment, VERSION_HEADER},
        lines::{self, Decoded, LINE_HEADER},
    },
    config::Ids,
    document::{Builder, Built, Decoding, IndexName, Passage, Source},
    elastic::bulk,
    kafka::Record,
    letter::{Letter, Origin},
    metrics::{self, Counter, Histogram, list},
    record::{Budget, Part, Permit},
    splitter,
};

/// A buffer that grew beyond this for one large record is given back after it.
const TEXT_BYTES_KEPT: usize = 4 << 20;

/// A parcel with so many bytes of unreadable records goes off, however little else is in it.
const LETTER_BYTES_MAX: usize = 1 << 20;

/// Where a worker's results go.
pub(super) struct Outlets {
    pub(super) parcels: Sender<Parcel>,
    pub(super) settled: Sender<Arc<Stretch>>,
}

/// How documents are named in the store.
pub(super) struct Naming {
    pub(super) index: IndexName,
    pub(super) ids: Ids,
}

/// Makes parcels of jobs.
pub(super) struct Worker {
    /// What single lines say of where they come from.
    lines: lines::Decoder,
    /// The text of the record at hand.
    text: Vec<u8>,
    maker: Maker,
}

/// Makes documents of text.
struct Maker {
    builder: Builder,
    /// The document at hand.
    document: Vec<u8>,
    /// Where foreign lines stood.
    places: Places,
    packer: Packer,
}

/// The role is over: nobody takes what a worker makes.
struct Over;

impl Worker {
    pub(super) fn new(
        builder: Builder,
        naming: Naming,
        sender: Arc<bulk::Sender>,
        budget: Budget,
        outlets: Outlets,
    ) -> Self {
        let packer = Packer::new(naming, sender, budget, outlets);
        let maker = Maker { builder, document: Vec::new(), places: Places::default(), packer };
        Self { lines: lines::Decoder::default(), text: Vec::new(), maker }
    }

    /// Starts the worker's thread, which ends when the jobs do. To be called within a runtime.
    pub(super) fn start(mut self, number: usize, jobs: Arc<Mutex<Receiver<Job>>>) -> io::Result<()> {
        std::thread::Builder::new()
            .name(format!("transfer-{number}"))
            .spawn(move || while self.turn(&jobs).is_ok() {})?;
        Ok(())
    }

    /// Does one job, or sends off what there is if there is none.
    fn turn(&mut self, jobs: &Mutex<Receiver<Job>>) -> Result<(), Over> {
        let packer = &mut self.maker.packer;
        let Job { stretch, records } = match waiting_job(jobs) {
            Ok(job) => job,
            Err(TryRecvError::Empty) if packer.open.is_some() => return packer.send_off(),
            Err(TryRecvError::Empty) => {
                let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.blocking_recv().ok_or(Over)?
            }
            Err(TryRecvError::Disconnected) => {
                packer.send_off()?;
                return Err(Over);
            }
        };
        for record in records.iter() {
            self.maker.packer.begin(&stretch, &record);
            self.record(&record)?;
        }
        self.maker.packer.release(stretch)
    }

    /// Packs the documents of one record.
    fn record(&mut self, record: &Record<'_>) -> Result<(), Over> {
        let Some(value) = record.value else {
            // A tombstone: there is no line in it.
            self.maker.packer.skipped.increment(1);
            return Ok(());
        };
        let header = |name: &str| record.header(name);
        let done = if header(LINE_HEADER).is_some() {
            match self.lines.read(header, value, &mut self.text) {
                Ok(None) => self.maker.segments(record.topic, self.lines.meta(), &mut self.text),
                Ok(Some(decoded)) => self.maker.message(record.topic, self.lines.meta(), decoded, &mut self.text),
                Err(error) => self.maker.unreadable(record, &error),
            }
        } else if header(VERSION_HEADER).is_some() || header(META_HEADER).is_some() {
            match frame::decode(header, value, &mut self.text) {
                Ok(meta) => self.maker.segments(record.topic, &meta, &mut self.text),
                Err(error) => self.maker.unreadable(record, &error),
            }
        } else {
            self.text.clear();
            self.text.extend_from_slice(value);
            self.maker.foreign(record, &mut self.text)
        };
        if self.text.capacity() > TEXT_BYTES_KEPT {
            self.text = Vec::new();
        }
        done
    }
}

impl Maker {
    /// A record that can't be read is a letter, whole.
    fn unreadable(&mut self, record: &Record<'_>, error: &FrameError) -> Result<(), Over> {
        debug!(topic = %record.topic, partition = record.partition, offset = record.offset, %error, "unreadable");
        self.packer.letter(dead_letter::for_record(record, reason_type(error), error.to_string()))
    }

    /// Packs the documents of a record of ours.
    fn segments(&mut self, topic: &str, meta: &Meta, text: &mut [u8]) -> Result<(), Over> {
        let mut rest = text;
        for segment in &meta.segments {
            // Decoding made sure that the segments are as long as the text.
            let (piece, behind) = rest.split_at_mut(segment.bytes as usize);
            rest = behind;
            let source = source(topic, meta, segment);
            let passage =
                Passage { text: piece, offset: segment.offset, part: segment.part, messages: &segment.messages };
            let packer = &mut self.packer;
            let take = |built: Option<Built>, json: &[u8]| packer.document(topic, source.task, built, json);
            self.builder.source(&source).each(passage, &mut self.document, take)?;
        }
        Ok(())
    }

    /// Packs the document of a message of which the text is known, and not the bytes.
    fn message(&mut self, topic: &str, meta: &Meta, decoded: Decoded, text: &mut [u8]) -> Result<(), Over> {
        let Some(segment) = meta.segments.first() else { return Ok(()) };
        self.document.clear();
        let source = source(topic, meta, segment);
        let mut lines = self.builder.source(&source);
        let message = Decoding { text, hash: decoded.hash, is_plain: decoded.is_plain };
        let built = lines.build_decoded(message, segment.offset, segment.part, &mut self.document);
        self.packer.document(topic, source.task, built, &self.document)
    }

    /// Packs the documents of a record that others wrote.
    fn foreign(&mut self, record: &Record<'_>, value: &mut [u8]) -> Result<(), Over> {
        let mut place = self.places.of(record);
        let (mut rest, mut number) = (value, 0);
        while !rest.is_empty() {
            let end = splitter::first_end(rest);
            let (line, behind) = rest.split_at_mut(end.unwrap_or(rest.len()));
            let line_end = line.len() - usize::from(end.is_some());
            let spot = place.spot(&line[..line_end]);
            let source = spot.source(record.topic, number);
            let mut lines = self.builder.source(&source);
            self.document.clear();
            let built = lines.build(&mut line[..line_end], spot.offset, Part::Whole, &mut self.document);
            self.packer.document(record.topic, source.task, built, &self.document)?;
            (rest, number) = (behind, number + 1);
        }
        Ok(())
    }
}

/// Where the lines of a segment come from.
fn source<'a>(topic: &'a str, meta: &'a Meta, segment: &'a Segment) -> Source<'a> {
    let task = meta.task(segment);
    Source {
        stream: segment.stream,
        path: &segment.path,
        host: &meta.host,
        task: &task.name,
        labels: &task.labels,
        topic,
        read_at: meta.read_at,
        form: segment.form,
    }
}

/// A job that waits. A worker that waits itself holds the lock, and then there is none.
fn waiting_job(jobs: &Mutex<Receiver<Job>>) -> Result<Job, TryRecvError> {
    match jobs.try_lock() {
        Ok(mut jobs) => jobs.try_recv(),
        Err(TryLockError::Poisoned(jobs)) => jobs.into_inner().try_recv(),
        Err(TryLockError::WouldBlock) => Err(TryRecvError::Empty),
    }
}

/// The reason's name in metrics and in the letter.
fn reason_type(error: &FrameError) -> &'static str {
    match error {
        FrameError::Version { .. } => "record_version",
        FrameError::Missing(_) | FrameError::Meta(_) => "record_meta",
        FrameError::Limit { .. } => "record_limit",
        FrameError::Text(_)
        | FrameError::Truncated
        | FrameError::Trailing(_)
        | FrameError::Changed { .. }
        | FrameError::Value(_) => "record_text",
        FrameError::Size(_) | FrameError::Segment { .. } => "record_segments",
    }
}

/// Puts documents into the open parcel, and sends it off when it is full.
struct Packer {
    naming: Naming,
    sender: Arc<bulk::Sender>,
    budget: Budget,
    outlets: Outlets,
    runtime: Handle,
    open: Option<Parcel>,
    /// The record at hand, and whether the open parcel knows it already.
    current: Option<(Arc<Stretch>, Origin)>,
    is_known: bool,
    skipped: Counter,
    waited: Histogram,
}

impl Packer {
    fn new(naming: Naming, sender: Arc<bulk::Sender>, budget: Budget, outlets: Outlets) -> Self {
        Self {
            naming,
            sender,
            budget,
            outlets,
            runtime: Handle::current(),
            open: None,
            current: None,
            is_known: false,
            skipped: metrics::counter(&list::DOCUMENTS, &["skipped"]),
            waited: metrics::histogram(&list::BUDGET_WAIT_SECONDS, &[]),
        }
    }

    /// What follows is of this record.
    fn begin(&mut self, stretch: &Arc<Stretch>, record: &Record<'_>) {
        match &mut self.current {
            Some((current, origin)) if Arc::ptr_eq(current, stretch) => {
                // Another of the same partition.
                (origin.offset, origin.timestamp_ms) = (record.offset, record.timestamp_ms);
            }
            current => *current = Some((Arc::clone(stretch), dead_letter::origin(record))),
        }
        self.is_known = false;
    }

    /// Packs a document; none is of a message of which there is nothing to index.
    fn document(&mut self, topic: &str, task: &str, built: Option<Built>, json: &[u8]) -> Result<(), Over> {
        let Some(built) = built else {
            self.skipped.increment(1);
            return Ok(());
        };
        self.open()?;
        let Some(parcel) = &mut self.open else { return Err(Over) };
        let index = self.naming.index.name(topic, task, built.time, json);
        let id = (self.naming.ids == Ids::Deterministic).then(|| built.id.text());
        let id = id.as_ref().map(|id| std::str::from_utf8(id).expect("base64 is ASCII"));
        parcel.body.push(index, id, |out| out.extend_from_slice(json));
        parcel.note_item(built.time.as_millisecond());
        if parcel.body.is_full() { self.send_off() } else { Ok(()) }
    }

    fn letter(&mut self, letter: Letter) -> Result<(), Over> {
        self.open()?;
        let Some(parcel) = &mut self.open else { return Err(Over) };
        parcel.letter_bytes += letter.content.bytes();
        parcel.letters.push(letter);
        if parcel.letter_bytes >= LETTER_BYTES_MAX { self.send_off() } else { Ok(()) }
    }

    /// Sees to it that a parcel is open, a new one as soon as the budget allows a full one, and that it knows the
    /// record at hand.
    fn open(&mut self) -> Result<(), Over> {
        if self.open.is_none() {
            let body = self.sender.body();
            let permit = self.permit(body.bytes_max());
            self.open = Some(Parcel::new(body, permit));
            self.is_known = false;
        }
        if !self.is_known {
            let ((stretch, origin), parcel) = self.current.as_ref().zip(self.open.as_mut()).ok_or(Over)?;
            parcel.begin(stretch, origin);
            self.is_known = true;
        }
        Ok(())
    }

    /// Room for a full body, which is given back as far as it isn't used.
    fn permit(&self, bytes: usize) -> Permit {
        self.budget.try_take(bytes).unwrap_or_else(|| {
            let since = Instant::now();
            let permit = self.runtime.block_on(self.budget.take(bytes));
            self.waited.record(since.elapsed());
            permit
        })
    }

    fn send_off(&mut self) -> Result<(), Over> {
        let Some(mut parcel) = self.open.take() else { return Ok(()) };
        parcel.permit.shrink_to(parcel.body.bytes_len());
        self.outlets.parcels.blocking_send(parcel).map_err(|_| Over)
    }

    /// The worker is done with a stretch; it is settled if its documents are already.
    fn release(&mut self, stretch: Arc<Stretch>) -> Result<(), Over> {
        self.current = None;
        if stretch.release() { self.outlets.settled.blocking_send(stretch).map_err(|_| Over) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
