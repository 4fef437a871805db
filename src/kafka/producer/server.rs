//! The client and the thread that serves its reports: it sends again what was refused, and replaces a client that
//! can't go on.

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    producer::{Producer as _, PurgeConfig},
    types::RDKafkaErrorCode as Code,
};
use tracing::{info, warn};

use super::{
    Delivered, Outgoing,
    desk::Desk,
    reports::{Access, Client, Context},
    under_way::Produced,
};
use crate::{
    kafka::{KafkaError, settings},
    metrics::{self, list},
};

/// How long one turn of the thread lasts that serves reports, at most.
const TURN: Duration = Duration::from_millis(100);
/// How long it lasts while something waits to be sent again, which happens between turns: a turn takes all of its time,
/// whatever is reported in it.
const SHORT_TURN: Duration = Duration::from_millis(10);
/// How long the thread rests when nothing is under way, at most; a record that is sent wakes it.
const REST: Duration = Duration::from_secs(1);
/// The most bytes that may wait in [`Held`](super::held::Held) before senders wait; what librdkafka had under way may
/// come on top.
const HELD_BYTES_MAX: usize = 64 << 20;

/// What the senders and the thread share. The client's own callbacks know only the [`Desk`].
pub(super) struct Shared<T: Send + Sync + 'static> {
    pub(super) client: RwLock<Arc<Client<T>>>,
    pub(super) config: ClientConfig,
    pub(super) access: Access,
    pub(super) desk: Arc<Desk<T>>,
}

/// What became of a record that was offered to librdkafka.
pub(super) enum Offer<T> {
    Taken,
    Full(Outgoing<T>),
    Answered(Box<Delivered<T>>),
}

impl<T: Send + Sync + 'static> Shared<T> {
    pub(super) fn client(&self) -> Arc<Client<T>> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands a record to librdkafka, or lines it up if its topic holds some already.
    pub(super) fn offer(&self, number: u64, outgoing: Outgoing<T>) -> Offer<T> {
        let client = self.client();
        let mut held = self.desk.held();
        let partition = self.desk.partition_of(&outgoing);
        let is_held = held.holds(&outgoing.topic);
        let waits = is_held || partition.is_some_and(|partition| held.firsts.is_met(&outgoing.topic, partition));
        if waits && held.bytes() >= HELD_BYTES_MAX {
            return Offer::Full(outgoing);
        }
        if is_held {
            held.line_up(number, outgoing, Instant::now());
            return Offer::Taken;
        }
        match self.desk.hand_over(&mut held, &client, number, outgoing) {
            Produced::UnderWay => Offer::Taken,
            Produced::Answered(answer) => Offer::Answered(Box::new(answer)),
            Produced::Back(Code::QueueFull, outgoing) => Offer::Full(outgoing),
            Produced::Back(code, outgoing) => match self.desk.refuse(&mut held, code, number, outgoing) {
                None => Offer::Taken,
                Some(answer) => Offer::Answered(Box::new(answer)),
            },
        }
    }

    /// Serves reports until the producer is dropped.
    pub(super) fn serve(&self) {
        while !self.desk.stopped.load(Ordering::Acquire) {
            let client = self.client();
            if self.desk.is_idle() {
                // Polling would spin through the last millisecond of each turn, which an idle agent would pay for.
                std::thread::park_timeout(REST);
                client.poll(Duration::ZERO);
            } else {
                client.poll(if self.desk.restless.load(Ordering::Acquire) { SHORT_TURN } else { TURN });
            }
            if let Some((_, why)) = client.client().fatal_error() {
                self.rebuild(client, &why);
            } else if self.desk.sets.is_asked_to_shrink() {
                self.shrink_sets(client);
            }
            if self.desk.restless.load(Ordering::Acquire) {
                self.send_held();
            }
        }
    }

    /// Replaces a client that met a fatal error. What it had under way is reported by purging it, lands in
    /// [`Held`](super::held::Held), and goes out again, in order, through the new one. What the brokers had already written of it
    /// arrives twice; a line's identity takes care of that.
    fn rebuild(&self, old: Arc<Client<T>>, why: &str) {
        metrics::counter(&list::ERRORS, &["kafka", "fatal"]).increment(1);
        metrics::counter(&list::KAFKA_REBUILDS, &[]).increment(1);
        warn!(reason = why, "the kafka producer met a fatal error and is rebuilt");
        old.purge(PurgeConfig::default().queue().inflight());
        if let Err(error) = old.flush(Duration::from_secs(5)) {
            warn!(%error, "the old kafka producer still has records; they are reported when it is freed");
        }
        self.replace();
        info!(held = self.desk.held().bytes(), "records that were under way are sent again");
    }

    /// Replaces a client whose requests a broker found too large, by one that puts less into each.
    fn shrink_sets(&self, old: Arc<Client<T>>) {
        // What is reported in time is not sent twice; what isn't is purged when the client is freed.
        if let Err(error) = old.flush(Duration::from_secs(5)) {
            warn!(%error, "the old kafka producer still has records; they are sent again");
        }
        let bytes = self.desk.sets.shrink();
        warn!(bytes, "a broker takes smaller requests than those that were sent; fewer records go into one");
        self.replace();
    }

    fn replace(&self) {
        match connect(self.desk.sets.applied_to(&self.config), &self.access, &self.desk) {
            Ok(new) => {
                self.desk.held().firsts.forget();
                *self.client.write().unwrap_or_else(PoisonError::into_inner) = new;
            }
            Err(error) => warn!(%error, "the kafka producer could not be rebuilt; it is tried again"),
        }
    }

    /// Sends again what is due. Answers are given after the lock is released, for they may have to wait.
    fn send_held(&self) {
        let (client, now) = (self.client(), Instant::now());
        let mut answers = Vec::new();
        let mut held = self.desk.held();
        for topic in held.due(now) {
            // What was sent before and is not reported yet may come back too, and belongs in front.
            if self.desk.meters(&topic).inside.load(Ordering::Acquire) > 0 {
                continue;
            }
            while let Some((number, outgoing)) = held.pop(&topic) {
                match self.desk.hand_over(&mut held, &client, number, outgoing) {
                    Produced::UnderWay => (),
                    Produced::Answered(answer) => {
                        self.desk.note_calm(&mut held, &topic);
                        answers.push((self.desk.meters(&topic), answer));
                    }
                    Produced::Back(Code::QueueFull, outgoing) => {
                        held.line_up(number, outgoing, now);
                        break;
                    }
                    Produced::Back(code, outgoing) => match self.desk.refuse(&mut held, code, number, outgoing) {
                        Some(answer) => answers.push((self.desk.meters(&topic), answer)),
                        None => break,
                    },
                }
            }
        }
        drop(held);
        for (meters, answer) in answers {
            self.desk.answer(&meters, answer);
        }
    }
}

pub(super) fn connect<T: Send + Sync + 'static>(
    config: ClientConfig,
    access: &Access,
    desk: &Arc<Desk<T>>,
) -> Result<Arc<Client<T>>, KafkaError> {
    let context = Context { desk: Arc::clone(desk), access: access.clone() };
    config.create_with_context(context).map(Arc::new).map_err(settings::refused)
}

impl<T: Send + Sync + 'static> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("under_way", &self.desk.under_way).finish_non_exhaustive()
    }
}
