//! The tally of a task: what was read, what became of it, and what is held in between.
//!
//! Lines are [`Held`] from the moment they are read. What is held travels with their bytes, is split and merged as
//! they are, and ends in exactly one outcome. A `Held` that is dropped without one is lines that nobody answers for: they are
//! held no longer and have no outcome, so that what was read is more than what there is of it. That can't happen
//! unless there is a defect, and it must not stay unseen.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::{Duration, Instant},
};

/// What was read of a task, and what became of it, since the process began.
#[derive(Debug, Default)]
pub struct Tally {
    read: Sum,
    acknowledged: Sum,
    dead_lettered: Sum,
    given_up: Sum,
    /// What was dropped without an outcome.
    lost: Sum,
}

/// Lines, and the bytes of the file that they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many lines; a part of a cut line counts as one.
    pub lines: u64,
    /// How many bytes of text, as they stood in the file.
    pub bytes: u64,
}

impl iter::Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Self {
        let add = |sum: Amount, one: Amount| Amount { lines: sum.lines + one.lines, bytes: sum.bytes + one.bytes };
        amounts.fold(Amount::default(), add)
    }
}

/// A tally at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What was read.
    pub read: Amount,
    /// What the sink has for good.
    pub acknowledged: Amount,
    /// What the sink refused for good, and what lies in the dead-letter topic instead.
    pub dead_lettered: Amount,
    /// What was let go, to be read again.
    pub given_up: Amount,
    /// What has no outcome yet.
    pub in_flight: Amount,
}

/// Lines of one task that were read and have no outcome yet.
#[derive(Debug)]
pub struct Held {
    amount: Amount,
    /// When the first of them was read.
    since: Instant,
    tally: Arc<Tally>,
}

/// What became of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has them for good.
    Acknowledged,
    /// The sink refused them for good, and they lie in the dead-letter topic.
    DeadLettered,
    /// They were let go, to be read again.
    GivenUp,
}

#[derive(Debug, Default)]
struct Sum {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// Notes that this was read just now, and has an outcome to come.
    #[must_use]
    pub fn read(self: &Arc<Self>, lines: u64, bytes: u64) -> Held {
        let amount = Amount { lines, bytes };
        self.read.add(amount);
        Held { amount, since: Instant::now(), tally: Arc::clone(self) }
    }

    /// How the account stands. What was read is what became of it and what is in flight, at every moment and whoever
    /// counts meanwhile, unless something was dropped without an outcome.
    #[must_use]
    pub fn account(&self) -> Account {
        let [acknowledged, dead_lettered, given_up] =
            [&self.acknowledged, &self.dead_lettered, &self.given_up].map(Sum::amount);
        let lost = self.lost.amount();
        // Last: whoever sees an outcome also sees that what it is of was read.
        let read = self.read.amount();
        let gone: Amount = [acknowledged, dead_lettered, given_up, lost].into_iter().sum();
        let in_flight =
            Amount { lines: read.lines.saturating_sub(gone.lines), bytes: read.bytes.saturating_sub(gone.bytes) };
        Account { read, acknowledged, dead_lettered, given_up, in_flight }
    }
}

impl Account {
    /// How many lines nobody answers for: what was read, without what became of it and what is in flight.
    #[must_use]
    pub fn missing_lines(&self) -> u64 {
        let known: Amount = [self.acknowledged, self.dead_lettered, self.given_up, self.in_flight].into_iter().sum();
        self.read.lines.saturating_sub(known.lines)
    }
}

impl Held {
    /// How much is held.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// How long ago the first of the lines was read.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Parts with this much, or with all if there is less.
    #[must_use]
    pub fn split(&mut self, lines: u64, bytes: u64) -> Held {
        let amount = Amount { lines: lines.min(self.amount.lines), bytes: bytes.min(self.amount.bytes) };
        self.amount.lines -= amount.lines;
        self.amount.bytes -= amount.bytes;
        Held { amount, since: self.since, tally: Arc::clone(&self.tally) }
    }

    /// Takes over what `other` holds, of the same task.
    pub fn merge(&mut self, mut other: Held) {
        debug_assert!(Arc::ptr_eq(&self.tally, &other.tally), "each task has one tally");
        let amount = std::mem::take(&mut other.amount);
        self.amount.lines += amount.lines;
        self.amount.bytes += amount.bytes;
        self.since = self.since.min(other.since);
    }

