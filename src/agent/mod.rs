//! Role: files to Kafka.
//!
//! The reader's blocks are gathered into batches, a batch becomes one Kafka record, and Kafka's acknowledgement of
//! it is the receipt that moves the watermarks of its files. Checkpoints are saved twice a second. The role promises
//! that no checkpoint passes a byte that Kafka did not acknowledge, and that a stop finishes what was read. What is
//! under way is bounded by the byte budget alone: when Kafka is away, reading waits.

mod belt;
mod fleet;
mod gather;
mod inquiry;
mod known;
mod letters;
mod lines;
mod outlook;
mod rebuild;
mod route;
mod saving;
#[cfg(test)]
mod tests;
mod under_way;

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

pub(crate) use self::belt::Ticket;
pub use self::fleet::{Control, Standing, TaskState, Tasks};
use self::{
    belt::{Belt, Producers},
    fleet::{Fleet, Step},
    inquiry::Inquiry,
    known::Known,
    outlook::{Outlook, SILENCE_MAX},
    route::Asking,
    saving::Saving,
};
use crate::{
    checkpoint::Window,
    config::Config,
    host,
    kafka::Delivered,
    metrics::{self, Health, list},
    reader::{self, Event, Reader, Tallies},
    record::Budget,
};

/// How often checkpoints are saved.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// How often it is summed up how far behind each task is; the sum goes over all files.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How many events wait between the reader and the belt; blocks among them hold their share of the budget.
const EVENTS_MAX: usize = 64;

/// How many receipts wait; each batch that is under way has one, and the budget bounds those.
const RECEIPTS_MAX: usize = 1024;

/// Collects what `control` wants until `stop` is cancelled, then finishes what was read. The tasks that the configuration
/// itself has are of no importance here.
///
/// # Errors
/// If the checkpoint store or the reader can't be started. Kafka being away is no error: reading waits for it. The
/// checkpoints can be seen through `window` while it runs.
pub async fn run(
    config: &Config,
    Control { mut wanted, tasks: tells, questions }: Control,
    stop: CancellationToken,
    health: &Health,
    window: &Window,
) -> anyhow::Result<()> {
    // What is wanted from here on is a change, however soon it comes.
    let first = wanted.borrow_and_update().clone();
    let mut config = config.clone();
    config.agent.tasks = first.tasks.to_vec();
    let config = &config;
    let machine = host::machine_id(&config.data_dir)?;
    let host_name = config.agent.host.clone().unwrap_or_else(host::name);
    let Some(known) = Known::open(config, &machine, &health.part("checkpoints"), &stop).await? else { return Ok(()) };
    let tasks = known.tasks(config);
    let Known { store, checkpoints: known, .. } = known;
    window.show(&store);
    let budget = Budget::new(usize::try_from(config.agent.in_flight_bytes_max.as_u64())?);
    let seed = reader::seed(&machine, store.epoch());
    let (events, blocks) = mpsc::channel(EVENTS_MAX);
    info!(tasks = tasks.len(), known = known.len(), kafka = %config.kafka.bootstrap_servers, "collecting");
    let tallies = Tallies::default();
    let reader = Reader::start(config.agent.reader(), &tasks, known, seed, &budget, &tallies, events)?;
    let (receipts, delivered) = mpsc::channel(RECEIPTS_MAX);
    let producers = Producers::new(&config.kafka, config.agent.batch.age_max, receipts)?;
    let belt = Belt::new(&config.agent, host_name, machine, producers, tallies, config.kafka.clone())?;
    let wires = Wires {
        inquiry: Inquiry::new(questions, reader.inspector()),
        reader,
        fleet: Fleet::new(&config.agent, first, wanted, tells),
        blocks,
        delivered,
        budget,
        saving: Saving::new(store, health.part("checkpoints")),
        health: health.clone(),
        reported: Instant::now(),
        files_max: config.metrics.files_max.into(),
    };
    wires.carry(belt, config, stop).await
}

/// Everything that comes in and goes out, joined.
struct Wires {
    reader: Reader,
    fleet: Fleet,
    inquiry: Inquiry,
    blocks: mpsc::Receiver<Event>,
    delivered: mpsc::Receiver<Delivered<Ticket>>,
    budget: Budget,
    saving: Saving,
    health: Health,
    reported: Instant,
    /// How many files have a metric of their own.
    files_max: usize,
}

impl Wires {
    async fn carry(mut self, mut belt: Belt, config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
        let (answers, mut routes) = mpsc::channel(16);
        let mut outlook = Outlook::new(self.health.part("kafka"), belt.topics().map(|((topic, _), _)| topic));
        let mut asking = Asking::new(answers);
        asking.follow(belt.topics());
        let mut tick = interval(SAVE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            let due = belt.next_due().map(Instant::from_std);
            tokio::select! {
                biased;
                () = stop.cancelled() => (),
                Some(delivered) = self.delivered.recv() => belt.delivered(delivered).await,
                Some((topic, answer)) = routes.recv() => {
                    outlook.heard(&topic, answer.as_ref().map(|_| ()).map_err(Clone::clone));
                    if let Ok(partitions) = answer {
                        belt.learn(topic, partitions);
                    }
                    outlook.tell(belt.silence(SILENCE_MAX).as_ref());
                }
                () = self.saving.finished(&mut belt.keeper) => (),
                () = self.fleet.changed() => self.follow(&mut belt, &mut asking, &mut outlook),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => belt.seal_due().await,
                (question, seen) = self.inquiry.next() => {
                    inquiry::answer(question, seen, &self.fleet.tasks(), &belt, &self.budget);
                }
                _ = tick.tick() => {
                    self.tick(&mut belt);
                    outlook.tell(belt.silence(SILENCE_MAX).as_ref());
                }
                event = self.blocks.recv(), if !belt.is_parked() && !self.is_held(&belt) => match event {
                    Some(Event::Dismissed(task)) => {
                        self.fleet.dismissed(&task);
                        belt.seal_all();
                    }
                    Some(event) => self.take(&mut belt, event),
                    None => anyhow::bail!("all reading threads ended; the log above says why"),
                },
            }
            if self.fleet.has_leaving() {
                self.end_tasks(&mut belt, &mut asking, &mut outlook);
            }
            // Not `ship`, which would wait: receipts are taken while a commit runs.
            if self.is_held(&belt) {
                self.saving.hurry(&mut belt.keeper);
            } else {
                belt.ship().await;
            }
        }
        drop(asking);
        self.drain(belt, config).await
    }

