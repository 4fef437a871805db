//! The tallies of tasks, and the metrics that tell of them.
//!
//! Lanes note in them what they read; whoever holds lines notes what became of them, through what is held itself. The
//! metrics of all tasks are set together, so that whoever scrapes them sees accounts that balance.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    metrics::{self, Counter, Gauge, list},
    record::{Account, Amount, Tally},
};

/// The tallies of all tasks, by name. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    tasks: Arc<Mutex<BTreeMap<Arc<str>, Told>>>,
}

/// A task's tally, and what of it the metrics say already.
#[derive(Debug)]
struct Told {
    tally: Arc<Tally>,
    told: Account,
    metrics: Metrics,
}

#[derive(Debug)]
struct Metrics {
    read: Counters,
    acknowledged: Counters,
    dead_lettered_lines: Counter,
    given_up_lines: Counter,
    in_flight_lines: Gauge,
}

#[derive(Debug)]
struct Counters {
    lines: Counter,
    bytes: Counter,
}

impl Tallies {
    /// The tally of a task, which is there from now on.
    #[must_use]
    pub fn of(&self, task: &Arc<str>) -> Arc<Tally> {
        let mut tasks = self.lock();
        if let Some(told) = tasks.get(task) {
            return Arc::clone(&told.tally);
        }
        let tally = Arc::new(Tally::default());
        let told = Told { tally: Arc::clone(&tally), told: Account::default(), metrics: Metrics::of(task) };
        tasks.insert(Arc::clone(task), told);
        tally
    }

    /// Forgets a task of which nothing is held; its metrics stay as they are.
    pub fn forget(&self, task: &str) {
        if let Some(mut told) = self.lock().remove(task) {
            metrics::together(|| told.tell());
        }
    }

    /// Sets the metrics of all tasks.
    pub fn tell(&self) {
        let mut tasks = self.lock();
        metrics::together(|| tasks.values_mut().for_each(Told::tell));
    }

    /// The map is whole between any two statements, so a panic elsewhere does not make it wrong.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Told>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn tell(&mut self) {
        let (now, told, metrics) = (self.tally.account(), self.told, &self.metrics);
        metrics.read.add(now.read, told.read);
        metrics.acknowledged.add(now.acknowledged, told.acknowledged);
        metrics.dead_lettered_lines.increment(now.dead_lettered.lines - told.dead_lettered.lines);
        metrics.given_up_lines.increment(now.given_up.lines - told.given_up.lines);
        metrics.in_flight_lines.set(now.in_flight.lines as f64);
        self.told = now;
    }
}

impl Metrics {
    fn of(task: &str) -> Self {
        let labels = &[task];
        let counters =
            |lines, bytes| Counters { lines: metrics::counter(lines, labels), bytes: metrics::counter(bytes, labels) };
        Self {
            read: counters(&list::READ_LINES, &list::READ_BYTES),
            acknowledged: counters(&list::ACKNOWLEDGED_LINES, &list::ACKNOWLEDGED_BYTES),
            dead_lettered_lines: metrics::counter(&list::DEAD_LETTERED_LINES, labels),
            given_up_lines: metrics::counter(&list::GIVEN_UP_LINES, labels),
            in_flight_lines: metrics::gauge(&list::IN_FLIGHT_LINES, labels),
        }
    }
}

impl Counters {
    /// Counts what came since `told`.
    fn add(&self, now: Amount, told: Amount) {
        self.lines.increment(now.lines - told.lines);
        self.bytes.increment(now.bytes - told.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Tallies;
    use crate::record::Outcome;

    #[test]
    fn a_task_has_one_tally_until_it_is_forgotten() {
        let (tallies, task) = (Tallies::default(), "nginx".into());
        let held = tallies.of(&task).read(2, 20);
        assert_eq!(tallies.clone().of(&task).account().in_flight.lines, 2);
        tallies.tell();
        held.end(Outcome::Acknowledged);
        tallies.forget(&task);
        assert_eq!(tallies.of(&task).account().read.lines, 0);
        tallies.tell();
    }
}
