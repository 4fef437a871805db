//! What Kafka has: the records of the topics in the window, as trails, and the dead letters.

use std::ops::{ControlFlow, Range};

use jiff::Timestamp;
use tokio::task::block_in_place;

use super::{
    AuditError, Progress, Question,
    letters::Letters,
    trail::{Fate, Place, STRETCHES_MAX, Trails},
};
use crate::{
    batcher::outline::outline,
    config::Config,
    kafka::{self, Bounds, Past},
};

/// What Kafka has.
pub(super) struct Gathered {
    pub(super) topics: Vec<String>,
    pub(super) trails: Trails,
    pub(super) letters: Letters,
    /// How many records were read.
    pub(super) records: u64,
    /// How many tell of no file.
    pub(super) untold: u64,
    /// How many can't be read and are no letters.
    pub(super) unreadable: u64,
    /// Whether a topic lost records by age or size, so that bytes between others may have been in them.
    pub(super) is_trimmed: bool,
    pub(super) unprovable: Vec<String>,
    pub(super) remarks: Vec<String>,
}

/// Reads all of it.
pub(super) async fn gather(
    config: &Config,
    question: &Question,
    topics: Vec<String>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Gathered, AuditError> {
    let mut gathered = Gathered {
        topics,
        trails: Trails::default(),
        letters: Letters::default(),
        records: 0,
        untold: 0,
        unreadable: 0,
        is_trimmed: false,
        unprovable: Vec::new(),
        remarks: Vec::new(),
    };
    // How far the transfer is comes before the letters and the documents: whatever it was done with then is among them.
    let mut bounds = Vec::new();
    for topic in gathered.topics.clone() {
        let (group, Question { since, until, .. }) = (&config.transfer.group, question);
        let found = block_in_place(|| kafka::bounds(&config.kafka, &topic, group, *since, *until))?;
        gathered.note_removed(config, &topic, &found, *since).await;
        if found.iter().all(|known| known.committed.is_none()) {
            let what = format!("the group {group:?} (transfer.group) has committed nothing of the topic {topic:?} yet");
            gathered.remarks.push(what);
        }
        bounds.push(found);
    }
    let mut dead_letters = vec![&config.transfer.dead_letter_topic, &config.agent.dead_letter_topic];
    dead_letters.dedup();
    block_in_place(|| {
        for topic in dead_letters {
            gathered.letters.read(&config.kafka, topic, question.since, progress)?;
        }
        let refused = gathered.letters.settle();
        let all = bounds.iter().flatten().map(|known| u64::try_from(known.until - known.from).unwrap_or(0)).sum();
        for (topic, bounds) in bounds.iter().enumerate() {
            gathered.read(config, question, (topic, bounds), all, progress)?;
        }
        for told in refused.into_iter().filter(|told| question.wants(&told.task)) {
            gathered.trails.take(told, Fate::Dead, None).map_err(|_| too_much())?;
        }
        Ok::<(), AuditError>(())
    })?;
    gathered.letters.place(gathered.trails.streams.keys().copied());
    Ok(gathered)
}

impl Gathered {
    /// Reads the records of one topic within its bounds.
    fn read(
        &mut self,
        config: &Config,
        question: &Question,
        (topic, bounds): (usize, &[Bounds]),
        all: u64,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), AuditError> {
        let name = self.topics[topic].clone();
        let ranges: Vec<(i32, Range<i64>)> =
            bounds.iter().map(|known| (known.partition, known.from..known.until)).collect();
        let committed = |partition| {
            bounds.iter().find(|known| known.partition == partition).and_then(|known| known.committed).unwrap_or(0)
        };
        let (mut scratch, mut full) = (Vec::new(), false);
        kafka::within(&config.kafka, &name, &ranges, |past| {
            self.records += 1;
            progress(Progress::Records(self.records, all));
            let fate = match () {
                () if self.letters.has_record(&name, past.partition, past.offset) => Fate::Dead,
                () if past.offset < committed(past.partition) => Fate::Settled,
                () => Fate::UnderWay,
            };
            full |= !self.take(question, topic, fate, &past, &mut scratch);
            if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if full { Err(too_much()) } else { Ok(()) }
    }

    /// Takes what a record tells; whether there was room for it.
    fn take(&mut self, question: &Question, topic: usize, fate: Fate, past: &Past, scratch: &mut Vec<u8>) -> bool {
        let Past { partition, offset, value, .. } = past;
        let value = value.as_deref().unwrap_or_default();
        match outline(|name| past.header(name), value, scratch) {
            Ok(Some(told)) => {
                let bytes = value.len() as u64;
                let place = Place { topic, partition: *partition, first: *offset, last: *offset, bytes };
                let mut wanted = told.into_iter().filter(|told| question.wants(&told.task));
                wanted.all(|told| self.trails.take(told, fate, Some(place)).is_ok())
            }
            Ok(None) => {
                self.untold += 1;
                true
            }
            Err(_) => {
                // One that the transfer did not come to yet will be a letter.
                self.unreadable += u64::from(fate == Fate::Settled);
                true
            }
        }
    }

    /// Notes whether records of the window may have been removed from a topic.
    async fn note_removed(&mut self, config: &Config, topic: &str, bounds: &[Bounds], since: Option<Timestamp>) {
        self.is_trimmed |= bounds.iter().any(|known| known.low > 0);
        let Some(since) = since else { return };
        let first: Vec<_> = bounds.iter().filter(|known| known.low > 0 && known.from == known.low).collect();
        if first.is_empty() {
            return;
        }
        // If nothing that young is ever removed, what was removed is older than the window.
        let settings = kafka::settings_of(&config.kafka, topic).await.unwrap_or_default();
        let number = |name: &str| settings.get(name).and_then(|text| text.parse::<i64>().ok());
        let young = |ms: i64| ms < 0 || Timestamp::now().as_millisecond().saturating_sub(ms) <= since.as_millisecond();
        if number("retention.bytes") == Some(-1) && number("retention.ms").is_some_and(young) {
            return;
        }
        let records: i64 = first.iter().map(|known| known.low).sum();
        self.unprovable.push(format!(
            "the topic {topic:?} does not have all records of the window any more: {records} older ones were removed from \
             {} of its partitions, and some of them may be of it; ask for a later --since, or raise retention.ms",
            first.len()
        ));
    }
}

impl Question {
    fn wants(&self, task: &str) -> bool {
        self.task.as_deref().is_none_or(|wanted| wanted == task)
    }
}

fn too_much() -> AuditError {
    AuditError::TooMuch { what: "stretches of files that have to be told apart", max: STRETCHES_MAX }
}
