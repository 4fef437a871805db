//! Which partitions are ours, and the news of it.
//!
//! librdkafka calls on the consumer's thread while the group decides anew. Each time a partition is given to us
//! it gets a number of its own, an [`AssignmentId`]: what was begun under an old number is then never mistaken
//! for something of the new one. Before partitions go, the role gets a [`Release`] and time to settle and commit.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    types::RDKafkaErrorCode as Code,
};
use tokio::sync::{mpsc::Sender, watch};
use tracing::{info, warn};

use super::{
    KafkaError, Settings, StartFrom, anew::Ids, greeting::Greeting, lag::Lag, token::Tokens, vitals, vitals::Vitals,
    voice,
};
use crate::metrics::{self, list};

/// How long the role may take to settle and commit before partitions go. Well below `max.poll.interval.ms`
/// (5 minutes), after which the group would give them away anyway.
pub const RELEASE_MAX: Duration = Duration::from_secs(20);

/// The number of one assignment of one partition; never used again in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentId(pub u64);

/// A partition that is ours until it is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// This assignment's number.
    pub id: AssignmentId,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

/// Permission to let revoked partitions go; they go when it is dropped, or after a limit (20 seconds).
#[derive(Debug)]
pub struct Release {
    /// Why they go.
    pub why: Parting,
    _done: mpsc::SyncSender<()>,
}

/// Why partitions go, and what is still to be done for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// The group gives them to someone else: settle and commit.
    Revoked,
    /// They may be someone else's already: neither helps any more.
    Lost,
    /// Their topic was deleted and made anew: settle, and commit nothing, for offsets mean something else now.
    MadeAnew,
}

/// News of what is ours.
#[derive(Debug)]
pub(super) enum Change {
    Assigned(Vec<Assignment>),
    Revoked(Vec<Assignment>, Release),
    Failed(KafkaError),
}

/// What librdkafka's callbacks know.
pub(super) struct Context {
    changes: Sender<Change>,
    ours: Mutex<Ours>,
    /// How often `ours` was changed, or may have been.
    changed: AtomicU64,
    /// Whether the role takes no records now; partitions that come are then paused too.
    pub(super) paused: AtomicBool,
    pub(super) trouble: watch::Sender<Option<KafkaError>>,
    pub(super) lag: Lag,
    vitals: Vitals,
    servers: String,
    tokens: Tokens,
    greeting: Greeting,
    start_from: StartFrom,
    pub(super) ids: Ids,
}

#[derive(Default)]
struct Ours {
    by_topic: HashMap<Arc<str>, HashMap<i32, AssignmentId>>,
    next: u64,
}

impl Context {
    pub(super) fn new(changes: Sender<Change>, settings: &Settings, start_from: StartFrom) -> Self {
        let (servers, tokens) = (settings.bootstrap_servers.clone(), Tokens::of(settings));
        let greeting = Greeting::of(settings);
        let (ours, paused, trouble) = (Mutex::default(), AtomicBool::new(false), watch::Sender::new(None));
        Self {
            changes,
            ours,
            changed: AtomicU64::new(0),
            paused,
            trouble,
            lag: Lag::default(),
            vitals: Vitals::of("consumer"),
            servers,
            tokens,
            greeting,
            start_from,
            ids: Ids::default(),
        }
    }

    /// How often what is ours has changed: as long as this is the same, so is every [`Context::assignment`].
    pub(super) fn changes(&self) -> u64 {
        self.changed.load(Ordering::Acquire)
    }

