//! The thread that writes the store: events in, commits out, checkpoints behind them.
//!
//! The order that must hold: a stream's checkpoint is saved once before anything of the stream is committed, so that
//! its file is known again after a crash; a commit makes documents safe; then the checkpoints that it moved are saved.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::intake::{Intake, Receipt};
use crate::{
    checkpoint::{Keeper, Saver},
    metrics::{self, Counter, Gauge, Histogram, Part, list},
    reader::Event,
    record::{Outcome, Stream},
};

/// How often changes that no commit brings, such as new names of files, are saved.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// How often the size of the store is looked at.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);

/// How long to wait after the first failure of a row, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// When to commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long a line waits at most.
    pub age_max: Duration,
    /// How many bytes wait at most.
    pub bytes_max: u64,
}

/// The work of the thread.
pub(super) struct Indexing {
    intake: Intake,
    keeper: Keeper,
    saver: Saver,
    pace: Pace,
    store: Part,
    checkpoints: Part,
    /// When the oldest line that waits was taken.
    since: Option<Instant>,
    /// Whether a stream was opened, or a cut made, that has to be saved before the next commit.
    is_told: bool,
    expired: Instant,
    give_up: CancellationToken,
    gauges: Gauges,
}

struct Gauges {
    commit_seconds: Histogram,
    /// By task; the tasks don't change.
    latencies: HashMap<Arc<str>, Histogram>,
    backoff: Gauge,
    bytes: Gauge,
    expired: Counter,
}

/// The work was given up because time was up; what is not committed is read again at the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp;

impl Indexing {
    pub(super) fn new(
        (intake, saver): (Intake, Saver),
        pace: Pace,
        (store, checkpoints): (Part, Part),
        give_up: CancellationToken,
    ) -> Self {
        store.ok();
        checkpoints.ok();
        Self {
            intake,
            keeper: Keeper::default(),
            saver,
            pace,
            store,
            checkpoints,
            since: None,
            is_told: false,
            expired: Instant::now(),
            give_up,
            gauges: Gauges {
                latencies: HashMap::new(),
                commit_seconds: metrics::histogram(&list::BULK_SECONDS, &[]),
                backoff: metrics::gauge(&list::BACKOFF_SECONDS, &[]),
                bytes: metrics::gauge(&list::STORE_BYTES, &[]),
                expired: metrics::counter(&list::EXPIRED_DOCUMENTS, &[]),
            },
        }
    }

