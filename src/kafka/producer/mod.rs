//! The producer: records with a ticket in, exactly one answer for each out.
//!
//! librdkafka sends and retries on its own threads; one thread of ours serves its reports. A record's value is
//! copied into librdkafka when it is sent and lives only there. What librdkafka reports as failed goes to
//! [`Held`], in its old place in line, and is sent again, unless nothing could make it succeed. Records of a partition
//! stay in the order of sending; for that the first of each goes alone ([`firsts`]).
//!
//! Answers leave through a bounded channel. While it is full the reports wait in librdkafka, which bounds what is
//! under way (`queue.buffering.max.*`), so a sender must not be the only reader of the answers, unless the channel
//! has room for everything that can be under way.
//!
//! What is sent may be many small records in one buffer ([`Pieces`]). They go to librdkafka together, which refers to
//! the buffer instead of copying it ([`many`](super::many)), and are answered together: with the last report, those
//! that were refused are lined up or handed back, and if none was, all are safe.

mod desk;
mod firsts;
mod held;
mod many;
mod meters;
mod outgoing;
#[cfg(test)]
mod pieces_tests;
mod progress;
mod reports;
mod room;
mod server;
#[cfg(test)]
mod tests;
mod under_way;

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::{Duration, Instant},
};

use rdkafka::{ClientConfig, producer::Producer as _};
use tokio::sync::{mpsc::Sender, watch};

pub use self::outgoing::{Delivered, Failed, Outgoing, Placed};
use self::{
    desk::Desk,
    reports::Access,
    server::{Offer, Shared, connect},
};
use super::{KafkaError, Settings, greeting::Greeting, partitions, token::Tokens};

/// How long a full queue is waited for before it is looked at again, should no report come.
const ROOM_WAIT: Duration = Duration::from_millis(50);

/// Sends records. Dropping it gives up what is under way, without an answer.
#[derive(Debug)]
pub struct Producer<T: Send + Sync + 'static> {
    /// Always there until the producer is dropped.
    shared: Option<Arc<Shared<T>>>,
}

