//! The belt: blocks in, records out, receipts back to the keeper. No clock and no I/O but the producer's own queue.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tracing::error;

use super::{
    gather::{Gathered, Gatherer},
    letters::{Letters, Trial},
    route::Routes,
    under_way::UnderWay,
};
use crate::{
    batcher::{self, Batch, Share, Split, frame::Packed, lines::Style},
    checkpoint::Keeper,
    config::{Agent, Key, Task},
    kafka::{self, Delivered, Failed, KafkaError, Outgoing, Producer},
    metrics::{self, Gauge, Histogram, list},
    reader::{Event, Status, Tallies},
    record::{Amount, Block, Outcome, Permit, Pieces, Span, Stream, TailMark, Tally},
};

/// How often a record is offered again that neither its topic nor the dead-letter topic takes.
const REFUSED_AGAIN: Duration = Duration::from_secs(30);

/// What comes back with a record's receipt. The halves of a batch that was split share one account, which is
/// settled with the last of them.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(super) account: Arc<Account>,
    /// What each task has in the record.
    pub(super) shares: Vec<Share>,
    pub(super) permit: Permit,
    /// What the answer decides, if the record was refused before.
    pub(super) trial: Option<Box<Trial>>,
}

/// What is settled together.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) spans: Vec<Span<Stream, TailMark>>,
}

/// Whose blocks are gathered together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bin {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// The records' key, if packed ones have one.
    key: Option<Arc<[u8]>>,
    /// The task of single lines; packed records have lines of all tasks that agree in the rest.
    pub(super) task: Option<Arc<str>>,
}

/// Who sends: packed records and single lines go to Kafka in requests of different sizes.
#[derive(Debug)]
pub(super) struct Producers {
    packed: Arc<Producer<Ticket>>,
    /// There since a task sent single lines.
    lines: Option<Arc<Producer<Ticket>>>,
    kafka: kafka::Settings,
    /// How long single lines may wait for others.
    age_max: Duration,
    receipts: mpsc::Sender<Delivered<Ticket>>,
}

/// What is kept for each task.
struct Lane {
    topic: Arc<str>,
    /// How its records get their keys, if they have some.
    key: Option<Key>,
    /// What its records look like, if they are single lines.
    style: Option<Style>,
    tally: Arc<Tally>,
    latency: Histogram,
    info: Gauge,
}

/// Everything between the reader and Kafka.
pub(super) struct Belt {
    pub(super) keeper: Keeper,
    tallies: Tallies,
    pub(super) producers: Producers,
    sender: batcher::Sender,
    settings: batcher::Settings,
    tasks: HashMap<Arc<str>, Lane>,
    routes: Routes,
    /// Bounded by the number of tasks and partitions.
    pub(super) gatherers: HashMap<Bin, Gatherer>,
    /// Blocks whose topic isn't known yet. While there are any, no more events are taken, so they are few.
    parked: VecDeque<Block>,
    /// Batches that are full or old enough, until [`Belt::ship`] sends them.
    sealed: Vec<(Bin, Gathered)>,
    /// Records that neither their topic nor the dead-letter topic took, when they are offered again, and why; the budget
    /// bounds them.
    refused: VecDeque<(Instant, Outgoing<Ticket>, KafkaError)>,
    pub(super) letters: Letters,
    /// What was sent and not settled, for whoever asks.
    pub(super) under_way: UnderWay,
}

impl Belt {
    pub(super) fn new(
        agent: &Agent,
        host: String,
        machine: String,
        producers: Producers,
        tallies: Tallies,
        kafka: kafka::Settings,
    ) -> anyhow::Result<Self> {
        let mut belt = Self {
            keeper: Keeper::default(),
            tallies,
            producers,
            letters: Letters::new(agent.dead_letter_topic.as_str().into(), host.clone(), kafka),
            sender: batcher::Sender { host: host.into(), machine: machine.into() },
            settings: agent.batch.clone(),
            tasks: HashMap::new(),
            routes: Routes::default(),
            gatherers: HashMap::new(),
            parked: VecDeque::new(),
            sealed: Vec::new(),
            refused: VecDeque::new(),
            under_way: UnderWay::default(),
        };
        for (task, topic) in agent.tasks.iter().zip(agent.topics()?) {
            belt.begin(task, topic)?;
        }
        Ok(belt)
    }

    /// Makes ready for the blocks of a task, which go to `topic`.
    ///
    /// # Errors
    /// If its records can't have keys as it wants, or librdkafka can't start.
    pub(super) fn begin(&mut self, task: &Task, topic: Arc<str>) -> anyhow::Result<()> {
        let key = task.key(&self.sender.host)?;
        if task.style().is_some() {
            self.producers.see_to_lines()?;
        }
        let tally = self.tallies.of(&task.name);
        self.tasks.insert(Arc::clone(&task.name), Lane::of(task, topic, key, tally));
        Ok(())
    }

