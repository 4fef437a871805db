//! Where reports arrive and answers leave: what was refused is lined up again or answered, and what is wrong is told
//! once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use rdkafka::{ClientConfig, producer::DeliveryResult, types::RDKafkaErrorCode as Code};
use tokio::sync::{Notify, mpsc::Sender, watch};
use tracing::{info, warn};

use super::{
    Delivered, Failed, Outgoing,
    held::Held,
    meters::Meters,
    room::{Room, Sets},
    under_way::outcome,
};
use crate::{
    kafka::{KafkaError, partitions::Partitions, vitals::Vitals},
    metrics::{self, list},
};

/// Where reports arrive and answers leave.
pub(super) struct Desk<T> {
    /// What metrics call its clients.
    pub(super) name: &'static str,
    pub(super) answers: Sender<Delivered<T>>,
    pub(super) held: Mutex<Held<T>>,
    /// Whether `held` has something in it, so that a success needs no lock.
    pub(super) restless: AtomicBool,
    /// Records sent and not yet answered.
    pub(super) under_way: AtomicUsize,
    pub(super) next_number: AtomicU64,
    /// Told of every answer.
    pub(super) answered: Notify,
    pub(super) stopped: AtomicBool,
    /// The thread that serves reports, once it has started.
    pub(super) server: OnceLock<std::thread::Thread>,
    pub(super) trouble: watch::Sender<Option<KafkaError>>,
    pub(super) meters: RwLock<HashMap<Arc<str>, Arc<Meters>>>,
    pub(super) vitals: Vitals,
    pub(super) partitions: Partitions,
    pub(super) room: Room,
    pub(super) sets: Sets,
    pub(super) servers: String,
}

impl<T: Send + Sync + 'static> Desk<T> {
    /// A desk for clients of this configuration; `name` is the metrics' word for them.
    pub(super) fn new(
        name: &'static str,
        config: &ClientConfig,
        servers: String,
        answers: Sender<Delivered<T>>,
    ) -> Self {
        Self {
            name,
            answers,
            held: Mutex::default(),
            restless: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            next_number: AtomicU64::new(0),
            answered: Notify::new(),
            stopped: AtomicBool::new(false),
            server: OnceLock::new(),
            trouble: watch::Sender::new(None),
            meters: RwLock::default(),
            vitals: Vitals::of(name),
            partitions: Partitions::default(),
            room: Room::of(config),
            sets: Sets::of(config),
            servers,
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn meters(&self, topic: &Arc<str>) -> Arc<Meters> {
        if let Some(meters) = self.meters.read().unwrap_or_else(PoisonError::into_inner).get(topic) {
            return Arc::clone(meters);
        }
        let meters = Arc::new(Meters::of(topic));
        self.meters.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(topic), Arc::clone(&meters));
        meters
    }

    /// Lines a refused record up to be sent again, or makes its answer if nothing could make it succeed.
    pub(super) fn refuse(
        &self,
        held: &mut Held<T>,
        code: Code,
        number: u64,
        outgoing: Outgoing<T>,
    ) -> Option<Delivered<T>> {
        if code == Code::QueueFull {
            // Only part of a set that is larger than the queue found room. Nothing is wrong with the rest.
            held.line_up(number, outgoing, Instant::now());
            self.restless.store(true, Ordering::Release);
            return None;
        }
        let error = KafkaError::of_record(code, &outgoing.topic, outgoing.longest());
        let error = match error {
            // It may be the request that was too large, and not what was in it.
            KafkaError::TooLarge { topic, .. } if self.sets.ask_to_shrink(&outgoing.pieces) => {
                KafkaError::NotNow { topic, why: "a request of many records is too large for it".to_owned() }
            }
            error => error,
        };
        metrics::counter(&list::ERRORS, &["kafka", error.kind()]).increment(1);
        if error.is_final() {
            let Outgoing { topic, partition, key, value, headers, pieces, ticket } = outgoing;
            let record = Outgoing { topic, partition, key, value, headers, pieces, ticket: () };
            return Some(Delivered { ticket, result: Err(Box::new(Failed { error, record })) });
        }
        metrics::counter(&list::PRODUCE_RETRIES, &[&outgoing.topic, error.kind()]).increment(1);
        let (now, topic) = (Instant::now(), Arc::clone(&outgoing.topic));
        held.line_up(number, outgoing, now);
        held.leave_alone(&topic, now);
        self.restless.store(true, Ordering::Release);
        self.note_trouble(error);
        None
    }

    /// Gives an answer; waits while the channel is full, unless the producer was dropped.
    pub(super) fn answer(&self, meters: &Meters, answer: Delivered<T>) {
        if self.stopped.load(Ordering::Acquire) {
            let _ = self.answers.try_send(answer);
        } else {
            let _ = self.answers.blocking_send(answer);
        }
        self.note_answer(meters);
    }

    pub(super) fn note_answer(&self, meters: &Meters) {
        meters.progress.answered(Instant::now());
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        self.answered.notify_waiters();
    }

    /// Remembers what is wrong, and says so if it is news.
    pub(super) fn note_trouble(&self, error: KafkaError) {
        self.trouble.send_if_modified(|trouble| {
            let news = trouble.as_ref() != Some(&error);
            if news {
                warn!(%error, "kafka takes no records for now");
                *trouble = Some(error);
            }
            news
        });
    }

    /// Notes that nothing is wrong any more.
    pub(super) fn note_well(&self) {
        self.trouble.send_if_modified(|trouble| {
            let was = trouble.take();
            if was.is_some() {
                info!("kafka takes records again");
            }
            was.is_some()
        });
    }

    /// Notes that `topic` took a record.
    pub(super) fn note_success(&self, topic: &str) {
        if self.restless.load(Ordering::Acquire) {
            self.note_calm(&mut self.held(), topic);
        }
        self.note_well();
    }

    /// Notes the report of a partition's first record. One that is refused for good was dealt with too: the broker leads
    /// the partition, and all that waits would wait for ever for the next one to be taken.
    pub(super) fn note_first(&self, topic: &Arc<str>, partition: i32, report: &DeliveryResult<'_>) {
        let is_dealt_with = match outcome(report) {
            Ok(_) => true,
            Err((code, _)) => KafkaError::of_record(code, topic, 0).is_final(),
        };
        if self.held().first_answered(topic, partition, is_dealt_with) {
            self.restless.store(true, Ordering::Release);
        }
    }

    pub(super) fn note_calm(&self, held: &mut Held<T>, topic: &str) {
        held.succeeded(topic);
        self.restless.store(!held.is_calm(), Ordering::Release);
    }

    /// Whether nothing is under way and nothing waits to be sent again.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0 && !self.restless.load(Ordering::Acquire)
    }

    /// Ends the rest of the thread that serves reports.
    pub(super) fn wake(&self) {
        if let Some(server) = self.server.get() {
            server.unpark();
        }
    }
}

pub(super) fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
