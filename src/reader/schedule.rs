//! Whose turn it is: files in line, the rates that hold some of them back, and the order by age.
//!
//! Each file that has something to read stands in one line, so a hot file does not starve a thousand. The files of
//! a task with a rate or an order of its own stand in the line by a ticket of their task's: who is read is decided
//! when the ticket's turn comes. A ticket that may not be used yet is put aside, and nobody behind it waits for it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use super::{Task, rate::Bucket};
use crate::{
    metrics::{self, Histogram, list},
    record::FileId,
};

/// What holds files back, shared by the lanes.
#[derive(Clone, Default)]
pub(super) struct Rules {
    all: Option<Arc<Bucket>>,
    tasks: HashMap<Arc<str>, Rule>,
}

/// What holds the files of a task back.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    bucket: Option<Arc<Bucket>>,
    oldest_first: bool,
}

impl Rules {
    /// The rules of `tasks`, and of all of them together, for reads of up to `read_bytes`.
    pub(super) fn new(rate: Option<u64>, tasks: &[Task], read_bytes: usize) -> Self {
        let rules = tasks.iter().filter_map(|task| Some((Arc::clone(&task.name), Rule::of(task, read_bytes)?)));
        Self { all: bucket(rate, read_bytes), tasks: rules.collect() }
    }
}

impl Rule {
    /// The rule of a task, for reads of up to `read_bytes`; none if nothing holds it back.
    pub(super) fn of(task: &Task, read_bytes: usize) -> Option<Self> {
        let is_special = task.rate.is_some() || task.oldest_first;
        is_special.then(|| Self { bucket: bucket(task.rate, read_bytes), oldest_first: task.oldest_first })
    }
}

fn bucket(rate: Option<u64>, read_bytes: usize) -> Option<Arc<Bucket>> {
    rate.map(|rate| Arc::new(Bucket::new(rate, read_bytes, Instant::now())))
}

/// The line of one lane.
pub(super) struct Schedule {
    line: VecDeque<Place>,
    all: Option<Gate>,
    own: Vec<Own>,
    /// The tasks that have tickets, as positions in `own`.
    tasks: HashMap<Arc<str>, usize>,
    /// How many bytes a turn is for.
    quantum: usize,
    queued: u64,
}

/// Leave to read once; to be given back when the turn is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) file: FileId,
    own: Option<usize>,
}

enum Place {
    File(FileId),
    Ticket(usize),
}

/// The files of a task that have tickets.
struct Own {
    gate: Option<Gate>,
    oldest_first: bool,
    /// By age if the order is by age, and by when they came.
    files: BTreeMap<(i64, u64), FileId>,
    /// How many tickets are put aside.
    aside: usize,
    /// With an order by age, a file of the task is in its turn, and the next is to wait for it.
    is_away: bool,
    /// How many grants were not given back.
    out: usize,
}

/// A rate, and since when someone waits for it.
struct Gate {
    bucket: Arc<Bucket>,
    closed: Option<Closed>,
    waited: Histogram,
}

#[derive(Clone, Copy)]
struct Closed {
    since: Instant,
    until: Instant,
}

impl Schedule {
    pub(super) fn new(rules: Rules, quantum: usize) -> Self {
        let all = rules.all.map(|bucket| Gate::new(bucket, ""));
        let (own, tasks) = (Vec::new(), HashMap::new());
        let mut schedule = Self { line: VecDeque::new(), all, own, tasks, quantum, queued: 0 };
        for (task, rule) in rules.tasks {
            schedule.begin(task, rule);
        }
        schedule
    }

    /// From now on the files of a task stand in line by its rule. One that ended before left its place if none of its
    /// files stands in line any more.
    pub(super) fn begin(&mut self, task: Arc<str>, Rule { bucket, oldest_first }: Rule) {
        let gate = bucket.map(|bucket| Gate::new(bucket, &task));
        let own = Own { gate, oldest_first, files: BTreeMap::new(), aside: 0, is_away: false, out: 0 };
        let is_left = |(index, own): &(usize, &Own)| {
            own.files.is_empty() && own.out == 0 && !self.tasks.values().any(|used| used == index)
        };
        let left = self.own.iter().enumerate().find(is_left).map(|(index, _)| index);
        match left {
            Some(index) => self.own[index] = own,
            None => self.own.push(own),
        }
        self.tasks.insert(task, left.unwrap_or(self.own.len() - 1));
    }

    /// The files of a task stand in line like all others from now on.
    pub(super) fn end(&mut self, task: &str) {
        if let Some(index) = self.tasks.remove(task) {
            // Those that are in line wait for nothing more.
            self.own[index].gate = None;
        }
    }

