//! A lane: one thread with its own runtime, its own files and its own buffers.
//!
//! A lane sleeps until it is told that a file has something new. It opens such a file at once, so that it stays
//! readable whatever becomes of its name, and reads the ready files in turn, one quantum each, several of them in
//! one submission; a file that has more goes to the end of the line. A turn may have to wait, for the budget or
//! for whoever takes blocks; the lane never does: it goes on to obey its inbox. What it is told of a file that is
//! in its turn waits until the file is back.
//!
//! While files are open it also looks twice a second for those to close, to flush, or to give up.

mod described;
mod descriptors;
mod leaving;
mod passing;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::LocalBoxFuture,
    stream::{FuturesUnordered, StreamExt},
};
use tokio::{
    sync::Notify,
    time::{Interval, MissedTickBehavior, interval, sleep_until},
};
use tracing::warn;

use self::leaving::{Leaving, Told};
use super::{
    context::Context,
    disk::Disk,
    farewell::Held,
    inbox::{Command, Inbox, Later},
    progress::{Progress, Standing},
    schedule::{Grant, Rules, Schedule},
    tail::{Outcome, Tail, Turned},
};
use crate::record::{FileId, TailMark};

/// How many files are in their turn at once.
const FILES_AT_ONCE: usize = 8;

/// How often files are looked after that need it because time passes.
const TICK: Duration = Duration::from_millis(500);

/// The files of one thread. A file is at home in `tails`, or away in its turn.
pub(super) struct Lane<D: Disk> {
    context: Rc<Context>,
    inbox: Arc<Inbox>,
    tails: HashMap<FileId, Box<Tail<D>>>,
    away: HashMap<FileId, Away>,
    turns: FuturesUnordered<LocalBoxFuture<'static, Turned<D>>>,
    /// Open files that have something to read.
    ready: Schedule,
    /// Files that would be ready if there were a descriptor for them.
    waiting: VecDeque<FileId>,
    /// Open files that were read to their ends, by when; the first ones are closed first.
    quiet: BTreeSet<(Instant, FileId)>,
    /// Files that were closed, and rest; that is told when there is room for it.
    resting: BTreeSet<FileId>,
    /// Tasks that are about to end.
    leaving: Vec<Leaving>,
    /// What is to be told of these; bounded by the files there were.
    telling: VecDeque<Told>,
    /// Files that something becomes of as time passes, such as deleted ones; a part of the open ones.
    minded: HashSet<FileId>,
    buffers: Vec<Vec<u8>>,
    /// How many files are open, at home and away.
    open: usize,
    /// Nobody takes blocks any more.
    closed: bool,
}

/// A file in its turn.
struct Away {
    task: Arc<str>,
    grant: Option<Grant>,
    progress: Arc<Progress>,
    since: Instant,
    /// Ends the turn early, for a file that is given up.
    halt: Rc<Notify>,
    held: Option<Held>,
    deleted: Option<Instant>,
    /// What the lane was told of the file meanwhile.
    later: Later,
}

impl<D: Disk> Lane<D> {
    pub(super) fn new(context: Context, rules: Rules, inbox: Arc<Inbox>) -> Self {
        Self {
            ready: Schedule::new(rules, context.quantum()),
            context: Rc::new(context),
            inbox,
            tails: HashMap::new(),
            away: HashMap::new(),
            turns: FuturesUnordered::new(),
            waiting: VecDeque::new(),
            quiet: BTreeSet::new(),
            resting: BTreeSet::new(),
            leaving: Vec::new(),
            telling: VecDeque::new(),
            minded: HashSet::new(),
            buffers: Vec::new(),
            open: 0,
            closed: false,
        }
    }

    /// Reads until it is told to stop, or until nobody takes blocks any more.
    pub(super) async fn run(mut self) {
        let stop = self.context.stop.clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() && !self.closed {
            for command in self.inbox.take() {
                self.obey(command);
            }
            self.begin_turns();
            self.context.meters.files.set((self.tails.len() + self.away.len()) as f64);
            self.rest(&mut tick).await;
        }
        // What was read goes out; nothing waits for the budget any more.
        while self.turns.next().await.is_some() {}
    }

    /// Waits until a turn ends, something is told, or time has passed that matters.
    async fn rest(&mut self, tick: &mut Interval) {
        let context = Rc::clone(&self.context);
        let minds_time = self.open > 0 || !self.waiting.is_empty();
        let due = self.ready.due().filter(|_| self.turns.len() < FILES_AT_ONCE);
        tokio::select! {
            biased;
            () = context.stop.cancelled() => (),
            _ = tick.tick(), if minds_time => self.tick(),
            Some(turned) = self.turns.next(), if !self.turns.is_empty() => {
                self.conclude(turned);
                // Those that ended together are followed by others together, in one submission.
                while let Some(Some(turned)) = self.turns.next().now_or_never() {
                    self.conclude(turned);
                }
            }
            () = self.inbox.wait() => (),
            room = context.room(), if !self.resting.is_empty() || !self.telling.is_empty() => self.tell_resting(room),
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => (),
        }
    }