    /// Works until the reader ends, then finishes what was read.
    ///
    /// # Errors
    /// If it was told to give up.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) -> Result<(), GivenUp> {
        let give_up = self.give_up.clone();
        let mut tick = interval(SAVE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.since.map(|since| tokio::time::Instant::from_std(since + self.pace.age_max));
            tokio::select! {
                biased;
                () = give_up.cancelled() => return Err(GivenUp),
                () = sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => self.commit().await?,
                _ = tick.tick() => self.tick().await?,
                event = events.recv() => match event {
                    Some(event) => self.take(event).await?,
                    None => break,
                },
            }
        }
        self.commit().await?;
        self.intake.close();
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), GivenUp> {
        let block = match event {
            Event::Opened(checkpoint) => {
                self.keeper.opened(checkpoint);
                self.is_told = true;
                return Ok(());
            }
            Event::Cut(stream, cut) => {
                self.keeper.cut(stream, cut);
                self.is_told = true;
                return Ok(());
            }
            Event::Resumed(checkpoint) => {
                self.keeper.opened(checkpoint);
                return Ok(());
            }
            Event::Rested(stream) => {
                self.keeper.rested(stream);
                return Ok(());
            }
            Event::Changed(checkpoint) => {
                self.keeper.changed(checkpoint);
                return Ok(());
            }
            Event::Ended(stream) => {
                self.keeper.ended(stream);
                return Ok(());
            }
            Event::Forgotten(stream) => {
                self.keeper.forgotten(stream);
                return Ok(());
            }
            // Nobody ends a task here.
            Event::Dismissed(_) => return Ok(()),
            Event::Block(block) => block,
        };
        if let Err(error) = self.keeper.take(&block.span()) {
            // A defect: its bytes are read again at the next start, because no checkpoint passes them.
            self.misfit(block.origin.stream, &error);
        }
        self.since.get_or_insert_with(Instant::now);
        let taken = self.intake.take(block);
        if let Err(error) = taken {
            self.store.failing(error.to_string());
            return self.commit().await;
        }
        if self.intake.pending_bytes() >= self.pace.bytes_max {
            return self.commit().await;
        }
        Ok(())
    }

    /// Commits what was taken. If that fails, tries again until it succeeds; meanwhile nothing more is taken, so
    /// reading waits.
    async fn commit(&mut self) -> Result<(), GivenUp> {
        let mut backoff = BACKOFF.0;
        loop {
            let Err(why) = self.try_commit().await else { break };
            self.store.failing(why);
            metrics::counter(&list::ERRORS, &["store", "commit"]).increment(1);
            self.gauges.backoff.set(backoff.as_secs_f64());
            tokio::select! {
                () = self.give_up.cancelled() => return Err(GivenUp),
                () = sleep(backoff) => (),
            }
            backoff = (backoff * 2).min(BACKOFF.1);
        }
        self.gauges.backoff.set(0.0);
        self.store.ok();
        Ok(())
    }

    async fn try_commit(&mut self) -> Result<(), String> {
        if self.is_told {
            self.save().await?;
            self.is_told = false;
        }
        let begun = Instant::now();
        let receipts = self.intake.commit().map_err(|error| error.to_string())?;
        self.gauges.commit_seconds.record(begun.elapsed());
        self.since = None;
        for receipt in receipts {
            self.settle(receipt);
        }
        // Documents are safe already, so a checkpoint that can't be saved now holds nothing up.
        let _ = self.save().await;
        Ok(())
    }

    fn settle(&mut self, receipt: Receipt) {
        let Receipt { span, task, held } = receipt;
        if let Err(error) = self.keeper.settle(&span) {
            self.misfit(span.source, &error);
        }
        let latency = self.gauges.latencies.entry(task);
        let of_task = |task: &Arc<str>| metrics::histogram(&list::ACKNOWLEDGE_LATENCY_SECONDS, &[task]);
        latency.or_insert_with_key(of_task).record(held.age());
        held.end(Outcome::Acknowledged);
    }

    /// Saves the checkpoints that are due.
    async fn save(&mut self) -> Result<(), String> {
        let due = self.keeper.due();
        let copy = due.checkpoints.clone();
        match self.saver.save(due).await {
            Ok(()) => {
                self.intake.saved(&copy);
                self.checkpoints.ok();
                Ok(())
            }
            Err(unsaved) => {
                self.keeper.still_due(unsaved.due);
                self.checkpoints.failing(unsaved.error.to_string());
                Err(unsaved.error.to_string())
            }
        }
    }

    async fn tick(&mut self) -> Result<(), GivenUp> {
        if self.since.is_none() && self.save().await.is_ok() {
            self.is_told = false;
        }
        self.saver.report_age();
        if self.expired.elapsed() < EXPIRE_EVERY {
            return Ok(());
        }
        self.expired = Instant::now();
        self.commit().await?;
        match self.intake.expire() {
            Ok(expired) => {
                self.gauges.bytes.set(expired.bytes as f64);
                self.gauges.expired.increment(expired.documents);
                if expired.documents > 0 {
                    info!(
                        documents = expired.documents,
                        bytes = expired.bytes,
                        "deleted the oldest documents, the store had outgrown embedded.bytes_max"
                    );
                }
            }
            // What the next commit meets again is told there; until then the store is a little larger.
            Err(error) => warn!(error = %error, "can't look after the size of the store"),
        }
        Ok(())
    }

    #[cold]
    fn misfit(&self, stream: Stream, error: &crate::checkpoint::LedgerError) {
        error!(file = %stream.file, generation = stream.generation, error = %error, "a block does not fit its stream");
        metrics::counter(&list::ERRORS, &["store", "ledger"]).increment(1);
    }
}
