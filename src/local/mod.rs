//! Role: files to the embedded store, in one process.
//!
//! The reader's blocks become documents, the documents go into the store, and the store's commit is the receipt that
//! moves the watermarks of the files. The role promises that no checkpoint passes a line that is not in the store,
//! that a line is in it once whatever happens to the process, and that a line can be found within about a second.
//! What is under way is bounded by the byte budget alone: when the store can't be written, reading waits.
//!
//! The checkpoints live in the store's directory: where the store goes, what is known of its files goes too, and an
//! empty store begins with the files' first lines.

mod indexing;
mod intake;
#[cfg(test)]
mod tests;

use std::{sync::Arc, thread, time::Duration};

use anyhow::Context;
use tokio::{
    runtime,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::{
    indexing::{GivenUp, Indexing, Pace},
    intake::Intake,
};
use crate::{
    checkpoint::{self, Opened, Saver},
    config::{self, Config},
    document::Builder,
    embedded::{Embedded, Start, Writer, store_dir},
    host,
    inspect::{self, File, Files, Questions, Reading, State},
    metrics::{self, Health, list},
    reader::{self, Event, Inspector, Reader, Seen, Status, Tallies, Task},
    record::{Budget, Checkpoint},
};

/// The task of files that were named on the command line.
const TASK: &str = "up";

/// How many events wait between the reader and the store; blocks among them hold their share of the budget.
const EVENTS_MAX: usize = 64;

/// How often metrics of what is under way are set.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// How often it is summed up how far behind each task is; the sum goes over all files.
const SUM_EVERY: Duration = Duration::from_secs(5);

/// How long the thread that writes may take to end when it was told to give up.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A store that is open to be written and asked, and what is known of the files in it.
pub struct Local {
    writer: Writer,
    store: Embedded,
    checkpoints: checkpoint::Store,
    known: Vec<Checkpoint>,
}

impl Local {
    /// Opens the store of the data directory, and makes it if there is none.
    ///
    /// # Errors
    /// If another process writes into it, or the machine refuses to read or write it.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let writer = Writer::open(&config.embedded, &config.data_dir)?;
        if let Start::SetAside { kept, .. } = writer.start() {
            warn!(kept = %kept.display(), "files are read again from their beginning, into the new store");
        }
        let Opened { store: checkpoints, note, lost } = checkpoint::Store::open(&store_dir(&config.data_dir))?;
        if let Some(note) = note {
            warn!("{note}; lines that are in the store already may come into it again");
        }
        if lost.is_some() {
            checkpoints.made_good(&[])?;
        }
        let known = checkpoints.load().context("can't read the checkpoints")?;
        let store = writer.embedded()?;
        Ok(Self { writer, store, checkpoints, known })
    }

    /// The store, to be asked; it answers with what is committed.
    #[must_use]
    pub fn store(&self) -> Embedded {
        self.store.clone()
    }

    /// Reads what `patterns` mean, or the configuration's tasks if there are none, until `stop` is cancelled, then
    /// finishes what was read.
    ///
    /// # Errors
    /// If the reader can't be started, or all of its threads end.
    pub async fn run(
        self,
        config: &Config,
        patterns: Vec<String>,
        stop: CancellationToken,
        health: &Health,
        questions: Questions,
    ) -> anyhow::Result<()> {
        let machine = host::machine_id(&config.data_dir)?;
        let host_name = config.agent.host.clone().unwrap_or_else(host::name);
        let budget_bytes = config.agent.in_flight_bytes_max.as_u64();
        let budget = Budget::new(usize::try_from(budget_bytes)?);
        let seed = reader::seed(&machine, self.checkpoints.epoch());
        let (events, blocks) = mpsc::channel(EVENTS_MAX);
        let tasks = tasks(config, patterns);
        info!(
            files = %tasks.iter().flat_map(|task| &task.paths).map(String::as_str).collect::<Vec<_>>().join(" "),
            known = self.known.len(), store = %store_dir(&config.data_dir).display(), "collecting"
        );
        let tallies = Tallies::default();
        let reader = Reader::start(config.agent.reader(), &tasks, self.known, seed, &budget, &tallies, events)?;
        let intake = Intake::new(self.writer, Builder::new(&config.document), host_name);
        let pace = Pace {
            age_max: config.embedded.commit_age_max,
            // While one half of the budget is committed, the other half is read.
            bytes_max: config.embedded.commit_bytes_max.as_u64().min(budget_bytes / 2),
        };
        let give_up = CancellationToken::new();
        let parts = (health.part("store"), health.part("checkpoints"));
        let work = (intake, Saver::new(self.checkpoints));
        let indexing = Indexing::new(work, pace, parts, give_up.clone());
        let ended = start(indexing, blocks)?;
        // Ends when nobody waits for the role any more.
        let mut asked = JoinSet::new();
        asked.spawn(answer(questions, reader.inspector(), tallies.clone(), budget.clone()));
        let files_max = config.metrics.files_max.into();
        let wires = Wires { reader, tasks, budget, tallies, ended, give_up, reported: Instant::now(), files_max };
        wires.carry(config.agent.drain_timeout, stop).await
    }
}