    /// Begins and ends tasks, as far as that can be done now.
    fn follow(&mut self, belt: &mut Belt, asking: &mut Asking, outlook: &mut Outlook) {
        for step in self.fleet.steps() {
            match step {
                Step::Dismiss(task) => self.reader.dismiss(&task),
                Step::Begin(task, topic) => {
                    let begun = belt.begin(&task, topic).and_then(|()| Ok(self.reader.begin(&task.reader())?));
                    if let Err(error) = begun {
                        belt.end(&task.name);
                        self.fleet.refuse(&task.name, &error);
                    }
                }
            }
        }
        // Who goes on to be asked for is known.
        belt.forget_topics();
        asking.follow(belt.topics());
        outlook.follow(belt.topics().map(|((topic, _), _)| topic));
    }

    /// Ends the tasks that are drained, and goes on with what waited for that.
    fn end_tasks(&mut self, belt: &mut Belt, asking: &mut Asking, outlook: &mut Outlook) {
        let ended = self.fleet.ended(|task| belt.is_drained(task));
        if !ended.is_empty() {
            ended.iter().for_each(|task| belt.end(task));
            self.follow(belt, asking, outlook);
        }
    }

    /// Whether there is something to send that must wait until checkpoints are on disk.
    fn is_held(&self, belt: &Belt) -> bool {
        belt.is_sealed() && self.saving.holds()
    }

    fn take(&mut self, belt: &mut Belt, event: Event) {
        if event.must_be_saved_first() {
            self.saving.want();
        }
        belt.take(event);
    }

    fn tick(&mut self, belt: &mut Belt) {
        self.saving.tick(&mut belt.keeper);
        belt.tell_accounts();
        metrics::gauge(&list::IN_FLIGHT_BYTES, &[]).set(self.budget.in_flight() as f64);
        metrics::gauge(&list::IN_FLIGHT_LIMIT_BYTES, &[]).set(self.budget.bytes_max() as f64);
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let seen = self.reader.see(self.files_max);
            seen.report_files();
            belt.report(&seen.tasks);
            self.fleet.saw(|task| seen.tasks.get(task).map_or(0, |status| status.unread_bytes) + belt.in_flight(task));
        }
    }

    /// Finishes what was read, within the limit; what is not finished then is read again at the next start.
    async fn drain(mut self, mut belt: Belt, config: &Config) -> anyhow::Result<()> {
        let limit = config.agent.drain_timeout;
        info!(limit = ?limit, "finishing what was read");
        let reader = self.reader;
        let stopping = tokio::spawn(reader.stop());
        // Whoever watches the drain sees what becomes of what was read.
        let mut tick = interval(SAVE_EVERY);
        let finish = async {
            loop {
                let event = tokio::select! {
                    event = self.blocks.recv() => event,
                    _ = tick.tick() => {
                        belt.tell_accounts();
                        continue;
                    }
                    (question, seen) = self.inquiry.next() => {
                        inquiry::answer(question, seen, &self.fleet.tasks(), &belt, &self.budget);
                        continue;
                    }
                };
                let Some(event) = event else { break };
                if event.must_be_saved_first() {
                    self.saving.want();
                }
                belt.take(event);
                ship(&mut self.saving, &mut belt).await;
            }
            belt.seal_all();
            ship(&mut self.saving, &mut belt).await;
            while !belt.keeper.is_all_settled() {
                let due = belt.next_due().map(Instant::from_std);
                tokio::select! {
                    Some(delivered) = self.delivered.recv() => belt.delivered(delivered).await,
                    () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => belt.seal_due().await,
                    _ = tick.tick() => belt.tell_accounts(),
                    (question, seen) = self.inquiry.next() => {
                        inquiry::answer(question, seen, &self.fleet.tasks(), &belt, &self.budget);
                    }
                }
            }
        };
        let in_time = timeout(limit, finish).await.is_ok();
        belt.tell_accounts();
        let saved = self.saving.end(&mut belt.keeper).await;
        if in_time {
            stopping.await?;
            info!("everything that was read is safe in Kafka");
        } else {
            error!(limit = ?limit, "not everything was acknowledged in time; it is read and sent again at the next start");
        }
        saved
    }
}

/// Sends what was sealed, when everything is on disk that has to be before it.
async fn ship(saving: &mut Saving, belt: &mut Belt) {
    if belt.is_sealed() {
        saving.clear(&mut belt.keeper).await;
        belt.ship().await;
    }
}