impl<T: Send + Sync + 'static> Producer<T> {
    /// A producer whose answers go to `answers`. It connects in the background; no broker need be there yet.
    ///
    /// # Errors
    /// [`KafkaError::Setting`], or [`KafkaError::Fatal`] if librdkafka can't start.
    pub fn new(settings: &Settings, answers: Sender<Delivered<T>>) -> Result<Self, KafkaError> {
        Self::start(settings, "producer", settings.producer()?, answers)
    }

    /// A producer as [`Producer::new`] makes one, for [`Pieces`]: it gathers records into requests, for up to `linger`, and
    /// compresses them.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn of_pieces(settings: &Settings, linger: Duration, answers: Sender<Delivered<T>>) -> Result<Self, KafkaError> {
        Self::start(settings, "lines-producer", settings.producer_of_pieces(linger)?, answers)
    }

    fn start(
        settings: &Settings,
        name: &'static str,
        config: ClientConfig,
        answers: Sender<Delivered<T>>,
    ) -> Result<Self, KafkaError> {
        let desk = Arc::new(Desk::new(name, &config, settings.bootstrap_servers.clone(), answers));
        let access = Access { tokens: Tokens::of(settings), greeting: Greeting::of(settings) };
        let client = connect(config.clone(), &access, &desk)?;
        let shared = Arc::new(Shared { client: RwLock::new(client), config, access, desk });
        let served = Arc::clone(&shared);
        let server = std::thread::Builder::new()
            .name(format!("kafka-{name}"))
            .spawn(move || served.serve())
            .map_err(|error| KafkaError::Fatal { why: format!("no thread: {error}") })?;
        // It is set here only, so it was not set before.
        let _ = shared.desk.server.set(server.thread().clone());
        Ok(Self { shared: Some(shared) })
    }

    /// Sends a record; waits while too much is under way. The answer comes through the channel given to
    /// [`Producer::new`], once for each record, and for those that succeed in the order of sending per partition.
    ///
    /// Not cancel safe: a record whose sending is cancelled is gone, and its ticket with it.
    pub async fn send(&self, outgoing: Outgoing<T>) {
        let shared = self.shared();
        let number = shared.desk.next_number.fetch_add(1, Ordering::Relaxed);
        let meters = shared.desk.meters(&outgoing.topic);
        meters.progress.begun(Instant::now());
        if shared.desk.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
            shared.desk.wake();
        }
        let mut outgoing = outgoing;
        loop {
            let answered = shared.desk.answered.notified();
            match shared.offer(number, outgoing) {
                Offer::Taken => return,
                Offer::Full(back) => outgoing = back,
                Offer::Answered(answer) => {
                    // The receiver may be gone, and then nobody wants to know.
                    let _ = shared.desk.answers.send(*answer).await;
                    shared.desk.note_answer(&meters);
                    return;
                }
            }
            let _ = tokio::time::timeout(ROOM_WAIT, answered).await;
        }
    }

    /// How many partitions `topic` has; remembered, and asked again from time to time.
    ///
    /// # Errors
    /// [`KafkaError::Away`], [`KafkaError::UnknownTopic`] or [`KafkaError::Unauthorized`] if it was never known.
    pub async fn partitions(&self, topic: &str) -> Result<i32, KafkaError> {
        let shared = Arc::clone(self.shared());
        let count = self.shared().desk.partitions.of(topic, move |topic, limit| {
            let client = shared.client();
            let metadata = client.client().fetch_metadata(Some(topic), limit);
            partitions::count(metadata, topic, &shared.desk.servers)
        });
        match count.await {
            // The question only knows that there was no answer; the client knows why.
            Err(error @ KafkaError::Away { .. }) => Err(self.shared().desk.trouble.borrow().clone().unwrap_or(error)),
            count => count,
        }
    }

    /// Waits until everything sent is answered, for at most `limit`; returns how many records are not.
    pub async fn flush(&self, limit: Duration) -> usize {
        let desk = &self.shared().desk;
        let empty = async {
            loop {
                let answered = desk.answered.notified();
                if desk.under_way.load(Ordering::Acquire) == 0 {
                    return;
                }
                let _ = tokio::time::timeout(ROOM_WAIT, answered).await;
            }
        };
        let _ = tokio::time::timeout(limit, empty).await;
        desk.under_way.load(Ordering::Acquire)
    }

    /// What metrics call this client.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.shared().desk.name
    }

    /// How many records are sent and not yet answered.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.shared().desk.under_way.load(Ordering::Acquire)
    }

    /// Why nothing that was sent to some topic was acknowledged for at least `limit`, if so: what is known to be
    /// wrong, or else only that.
    #[must_use]
    pub fn silence(&self, limit: Duration) -> Option<KafkaError> {
        let desk = &self.shared().desk;
        let meters = desk.meters.read().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let silences = meters.iter().filter_map(|(topic, meters)| Some((meters.progress.silent_for(now)?, topic)));
        let (longest, topic) = silences.max_by_key(|(silence, _)| *silence).filter(|(silence, _)| *silence >= limit)?;
        let silent = || KafkaError::Silent { topic: topic.to_string(), seconds: longest.as_secs() };
        Some(desk.trouble.borrow().clone().unwrap_or_else(silent))
    }

    /// What keeps records from being taken, if anything does; none again after the next success.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<KafkaError>> {
        self.shared().desk.trouble.subscribe()
    }

    fn shared(&self) -> &Arc<Shared<T>> {
        self.shared.as_ref().expect("it is taken only when the producer is dropped")
    }
}

impl<T: Send + Sync + 'static> Drop for Producer<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            // The thread must be the last to hold the client: freeing it serves reports, which may block.
            let desk = Arc::clone(&shared.desk);
            drop(shared);
            desk.stopped.store(true, Ordering::Release);
            desk.wake();
        }
    }
}