    /// Forgets a task of which nothing is under way and nothing more comes.
    pub(super) fn end(&mut self, task: &str) {
        if let Some(lane) = self.tasks.remove(task) {
            lane.info.set(0.0);
            Status::default().report(task, 0);
            self.tallies.forget(task);
            self.gatherers.retain(|bin, _| bin.task.as_ref().is_none_or(|of| **of != *task));
        }
    }

    /// Forgets the topics that no task names any more; they have to be asked for again before anything goes there.
    pub(super) fn forget_topics(&mut self) {
        let named: HashSet<&str> = self.tasks.values().map(|lane| &*lane.topic).collect();
        self.routes.retain(|topic| named.contains(topic));
        self.gatherers.retain(|bin, _| named.contains(&*bin.topic));
    }

    /// Whether everything that came of a task is safe.
    pub(super) fn is_drained(&self, task: &str) -> bool {
        self.in_flight(task) == 0
    }

    /// How many bytes of a task's text came and are not safe.
    pub(super) fn in_flight(&self, task: &str) -> u64 {
        self.tasks.get(task).map_or(0, Lane::in_flight_bytes)
    }

    /// Where the lines of a task go.
    pub(super) fn topic(&self, task: &str) -> Option<&Arc<str>> {
        self.tasks.get(task).map(|lane| &lane.topic)
    }

    /// Why nothing that was sent was acknowledged for at least `limit`, or why something is refused again and again, if
    /// so.
    pub(super) fn silence(&self, limit: Duration) -> Option<KafkaError> {
        let lines = self.producers.lines.as_ref();
        let silence = self.producers.packed.silence(limit).or_else(|| lines.and_then(|lines| lines.silence(limit)));
        silence.or_else(|| self.refused.front().map(|(_, _, why)| why.clone()))
    }

    /// The topics that the tasks name, and whether single lines go there; each with the producer that sends to it.
    pub(super) fn topics(&self) -> impl Iterator<Item = ((Arc<str>, bool), Arc<Producer<Ticket>>)> {
        let mut topics: Vec<_> =
            self.tasks.values().map(|lane| (Arc::clone(&lane.topic), lane.style.is_some())).collect();
        topics.sort();
        topics.dedup();
        topics.into_iter().map(|topic| {
            let producer = Arc::clone(self.producers.of(topic.1));
            (topic, producer)
        })
    }

