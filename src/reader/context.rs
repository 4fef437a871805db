//! What all files of a lane share: the settings, the budget, the way out, and what is counted.

use std::{cell::RefCell, collections::HashMap, sync::Arc, time::Instant};

use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{self, error::SendError},
};
use tokio_util::sync::CancellationToken;

use super::{Event, Settings, Tallies, counters::Counters, table::Table, tail::UNPACK_AT_ONCE};
use crate::{
    metrics::{self, Counter, Gauge, Histogram, list},
    record::{Budget, Permit},
};

/// What all files of a lane share.
pub(super) struct Context {
    pub(super) settings: Settings,
    /// How many files the lane may hold open at once; at least 1.
    pub(super) open_max: usize,
    pub(super) stop: CancellationToken,
    pub(super) table: Arc<Table>,
    budget: Budget,
    tallies: Tallies,
    events: mpsc::Sender<Event>,
    /// What is counted for each task that has, or had, files here.
    tasks: RefCell<HashMap<Arc<str>, Arc<Counters>>>,
    waited: Histogram,
    pub(super) meters: Meters,
    unpackers: Arc<Semaphore>,
}

/// What a lane tells of itself.
pub(super) struct Meters {
    pub(super) files: Gauge,
    pub(super) reads: Counter,
}

/// What all lanes share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) budget: Budget,
    pub(super) tallies: Tallies,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: CancellationToken,
    pub(super) table: Arc<Table>,
}

impl Context {
    /// What the files of the lane of this number share.
    pub(super) fn new(lane: usize, settings: Settings, open_max: usize, shared: Shared) -> Self {
        let Shared { budget, tallies, events, stop, table } = shared;
        let lane = lane.to_string();
        let meters = Meters {
            files: metrics::gauge(&list::LANE_FILES, &[&lane]),
            reads: metrics::counter(&list::LANE_READS, &[&lane]),
        };
        Self {
            settings,
            open_max: open_max.max(1),
            stop,
            table,
            budget,
            tallies,
            events,
            tasks: RefCell::default(),
            waited: metrics::histogram(&list::BUDGET_WAIT_SECONDS, &[]),
            meters,
            unpackers: Arc::new(Semaphore::new(UNPACK_AT_ONCE)),
        }
    }

    pub(super) fn counters(&self, task: &Arc<str>) -> Arc<Counters> {
        let mut tasks = self.tasks.borrow_mut();
        if let Some(counters) = tasks.get(task) {
            return Arc::clone(counters);
        }
        Arc::clone(tasks.entry(Arc::clone(task)).or_insert_with(|| Arc::new(Counters::of(task, self.tallies.of(task)))))
    }

    /// Forgets what is counted for a task that has ended.
    pub(super) fn forget(&self, task: &str) {
        self.tasks.borrow_mut().remove(task);
    }

    /// The right to unpack a compressed file; none while the lane unpacks as many as it may.
    pub(super) fn may_unpack(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.unpackers).try_acquire_owned().ok()
    }

    /// How many bytes of text a read is for, unless a longer line is met.
    pub(super) fn quantum(&self) -> usize {
        self.settings.block_bytes.min(self.settings.line_bytes_max)
    }

    pub(super) async fn send(&self, event: Event) -> Result<(), SendError<Event>> {
        self.events.send(event).await
    }

    /// Waits until there is room for one event; none if nobody takes events any more.
    pub(super) async fn room(&self) -> Option<mpsc::Permit<'_, Event>> {
        self.events.reserve().await.ok()
    }

    /// Waits for a share of the budget; none if the lane is told to stop first.
    pub(super) async fn take_budget(&self, bytes: usize) -> Option<Permit> {
        let bytes = bytes + self.settings.block_overhead_bytes;
        if let Some(permit) = self.budget.try_take(bytes) {
            return Some(permit);
        }
        let begun = Instant::now();
        let permit = self.stop.run_until_cancelled(self.budget.take(bytes)).await;
        self.waited.record(begun.elapsed());
        permit
    }
}