    /// Puts a file in line; `born_ns` is its age, where a task reads the oldest first.
    pub(super) fn push(&mut self, file: FileId, task: &Arc<str>, born_ns: i64) {
        let Some(index) = self.tasks.get(task) else { return self.line.push_back(Place::File(file)) };
        self.queued += 1;
        let own = &mut self.own[*index];
        let age = if own.oldest_first { born_ns } else { 0 };
        own.files.insert((age, self.queued), file);
        self.line.push_back(Place::Ticket(*index));
    }

    /// How many stand in line, or would if their task's rate allowed it.
    pub(super) fn len(&self) -> usize {
        self.line.len() + self.own.iter().map(|own| own.aside).sum::<usize>()
    }

    /// Whose turn it is now; none if nobody's, or if all have to wait.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Grant> {
        loop {
            self.take_up(now);
            let place = self.line.pop_front()?;
            if let Place::Ticket(index) = place {
                let own = &mut self.own[index];
                if own.is_away || !pass(&mut own.gate, self.quantum, now) {
                    own.aside += 1;
                    continue;
                }
            }
            if !pass(&mut self.all, self.quantum, now) {
                if let Place::Ticket(index) = place {
                    settle(&self.own[index].gate, self.quantum, 0, now);
                }
                self.line.push_front(place);
                return None;
            }
            return Some(match place {
                Place::File(file) => Grant { file, own: None },
                Place::Ticket(index) => {
                    let own = &mut self.own[index];
                    // There is a file for each ticket.
                    let (_, file) = own.files.pop_first()?;
                    own.is_away = own.oldest_first;
                    own.out += 1;
                    Grant { file, own: Some(index) }
                }
            });
        }
    }

    /// Takes a grant back; the turn sent so many bytes.
    pub(super) fn give_back(&mut self, grant: &Grant, sent: usize, now: Instant) {
        settle(&self.all, self.quantum, sent, now);
        if let Some(own) = grant.own.and_then(|index| self.own.get_mut(index)) {
            settle(&own.gate, self.quantum, sent, now);
            own.is_away = false;
            own.out = own.out.saturating_sub(1);
        }
    }

    /// When someone who waits for a rate may go on.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.own.iter().filter(|own| own.aside > 0 && !own.is_away);
        let own = waiting.filter_map(|own| own.gate.as_ref()?.closed);
        let all = self.all.as_ref().filter(|_| !self.line.is_empty()).and_then(|gate| gate.closed);
        own.chain(all).map(|closed| closed.until).min()
    }

    /// Puts a ticket of each task whose files may go on back in line; the next one follows when it was used.
    fn take_up(&mut self, now: Instant) {
        for (index, own) in self.own.iter_mut().enumerate() {
            let is_open = own.gate.as_ref().is_none_or(|gate| gate.is_open(now));
            if own.aside > 0 && !own.is_away && is_open {
                own.aside -= 1;
                self.line.push_back(Place::Ticket(index));
            }
        }
    }
}

impl Gate {
    fn new(bucket: Arc<Bucket>, task: &str) -> Self {
        Self { bucket, closed: None, waited: metrics::histogram(&list::RATE_WAIT_SECONDS, &[task]) }
    }

    fn is_open(&self, now: Instant) -> bool {
        self.closed.is_none_or(|closed| closed.until <= now)
    }
}

/// Takes a turn's bytes, if there is a gate; false if it is closed.
fn pass(gate: &mut Option<Gate>, bytes: usize, now: Instant) -> bool {
    let Some(gate) = gate else { return true };
    if !gate.is_open(now) {
        return false;
    }
    match gate.bucket.take(bytes, now) {
        Ok(()) => {
            if let Some(closed) = gate.closed.take() {
                gate.waited.record(now.saturating_duration_since(closed.since));
            }
            true
        }
        Err(wait) => {
            let since = gate.closed.map_or(now, |closed| closed.since);
            gate.closed = Some(Closed { since, until: now + wait });
            false
        }
    }
}

