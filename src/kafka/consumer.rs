//! The consumer: a member of a group, whose records and changes of assignment come as events.
//!
//! A thread of its own polls librdkafka, whatever the role does, so the group never takes a busy member for a
//! dead one. Records leave in chunks through a bounded channel; if that stays full for a while the partitions are
//! paused, and polling goes on without them until there is room.
//!
//! Changes of assignment have a channel of their own, so they arrive although records are stuck. The order still
//! holds: [`Event::Assigned`] comes before the first record of its partitions, and after [`Event::Revoked`] none
//! comes; those already fetched are dropped here, and the partition's next owner reads them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError as ClientError,
    message::BorrowedMessage,
};
use tokio::sync::{
    mpsc::{self, Receiver, Sender, error::TrySendError},
    oneshot, watch,
};
use tracing::{debug, warn};

use super::{
    Assignment, AssignmentId, KafkaError, Records, Release, Settings, StartFrom, anew,
    anew::WayBack,
    aside::{Aside, Wish},
    headers,
    rebalance::{Change, Context},
    records::Content,
    settings,
};
use crate::metrics::{self, Counter, list};

/// How long one poll waits for a record.
const TURN: Duration = Duration::from_millis(100);
/// A chunk is handed over when it has this many bytes or records, or nothing more is there.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_RECORDS: usize = 8192;
/// Chunks between the thread and the role.
const CHUNKS: usize = 2;
/// How long the role may take nothing before its partitions are paused. Pausing throws away what was fetched
/// ahead, so it is for a role that is stuck, not for one that is slow.
const PATIENCE: Duration = Duration::from_secs(5);
/// Changes of assignment between the thread and the role; the thread waits when there are more.
const CHANGES: usize = 4;
/// How long leaving the group may take.
const LEAVE_MAX: Duration = Duration::from_secs(10);

/// What a consumer has to say.
#[derive(Debug)]
pub enum Event {
    /// Records, those of a partition in order; never empty.
    Records(Vec<Records>),
    /// These partitions are ours from now on.
    Assigned(Vec<Assignment>),
    /// These partitions go: settle and commit what is under way, then drop the release.
    Revoked(Vec<Assignment>, Release),
    /// The consumer can't go on, and nothing more comes.
    Failed(KafkaError),
}

/// As whom records are read.
#[derive(Clone, Copy, Debug)]
pub struct Membership<'a> {
    /// The group; its members share the partitions.
    pub group: &'a str,
    /// The member's own name, which no other member has: whoever comes back under it, before the session ends, gets its
    /// partitions back, and nobody else is disturbed.
    pub member: Option<&'a str>,
    /// Where to begin in partitions that are new to the group.
    pub start_from: StartFrom,
}

/// Reads records as a member of a consumer group. Dropping it leaves the group.
pub struct Consumer {
    /// Always there until the consumer is dropped.
    client: Option<Arc<Client>>,
    changes: Receiver<Change>,
    records: Receiver<Vec<Records>>,
    live: HashSet<AssignmentId>,
    room: Arc<Room>,
    left: oneshot::Receiver<()>,
}

/// Commits offsets for a [`Consumer`], from any task. Holding one does not keep the consumer in its group.
#[derive(Clone)]
pub struct Committer(std::sync::Weak<Client>);

pub(super) type Client = BaseConsumer<Context>;

/// Wakes the thread when the role took records, or wants no more; and tells it what else the role wants.
#[derive(Default)]
struct Room {
    /// At most two a partition.
    wishes: Mutex<Vec<Wish>>,
    stopped: AtomicBool,
    lock: Mutex<()>,
    taken: Condvar,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("live", &self.live).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Committer")
    }
}

