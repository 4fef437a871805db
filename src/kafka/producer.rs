//! The producer: records with a ticket in, exactly one answer for each out.
//!
//! librdkafka sends and retries on its own threads; one thread of ours serves its reports. A record's value is
//! copied into librdkafka when it is sent and lives only there. What librdkafka reports as failed goes to
//! [`Held`], in its old place in line, and is sent again, unless nothing could make it succeed.
//!
//! Answers leave through a bounded channel. While it is full the reports wait in librdkafka, which bounds what is
//! under way (`queue.buffering.max.*`), so a sender must not be the only reader of the answers, unless the channel
//! has room for everything that can be under way.
//!
//! What is sent may be many small records in one buffer ([`Pieces`]). They go to librdkafka together, which refers to
//! the buffer instead of copying it ([`many`](super::many)), and are answered together: with the last report, those
//! that were refused are lined up or handed back, and if none was, all are safe.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Statistics,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig},
    types::RDKafkaErrorCode as Code,
};
use tokio::sync::{Notify, mpsc::Sender, watch};
use tracing::{info, warn};

use super::{
    KafkaError, Settings,
    greeting::Greeting,
    held::Held,
    many,
    partitions::Partitions,
    progress::Progress,
    room::{Room, Sets},
    settings,
    token::Tokens,
    vitals,
    vitals::Vitals,
    voice,
};
use crate::{
    metrics::{self, Counter, Histogram, list},
    record::Pieces,
};

/// How long one turn of the thread lasts that serves reports, at most.
const TURN: Duration = Duration::from_millis(100);
/// How long the thread rests when nothing is under way, at most; a record that is sent wakes it.
const REST: Duration = Duration::from_secs(1);
/// How long a full queue is waited for before it is looked at again, should no report come.
const ROOM_WAIT: Duration = Duration::from_millis(50);
/// The most bytes that may wait in [`Held`] before senders wait; what librdkafka had under way may come on top.
const HELD_BYTES_MAX: usize = 64 << 20;

/// A record to be sent.
#[derive(Debug)]
pub struct Outgoing<T> {
    /// Where to.
    pub topic: Arc<str>,
    /// The partition; none leaves the choice to librdkafka (by key where there is one).
    pub partition: Option<i32>,
    /// The key; any bytes.
    pub key: Option<Vec<u8>>,
    /// The value; any bytes. If there are pieces, each is a record of its own.
    pub value: Vec<u8>,
    /// The headers, in order; of pieces, none but their own.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// How the value is cut into records; not at all if there are none.
    pub pieces: Pieces,
    /// What the sender wants back with the answer.
    pub ticket: T,
}

/// Where a record ended up; of pieces, one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// The record's offset in the partition.
    pub offset: i64,
}

/// A record that can never be taken, and why.
#[derive(Debug)]
pub struct Failed {
    /// [`KafkaError::TooLarge`] or [`KafkaError::Refused`].
    pub error: KafkaError,
    /// The record, as it was sent; of pieces, those that were not taken. All others were.
    pub record: Outgoing<()>,
}

/// The answer for one record.
#[derive(Debug)]
pub struct Delivered<T> {
    /// What was given with the record.
    pub ticket: T,
    /// All in-sync replicas have the record, or none ever will.
    pub result: Result<Placed, Box<Failed>>,
}

/// Sends records. Dropping it gives up what is under way, without an answer.
#[derive(Debug)]
pub struct Producer<T: Send + Sync + 'static> {
    /// Always there until the producer is dropped.
    shared: Option<Arc<Shared<T>>>,
}

/// What the senders and the thread share. The client's own callbacks know only the [`Desk`].
struct Shared<T: Send + Sync + 'static> {
    client: RwLock<Arc<Client<T>>>,
    config: ClientConfig,
    access: Access,
    desk: Arc<Desk<T>>,
}

pub(super) type Client<T> = BaseProducer<Context<T>>;

