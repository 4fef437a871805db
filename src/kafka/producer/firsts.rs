//! The first record that a client sends to a partition goes alone; others of the partition wait for its answer.
//!
//! A broker that knows nothing of a producer takes its records from any sequence number on (KAFKA-15591). While it is
//! just becoming the leader it may refuse one request and take the next, which was right behind it; the one that is
//! sent again then comes after what it should come before. A broker that has taken one record knows which one is next,
//! as do those that follow it, and refuses any other. So one record goes alone where none was taken yet, and again
//! where the last one is old enough to be forgotten (`producer.id.expiration.ms`, a day unless it is set).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Outgoing;

/// After so long without a record, a partition is met anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// What waits for an answer to a partition's first record, in its order and with its numbers.
pub(super) type Waiting<T> = Vec<(u64, Outgoing<T>)>;

/// The partitions that a client sends to.
#[derive(Debug)]
pub(super) struct Firsts<T> {
    partitions: HashMap<(Arc<str>, i32), Partition<T>>,
    bytes: usize,
}

#[derive(Debug)]
enum Partition<T> {
    /// Its first record is under way.
    Met(Waiting<T>),
    /// It took a record. The last was sent then.
    Known(Instant),
}

/// What a record for a partition has to do.
#[derive(Debug)]
pub(super) enum Turn<T> {
    /// It goes, alone; its answer is to be told to [`Firsts::answered`].
    First(Outgoing<T>),
    /// It goes.
    Next(Outgoing<T>),
    /// It waits here for the answer to the first.
    Waits,
}

impl<T> Default for Firsts<T> {
    fn default() -> Self {
        Self { partitions: HashMap::new(), bytes: 0 }
    }
}

impl<T> Firsts<T> {
    /// Whether a record for a partition would have to wait.
    pub(super) fn is_met(&self, topic: &Arc<str>, partition: i32) -> bool {
        matches!(self.partitions.get(&(Arc::clone(topic), partition)), Some(Partition::Met(_)))
    }

    /// Says what a record for a partition has to do now, and keeps it if it has to wait.
    pub(super) fn turn(&mut self, partition: i32, number: u64, outgoing: Outgoing<T>, now: Instant) -> Turn<T> {
        let place = (Arc::clone(&outgoing.topic), partition);
        match self.partitions.get_mut(&place) {
            Some(Partition::Met(waiting)) => {
                self.bytes += outgoing.value.len();
                waiting.push((number, outgoing));
                Turn::Waits
            }
            Some(Partition::Known(sent_at)) if now < *sent_at + FORGOTTEN_AFTER => {
                *sent_at = now;
                Turn::Next(outgoing)
            }
            _ => {
                self.partitions.insert(place, Partition::Met(Vec::new()));
                Turn::First(outgoing)
            }
        }
    }

    /// Notes the answer for a partition's first record: whether the broker has dealt with it. Returns what waited.
    pub(super) fn answered(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        is_dealt_with: bool,
        now: Instant,
    ) -> Waiting<T> {
        let place = (Arc::clone(topic), partition);
        let before = match is_dealt_with {
            true => self.partitions.insert(place, Partition::Known(now)),
            false => self.partitions.remove(&place),
        };
        let Some(Partition::Met(waiting)) = before else { return Vec::new() };
        self.bytes -= waiting.iter().map(|(_, outgoing)| outgoing.value.len()).sum::<usize>();
        waiting
    }

    /// How many bytes wait, values only.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Another client sends from now on, whom no partition knows. What is under way is still answered.
    pub(super) fn forget(&mut self) {
        self.partitions.retain(|_, partition| matches!(partition, Partition::Met(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, FORGOTTEN_AFTER, Firsts, Instant, Outgoing, Turn};

    fn record() -> Outgoing<()> {
        let (topic, value, pieces) = (Arc::from("t"), vec![0; 10], Default::default());
        Outgoing { topic, partition: None, key: None, value, headers: vec![], pieces, ticket: () }
    }

    /// `f`irst, `n`ext or `w`aits.
    fn turn(firsts: &mut Firsts<()>, partition: i32, number: u64, now: Instant) -> char {
        match firsts.turn(partition, number, record(), now) {
            Turn::First(_) => 'f',
            Turn::Next(_) => 'n',
            Turn::Waits => 'w',
        }
    }

    #[test]
    fn of_each_partition_the_first_record_goes_alone_and_when_it_is_dealt_with_all_go() {
        let (mut firsts, topic, now) = (Firsts::default(), Arc::from("t"), Instant::now());
        let turns = [(0, 1), (0, 2), (1, 3), (0, 4)].map(|(at, number)| turn(&mut firsts, at, number, now));
        assert_eq!((turns, firsts.bytes()), (['f', 'w', 'f', 'w'], 20));
        let waited = firsts.answered(&topic, 0, true, now);
        assert_eq!(waited.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 4]);
        let turns = [(0, 5), (0, 6), (1, 7)].map(|(at, number)| turn(&mut firsts, at, number, now));
        assert_eq!((turns, firsts.bytes()), (['n', 'n', 'w'], 10));
    }

    #[test]
    fn where_none_was_dealt_with_or_long_ago_or_for_another_client_one_goes_alone_again() {
        let (mut firsts, topic, now) = (Firsts::default(), Arc::from("t"), Instant::now());
        assert_eq!(turn(&mut firsts, 0, 1, now), 'f');
        firsts.answered(&topic, 0, false, now);
        assert_eq!(turn(&mut firsts, 0, 2, now), 'f');
        firsts.answered(&topic, 0, true, now);
        assert_eq!(turn(&mut firsts, 0, 3, now + FORGOTTEN_AFTER / 2), 'n');
        assert_eq!(turn(&mut firsts, 0, 4, now + FORGOTTEN_AFTER), 'n', "it was used since");
        let later = now + 2 * FORGOTTEN_AFTER;
        assert_eq!([5, 6].map(|number| turn(&mut firsts, 0, number, later)), ['f', 'w']);
        firsts.forget();
        assert_eq!(turn(&mut firsts, 0, 7, later), 'w', "what is under way is still answered");
        assert_eq!(firsts.answered(&topic, 0, true, later).len(), 2);
        firsts.forget();
        assert_eq!(turn(&mut firsts, 0, 8, later), 'f');
    }
}
