//! Delivery: parcels go to the store until nothing of them is left to do.
//!
//! | the store says of an item | then |
//! |---|---|
//! | created | done |
//! | there already | done, counted as a duplicate |
//! | too busy (429) | sent again after a while, with the others of its kind; fewer requests are under way |
//! | not this index (blocked, closed, missing, not permitted, no shard) | held for the index: see [`Stopped`] |
//! | that new fields of it and of others were in each other's way | sent again, [`RACES_MAX`] times at most |
//! | never (any other 4xx) | a dead letter; done when Kafka has it |
//! | nothing (no connection, no answer, a refusal of the whole request) | the whole parcel is sent again after a while |
//!
//! Only then its stretches are released. One task does it all; what it waits for is never one parcel, so nothing
//! that has to wait keeps anything else from going. How many requests are under way is the [`Window`]'s to say.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    sync::{
        Notify,
        mpsc::{Receiver, Sender},
    },
    task::{Id, JoinSet},
};
use tracing::warn;

use super::{
    dead_letter::{self, DeadLetters},
    inquiry::{self, Asked},
    parcel::{Parcel, Stretch},
    retry::Road,
    stopped::{self, Name, Stopped},
    window::Window,
};
use crate::{
    elastic::bulk::{self, BulkError, Outcome, Outcomes, Reason},
    inspect::{Indexing, Limited, Request},
    metrics::{self, Counter, Gauge, Histogram, Part, list},
};

/// Probes of stopped indices under way at once, besides the requests.
const PROBES_MAX: usize = 2;
/// Parcels whose dead letters are being written; when there are so many, nothing more is sent until Kafka has some.
const WRITING_MAX: usize = 8;
/// So often a parcel is sent again for documents with new fields that others made at the same moment with another type. Once
/// does, unless it meets the next; and one that is in its own way is refused like this for ever.
const RACES_MAX: u8 = 5;
/// How long the task sleeps at most when nothing happens.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Delivers parcels.
pub(super) struct Delivery {
    sender: Arc<bulk::Sender>,
    letters: Arc<DeadLetters>,
    settled: Sender<Arc<Stretch>>,
    health: Part,
    meters: Meters,
    requests_max: usize,
    window: Window,
    road: Road,
    stopped: Stopped,
    /// Told when the store is back: it may be another version now.
    back: Arc<Notify>,
    /// Parcels to be sent, the first first.
    ready: VecDeque<Parcel>,
    /// Parcels with documents that the store was too busy for, and when each is ready again.
    resting: Vec<(Instant, Parcel)>,
    sending: JoinSet<Sent>,
    /// What is to be known of each of `sending`.
    begun: HashMap<Id, Begun>,
    writing: JoinSet<()>,
}

/// What became of documents, as metrics.
struct Meters {
    created: Counter,
    duplicates: Counter,
    retried: Counter,
    dead: Counter,
    waiting: Gauge,
    /// By topic.
    end_to_end: HashMap<Arc<str>, Histogram>,
}

/// A request that was answered, or failed.
struct Sent {
    parcel: Parcel,
    answer: Result<Outcomes, BulkError>,
}

/// A request that is under way.
struct Begun {
    at: Instant,
    documents: usize,
    bytes: usize,
    /// The index that it is a probe of.
    probe_of: Option<Name>,
    /// Whether as many requests as may be were under way when it began.
    was_full: bool,
}

/// Items that have to be sent again.
#[derive(Default)]
struct Again {
    /// Whether the store is too busy for some.
    is_busy: bool,
    /// Those whose index takes none, each with the reason.
    stopped: Vec<(usize, Box<Reason>)>,
}

