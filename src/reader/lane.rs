//! A lane: one thread with its own runtime, its own files and its own buffers.
//!
//! A lane sleeps until it is told that a file has something new. It reads the ready files in turn, one quantum
//! each, several of them in one submission; a file that has more goes to the end of the line. While files are
//! open it also looks twice a second for those to close, to flush, or to give up.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::SendError},
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    Event, Settings,
    counters::Counters,
    disk::Disk,
    inbox::{Command, Inbox},
    table::Table,
    tail::{Outcome, Tail, UNPACK_AT_ONCE},
};
use crate::{
    metrics::{self, Histogram, list},
    record::{Budget, FileId, Permit},
};

/// How many files are read in one submission.
const FILES_AT_ONCE: usize = 8;

/// How often open files are looked through.
const TICK: Duration = Duration::from_millis(500);

/// What all files of a lane share.
pub(super) struct Context {
    pub(super) settings: Settings,
    budget: Budget,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    pub(super) table: Arc<Table>,
    tasks: HashMap<Arc<str>, Counters>,
    waited: Histogram,
    unpackers: Arc<Semaphore>,
}

impl Context {
    pub(super) fn new(
        settings: Settings,
        budget: Budget,
        events: mpsc::Sender<Event>,
        stop: CancellationToken,
        table: Arc<Table>,
        tasks: &[Arc<str>],
    ) -> Self {
        let tasks = tasks.iter().map(|task| (Arc::clone(task), Counters::of(task))).collect();
        Self {
            settings,
            budget,
            events,
            stop,
            table,
            tasks,
            waited: metrics::histogram(&list::BUDGET_WAIT_SECONDS, &[]),
            unpackers: Arc::new(Semaphore::new(UNPACK_AT_ONCE)),
        }
    }