/// Pays for what a turn sent instead of what it was for.
fn settle(gate: &Option<Gate>, taken: usize, sent: usize, now: Instant) {
    if let Some(gate) = gate {
        gate.bucket.settle(taken, sent, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::{Rules, Schedule};
    use crate::{reader::Task, record::FileId};

    fn task(name: &str, rate: Option<u64>, oldest_first: bool) -> Task {
        Task { rate, oldest_first, ..Task::new(name, Vec::new()) }
    }

    fn schedule(rate: Option<u64>, tasks: &[Task]) -> Schedule {
        Schedule::new(Rules::new(rate, tasks, 100), 100)
    }

    /// The turns that can be had now, each of so many bytes; files that had one stand in line again.
    fn turns(schedule: &mut Schedule, count: usize, sent: usize, now: Instant, tasks: &[(u128, &Task)]) -> Vec<u128> {
        let mut turns = Vec::new();
        while let Some(grant) = (turns.len() < count).then(|| schedule.pop(now)).flatten() {
            schedule.give_back(&grant, sent, now);
            let (id, task) = tasks.iter().find(|(id, _)| FileId(*id) == grant.file).expect("it was in line");
            schedule.push(grant.file, &task.name, *id as i64);
            turns.push(*id);
        }
        turns
    }

    #[test]
    fn files_take_turns_and_those_with_a_rate_make_nobody_wait() {
        let (free, slow) = (task("free", None, false), task("slow", Some(200), false));
        let mut schedule = schedule(None, &[free.clone(), slow.clone()]);
        let now = Instant::now();
        let all = [(1, &slow), (2, &free), (3, &slow), (4, &free)];
        for (id, task) in all {
            schedule.push(FileId(id), &task.name, 0);
        }
        assert_eq!(turns(&mut schedule, 10, 100, now, &all), [1, 2, 3, 4, 2, 4, 2, 4, 2, 4], "a burst, then nothing");
        assert!(schedule.due().is_some_and(|due| due > now));
        let later = now + Duration::from_millis(600);
        let slow = turns(&mut schedule, 10, 100, later, &all).into_iter().filter(|id| *id % 2 == 1).count();
        assert_eq!(slow, 2, "120 bytes came: one turn, and one that is paid for later");
    }

    #[test]
    fn the_oldest_file_is_read_to_its_end_before_the_next_one_of_its_task() {
        let (free, old) = (task("free", None, false), task("old", None, true));
        let mut schedule = schedule(None, &[free.clone(), old.clone()]);
        let now = Instant::now();
        for id in [7, 5, 6] {
            schedule.push(FileId(id), &old.name, id as i64);
        }
        schedule.push(FileId(1), &free.name, 0);
        let first = schedule.pop(now).expect("ready");
        assert_eq!(first.file, FileId(5));
        assert_eq!(schedule.pop(now).expect("ready").file, FileId(1), "another task's goes on");
        assert_eq!(schedule.pop(now), None, "the next one waits until the oldest is back");
        schedule.give_back(&first, 100, now);
        schedule.push(FileId(5), &old.name, 5);
        let again = schedule.pop(now).expect("ready");
        assert_eq!(again.file, FileId(5));
        schedule.give_back(&again, 10, now);
        let next = schedule.pop(now).expect("the oldest was read to its end");
        assert_eq!(next.file, FileId(6));
        schedule.give_back(&next, 10, now);
        assert_eq!(schedule.pop(now).map(|grant| grant.file), Some(FileId(7)));
    }

    #[test]
    fn the_rate_of_all_tasks_holds_everyone_back_and_what_was_not_read_is_not_paid_for() {
        let free = task("free", None, false);
        let mut schedule = schedule(Some(1000), std::slice::from_ref(&free));
        let now = Instant::now();
        schedule.push(FileId(1), &free.name, 0);
        assert_eq!(turns(&mut schedule, 100, 10, now, &[(1, &free)]).len(), 100, "100 turns of 10 bytes");
        assert!(turns(&mut schedule, 100, 10, now, &[(1, &free)]).is_empty());
        let due = schedule.due().expect("it waits");
        assert!(due > now && due < now + Duration::from_millis(10));
        assert!(!turns(&mut schedule, 100, 10, due + Duration::from_millis(1), &[(1, &free)]).is_empty());
    }

    proptest! {
        /// Whatever the rules, every file in line has its turn, and files without rules are never held back.
        #[test]
        fn everyone_has_a_turn(
            kinds in proptest::collection::vec(0_usize..4, 1..40),
            sent in 1_usize..150,
        ) {
            let tasks = [
                task("free", None, false), task("slow", Some(500), false),
                task("old", None, true), task("both", Some(500), true),
            ];
            let mut schedule = schedule(None, &tasks);
            let mut now = Instant::now();
            for (id, kind) in kinds.iter().enumerate() {
                schedule.push(FileId(id as u128), &tasks[*kind].name, -(id as i64));
            }
            let mut seen = Vec::new();
            while seen.len() < kinds.len() {
                match schedule.pop(now) {
                    Some(grant) => {
                        prop_assert!(!seen.contains(&grant.file.0), "nobody has a second turn");
                        schedule.give_back(&grant, sent, now);
                        seen.push(grant.file.0);
                    }
                    None => {
                        let free = (0..kinds.len()).filter(|id| kinds[*id] == 0);
                        prop_assert!(free.map(|id| id as u128).all(|id| seen.contains(&id)));
                        let due = schedule.due();
                        prop_assert!(due.is_some(), "someone may go on at some time");
                        now = due.into_iter().fold(now, Instant::max) + Duration::from_micros(1);
                    }
                }
            }
            for kind in [2, 3] {
                let order: Vec<u128> = seen.iter().copied().filter(|id| kinds[*id as usize] == kind).collect();
                prop_assert!(order.is_sorted_by(|a, b| a > b), "oldest first");
            }
            prop_assert!(schedule.pop(now).is_none() && schedule.due().is_none());
        }
    }
}
