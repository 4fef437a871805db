//! What Kafka refuses for good: each such record alone becomes a dead letter, which takes its place.
//!
//! A record is settled when its letter is acknowledged, and not before. If the dead-letter topic refuses the letter too,
//! the record stays under way and is offered again; nothing is cut, for what is in it is nowhere else but in its file.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, error};

use super::belt::{Belt, Ticket};
use crate::{
    batcher::frame,
    kafka::{self, Failed, Outgoing},
    letter::{Refusal, Stood},
    metrics::{self, list},
    record::{Outcome, Pieces},
};

/// How often the log names a dead letter; there may be as many as there are lines.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What the answer for a record decides that was refused before.
#[derive(Debug)]
pub(super) enum Trial {
    /// It was sent again, in a request of its own: whether it is refused for good.
    Alone(Stood),
    /// Its letter was sent: whether it is settled.
    Letter(Refused),
}

/// A record that was refused, while its letter is under way.
#[derive(Debug)]
pub(super) struct Refused {
    record: Outgoing<()>,
    kind: &'static str,
    stood: Stood,
}

/// Where letters go.
pub(super) struct Letters {
    pub(super) topic: Arc<str>,
    pub(super) host: String,
    kafka: kafka::Settings,
    /// Whether it was seen to that the topic is there, with the first letter.
    is_seen_to: bool,
    /// When the log named a letter.
    told: Option<Instant>,
    /// Letters since then that it did not name.
    untold: u64,
}

impl Belt {
    /// Sends a letter in the place of a record that Kafka refused alone, and for good.
    pub(super) async fn give_up(&mut self, failed: Failed, stood: Stood, mut ticket: Ticket) {
        self.letters.see_to_topic();
        let Failed { error, record } = failed;
        let refusal = Refusal {
            topic: &record.topic,
            partition: record.partition,
            stood: &stood,
            reason_type: error.kind(),
            reason: &error.to_string(),
            key: record.key.as_deref(),
            headers: record.headers.iter().map(|(name, value)| (*name, &value[..])).collect(),
            value: &record.value,
        };
        let (key, value) = refusal.write();
        ticket.trial = Some(Box::new(Trial::Letter(Refused { record, kind: error.kind(), stood })));
        let topic = Arc::clone(&self.letters.topic);
        let (key, headers, pieces) = (Some(key), Vec::new(), Pieces::default());
        self.send(Outgoing { topic, partition: None, key, value, headers, pieces, ticket }).await;
    }

    /// A letter is safe, and with it what it is about.
    pub(super) fn buried(&mut self, ticket: Ticket, refused: &Refused) {
        self.letters.tell(refused);
        metrics::counter(&list::DEAD_LETTERS, &[refused.kind]).increment(1);
        self.settle(ticket, Outcome::DeadLettered);
    }

    /// The dead-letter topic refuses a letter, too: what it is about stays under way, and is offered to both again.
    pub(super) fn not_buried(&mut self, mut ticket: Ticket, refused: Refused, failed: &Failed) {
        let Refused { record, stood, .. } = refused;
        error!(
            error = %failed.error, task = stood.task, file = stood.file, offset = stood.file_offset,
            "the dead-letter topic refuses a record that its own topic refuses; it is offered again every 30 s"
        );
        ticket.trial = Some(Box::new(Trial::Alone(stood)));
        let Outgoing { topic, partition, key, value, headers, pieces, ticket: () } = record;
        let again = Outgoing { topic, partition, key, value, headers, pieces, ticket };
        self.offer_later(again, failed.error.clone());
    }

    /// Where the first line of a packed record stood.
    pub(super) fn stood(&self, record: &Outgoing<()>) -> Stood {
        let header = |name: &str| record.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| &value[..]);
        let meta = frame::describe(header).ok();
        let first = meta.as_ref().and_then(|meta| {
            let first = meta.segments.first()?;
            Some((meta.task(first).name.to_string(), first.path.display().to_string(), first.offset))
        });
        let (task, file, file_offset) = first.unwrap_or_default();
        Stood { host: self.letters.host.clone(), task, file, file_offset }
    }
}

impl Letters {
    /// Letters of `host` that go to `topic`.
    pub(super) fn new(topic: Arc<str>, host: String, kafka: kafka::Settings) -> Self {
        Self { topic, host, kafka, is_seen_to: false, told: None, untold: 0 }
    }

    /// Has the topic made if it isn't there; letters wait for it meanwhile.
    fn see_to_topic(&mut self) {
        if std::mem::replace(&mut self.is_seen_to, true) {
            return;
        }
        let (settings, topic) = (self.kafka.clone(), Arc::clone(&self.topic));
        tokio::spawn(async move { kafka::see_to(&settings, &topic, "the dead-letter topic").await });
    }

    /// Says in the log that something is a dead letter now, unless it said so a moment ago.
    fn tell(&mut self, refused: &Refused) {
        let Refused { record, kind, stood: Stood { task, file, file_offset, .. } } = refused;
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            self.untold += 1;
            debug!(reason = kind, topic = %record.topic, task, file, offset = file_offset, "dead letter");
            return;
        }
        self.told = Some(Instant::now());
        error!(
            reason = kind, topic = %record.topic, task, file, offset = file_offset, dead_letters = %self.topic,
            others = std::mem::take(&mut self.untold),
            "kafka refuses a record for good; it is in the dead-letter topic now, as are others since this was last said"
        );
    }
}