/// Where reports arrive and answers leave.
struct Desk<T> {
    answers: Sender<Delivered<T>>,
    held: Mutex<Held<T>>,
    /// Whether `held` has something in it, so that a success needs no lock.
    restless: AtomicBool,
    /// Records sent and not yet answered.
    under_way: AtomicUsize,
    next_number: AtomicU64,
    /// Told of every answer.
    answered: Notify,
    stopped: AtomicBool,
    /// The thread that serves reports, once it has started.
    server: OnceLock<std::thread::Thread>,
    trouble: watch::Sender<Option<KafkaError>>,
    meters: RwLock<HashMap<Arc<str>, Arc<Meters>>>,
    vitals: Vitals,
    partitions: Partitions,
    room: Room,
    sets: Sets,
    servers: String,
}

/// A topic's metrics, and what the client has of it.
struct Meters {
    sent: Counter,
    sent_bytes: Counter,
    acknowledged: Counter,
    seconds: Histogram,
    /// Records of the topic that the client has and did not report yet.
    inside: AtomicUsize,
    progress: Progress,
}

/// What librdkafka has and did not report yet. Each of its records refers to this.
pub(super) struct UnderWay<T> {
    number: u64,
    /// Its value is empty if it is one record, which librdkafka has a copy of.
    pub(super) outgoing: Outgoing<T>,
    sent_at: Instant,
    meters: Arc<Meters>,
    /// The pieces that were not taken, by their index, and why.
    refused: Mutex<Vec<(u32, Code)>>,
    /// Where the last piece is that was.
    placed: Mutex<Placed>,
}

/// What became of something that was handed to librdkafka.
enum Produced<T> {
    /// Reports will come.
    UnderWay,
    /// It is not taken, or what is in it is all that was not.
    Back(Code, Outgoing<T>),
    /// All of it was reported already.
    Answered(Delivered<T>),
}

pub(super) struct Context<T> {
    desk: Arc<Desk<T>>,
    access: Access,
}

/// How brokers are met, for each client anew.
#[derive(Clone, Debug)]
struct Access {
    tokens: Tokens,
    greeting: Greeting,
}