impl Delivery {
    pub(super) fn new(
        sender: Arc<bulk::Sender>,
        letters: Arc<DeadLetters>,
        settled: Sender<Arc<Stretch>>,
        health: Part,
        stopped: Stopped,
        back: Arc<Notify>,
        requests_max: usize,
    ) -> Self {
        let documents = |outcome| metrics::counter(&list::DOCUMENTS, &[outcome]);
        let meters = Meters {
            created: documents("created"),
            duplicates: documents("duplicate"),
            retried: documents("retried"),
            dead: documents("dead_lettered"),
            waiting: metrics::gauge(&list::BACKOFF_SECONDS, &[]),
            end_to_end: HashMap::new(),
        };
        Self {
            sender,
            letters,
            settled,
            health,
            meters,
            requests_max,
            window: Window::new(requests_max),
            road: Road::default(),
            stopped,
            back,
            ready: VecDeque::new(),
            resting: Vec::new(),
            sending: JoinSet::new(),
            begun: HashMap::new(),
            writing: JoinSet::new(),
        }
    }

    /// Delivers until there are no more parcels and everything is delivered.
    pub(super) async fn run(mut self, mut parcels: Receiver<Parcel>, mut asked: Asked<Indexing>) {
        let mut is_open = true;
        while is_open || !self.is_idle() {
            let wake = self.send_what_may_be_sent().await;
            let has_room = is_open && self.ready.len() < self.requests_max;
            tokio::select! {
                parcel = parcels.recv(), if has_room => match parcel {
                    Some(parcel) => self.ready.push_back(parcel),
                    None => is_open = false,
                },
                Some(sent) = self.sending.join_next_with_id() => {
                    let (id, sent) = sent.expect("a request is neither cancelled nor does it panic");
                    let begun = self.begun.remove(&id).expect("it was noted when the request was spawned");
                    self.sent(sent, begun).await;
                }
                answer = inquiry::next(&mut asked) => drop(answer.send(self.indexing())),
                Some(_) = self.writing.join_next() => (),
                () = tokio::time::sleep_until(wake.into()) => (),
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.ready.is_empty()
            && self.resting.is_empty()
            && self.sending.is_empty()
            && self.writing.is_empty()
            && self.stopped.is_empty()
    }

    /// Sends what may be sent now, and says when there may be more.
    async fn send_what_may_be_sent(&mut self) -> Instant {
        let now = Instant::now();
        self.wake_rested(now);
        while self.road.is_open(now) && self.probes() < PROBES_MAX {
            let Some((name, probe)) = self.stopped.probe(now) else { break };
            self.send(probe, Some(name), false);
        }
        while self.road.is_open(now) && self.requests() < self.limit() && self.writing.len() < WRITING_MAX {
            let Some(mut parcel) = self.ready.pop_front() else { break };
            self.stopped.sift(&mut parcel);
            if parcel.is_over() {
                continue;
            }
            if parcel.body.is_empty() {
                self.finish(parcel).await;
                continue;
            }
            let is_full = self.requests() + 1 >= self.limit();
            self.send(parcel, None, is_full);
        }
        let rested = self.resting.iter().map(|(at, _)| *at).min();
        let probe = self.stopped.next_probe().filter(|_| self.probes() < PROBES_MAX);
        let wake = [self.road.opens_at(), rested, probe].into_iter().flatten().filter(|at| *at > now).min();
        self.meters.waiting.set(self.road.opens_at().map_or(0.0, |at| at.duration_since(now).as_secs_f64()));
        wake.unwrap_or(now + SLEEP_MAX)
    }

    fn wake_rested(&mut self, now: Instant) {
        let (rested, resting) = std::mem::take(&mut self.resting).into_iter().partition(|(at, _)| *at <= now);
        self.resting = resting;
        let rested: Vec<(Instant, Parcel)> = rested;
        rested.into_iter().for_each(|(_, parcel)| self.ready.push_front(parcel));
    }

    /// Requests under way, without probes.
    fn requests(&self) -> usize {
        self.sending.len() - self.probes()
    }

    /// Probes under way.
    fn probes(&self) -> usize {
        self.begun.values().filter(|begun| begun.probe_of.is_some()).count()
    }

    /// How many requests may be under way: one, to try it, if the last one found no store.
    fn limit(&self) -> usize {
        if self.road.is_troubled() { 1 } else { self.window.limit() }
    }

    fn send(&mut self, mut parcel: Parcel, probe_of: Option<Name>, was_full: bool) {
        let sender = Arc::clone(&self.sender);
        let (documents, bytes) = (parcel.body.len(), parcel.body.bytes_len());
        let begun = Begun { at: Instant::now(), documents, bytes, probe_of, was_full };
        let request = self.sending.spawn(async move {
            let answer = sender.send(&mut parcel.body).await;
            Sent { parcel, answer }
        });
        self.begun.insert(request.id(), begun);
    }

    /// What is sent to the store now.
    fn indexing(&self) -> Indexing {
        let now = Instant::now();
        let request = |begun: &Begun| Request {
            age_seconds: now.duration_since(begun.at).as_secs_f64(),
            documents: begun.documents,
            bytes: begun.bytes,
            probes: begun.probe_of.as_ref().map(|name| stopped::text(name).into_owned()),
        };
        let mut requests: Vec<Request> = self.begun.values().map(request).collect();
        requests.sort_by(|one, other| other.age_seconds.total_cmp(&one.age_seconds));
        let backoff = self.road.opens_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        Indexing {
            requests_limit: self.limit(),
            requests,
            waiting: self.ready.len(),
            resting: self.resting.len(),
            writing: self.writing.len(),
            backoff_seconds: backoff.as_secs_f64(),
            trouble: self.road.trouble().or_else(|| self.stopped.trouble()),
            stopped: Limited::first(self.stopped.held(), |held| Reverse(held.bytes)),
        }
    }

    /// Takes in what became of a request.
    async fn sent(&mut self, Sent { parcel, answer }: Sent, begun: Begun) {
        match answer {
            Ok(outcomes) => {
                if self.road.works() {
                    self.back.notify_one();
                }
                self.told(parcel, outcomes, begun).await;
            }
            Err(failed) => self.failed(parcel, &failed, begun),
        }
        match self.road.trouble().or_else(|| self.stopped.trouble()) {
            Some(trouble) => self.health.failing(trouble),
            None if self.road.is_troubled() => (),
            None => self.health.ok(),
        }
    }

    /// Nothing is known of any item: all of them are sent again.
    fn failed(&mut self, mut parcel: Parcel, failed: &BulkError, begun: Begun) {
        let (now, Begun { at: began, probe_of, .. }) = (Instant::now(), begun);
        let documents = parcel.body.len();
        self.meters.retried.increment(documents as u64);
        if self.road.failed(&failed.error, failed.retry_after, began, now) {
            warn!(error = %failed, documents, "a bulk request failed; it is sent again until it doesn't");
        }
        let was_alone = self.window.limit() == 1;
        if failed.error.is_temporary() {
            self.window.pushed_back(began, now);
        }
        if let Some(name) = probe_of {
            self.stopped.not_taken(&name, parcel, None, now);
            return;
        }
        // A node may be too small, or too full, for such a request even if it is the only one.
        if was_alone && failed.error.is_too_busy() && documents > 1 {
            let second: Vec<usize> = (documents / 2..documents).collect();
            self.ready.push_front(parcel.part(&second));
        }
        self.ready.push_front(parcel);
    }

    /// The store told of each item.
    async fn told(&mut self, mut parcel: Parcel, outcomes: Outcomes, begun: Begun) {
        let (now, Begun { at: began, probe_of, was_full, .. }) = (Instant::now(), begun);
        let again = self.sort(&mut parcel, outcomes);
        if again.is_busy {
            self.window.pushed_back(began, now);
        } else if probe_of.is_none() {
            self.window.went_well(was_full);
        }
        if let Some(name) = probe_of {
            if parcel.body.is_empty() {
                self.ready.extend(self.stopped.taken(&name, now));
                self.finish(parcel).await;
            } else {
                self.stopped.not_taken(&name, parcel, again.stopped.first().map(|(_, reason)| &**reason), now);
            }
            return;
        }
        self.hold(&mut parcel, again.stopped, now);
        if parcel.body.is_empty() {
            self.finish(parcel).await;
        } else {
            let wait = parcel.backoff.next(None);
            self.resting.push((now + wait, parcel));
        }
    }

    /// Leaves in the parcel what has to be sent again, and writes letters for what is refused.
    fn sort(&self, parcel: &mut Parcel, outcomes: Outcomes) -> Again {
        self.meters.created.increment(outcomes.created() as u64);
        let (mut again, mut kept, mut has_raced) = (Again::default(), Vec::new(), false);
        for (item, outcome) in outcomes.others {
            match outcome {
                Outcome::Duplicate => self.meters.duplicates.increment(1),
                Outcome::Raced(_) if parcel.races < RACES_MAX => {
                    has_raced = true;
                    kept.push(item);
                }
                Outcome::Refused(reason) | Outcome::Raced(reason) => {
                    let letter = dead_letter::for_document(parcel, item, *reason);
                    parcel.letters.push(letter);
                }
                Outcome::Again(reason) => {
                    if reason.is_too_busy() {
                        again.is_busy = true;
                    } else {
                        // There the item will be when only what is kept is left.
                        again.stopped.push((kept.len(), reason));
                    }
                    kept.push(item);
                }
                Outcome::Untold => kept.push(item),
            }
        }
        parcel.races += u8::from(has_raced);
        if kept.len() < parcel.body.len() {
            parcel.backoff.reset();
        }
        self.meters.retried.increment(kept.len() as u64);
        parcel.keep(&kept);
        again
    }

    /// Parts from the parcel what its indices don't take, and holds it.
    fn hold(&mut self, parcel: &mut Parcel, mut stopped: Vec<(usize, Box<Reason>)>, now: Instant) {
        while let Some((first, reason)) = stopped.first() {
            let name: Name = parcel.body.index_of(*first).into();
            let of_this_index = |(item, _): &(usize, _)| *parcel.body.index_of(*item) == *name;
            let (mine, others): (Vec<_>, Vec<_>) = stopped.iter().cloned().partition(of_this_index);
            let items: Vec<usize> = mine.into_iter().map(|(item, _)| item).collect();
            let part = parcel.part(&items);
            self.stopped.stop(&name, part, reason, now);
            // What is left in the parcel moved together.
            let moved = |item: usize| item - items.partition_point(|taken| *taken < item);
            stopped = others.into_iter().map(|(item, reason)| (moved(item), reason)).collect();
        }
    }

    /// Everything in the parcel is in the store, or lies in its letters.
    async fn finish(&mut self, mut parcel: Parcel) {
        self.meters.arrived(&parcel);
        let letters = std::mem::take(&mut parcel.letters);
        if letters.is_empty() {
            release(parcel, &self.settled).await;
            return;
        }
        let (writer, settled, dead) = (Arc::clone(&self.letters), self.settled.clone(), self.meters.dead.clone());
        self.writing.spawn(async move {
            let count = letters.len() as u64;
            writer.put(letters).await;
            dead.increment(count);
            release(parcel, &settled).await;
        });
    }
}

impl Meters {
    /// Notes how old the documents of a parcel are that can be found from now on.
    fn arrived(&mut self, parcel: &Parcel) {
        let now_ms = Timestamp::now().as_millisecond();
        for (topic, oldest_ms) in parcel.oldest() {
            let age = Duration::from_millis(now_ms.saturating_sub(oldest_ms).try_into().unwrap_or(0));
            let of_topic = |topic: &Arc<str>| metrics::histogram(&list::END_TO_END_SECONDS, &[topic]);
            self.end_to_end.entry(Arc::clone(topic)).or_insert_with_key(of_topic).record(age);
        }
    }
}

/// Lets go of the parcel's stretches.
async fn release(parcel: Parcel, settled: &Sender<Arc<Stretch>>) {
    // Before anyone hears that it is settled, so that what is settled is never in flight.
    drop(parcel.permit);
    for stretch in parcel.stretches {
        if stretch.release() {
            // The desk is there as long as anything is to be settled; if it isn't, nothing is committed.
            let _ = settled.send(stretch).await;
        }
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