    fn obey(&mut self, command: Command) {
        let id = match command {
            Command::Begin(task, rule) => return self.ready.begin(task, rule),
            Command::Dismiss(dismissal) => return self.dismiss(dismissal),
            // Whoever asked may have gone.
            Command::Describe(answer) => return drop(answer.send(self.describe())),
            Command::Add(ref assignment) => assignment.id,
            Command::Wake(id) | Command::Renamed(id, _) | Command::Deleted(id) => id,
        };
        if let Some(away) = self.away.get_mut(&id) {
            if let Command::Deleted(_) | Command::Renamed(..) = command {
                away.progress.lost_a_name();
            }
            if let Command::Deleted(_) = command {
                away.deleted = Some(Instant::now());
                self.minded.insert(id);
            }
            return away.later.note(command);
        }
        match command {
            Command::Add(assignment) => match self.tails.get_mut(&id) {
                Some(tail) => tail.revive(*assignment),
                None => drop(self.tails.insert(id, Box::new(Tail::new(*assignment, self.context.quantum())))),
            },
            Command::Wake(_) => self.wake(id),
            Command::Renamed(_, path) => {
                if let Some(tail) = self.tails.get_mut(&id) {
                    tail.from.progress.lost_a_name();
                    tail.rename(path);
                    self.wake(id);
                }
            }
            Command::Deleted(_) => self.deleted(id),
            // Obeyed above.
            Command::Begin(..) | Command::Dismiss(_) | Command::Describe(_) => (),
        }
    }

    /// One quantum for each of the first ready files.
    fn begin_turns(&mut self) {
        while self.turns.len() < FILES_AT_ONCE {
            let Some(grant) = self.ready.pop(Instant::now()) else { break };
            let id = grant.file;
            // A file that was given up is not there any more, or in line a second time.
            if !self.tails.get(&id).is_some_and(|tail| tail.queued && tail.is_open()) {
                self.ready.give_back(&grant, 0, Instant::now());
                continue;
            }
            let Some(tail) = self.tails.remove(&id) else { continue };
            let (halt, context) = (self.leave(&tail, Some(grant)), Rc::clone(&self.context));
            let buffer = self.buffers.pop().unwrap_or_default();
            self.turns.push(async move { tail.turn(buffer, &context, &halt).await }.boxed_local());
        }
    }

    /// Notes that a file is away from now on; what ends its turn early.
    fn leave(&mut self, tail: &Tail<D>, grant: Option<Grant>) -> Rc<Notify> {
        let halt = Rc::new(Notify::new());
        let away = Away {
            task: Arc::clone(&tail.from.task),
            grant,
            progress: Arc::clone(&tail.from.progress),
            since: Instant::now(),
            halt: Rc::clone(&halt),
            held: tail.held(),
            deleted: tail.deleted,
            later: Later::default(),
        };
        self.away.insert(tail.from.id, away);
        halt
    }

    /// Takes a file back after its turn.
    fn conclude(&mut self, turned: Turned<D>) {
        let Turned { mut tail, buffer, outcome } = turned;
        self.context.meters.reads.increment(1);
        let usual = self.context.quantum() + TailMark::BYTES_MAX;
        if (1..=usual).contains(&buffer.capacity()) && self.buffers.len() < FILES_AT_ONCE {
            self.buffers.push(buffer);
        }
        let id = tail.from.id;
        let away = self.away.remove(&id);
        if let Some(grant) = away.as_ref().and_then(|away| away.grant.as_ref()) {
            self.ready.give_back(grant, tail.sent, Instant::now());
        }
        if away.as_ref().is_some_and(|away| away.held.is_some()) && !tail.is_open() {
            self.open -= 1;
        }
        tail.queued = false;
        self.take_back(tail, outcome);
        let task = away.as_ref().filter(|away| self.is_leaving(&away.task)).map(|away| Arc::clone(&away.task));
        for command in away.into_iter().flat_map(|away| away.later.commands()) {
            self.obey(command);
        }
        if let Some(task) = task {
            match self.tails.contains_key(&id) {
                true => self.let_leave(id),
                false if !self.away.contains_key(&id) => self.left(&task),
                false => (),
            }
            self.end_leaving();
        }
        if !self.waiting.is_empty() {
            self.serve_waiting();
        }
    }

    /// Decides what becomes of a file after its turn, or after it could not be opened.
    fn take_back(&mut self, mut tail: Box<Tail<D>>, outcome: Outcome) {
        let id = tail.from.id;
        tail.queued = false;
        let again = matches!(outcome, Outcome::More);
        let gone = tail.deleted.is_some() && !tail.is_open();
        match outcome {
            Outcome::More => {
                tail.failed = None;
                if tail.from.progress.wants_sample() {
                    tail.see_size();
                }
            }
            Outcome::Quiet => {
                tail.failed = None;
                if !tail.unended {
                    tail.from.progress.caught_up();
                }
                if tail.needs_minding() {
                    self.minded.insert(id);
                } else if tail.is_open() {
                    let since = *tail.quiet.insert(tail.active);
                    self.quiet.insert((since, id));
                }
            }
            Outcome::Elsewhere => (),
            Outcome::Failed(error) => {
                self.close(&mut tail);
                tail.from.progress.stands(Standing::Failed);
                self.context.counters(&tail.from.task).failed.increment(1);
                if tail.failed.replace(error.kind()) != Some(error.kind()) {
                    warn!(
                        path = %tail.from.path.display(), error = %error,
                        "can't read the file; check its permissions, it is tried again when it changes and at each rescan"
                    );
                }
            }
            Outcome::Halted => {
                self.tails.insert(id, tail);
                return self.give_up(id);
            }
            Outcome::Over => return,
            Outcome::Closed => self.closed = true,
        }
        self.tails.insert(id, tail);
        if again {
            self.wake(id);
        } else if gone {
            self.give_up(id);
        }
    }
}