    /// Whether a block waits for its topic, so that no more events should be taken.
    pub(super) fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Whether there is something to ship.
    pub(super) fn is_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Takes over what the reader tells.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Opened(checkpoint) | Event::Resumed(checkpoint) => self.keeper.opened(checkpoint),
            Event::Rested(stream) => self.keeper.rested(stream),
            Event::Changed(checkpoint) => self.keeper.changed(checkpoint),
            Event::Cut(stream, cut) => self.keeper.cut(stream, cut),
            Event::Ended(stream) => self.keeper.ended(stream),
            Event::Forgotten(stream) => self.keeper.forgotten(stream),
            // The fleet's business.
            Event::Dismissed(_) => (),
            Event::Block(block) => {
                // Before this block is under way too.
                if self.routes.is_pinned() {
                    let keeper = &self.keeper;
                    self.routes.unpin(|stream| keeper.is_settled(stream));
                }
                if let Err(error) = self.keeper.take(&block.span()) {
                    // A defect: its bytes are read again at the next start, because no checkpoint passes them.
                    error!(path = %block.origin.path.display(), error = %error, "a block does not fit its stream");
                    metrics::counter(&list::ERRORS, &["agent", "ledger"]).increment(1);
                }
                self.push(block);
            }
        }
    }

    /// Notes how many partitions a topic has, and goes on with what waited for it.
    pub(super) fn learn(&mut self, topic: Arc<str>, partitions: i32) {
        let keeper = &self.keeper;
        self.routes.learn(&topic, partitions, || keeper.unsettled().collect());
        for block in std::mem::take(&mut self.parked) {
            self.push(block);
        }
    }

    fn push(&mut self, block: Block) {
        let task = Arc::clone(&block.origin.task);
        let Some(lane) = self.tasks.get(&task) else {
            // It isn't settled either, and so it is read again.
            return block.held.end(Outcome::GivenUp);
        };
        let (topic, style, stream) = (Arc::clone(&lane.topic), lane.style, block.origin.stream);
        let key = lane.key.as_ref().map(|key| key.of(stream.file));
        let Some(partition) = self.routes.partition(&topic, stream, key.as_deref()) else {
            self.parked.push_back(block);
            return;
        };
        let bin = match style {
            None => Bin { topic, partition, key: key.clone(), task: None },
            Some(_) => Bin { topic, partition, key: None, task: Some(task) },
        };
        let (settings, sender) = (&self.settings, &self.sender);
        let gatherer = self.gatherers.entry(bin.clone());
        let gatherer = gatherer.or_insert_with(|| Gatherer::new(settings, style, sender));
        let full = gatherer.push(block, key.as_deref(), Instant::now());
        self.sealed.extend(full.into_iter().map(|batch| (bin.clone(), batch)));
    }

    /// When the next batch, or record to be offered again, is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let batches = self.gatherers.values().filter_map(Gatherer::due_at);
        batches.chain(self.refused.front().map(|(due, ..)| *due)).min()
    }

    /// Seals the batches that are old enough, and offers again what was refused and is due.
    pub(super) async fn seal_due(&mut self) {
        let now = Instant::now();
        self.seal_each(|gatherer| gatherer.due(now));
        while self.refused.front().is_some_and(|(due, ..)| *due <= now) {
            if let Some((_, record, _)) = self.refused.pop_front() {
                self.send(record).await;
            }
        }
    }

    /// Seals everything that was gathered.
    pub(super) fn seal_all(&mut self) {
        self.seal_each(Gatherer::seal);
    }

    fn seal_each(&mut self, mut choose: impl FnMut(&mut Gatherer) -> Option<Gathered>) {
        for (bin, gatherer) in &mut self.gatherers {
            self.sealed.extend(choose(gatherer).map(|batch| (bin.clone(), batch)));
        }
    }

    /// Sends what was sealed. Everything that has to be on disk before it is, or this may not be called.
    pub(super) async fn ship(&mut self) {
        for (bin, batch) in std::mem::take(&mut self.sealed) {
            let mut outgoing = batch.outgoing(&bin.topic, bin.partition);
            outgoing.key = bin.key.as_ref().map(|key| key.to_vec());
            metrics::histogram(&list::BATCH_SIZE_BYTES, &[&bin.topic]).record(outgoing.ticket.amount().bytes as f64);
            self.under_way.begin(&outgoing);
            self.send(outgoing).await;
        }
    }

    pub(super) async fn send(&self, outgoing: Outgoing<Ticket>) {
        self.producers.of(!outgoing.pieces.is_none()).send(outgoing).await;
    }

    /// What the records of a task look like, if they are single lines.
    pub(super) fn style(&self, task: &str) -> Option<Style> {
        self.tasks.get(task).and_then(|lane| lane.style)
    }

    /// Takes a receipt: settles what is safe, or makes a record smaller that no broker takes.
    pub(super) async fn delivered(&mut self, mut delivered: Delivered<Ticket>) {
        let trial = delivered.ticket.trial.take();
        match (delivered.result, trial.map(|trial| *trial)) {
            (Ok(_), None | Some(Trial::Alone(_))) => self.acknowledged(delivered.ticket),
            (Ok(_), Some(Trial::Letter(refused))) => self.buried(delivered.ticket, &refused),
            (Err(failed), Some(Trial::Letter(refused))) => self.not_buried(delivered.ticket, refused, &failed),
            (Err(failed), Some(Trial::Alone(stood))) => self.give_up(*failed, stood, delivered.ticket).await,
            (Err(failed), None) if failed.record.pieces.is_none() => self.failed(delivered.ticket, *failed).await,
            (Err(failed), None) => self.lines_failed(delivered.ticket, *failed).await,
        }
    }

    pub(super) fn acknowledged(&mut self, ticket: Ticket) {
        for Share { task, held } in &ticket.shares {
            if let Some(lane) = self.tasks.get(task) {
                lane.latency.record(held.age());
            }
        }
        self.settle(ticket, Outcome::Acknowledged);
    }

    /// Nothing more is to be done for what the ticket stands for.
    pub(super) fn settle(&mut self, ticket: Ticket, outcome: Outcome) {
        let Ticket { account, shares, permit, .. } = ticket;
        shares.into_iter().for_each(|share| share.held.end(outcome));
        drop(permit);
        let number = UnderWay::number(&account);
        let Some(account) = Arc::into_inner(account) else { return };
        self.under_way.end(number);
        for span in account.spans {
            if let Err(error) = self.keeper.settle(&span) {
                error!(error = %error, "a receipt does not fit its stream");
                metrics::counter(&list::ERRORS, &["agent", "ledger"]).increment(1);
            }
        }
    }

    async fn failed(&mut self, ticket: Ticket, failed: Failed) {
        let Failed { error, record } = failed;
        metrics::counter(&list::PRODUCE_RETRIES, &[&record.topic, error.kind()]).increment(1);
        let packed = Packed { value: record.value, headers: record.headers };
        let Ticket { account, shares, permit, trial: _ } = ticket;
        // Its spans stay with the account, which the halves share.
        let batch = Batch { packed, spans: account.spans.clone(), shares, permit };
        let lines = batch.lines();
        let whole = match error {
            KafkaError::TooLarge { .. } => match batcher::split(batch) {
                Split::Halves(halves) => {
                    // Parts of a line that was one until now count as those that the reader makes.
                    let parts = halves.iter().map(Batch::lines).sum::<u64>().saturating_sub(lines);
                    if let (1.., Some(Share { task, .. })) = (parts, halves[0].shares.first()) {
                        metrics::counter(&list::CUT_LINES, &[task, "too_large"]).increment(2);
                    }
                    for half in *halves {
                        let (account, shares) = (Arc::clone(&account), half.shares);
                        let ticket = Ticket { account, shares, permit: half.permit, trial: None };
                        let half = outgoing(&record.topic, record.partition, half.packed, ticket);
                        self.send(Outgoing { key: record.key.clone(), ..half }).await;
                    }
                    return;
                }
                Split::Line(batch) => *batch,
            },
            _ => batch,
        };
        let packed = outgoing(&record.topic, record.partition, whole.packed, ());
        let record = Outgoing { key: record.key, ..packed };
        let stood = self.stood(&record);
        let ticket = Ticket { account, shares: whole.shares, permit: whole.permit, trial: None };
        self.give_up(Failed { error, record }, stood, ticket).await;
    }

    /// Offers again, in a while, what no topic takes.
    pub(super) fn offer_later(&mut self, outgoing: Outgoing<Ticket>, why: KafkaError) {
        self.refused.push_back((Instant::now() + REFUSED_AGAIN, outgoing, why));
    }

    /// Sets the metrics of how each task's files stand, and how far behind it is: what was not read, and what was
    /// and is not safe.
    pub(super) fn report(&self, status: &HashMap<Arc<str>, Status>) {
        for (task, lane) in &self.tasks {
            status.get(task).copied().unwrap_or_default().report(task, lane.in_flight_bytes());
        }
    }

    /// Sets the metrics of what was read and what became of it.
    pub(super) fn tell_accounts(&self) {
        self.tallies.tell();
    }
}