    /// A line among these was cut into two parts, which count as lines of their own from now on.
    pub fn cut_one(&mut self) {
        let part = Amount { lines: 1, bytes: 0 };
        self.tally.read.add(part);
        self.amount.lines += part.lines;
    }

    /// Ends it.
    pub fn end(mut self, outcome: Outcome) {
        let sum = match outcome {
            Outcome::Acknowledged => &self.tally.acknowledged,
            Outcome::DeadLettered => &self.tally.dead_lettered,
            Outcome::GivenUp => &self.tally.given_up,
        };
        sum.add(std::mem::take(&mut self.amount));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What was merged or ended holds nothing.
        if self.amount != Amount::default() {
            self.tally.lost.add(self.amount);
        }
    }
}

impl Sum {
    fn add(&self, amount: Amount) {
        self.lines.fetch_add(amount.lines, Release);
        self.bytes.fetch_add(amount.bytes, Release);
    }

    fn amount(&self) -> Amount {
        Amount { lines: self.lines.load(Acquire), bytes: self.bytes.load(Acquire) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{Account, Amount, Held, Outcome, Tally};

    /// What may happen to what is held.
    #[derive(Clone, Debug)]
    enum Step {
        Read(u64, u64),
        Split(usize, u64, u64),
        Merge(usize, usize),
        Cut(usize),
        End(usize, Outcome),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let outcome = prop_oneof![Just(Outcome::Acknowledged), Just(Outcome::DeadLettered), Just(Outcome::GivenUp)];
        let step = prop_oneof![
            (1..50_u64, 1..500_u64).prop_map(|(lines, bytes)| Step::Read(lines, bytes)),
            (any::<usize>(), 0..60_u64, 0..600_u64).prop_map(|(which, lines, bytes)| Step::Split(which, lines, bytes)),
            (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Step::Merge(one, other)),
            any::<usize>().prop_map(Step::Cut),
            (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        ];
        proptest::collection::vec(step, 0..200)
    }

    fn apply(step: Step, tally: &Arc<Tally>, held: &mut Vec<Held>) {
        let count = held.len();
        match step {
            Step::Read(lines, bytes) => held.push(tally.read(lines, bytes)),
            _ if count == 0 => (),
            Step::Split(which, lines, bytes) => {
                let part = held[which % count].split(lines, bytes);
                held.push(part);
            }
            Step::Merge(one, other) if one % count != other % count => {
                let one_at = one % count - usize::from(one % count > other % count);
                let other = held.remove(other % count);
                held[one_at].merge(other);
            }
            Step::Merge(..) => (),
            Step::Cut(which) => held[which % count].cut_one(),
            Step::End(which, outcome) => held.remove(which % count).end(outcome),
        }
    }

    proptest! {
        #[test]
        fn whatever_is_split_merged_cut_and_ended_the_account_balances_and_in_flight_is_what_is_held(steps in steps()) {
            let (tally, mut held) = (Arc::new(Tally::default()), Vec::new());
            for step in steps {
                apply(step, &tally, &mut held);
                let account = tally.account();
                let lines = held.iter().map(|held| held.amount().lines).sum::<u64>();
                let bytes = held.iter().map(|held| held.amount().bytes).sum::<u64>();
                prop_assert_eq!(account.in_flight, Amount { lines, bytes });
                prop_assert_eq!(account.missing_lines(), 0);
            }
            held.into_iter().for_each(|held| held.end(Outcome::Acknowledged));
            prop_assert_eq!(tally.account().in_flight, Amount::default());
        }
    }

    #[test]
    fn what_is_dropped_without_an_outcome_is_missing_from_the_account() {
        let tally = Arc::new(Tally::default());
        drop(tally.read(3, 30));
        tally.read(2, 20).end(Outcome::Acknowledged);
        let (read, acknowledged) = (Amount { lines: 5, bytes: 50 }, Amount { lines: 2, bytes: 20 });
        let account = tally.account();
        assert_eq!(account, Account { read, acknowledged, ..Account::default() });
        assert_eq!(account.missing_lines(), 3);
    }

    #[test]
    fn what_was_merged_is_as_old_as_the_older_half() {
        let tally = Arc::new(Tally::default());
        let mut old = tally.read(1, 1);
        old.since -= std::time::Duration::from_secs(60);
        let mut young = tally.read(1, 1);
        young.merge(old);
        assert!(young.age().as_secs() >= 60);
        young.end(Outcome::Acknowledged);
    }
}