    /// What is ours, to be changed.
    fn change(&self) -> MutexGuard<'_, Ours> {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.fetch_add(1, Ordering::AcqRel);
        ours
    }

    /// The topic's shared name and the partition's present number; none if the partition isn't ours (any more).
    pub(super) fn assignment(&self, topic: &str, partition: i32) -> Option<(Arc<str>, AssignmentId)> {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, partitions) = ours.by_topic.get_key_value(topic)?;
        Some((Arc::clone(name), *partitions.get(&partition)?))
    }

    /// The topic and the partition of an assignment, if it is ours still.
    pub(super) fn place(&self, assignment: AssignmentId) -> Option<(Arc<str>, i32)> {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.by_topic.iter().find_map(|(topic, partitions)| {
            let partition = partitions.iter().find(|(_, id)| **id == assignment)?.0;
            Some((Arc::clone(topic), *partition))
        })
    }

    /// Gives a partition of ours a new number, so that nothing read before is taken for what is read from now on.
    pub(super) fn begin_anew(&self, topic: &Arc<str>, partition: i32) {
        let mut ours = self.change();
        let id = AssignmentId(ours.next);
        ours.next += 1;
        ours.by_topic.entry(Arc::clone(topic)).or_default().insert(partition, id);
        drop(ours);
        let _ =
            self.changes.blocking_send(Change::Assigned(vec![Assignment { id, topic: Arc::clone(topic), partition }]));
    }

    /// Remembers what is wrong, and says so if it is news.
    pub(super) fn note_trouble(&self, error: KafkaError) {
        metrics::counter(&list::ERRORS, &["kafka", error.kind()]).increment(1);
        self.trouble.send_if_modified(|trouble| {
            let news = trouble.as_ref() != Some(&error);
            if news {
                warn!(%error, "kafka gives no records for now");
                *trouble = Some(error);
            }
            news
        });
    }

    /// Notes that records or partitions came.
    pub(super) fn note_success(&self) {
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
    }

    /// What librdkafka says went wrong while consuming.
    pub(super) fn error_of(&self, error: &rdkafka::error::KafkaError, why: &str) -> KafkaError {
        // The message names the topic where one is meant: "Subscribed topic not available: NAME: …".
        let named = why.strip_prefix("Subscribed topic not available: ").and_then(|rest| rest.split(':').next());
        KafkaError::of_client(error.rdkafka_error_code(), why, &self.servers, named)
    }

    pub(super) fn fail(&self, error: KafkaError) {
        let _ = self.changes.blocking_send(Change::Failed(error));
    }

    fn assigned(&self, partitions: &TopicPartitionList) {
        let mut ours = self.change();
        let mut list = Vec::new();
        for element in partitions.elements() {
            let id = AssignmentId(ours.next);
            ours.next += 1;
            let known = ours.by_topic.get_key_value(element.topic()).map(|(name, _)| Arc::clone(name));
            let topic = known.unwrap_or_else(|| Arc::from(element.topic()));
            ours.by_topic.entry(Arc::clone(&topic)).or_default().insert(element.partition(), id);
            list.push(Assignment { id, topic, partition: element.partition() });
        }
        drop(ours);
        info!(partitions = list.len(), "partitions assigned");
        metrics::counter(&list::REBALANCES, &["assigned"]).increment(1);
        self.note_success();
        // The channel's reader is the role, which may be gone at the end.
        let _ = self.changes.blocking_send(Change::Assigned(list));
    }

    fn revoked(&self, partitions: &TopicPartitionList, lost: bool) {
        let mut ours = self.change();
        let mut list = Vec::new();
        for element in partitions.elements() {
            let Some((topic, id)) = ours.by_topic.get_key_value(element.topic()).and_then(|(topic, partitions)| {
                partitions.get(&element.partition()).map(|id| (Arc::clone(topic), *id))
            }) else {
                continue;
            };
            if let Some(partitions) = ours.by_topic.get_mut(element.topic()) {
                partitions.remove(&element.partition());
            }
            list.push(Assignment { id, topic, partition: element.partition() });
        }
        drop(ours);
        info!(partitions = list.len(), lost, "partitions revoked");
        let why = if lost { Parting::Lost } else { Parting::Revoked };
        metrics::counter(&list::REBALANCES, &[if lost { "lost" } else { "revoked" }]).increment(1);
        let (anew, list) = list.into_iter().partition(|gone: &Assignment| self.ids.is_changed(&gone.topic));
        self.part(anew, Parting::MadeAnew);
        self.part(list, why);
    }

    /// Whether partitions of the topic are ours.
    pub(super) fn has(&self, topic: &str) -> bool {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.by_topic.get(topic).is_some_and(|partitions| !partitions.is_empty())
    }

    /// Takes the partitions of a topic that was made anew from the role; which they were.
    pub(super) fn made_anew(&self, topic: &str) -> Vec<(Arc<str>, i32)> {
        let mut ours = self.change();
        let Some((topic, partitions)) = ours.by_topic.remove_entry(topic) else { return Vec::new() };
        drop(ours);
        let gone = partitions.into_iter();
        let list: Vec<Assignment> =
            gone.map(|(partition, id)| Assignment { id, topic: Arc::clone(&topic), partition }).collect();
        let places = list.iter().map(|gone| (Arc::clone(&gone.topic), gone.partition)).collect();
        metrics::counter(&list::REBALANCES, &["made_anew"]).increment(1);
        self.part(list, Parting::MadeAnew);
        places
    }

    /// Tells the role that partitions go, and waits until it lets them.
    fn part(&self, list: Vec<Assignment>, why: Parting) {
        if list.is_empty() {
            return;
        }
        self.lag.forget(&list);
        let (done, wait) = mpsc::sync_channel(0);
        if self.changes.blocking_send(Change::Revoked(list, Release { why, _done: done })).is_ok() {
            // Nothing is ever sent: the wait ends when the release is dropped, or at the limit.
            if wait.recv_timeout(RELEASE_MAX) == Err(mpsc::RecvTimeoutError::Timeout) {
                warn!("what was under way of revoked partitions is abandoned; their next owner reads it again");
            }
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.tokens.read()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        voice::log("consumer", level, facility, message);
        self.ids.hear(facility, message);
        if let Some(error) = self.greeting.refused(facility, message) {
            self.note_trouble(error);
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // "All brokers are down" follows each reason and is none itself.
        if error.rdkafka_error_code() == Some(Code::AllBrokersDown) && self.trouble.borrow().is_some() {
            return;
        }
        // A fatal error ends the consumer and is told where it does.
        match self.error_of(&error, reason) {
            KafkaError::Fatal { .. } => (),
            error => self.note_trouble(error),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.vitals.show(&statistics);
        // Where no records come, nothing else tells that the brokers are back.
        if vitals::is_any_up(&statistics) && statistics.cgrp.as_ref().is_some_and(|group| group.state == "up") {
            self.note_success();
        }
        self.lag.show(&statistics, |topic, partition| self.assignment(topic, partition).is_some());
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                self.start_from.apply(consumer, partitions);
                self.ids.apply(consumer, partitions);
                self.assigned(partitions);
            }
            Rebalance::Revoke(partitions) => self.revoked(partitions, consumer.assignment_lost()),
            Rebalance::Error(error) => warn!(%error, "the consumer group could not be balanced"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // librdkafka remembers that a partition was paused, even while it was someone else's.
        if let Rebalance::Assign(partitions) = rebalance {
            let paused = self.paused.load(Ordering::Acquire);
            let done = if paused { consumer.pause(partitions) } else { consumer.resume(partitions) };
            if let Err(error) = done {
                warn!(%error, paused, "new partitions could not be paused or resumed");
            }
        }
    }
}