    pub(super) fn counters(&self, task: &Arc<str>) -> &Counters {
        // Every file is assigned under a task that the reader was started with.
        &self.tasks[task]
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

/// The files of one thread.
pub(super) struct Lane<D: Disk> {
    context: Context,
    inbox: Arc<Inbox>,
    tails: HashMap<FileId, Tail<D>>,
    ready: VecDeque<FileId>,
    buffers: Vec<Vec<u8>>,
    ticked: Instant,
    open: usize,
}

impl<D: Disk> Lane<D> {
    pub(super) fn new(context: Context, inbox: Arc<Inbox>) -> Self {
        Self {
            context,
            inbox,
            tails: HashMap::new(),
            ready: VecDeque::new(),
            buffers: Vec::new(),
            ticked: Instant::now(),
            open: 0,
        }
    }

    /// Reads until it is told to stop, or until nobody takes blocks any more.
    pub(super) async fn run(mut self) {
        while !self.context.stop.is_cancelled() {
            for command in self.inbox.take() {
                self.obey(command).await;
            }
            if self.ticked.elapsed() >= TICK && self.open > 0 {
                self.tick().await;
            }
            if self.ready.is_empty() {
                self.rest().await;
            } else if self.turn().await.is_break() {
                break;
            }
        }
    }

    /// Waits for something to do; without open files, for as long as it takes.
    async fn rest(&mut self) {
        let told = self.context.stop.run_until_cancelled(self.inbox.wait());
        if self.open == 0 {
            told.await;
        } else {
            // Running out of time is the other reason to go on.
            let _ = timeout(TICK.saturating_sub(self.ticked.elapsed()), told).await;
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Add(assignment) => {
                let id = assignment.id;
                match self.tails.get_mut(&id) {
                    Some(tail) => tail.revive(*assignment),
                    None => drop(self.tails.insert(id, Tail::new(*assignment, self.context.quantum()))),
                }
            }
            Command::Wake(id) => self.queue(id),
            Command::Renamed(id, path) => {
                if let Some(tail) = self.tails.get_mut(&id) {
                    tail.rename(path, &self.context).await;
                    self.queue(id);
                }
            }
            Command::Deleted(id) => {
                if let Some(tail) = self.tails.get_mut(&id) {
                    tail.deleted = true;
                    self.queue(id);
                }
            }
        }
    }

    fn queue(&mut self, id: FileId) {
        if let Some(tail) = self.tails.get_mut(&id).filter(|tail| !tail.queued) {
            tail.queued = true;
            self.ready.push_back(id);
        }
    }

    /// One quantum for each of the first ready files.
    async fn turn(&mut self) -> std::ops::ControlFlow<()> {
        let count = self.ready.len().min(FILES_AT_ONCE);
        let chosen: Vec<FileId> = self.ready.drain(..count).collect();
        let tails: Vec<Tail<D>> = chosen.iter().filter_map(|id| self.tails.remove(id)).collect();
        let was_open = tails.iter().filter(|tail| tail.file.is_some()).count();
        let context = &self.context;
        let buffers = &mut self.buffers;
        let turns = tails.into_iter().map(|tail| tail.turn(buffers.pop().unwrap_or_default(), context));
        let turned = join_all(turns.collect::<Vec<_>>()).await;
        let is_open = turned.iter().filter(|(tail, ..)| tail.file.is_some()).count();
        self.open = self.open + is_open - was_open;
        let mut closed = false;
        for (mut tail, buffer, outcome) in turned {
            if buffer.capacity() <= self.context.quantum() + crate::record::TailMark::BYTES_MAX {
                self.buffers.push(buffer);
            }
            tail.queued = false;
            closed |= matches!(outcome, Outcome::Closed);
            let id = tail.from.id;
            let again = matches!(outcome, Outcome::More);
            if self.conclude(tail, outcome).await && again {
                self.queue(id);
            }
        }
        if closed { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    }

    /// Takes a file back after its turn; whether it is still followed.
    async fn conclude(&mut self, mut tail: Tail<D>, outcome: Outcome) -> bool {
        match outcome {
            Outcome::More | Outcome::Quiet | Outcome::Closed => tail.failed = None,
            Outcome::Elsewhere if tail.deleted && tail.file.is_none() => {
                self.give_up(&tail).await;
                return false;
            }
            Outcome::Elsewhere => (),
            Outcome::Failed(error) => {
                self.close(&mut tail);
                self.context.counters(&tail.from.task).failed.increment(1);
                if tail.failed.replace(error.kind()) != Some(error.kind()) {
                    warn!(
                        path = %tail.from.path.display(), error = %error,
                        "can't read the file; check its permissions, it is tried again when it changes and at each rescan"
                    );
                }
            }
        }
        self.tails.insert(tail.from.id, tail);
        true
    }

    /// Looks through the open files for those to close, to flush, or to give up.
    async fn tick(&mut self) {
        self.ticked = Instant::now();
        let settings = &self.context.settings;
        let (mut wake, mut ended) = (Vec::new(), Vec::new());
        let mut open = 0;
        for (id, tail) in self.tails.iter_mut().filter(|(_, tail)| tail.file.is_some()) {
            let idle = tail.active.elapsed();
            if tail.unended && idle >= settings.idle_flush {
                tail.flush = true;
                wake.push(*id);
            } else if tail.waits_to_unpack() {
                wake.push(*id);
            } else if tail.deleted {
                // Names are gone, so nobody tells of what is still written: look, until the grace is over.
                let list = if idle >= settings.deleted_quiet { &mut ended } else { &mut wake };
                list.push(*id);
            } else if idle >= settings.close_after && !tail.unended && !tail.queued {
                tail.close(&self.context);
                continue;
            }
            open += 1;
        }
        self.open = open;
        for id in wake {
            self.queue(id);
        }
        for id in ended {
            if let Some(mut tail) = self.tails.remove(&id) {
                self.close(&mut tail);
                self.give_up(&tail).await;
            }
        }
    }

    fn close(&mut self, tail: &mut Tail<D>) {
        if tail.file.is_some() {
            tail.close(&self.context);
            self.open = self.open.saturating_sub(1);
        }
    }

    /// Ends a file whose last name is gone and counts what of it will never be read.
    async fn give_up(&self, tail: &Tail<D>) {
        let counters = self.context.counters(&tail.from.task);
        counters.happened("deleted");
        let unread = tail.from.progress.unread();
        if unread > 0 {
            counters.abandoned.increment(unread);
            warn!(path = %tail.from.path.display(), bytes = unread, "file was deleted before all of it was read");
        }
        if let Some(parting) = tail.parting() {
            // If nobody takes events any more, the lane is about to end.
            let _ = self.context.send(Event::Ended(parting.stream)).await;
            self.context.table.part(parting);
        }
        tail.from.progress.let_go();
    }
}