impl Ticket {
    /// How much the record holds, of all tasks together.
    pub(super) fn amount(&self) -> Amount {
        self.shares.iter().map(|share| share.held.amount()).sum()
    }
}

impl Lane {
    fn of(task: &Task, topic: Arc<str>, key: Option<Key>, tally: Arc<Tally>) -> Self {
        let info = metrics::gauge(&list::TASK_INFO, &[&task.name, &topic, &task.fingerprint()]);
        info.set(1.0);
        Self {
            info,
            topic,
            key,
            style: task.style(),
            tally,
            latency: metrics::histogram(&list::ACKNOWLEDGE_LATENCY_SECONDS, &[&task.name]),
        }
    }

    fn in_flight_bytes(&self) -> u64 {
        self.tally.account().in_flight.bytes
    }
}

impl Producers {
    /// Producers whose receipts go to `receipts`.
    ///
    /// # Errors
    /// If librdkafka can't start.
    pub(super) fn new(
        kafka: &kafka::Settings,
        age_max: Duration,
        receipts: mpsc::Sender<Delivered<Ticket>>,
    ) -> Result<Self, KafkaError> {
        let packed = Arc::new(Producer::new(kafka, receipts.clone())?);
        Ok(Self { packed, lines: None, kafka: kafka.clone(), age_max, receipts })
    }

    /// Makes the producer of single lines if there is none.
    fn see_to_lines(&mut self) -> Result<(), KafkaError> {
        if self.lines.is_none() {
            let linger = batcher::lines::linger(self.age_max);
            self.lines = Some(Arc::new(Producer::of_pieces(&self.kafka, linger, self.receipts.clone())?));
        }
        Ok(())
    }

    /// All that there are.
    pub(super) fn each(&self) -> impl Iterator<Item = &Producer<Ticket>> {
        [Some(&*self.packed), self.lines.as_deref()].into_iter().flatten()
    }

    fn of(&self, of_lines: bool) -> &Arc<Producer<Ticket>> {
        self.lines.as_ref().filter(|_| of_lines).unwrap_or(&self.packed)
    }
}

pub(super) fn outgoing<T>(topic: &Arc<str>, partition: Option<i32>, packed: Packed, ticket: T) -> Outgoing<T> {
    let (Packed { value, headers }, pieces) = (packed, Pieces::default());
    Outgoing { topic: Arc::clone(topic), partition, key: None, value, headers, pieces, ticket }
}