/// Answers whoever asks what is being done now.
async fn answer(mut questions: Questions, inspector: Inspector, tallies: Tallies, budget: Budget) {
    while let Some(question) = questions.next().await {
        let Seen { lanes, tasks, files, files_total: total, unread_bytes } = inspector.look(question.files).await;
        let told = |(name, status): (&Arc<str>, &Status)| {
            let in_flight_bytes = tallies.of(name).account().in_flight.bytes;
            inspect::Task { state: "running".to_owned(), ..status.told(name, in_flight_bytes) }
        };
        let mut tasks: Vec<_> = tasks.iter().map(told).collect();
        tasks.sort_by(|one, other| one.name.cmp(&other.name));
        let each: Vec<File> = files.into_iter().map(|(_, file)| file).collect();
        let files = Files { total, left_out: total - each.len(), unread_bytes, each };
        let state = State::of("up", budget.in_flight(), budget.bytes_max());
        question.answer(State { reading: Some(Reading { tasks, lanes, files }), ..state });
    }
}

fn tasks(config: &Config, patterns: Vec<String>) -> Vec<Task> {
    if patterns.is_empty() {
        return config.agent.tasks.iter().map(config::Task::reader).collect();
    }
    vec![Task::new(TASK, patterns)]
}

/// Starts the thread that writes: a commit waits for the disk, and must not hold up anything else.
fn start(indexing: Indexing, blocks: mpsc::Receiver<Event>) -> anyhow::Result<oneshot::Receiver<Result<(), GivenUp>>> {
    let (end, ended) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread().enable_time().build().context("can't start threads")?;
    let work = move || {
        // If nobody waits any longer, nobody has to be told.
        let _ = end.send(runtime.block_on(indexing.run(blocks)));
    };
    thread::Builder::new().name("indexing".to_owned()).spawn(work).context("can't start threads")?;
    Ok(ended)
}

/// What runs, and how to end it.
struct Wires {
    reader: Reader,
    tasks: Vec<Task>,
    budget: Budget,
    tallies: Tallies,
    ended: oneshot::Receiver<Result<(), GivenUp>>,
    give_up: CancellationToken,
    reported: Instant,
    /// How many files have a metric of their own.
    files_max: usize,
}

impl Wires {
    async fn carry(mut self, drain_timeout: Duration, stop: CancellationToken) -> anyhow::Result<()> {
        let mut tick = interval(REPORT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = &mut self.ended => anyhow::bail!("reading or writing ended by itself; the log above says why"),
                _ = tick.tick() => self.report(),
            }
        }
        info!(limit = ?drain_timeout, "finishing what was read");
        let finish = async {
            self.reader.stop().await;
            (&mut self.ended).await
        };
        // Whoever watches the drain sees what becomes of what was read.
        let watched = async {
            tokio::pin!(finish);
            loop {
                tokio::select! {
                    ended = &mut finish => return ended,
                    _ = tick.tick() => self.tallies.tell(),
                }
            }
        };
        let ended = timeout(drain_timeout, watched).await;
        self.tallies.tell();
        match ended {
            Ok(Ok(Ok(()))) => info!("everything that was read is in the store"),
            Ok(_) => {
                anyhow::bail!("the thread that writes the store ended early; what it did not commit is read again")
            }
            Err(_) => {
                self.give_up.cancel();
                // Whether it ends in time or not, what is not committed is read again.
                let _ = timeout(LAST_WORDS, self.ended).await;
                warn!(limit = ?drain_timeout, "not everything could be written in time; it is read again at the next start");
            }
        }
        Ok(())
    }

    fn report(&mut self) {
        self.tallies.tell();
        metrics::gauge(&list::IN_FLIGHT_BYTES, &[]).set(self.budget.in_flight() as f64);
        metrics::gauge(&list::IN_FLIGHT_LIMIT_BYTES, &[]).set(self.budget.bytes_max() as f64);
        if self.reported.elapsed() < SUM_EVERY {
            return;
        }
        self.reported = Instant::now();
        let seen = self.reader.see(self.files_max);
        seen.report_files();
        for task in &self.tasks {
            let in_flight = self.tallies.of(&task.name).account().in_flight.bytes;
            seen.tasks.get(&task.name).copied().unwrap_or_default().report(&task.name, in_flight);
        }
    }
}
