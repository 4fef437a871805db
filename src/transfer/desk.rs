//! The desk: takes records in, keeps the ledger, and commits.
//!
//! Everything comes together in one loop that never waits for anything but its next event, so what is settled is
//! noted at once, partitions go when they have to, and a commit or a full queue holds up nothing else.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, anyhow};
use tokio::{
    sync::{
        mpsc::{Receiver, Sender},
        watch,
    },
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Standing,
    dead_letter::DeadLetters,
    inquiry::{self, Asked},
    parcel::{Job, Slot, Stretch},
    returns::Returns,
};
use crate::{
    checkpoint::Ledger,
    inspect::{self, Consuming, Limited},
    kafka::{Assignment, AssignmentId, Committer, Consumer, Event, KafkaError, Parting, Records, Release},
    metrics::{self, Gauge, Part, list},
    record::{Budget, Span},
};

/// How often offsets are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How long a commit may take where something else waits for it.
const COMMIT_MAX: Duration = Duration::from_secs(5);
/// How long partitions that go may take to be settled; less than the consumer allows, commit included.
const SETTLE_MAX: Duration = Duration::from_secs(14);

/// Keeps account of what is read.
pub(super) struct Desk {
    consumer: Consumer,
    committer: Committer,
    jobs: Sender<Job>,
    settled: Receiver<Arc<Stretch>>,
    budget: Budget,
    ledger: Ledger<Slot>,
    partitions: HashMap<AssignmentId, Partition>,
    returns: Arc<Returns>,
    /// Partitions that the delivery gave back, and where they are to be read again.
    aside: HashMap<AssignmentId, SetAside>,
    /// Records that wait for a worker, in order; a chunk of the consumer's at most.
    waiting: VecDeque<Records>,
    committing: Option<JoinHandle<Result<Vec<Commit>, KafkaError>>>,
    in_flight: Gauge,
}

/// Who is told how the desk fares, and who tells it of letters.
pub(super) struct Outside<'a> {
    pub(super) health: &'a Part,
    pub(super) letters: &'a DeadLetters,
    pub(super) asked: Asked<Consuming>,
    pub(super) tells: watch::Sender<Standing>,
}

/// A partition that is ours.
struct Partition {
    topic: Arc<str>,
    number: i32,
    /// Where the next record is expected; none before the first.
    next: Option<u64>,
    /// How often its offsets jumped back.
    epoch: u32,
    committed: u64,
    /// Shared with this epoch's stretches: whether nothing of them needs to be delivered any more.
    is_over: Arc<AtomicBool>,
}

/// A partition that the delivery gave back.
struct SetAside {
    topic: Arc<str>,
    number: i32,
    /// Where it is read again.
    offset: u64,
}

/// An offset to commit, or committed.
#[derive(Clone, Copy, Debug)]
struct Commit {
    assignment: AssignmentId,
    next: u64,
}

impl Desk {
    pub(super) fn new(
        consumer: Consumer,
        jobs: Sender<Job>,
        settled: Receiver<Arc<Stretch>>,
        returns: Arc<Returns>,
        budget: Budget,
    ) -> Self {
        Self {
            committer: consumer.committer(),
            consumer,
            jobs,
            settled,
            budget,
            ledger: Ledger::default(),
            partitions: HashMap::new(),
            returns,
            aside: HashMap::new(),
            waiting: VecDeque::new(),
            committing: None,
            in_flight: metrics::gauge(&list::IN_FLIGHT_BYTES, &[]),
        }
    }