impl Consumer {
    /// Joins a group to read `topics`: names, or patterns that begin with `^`. It connects in the background; no
    /// broker and no topic need be there yet.
    ///
    /// # Errors
    /// [`KafkaError::Setting`], or [`KafkaError::Fatal`] if librdkafka can't start.
    pub fn new(settings: &Settings, membership: &Membership<'_>, topics: &[String]) -> Result<Self, KafkaError> {
        let (change_sender, changes) = mpsc::channel(CHANGES);
        let context = Context::new(change_sender, settings, membership.start_from);
        let mut config = settings.consumer(membership)?;
        anew::listen(&mut config);
        let client: Client = config.create_with_context(context).map_err(settings::refused)?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        client.subscribe(&names).map_err(|error| KafkaError::Setting {
            name: "topics".to_owned(),
            why: format!("{error}; a topic is a name, or a regular expression that begins with ^"),
        })?;
        let (client, room) = (Arc::new(client), Arc::new(Room::default()));
        let (record_sender, records) = mpsc::channel(CHUNKS);
        let (leaving, left) = oneshot::channel();
        let thread = Thread {
            client: Arc::clone(&client),
            records: record_sender,
            room: Arc::clone(&room),
            meters: HashMap::new(),
            waiting: VecDeque::new(),
            aside: Aside::default(),
            way_back: WayBack::default(),
        };
        std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || {
                // Freed here, on this thread, the client leaves the group.
                thread.run();
                let _ = leaving.send(());
            })
            .map_err(|error| KafkaError::Fatal { why: format!("no thread: {error}") })?;
        Ok(Self { client: Some(client), changes, records, live: HashSet::new(), room, left })
    }

    /// The next event. Cancel safe. After [`Event::Failed`] it waits for ever.
    pub async fn next(&mut self) -> Event {
        loop {
            let event = tokio::select! {
                biased;
                Some(change) = self.changes.recv() => self.changed(change),
                Some(chunk) = self.records.recv() => {
                    self.room.wake();
                    match self.arrived(chunk) {
                        Some(event) => event,
                        None => continue,
                    }
                }
                else => std::future::pending().await,
            };
            return event;
        }
    }

    /// The next event that is not records, for a role that has no room for them. Cancel safe.
    pub async fn next_change(&mut self) -> Event {
        match self.changes.recv().await {
            Some(change) => self.changed(change),
            None => std::future::pending().await,
        }
    }

    /// A handle to commit with.
    #[must_use]
    pub fn committer(&self) -> Committer {
        Committer(Arc::downgrade(self.client()))
    }

    /// What keeps records from coming, if anything does; none again after the next success.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<KafkaError>> {
        self.client().context().trouble.subscribe()
    }

    /// How many records each partition is behind its end, as was counted last; one of which nothing was counted yet is not
    /// in it.
    #[must_use]
    pub fn lag(&self) -> HashMap<(Arc<str>, i32), u64> {
        self.client().context().lag.now()
    }

    /// No record of this assignment comes any more until [`Consumer::read_again`]; the partition stays ours.
    pub fn set_aside(&mut self, assignment: AssignmentId) {
        self.live.remove(&assignment);
        self.room.wish(Wish::SetAside(assignment));
    }

    /// Reads a partition that was set aside from `offset` on. It is announced anew, by an [`Event::Assigned`] with a
    /// number of its own, before the first record.
    pub fn read_again(&mut self, assignment: AssignmentId, offset: u64) {
        self.room.wish(Wish::ReadAgain(assignment, offset));
    }

    /// Leaves the group, so that its other members take over at once; for at most 10 seconds.
    pub async fn close(mut self) {
        let left = std::mem::replace(&mut self.left, oneshot::channel().1);
        drop(self);
        if tokio::time::timeout(LEAVE_MAX, left).await.is_err() {
            warn!("the consumer group did not confirm that we left; it notices when the session times out");
        }
    }

    fn client(&self) -> &Arc<Client> {
        self.client.as_ref().expect("it is taken only when the consumer is dropped")
    }

    fn changed(&mut self, change: Change) -> Event {
        match change {
            Change::Assigned(assignments) => {
                self.live.extend(assignments.iter().map(|assignment| assignment.id));
                Event::Assigned(assignments)
            }
            Change::Revoked(assignments, release) => {
                for assignment in &assignments {
                    self.live.remove(&assignment.id);
                }
                Event::Revoked(assignments, release)
            }
            Change::Failed(error) => Event::Failed(error),
        }
    }

    /// A chunk's records that are still ours. The thread tells of an assignment before it sends records of it,
    /// so what is not live was revoked.
    fn arrived(&mut self, mut chunk: Vec<Records>) -> Option<Event> {
        chunk.retain(|records| self.live.contains(&records.assignment));
        (!chunk.is_empty()).then_some(Event::Records(chunk))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // No change waits for a reader any more, and the thread is the last to hold the client.
        self.changes.close();
        while self.changes.try_recv().is_ok() {}
        self.client = None;
        self.room.stopped.store(true, Ordering::Release);
        self.room.wake();
    }
}

impl Committer {
    /// Commits that the group goes on at these offsets, and waits for the answer.
    ///
    /// # Errors
    /// [`KafkaError::Commit`]: nothing is lost, the offsets can be committed again, unless the partition went to
    /// another member, which then reads again from the last commit.
    pub async fn commit(&self, offsets: Vec<(Arc<str>, i32, u64)>) -> Result<(), KafkaError> {
        let client = self.0.upgrade().ok_or_else(|| KafkaError::Commit { why: "the consumer is closed".to_owned() })?;
        let commit = tokio::task::spawn_blocking(move || commit(&client, &offsets)).await;
        commit.unwrap_or_else(|error| Err(KafkaError::Commit { why: error.to_string() }))
    }
}

fn commit(client: &Client, offsets: &[(Arc<str>, i32, u64)]) -> Result<(), KafkaError> {
    let failed = |error: ClientError| KafkaError::Commit { why: error.to_string() };
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (topic, partition, next) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*next as i64)).map_err(failed)?;
    }
    client.commit(&list, CommitMode::Sync).map_err(failed)?;
    for (topic, partition, next) in offsets {
        metrics::gauge(&list::COMMITTED_OFFSET, &[topic, &partition.to_string()]).set(*next as f64);
    }
    Ok(())
}