impl<T: Send + Sync + 'static> std::fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("under_way", &self.desk.under_way).finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Producer<T> {
    /// A producer whose answers go to `answers`. It connects in the background; no broker need be there yet.
    ///
    /// # Errors
    /// [`KafkaError::Setting`], or [`KafkaError::Fatal`] if librdkafka can't start.
    pub fn new(settings: &Settings, answers: Sender<Delivered<T>>) -> Result<Self, KafkaError> {
        Self::start(settings, "producer", settings.producer()?, answers)
    }

    /// A producer as [`Producer::new`] makes one, for [`Pieces`]: it gathers records into requests, and compresses them.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn of_pieces(settings: &Settings, answers: Sender<Delivered<T>>) -> Result<Self, KafkaError> {
        Self::start(settings, "lines-producer", settings.producer_of_pieces()?, answers)
    }

    fn start(
        settings: &Settings,
        name: &'static str,
        config: ClientConfig,
        answers: Sender<Delivered<T>>,
    ) -> Result<Self, KafkaError> {
        let desk = Arc::new(Desk {
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
            room: Room::of(&config),
            sets: Sets::of(&config),
            servers: settings.bootstrap_servers.clone(),
        });
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
            super::partitions::count(metadata, topic, &shared.desk.servers)
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

/// What became of a record that was offered to librdkafka.
enum Offer<T> {
    Taken,
    Full(Outgoing<T>),
    Answered(Box<Delivered<T>>),
}

impl<T: Send + Sync + 'static> Shared<T> {
    fn client(&self) -> Arc<Client<T>> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands a record to librdkafka, or lines it up if its topic holds some already.
    fn offer(&self, number: u64, outgoing: Outgoing<T>) -> Offer<T> {
        let client = self.client();
        let mut held = self.desk.held();
        if held.holds(&outgoing.topic) {
            if held.bytes() >= HELD_BYTES_MAX {
                return Offer::Full(outgoing);
            }
            held.line_up(number, outgoing, Instant::now());
            return Offer::Taken;
        }
        match self.desk.produce(&client, number, outgoing) {
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
    fn serve(&self) {
        while !self.desk.stopped.load(Ordering::Acquire) {
            let client = self.client();
            if self.desk.is_idle() {
                // Polling would spin through the last millisecond of each turn, which an idle agent would pay for.
                std::thread::park_timeout(REST);
                client.poll(Duration::ZERO);
            } else {
                client.poll(TURN);
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
    /// [`Held`], and goes out again, in order, through the new one. What the brokers had already written of it
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
            Ok(new) => *self.client.write().unwrap_or_else(PoisonError::into_inner) = new,
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
                match self.desk.produce(&client, number, outgoing) {
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

fn connect<T: Send + Sync + 'static>(
    config: ClientConfig,
    access: &Access,
    desk: &Arc<Desk<T>>,
) -> Result<Arc<Client<T>>, KafkaError> {
    let context = Context { desk: Arc::clone(desk), access: access.clone() };
    config.create_with_context(context).map(Arc::new).map_err(settings::refused)
}

impl<T: Send + Sync + 'static> Desk<T> {
    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meters(&self, topic: &Arc<str>) -> Arc<Meters> {
        if let Some(meters) = self.meters.read().unwrap_or_else(PoisonError::into_inner).get(topic) {
            return Arc::clone(meters);
        }
        let meters = Arc::new(Meters {
            sent: metrics::counter(&list::SENT_BATCHES, &[topic]),
            sent_bytes: metrics::counter(&list::SENT_BYTES, &[topic]),
            acknowledged: metrics::counter(&list::ACKNOWLEDGED_BATCHES, &[topic]),
            seconds: metrics::histogram(&list::PRODUCE_SECONDS, &[topic]),
            inside: AtomicUsize::new(0),
            progress: Progress::new(Instant::now()),
        });
        self.meters.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(topic), Arc::clone(&meters));
        meters
    }

    /// Hands something to librdkafka; gives back what of it is not taken.
    fn produce(&self, client: &Client<T>, number: u64, mut outgoing: Outgoing<T>) -> Produced<T> {
        let meters = self.meters(&outgoing.topic);
        if !outgoing.pieces.is_none() {
            return self.produce_pieces(client, number, outgoing, meters);
        }
        let (value, counted) = (std::mem::take(&mut outgoing.value), Arc::clone(&meters));
        let copied = outgoing
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (name, value)| all.insert(Header { key: name, value: Some(value) }));
        let (topic, key) = (Arc::clone(&outgoing.topic), outgoing.key.clone());
        // A topic that was made anew may have fewer partitions; one that isn't there would be waited for in vain.
        let partition = outgoing.partition.map(|partition| self.partitions.fold(&topic, partition));
        let under_way = Arc::new(UnderWay::new(number, outgoing, meters));
        let mut record = BaseRecord::with_opaque_to(&topic, under_way).payload(&value).headers(copied);
        (record.partition, record.key) = (partition, key.as_ref());
        counted.inside.fetch_add(1, Ordering::AcqRel);
        match client.send(record) {
            Ok(()) => {
                counted.sent.increment(1);
                counted.sent_bytes.increment(value.len() as u64);
                Produced::UnderWay
            }
            Err((error, record)) => {
                counted.inside.fetch_sub(1, Ordering::AcqRel);
                let code = error.rdkafka_error_code().unwrap_or(Code::InvalidRecord);
                let under_way = Arc::into_inner(record.delivery_opaque).expect("only the record referred to it");
                Produced::Back(code, Outgoing { value, ..under_way.outgoing })
            }
        }
    }

    fn produce_pieces(
        &self,
        client: &Client<T>,
        number: u64,
        outgoing: Outgoing<T>,
        meters: Arc<Meters>,
    ) -> Produced<T> {
        if !self.room.take(&outgoing.pieces, &outgoing.value) {
            return Produced::Back(Code::QueueFull, outgoing);
        }
        let partition = outgoing.partition.map(|partition| self.partitions.fold(&outgoing.topic, partition));
        meters.inside.fetch_add(1, Ordering::AcqRel);
        meters.sent.increment(1);
        meters.sent_bytes.increment(outgoing.value.len() as u64);
        let under_way = Arc::new(UnderWay::new(number, outgoing, meters));
        let refused = many::produce(client, partition, &under_way);
        lock(&under_way.refused).extend(refused);
        // Nearly always records of it are under way now, and the last report closes it.
        match Arc::into_inner(under_way) {
            None => Produced::UnderWay,
            Some(under_way) => self.close(under_way),
        }
    }

    /// What became of a single record.
    fn close_one(&self, under_way: UnderWay<T>, report: &DeliveryResult<'_>) -> Produced<T> {
        let UnderWay { outgoing, sent_at, meters, .. } = under_way;
        meters.inside.fetch_sub(1, Ordering::AcqRel);
        match report {
            Ok(message) => {
                meters.note_acknowledged(sent_at);
                let placed = Placed { partition: message.partition(), offset: message.offset() };
                Produced::Answered(Delivered { ticket: outgoing.ticket, result: Ok(placed) })
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                let value = message.payload().unwrap_or_default().to_vec();
                Produced::Back(code, Outgoing { value, ..outgoing })
            }
        }
    }

    /// What became of pieces that are all reported.
    fn close(&self, under_way: UnderWay<T>) -> Produced<T> {
        let UnderWay { mut outgoing, sent_at, meters, refused, placed, .. } = under_way;
        meters.inside.fetch_sub(1, Ordering::AcqRel);
        self.room.give_back(&outgoing.pieces, &outgoing.value);
        let mut refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
        if refused.is_empty() {
            meters.note_acknowledged(sent_at);
            let placed = placed.into_inner().unwrap_or_else(PoisonError::into_inner);
            return Produced::Answered(Delivered { ticket: outgoing.ticket, result: Ok(placed) });
        }
        refused.sort_unstable_by_key(|(index, _)| *index);
        // Sent again together, as long as that may help one of them.
        let is_final = |code: Code| KafkaError::of_record(code, &outgoing.topic, 0).is_final();
        let code = refused.iter().map(|(_, code)| *code).find(|code| !is_final(*code)).unwrap_or(refused[0].1);
        let mut left = refused.into_iter().map(|(index, _)| index).peekable();
        let mut index = 0;
        outgoing.pieces.each.retain(|_| {
            index += 1;
            left.next_if_eq(&(index - 1)).is_some()
        });
        Produced::Back(code, outgoing)
    }

    /// Lines a refused record up to be sent again, or makes its answer if nothing could make it succeed.
    fn refuse(&self, held: &mut Held<T>, code: Code, number: u64, outgoing: Outgoing<T>) -> Option<Delivered<T>> {
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
    fn answer(&self, meters: &Meters, answer: Delivered<T>) {
        if self.stopped.load(Ordering::Acquire) {
            let _ = self.answers.try_send(answer);
        } else {
            let _ = self.answers.blocking_send(answer);
        }
        self.note_answer(meters);
    }

    fn note_answer(&self, meters: &Meters) {
        meters.progress.answered(Instant::now());
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        self.answered.notify_waiters();
    }

    /// Remembers what is wrong, and says so if it is news.
    fn note_trouble(&self, error: KafkaError) {
        self.trouble.send_if_modified(|trouble| {
            let news = trouble.as_ref() != Some(&error);
            if news {
                warn!(%error, "kafka takes no records for now");
                *trouble = Some(error);
            }
            news
        });
    }

    /// Whether nothing is under way and nothing waits to be sent again.
    fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0 && !self.restless.load(Ordering::Acquire)
    }

    /// Ends the rest of the thread that serves reports.
    fn wake(&self) {
        if let Some(server) = self.server.get() {
            server.unpark();
        }
    }

    /// Notes that nothing is wrong any more.
    fn note_well(&self) {
        self.trouble.send_if_modified(|trouble| {
            let was = trouble.take();
            if was.is_some() {
                info!("kafka takes records again");
            }
            was.is_some()
        });
    }

    /// Notes that `topic` took a record.
    fn note_success(&self, topic: &str) {
        if self.restless.load(Ordering::Acquire) {
            self.note_calm(&mut self.held(), topic);
        }
        self.note_well();
    }

    fn note_calm(&self, held: &mut Held<T>, topic: &str) {
        held.succeeded(topic);
        self.restless.store(!held.is_calm(), Ordering::Release);
    }
}

impl Meters {
    fn note_acknowledged(&self, sent_at: Instant) {
        self.acknowledged.increment(1);
        self.seconds.record(sent_at.elapsed().as_secs_f64());
    }
}

impl<T> UnderWay<T> {
    fn new(number: u64, outgoing: Outgoing<T>, meters: Arc<Meters>) -> Self {
        let placed = Mutex::new(Placed { partition: -1, offset: -1 });
        Self { number, outgoing, sent_at: Instant::now(), meters, refused: Mutex::default(), placed }
    }

    /// Notes the report for one of the pieces.
    fn note(&self, report: &DeliveryResult<'_>) {
        match report {
            Ok(message) => {
                *lock(&self.placed) = Placed { partition: message.partition(), offset: message.offset() };
            }
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                let index = many::index_of(&self.outgoing, message.payload());
                lock(&self.refused).push((index, code));
            }
        }
    }
}

impl<T> Outgoing<T> {
    /// How long the longest value of its records is.
    fn longest(&self) -> usize {
        let pieces = self.pieces.each.iter().map(|piece| piece.value.len());
        pieces.max().unwrap_or(self.value.len())
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + Sync + 'static> ClientContext for Context<T> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.access.tokens.read()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        voice::log("producer", level, facility, message);
        if let Some(error) = self.access.greeting.refused(facility, message) {
            self.desk.note_trouble(error);
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // "All brokers are down" follows each reason and is none itself.
        if error.rdkafka_error_code() == Some(Code::AllBrokersDown) && self.desk.trouble.borrow().is_some() {
            return;
        }
        let error = KafkaError::of_client(error.rdkafka_error_code(), reason, &self.desk.servers, None);
        // A fatal error is met, and told, where the client is rebuilt.
        if !matches!(error, KafkaError::Fatal { .. }) {
            metrics::counter(&list::ERRORS, &["kafka", error.kind()]).increment(1);
            self.desk.note_trouble(error);
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.desk.vitals.show(&statistics);
        // Where nothing is sent, nothing else tells that the brokers are back.
        if self.desk.is_idle() && vitals::is_any_up(&statistics) {
            self.desk.note_well();
        }
    }
}

impl<T: Send + Sync + 'static> ProducerContext for Context<T> {
    type DeliveryOpaque = Arc<UnderWay<T>>;

    fn delivery(&self, report: &DeliveryResult<'_>, under_way: Arc<UnderWay<T>>) {
        let desk = &self.desk;
        let is_one = under_way.outgoing.pieces.is_none();
        if !is_one {
            under_way.note(report);
        }
        // Reports of pieces are counted by their references, and the last one closes.
        let Some(under_way) = Arc::into_inner(under_way) else { return };
        let (number, meters) = (under_way.number, Arc::clone(&under_way.meters));
        let topic = Arc::clone(&under_way.outgoing.topic);
        let produced = if is_one { desk.close_one(under_way, report) } else { desk.close(under_way) };
        let answer = match produced {
            Produced::UnderWay => None,
            Produced::Answered(answer) => {
                desk.note_success(&topic);
                Some(answer)
            }
            Produced::Back(code, outgoing) => desk.refuse(&mut desk.held(), code, number, outgoing),
        };
        if let Some(answer) = answer {
            desk.answer(&meters, answer);
        }
    }
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "pieces_tests.rs"]
mod pieces_tests;