    /// Works until `stop` is cancelled, then finishes what is under way within `drain`, commits and leaves the group.
    pub(super) async fn run(mut self, stop: CancellationToken, drain: Duration, outside: Outside<'_>) -> Result<()> {
        let Outside { health, letters, mut asked, tells } = outside;
        let (trouble, jobs, returns) = (self.consumer.trouble(), self.jobs.clone(), Arc::clone(&self.returns));
        let mut tick = tokio::time::interval(COMMIT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let failed = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break None,
                Some(stretch) = self.settled.recv() => self.settle(&stretch),
                done = commit_done(&mut self.committing) => self.committed(done),
                () = returns.changed() => self.returned(),
                answer = inquiry::next(&mut asked) => drop(answer.send(self.consuming())),
                _ = tick.tick() => {
                    self.begin_commit();
                    self.tell(&tells);
                    self.in_flight.set(self.budget.in_flight() as f64);
                    let trouble = trouble.borrow().clone().or_else(|| letters.trouble());
                    if let Some(error) = trouble {
                        health.failing(error.to_string());
                    } else if !self.partitions.is_empty() {
                        health.ok();
                    }
                }
                permit = jobs.reserve(), if !self.waiting.is_empty() => {
                    let Ok(permit) = permit else { break Some(anyhow!("the workers are gone")) };
                    if let Some(job) = self.take_job() {
                        permit.send(job);
                    }
                }
                event = next_event(&mut self.consumer, self.waiting.is_empty()) => match event {
                    Event::Records(records) => self.waiting = records.into(),
                    Event::Assigned(assignments) => {
                        self.assigned(assignments);
                        health.ok();
                    }
                    Event::Revoked(assignments, release) => self.revoked(assignments, release).await,
                    Event::Failed(error) => break Some(anyhow!(error)),
                },
            }
        };
        self.drain(drain).await;
        failed.map_or(Ok(()), Err)
    }

    fn assigned(&mut self, assignments: Vec<Assignment>) {
        for Assignment { id, topic, partition: number } in assignments {
            self.partitions.insert(id, Partition::new(topic, number));
        }
    }

    /// Sets partitions aside of which the delivery dropped something, and has those read again that it may.
    fn returned(&mut self) {
        let (given_back, again) = self.returns.take();
        for id in given_back {
            let Some(partition) = self.partitions.remove(&id) else { continue };
            partition.is_over.store(true, Ordering::Release);
            if let Some(safe) = self.ledger.close((id, partition.epoch)) {
                self.consumer.set_aside(id);
                let Partition { topic, number, .. } = partition;
                self.aside.insert(id, SetAside { topic, number, offset: safe.to });
            }
            self.forget_waiting(&[id]);
        }
        for id in again {
            if let Some(aside) = self.aside.remove(&id) {
                self.consumer.read_again(id, aside.offset);
            }
        }
    }

    /// Drops what no worker has yet: it was never taken into the ledger, and is read again by whoever is next.
    fn forget_waiting(&mut self, gone: &[AssignmentId]) {
        self.waiting.retain(|records| !gone.contains(&records.assignment));
    }

    /// Takes the next records into the ledger and makes a job of them; none if their partition went.
    fn take_job(&mut self) -> Option<Job> {
        let records = self.waiting.pop_front()?;
        let (id, first, last) = (records.assignment, records.first()?, records.last()?);
        let partition = self.partitions.get_mut(&id)?;
        let start = match partition.next {
            Some(next) if first >= next => next,
            before => {
                if let Some(next) = before {
                    warn!(
                        topic = %partition.topic, partition = partition.number, expected = next, offset = first,
                        "offsets jumped back: the topic was made anew, or its group was set back"
                    );
                    self.ledger.close((id, partition.epoch));
                    partition.epoch += 1;
                    partition.is_over.store(true, Ordering::Release);
                    partition.is_over = Arc::default();
                }
                self.ledger.open((id, partition.epoch), first);
                partition.committed = first;
                first
            }
        };
        partition.next = Some(last + 1);
        let span = Span { source: (id, partition.epoch), start, end: last + 1, mark: () };
        self.ledger.take(&span).expect("a span begins where the one before it ended, and a record is never empty");
        Some(Job { stretch: Stretch::of(span, Arc::clone(&partition.is_over)), records })
    }

    /// Settles what is under way of partitions that go, commits, and lets them go. What isn't settled in time is
    /// abandoned: when it is delivered later, its slot is closed and the news is ignored.
    async fn revoked(&mut self, assignments: Vec<Assignment>, release: Release) {
        let gone: Vec<AssignmentId> = assignments.iter().map(|assignment| assignment.id).collect();
        self.forget_waiting(&gone);
        if release.why != Parting::Lost {
            self.settle_until(Instant::now() + SETTLE_MAX, &gone).await;
        }
        if release.why == Parting::Revoked {
            self.commit_now(&gone).await;
        }
        for id in gone {
            self.aside.remove(&id);
            if let Some(partition) = self.partitions.remove(&id) {
                self.ledger.close((id, partition.epoch));
                partition.is_over.store(true, Ordering::Release);
            }
        }
        drop(release);
    }

    /// Notes what is settled until nothing of `these` is under way but what is held for indices that take no
    /// documents, or the deadline. Returns whether nothing at all is.
    async fn settle_until(&mut self, deadline: Instant, these: &[AssignmentId]) -> bool {
        loop {
            let is_settled = |id: &AssignmentId| {
                self.partitions.get(id).is_none_or(|partition| self.ledger.is_settled((*id, partition.epoch)))
            };
            let mut left = these.iter().filter(|id| !is_settled(id)).peekable();
            if left.peek().is_none() {
                return true;
            }
            if left.all(|id| self.returns.is_stalled(*id)) {
                return false;
            }
            match timeout_at(deadline, self.settled.recv()).await {
                Ok(Some(stretch)) => self.settle(&stretch),
                Ok(None) | Err(_) => return false,
            }
        }
    }

    fn settle(&mut self, stretch: &Stretch) {
        // An error means that the partition went, or began anew, in the meantime: then it doesn't count.
        let _ = self.ledger.settle(&stretch.span);
    }

    /// What of `these` is settled and not committed.
    fn due(&self, these: impl Iterator<Item = AssignmentId>) -> Vec<Commit> {
        these
            .filter_map(|assignment| {
                let partition = self.partitions.get(&assignment)?;
                let next = self.ledger.safe_to((assignment, partition.epoch))?;
                (next != partition.committed).then_some(Commit { assignment, next })
            })
            .collect()
    }

    /// Begins to commit what is due, unless a commit is under way.
    fn begin_commit(&mut self) {
        let due = self.due(self.partitions.keys().copied());
        if due.is_empty() || self.committing.is_some() {
            return;
        }
        let (committer, offsets) = (self.committer.clone(), self.offsets(&due));
        self.committing = Some(tokio::spawn(async move { committer.commit(offsets).await.map(|()| due) }));
    }

    /// Commits what is due of `these`, and waits for it.
    async fn commit_now(&mut self, these: &[AssignmentId]) {
        if self.committing.is_some()
            && let Ok(done) = timeout(COMMIT_MAX, commit_done(&mut self.committing)).await
        {
            self.committed(done);
        }
        let due = self.due(these.iter().copied());
        if due.is_empty() {
            return;
        }
        match timeout(COMMIT_MAX, self.committer.commit(self.offsets(&due))).await {
            Ok(done) => self.committed(done.map(|()| due)),
            Err(_) => warn!("offsets were not committed in time; what was read behind them is read again"),
        }
    }

    fn offsets(&self, commits: &[Commit]) -> Vec<(Arc<str>, i32, u64)> {
        let offset = |commit: &Commit| {
            let partition = self.partitions.get(&commit.assignment)?;
            Some((Arc::clone(&partition.topic), partition.number, commit.next))
        };
        commits.iter().filter_map(offset).collect()
    }

    fn committed(&mut self, done: Result<Vec<Commit>, KafkaError>) {
        self.committing = None;
        match done {
            Ok(commits) => {
                for Commit { assignment, next } in commits {
                    if let Some(partition) = self.partitions.get_mut(&assignment) {
                        partition.committed = next;
                    }
                }
            }
            Err(error) => {
                metrics::counter(&list::ERRORS, &["kafka", error.kind()]).increment(1);
                warn!(%error, "offsets are committed again soon");
            }
        }
    }

    /// Tells how far behind the partitions are, if that is not what was told last.
    fn tell(&self, tells: &watch::Sender<Standing>) {
        let topics = self.partitions.values().map(|partition| Arc::clone(&partition.topic)).collect();
        let lag_records = self.consumer.lag().values().sum();
        let now = Standing { topics, partitions: self.partitions.len(), lag_records };
        tells.send_if_modified(|told| {
            let is_new = *told != now;
            *told = now;
            is_new
        });
    }

    /// What is read from Kafka now.
    fn consuming(&self) -> Consuming {
        let lag = self.consumer.lag();
        let partition = |(id, partition): (&AssignmentId, &Partition)| {
            let slot = (*id, partition.epoch);
            let (settled, next) = (self.ledger.safe_to(slot), partition.next);
            inspect::Partition {
                topic: partition.topic.to_string(),
                partition: partition.number,
                next,
                settled,
                committed: next.map(|_| partition.committed),
                in_flight: next.zip(settled).map_or(0, |(next, settled)| next.saturating_sub(settled)),
                settled_ahead: self.ledger.settled_ahead(slot),
                lag: lag.get(&(Arc::clone(&partition.topic), partition.number)).copied(),
                is_paused: false,
            }
        };
        let reading = self.partitions.iter().map(partition);
        let paused = self.aside.values().map(|aside| inspect::Partition {
            topic: aside.topic.to_string(),
            partition: aside.number,
            settled: Some(aside.offset),
            lag: lag.get(&(Arc::clone(&aside.topic), aside.number)).copied(),
            is_paused: true,
            ..inspect::Partition::default()
        });
        let order = |partition: &inspect::Partition| {
            (Reverse(partition.lag.unwrap_or(0)), partition.topic.clone(), partition.partition)
        };
        Consuming {
            waiting_records: self.waiting.iter().map(Records::len).sum(),
            is_committing: self.committing.is_some(),
            trouble: self.consumer.trouble().borrow().as_ref().map(ToString::to_string),
            partitions: Limited::first(reading.chain(paused).collect(), order),
        }
    }

    /// Finishes what was handed to the workers, commits, and leaves the group.
    async fn drain(mut self, limit: Duration) {
        let all: Vec<AssignmentId> = self.partitions.keys().copied().collect();
        self.waiting.clear();
        let is_done = self.settle_until(Instant::now() + limit, &all).await;
        self.commit_now(&all).await;
        self.consumer.close().await;
        if is_done {
            info!("transfer stopped: everything that was read is indexed and committed");
        } else {
            warn!("transfer stopped before everything that was read was indexed; the rest is read again");
        }
    }
}

impl Partition {
    fn new(topic: Arc<str>, number: i32) -> Self {
        Self { topic, number, next: None, epoch: 0, committed: 0, is_over: Arc::default() }
    }
}

/// The next event; one that is not records if there is no room for them.
async fn next_event(consumer: &mut Consumer, has_room: bool) -> Event {
    if has_room { consumer.next().await } else { consumer.next_change().await }
}

/// Waits for the commit that is under way; for ever, if none is.
async fn commit_done(
    committing: &mut Option<JoinHandle<Result<Vec<Commit>, KafkaError>>>,
) -> Result<Vec<Commit>, KafkaError> {
    match committing {
        Some(commit) => commit.await.unwrap_or_else(|error| Err(KafkaError::Commit { why: error.to_string() })),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