impl Room {
    fn wish(&self, wish: Wish) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).push(wish);
    }

    fn wake(&self) {
        let _locked = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.taken.notify_all();
    }

    fn wait(&self, limit: Duration) {
        let locked = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.taken.wait_timeout(locked, limit));
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// The thread that polls.
struct Thread {
    client: Arc<Client>,
    records: Sender<Vec<Records>>,
    room: Arc<Room>,
    meters: HashMap<Arc<str>, (Counter, Counter)>,
    /// Chunks that the role has no room for. At most one, and what librdkafka still hands out after a pause:
    /// never more than it had fetched ahead.
    waiting: VecDeque<Vec<Records>>,
    /// What the role reads later.
    aside: Aside,
    /// What it reads from the beginning.
    way_back: WayBack,
}

impl Thread {
    fn run(mut self) {
        while !self.room.is_stopped() {
            if !self.poll() {
                break;
            }
            self.hand_over();
        }
    }

    /// Takes what librdkafka has, into `waiting`; returns whether the consumer can go on.
    fn poll(&mut self) -> bool {
        let client = Arc::clone(&self.client);
        let wishes = std::mem::take(&mut *self.room.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        self.aside.obey(&client, wishes);
        self.way_back.walk(&client);
        let mut chunk = Chunk::default();
        while !chunk.is_full() {
            match client.poll(if chunk.is_empty() { TURN } else { Duration::ZERO }) {
                None => break,
                Some(Ok(message)) => chunk.add(&message, client.context()),
                Some(Err(ClientError::MessageConsumptionFatal(code))) => {
                    client.context().fail(KafkaError::Fatal { why: code.to_string() });
                    return false;
                }
                Some(Err(error)) => {
                    // The client's own errors were told already, with their reasons.
                    debug!(%error, "poll");
                    break;
                }
            }
        }
        if !chunk.is_empty() {
            client.context().note_success();
            chunk.records.iter().for_each(|records| self.count(records));
            self.waiting.push_back(chunk.records);
        }
        true
    }

    fn count(&mut self, records: &Records) {
        let topic = &records.topic;
        let (count, bytes) = self.meters.entry(Arc::clone(topic)).or_insert_with(|| {
            (metrics::counter(&list::CONSUMED_RECORDS, &[topic]), metrics::counter(&list::CONSUMED_BYTES, &[topic]))
        });
        count.increment(records.len() as u64);
        bytes.increment(records.iter().map(|record| record.value.map_or(0, <[u8]>::len) as u64).sum());
    }

    /// Hands over what waits. If the role takes nothing for a while, it pauses the partitions and polls on.
    fn hand_over(&mut self) {
        let since = Instant::now();
        while let Some(chunk) = self.waiting.pop_front() {
            match self.records.try_send(chunk) {
                Ok(()) => continue,
                // The role is gone; the end is near.
                Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(chunk)) => self.waiting.push_front(chunk),
            }
            if self.room.is_stopped() {
                return;
            }
            if since.elapsed() < PATIENCE {
                self.room.wait(Duration::from_millis(20));
                continue;
            }
            self.pause(true);
            if !self.poll() {
                return;
            }
        }
        self.pause(false);
    }

    fn pause(&self, pause: bool) {
        let context = self.client.context();
        if context.paused.swap(pause, Ordering::AcqRel) == pause {
            return;
        }
        debug!(pause, "fetching is paused or goes on");
        let all = self.client.assignment();
        let done = all.and_then(|all| {
            if pause { self.client.pause(&all) } else { self.client.resume(&self.aside.without(context, &all)?) }
        });
        if let Err(error) = done {
            warn!(%error, pause, "partitions could not be paused or resumed");
        }
    }
}

/// Records that are handed over together.
#[derive(Default)]
struct Chunk {
    records: Vec<Records>,
    /// How often what is ours had changed when the last one began.
    changes: u64,
    count: usize,
    bytes: usize,
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn is_full(&self) -> bool {
        self.bytes >= CHUNK_BYTES || self.count >= CHUNK_RECORDS
    }

    /// Copies a record out of librdkafka's buffers, unless its partition isn't ours any more.
    fn add(&mut self, message: &BorrowedMessage<'_>, context: &Context) {
        let (partition, bytes) = (message.partition(), message.payload_len() + message.key_len());
        let Ok(offset) = u64::try_from(message.offset()) else { return };
        let fits = self.changes == context.changes()
            && self.records.last().is_some_and(|last| {
                last.partition == partition && !last.is_full_for(bytes) && *last.topic == *message.topic()
            });
        if !fits {
            // Nothing changes in between: that happens on this thread.
            let Some((topic, assignment)) = context.assignment(message.topic(), partition) else { return };
            self.changes = context.changes();
            self.records.push(Records::new(assignment, topic, partition));
        }
        let records = self.records.last_mut().expect("it was there, or was pushed above");
        let timestamp_ms = message.timestamp().to_millis();
        let content = Content { offset, timestamp_ms, key: message.key(), value: message.payload() };
        let before = records.bytes();
        records.push(content, headers::of(message));
        self.bytes += records.bytes() - before;
        self.count += 1;
    }
}

#[cfg(test)]
#[path = "consumer_tests.rs"]
mod tests;
