//! Records that Kafka did not take yet, in the order in which they were first sent.
//!
//! While a topic holds a record, every later record for the topic lines up behind it, so a refusal never changes
//! the order. A topic that refuses is left alone for a while, longer each time; other topics go on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Outgoing, firsts::Firsts};

/// How long a topic is left alone after the first refusal; twice as long after each further one.
const DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest time that a topic is left alone.
const DELAY_MAX: Duration = Duration::from_secs(10);

/// The records that wait, by topic.
#[derive(Debug)]
pub(super) struct Held<T> {
    topics: HashMap<Arc<str>, Queue<T>>,
    bytes: usize,
    /// What waits for an answer, and was not refused.
    pub(super) firsts: Firsts<T>,
}

#[derive(Debug)]
struct Queue<T> {
    /// By the number that says in which order the records were first sent.
    records: BTreeMap<u64, Outgoing<T>>,
    again_at: Instant,
    delay: Duration,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { topics: HashMap::new(), bytes: 0, firsts: Firsts::default() }
    }
}

impl<T> Held<T> {
    /// Whether a new record for `topic` has to line up.
    pub(super) fn holds(&self, topic: &str) -> bool {
        self.topics.get(topic).is_some_and(|queue| !queue.records.is_empty())
    }

    /// How many bytes wait, values only.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.firsts.bytes()
    }

    /// Whether no topic was refused since it last succeeded.
    pub(super) fn is_calm(&self) -> bool {
        self.topics.is_empty()
    }

    /// Lines up a record behind those that were sent before it.
    pub(super) fn line_up(&mut self, number: u64, outgoing: Outgoing<T>, now: Instant) {
        self.bytes += outgoing.value.len();
        let queue = self.topics.entry(Arc::clone(&outgoing.topic)).or_insert_with(|| Queue {
            records: BTreeMap::new(),
            again_at: now,
            delay: Duration::ZERO,
        });
        queue.records.insert(number, outgoing);
    }

    /// Notes the answer for the first record of a partition, and lines up what waited for it, to be sent at once.
    /// Returns whether anything did.
    pub(super) fn first_answered(&mut self, topic: &Arc<str>, partition: i32, is_dealt_with: bool) -> bool {
        let now = Instant::now();
        let waiting = self.firsts.answered(topic, partition, is_dealt_with, now);
        let any = !waiting.is_empty();
        waiting.into_iter().for_each(|(number, outgoing)| self.line_up(number, outgoing, now));
        any
    }

    /// Leaves `topic` alone for a while, because it refused a record. Refusals that arrive during that time
    /// belong to the same incident and don't make it longer.
    pub(super) fn leave_alone(&mut self, topic: &str, now: Instant) {
        if let Some(queue) = self.topics.get_mut(topic)
            && queue.again_at <= now
        {
            queue.delay = (queue.delay * 2).clamp(DELAY_MIN, DELAY_MAX);
            queue.again_at = now + queue.delay;
        }
    }

    /// The topics that may be tried again.
    pub(super) fn due(&self, now: Instant) -> Vec<Arc<str>> {
        let due = self.topics.iter().filter(|(_, queue)| queue.again_at <= now && !queue.records.is_empty());
        due.map(|(topic, _)| Arc::clone(topic)).collect()
    }

    /// Takes the first record that waits for `topic`.
    pub(super) fn pop(&mut self, topic: &str) -> Option<(u64, Outgoing<T>)> {
        let (number, outgoing) = self.topics.get_mut(topic)?.records.pop_first()?;
        self.bytes -= outgoing.value.len();
        Some((number, outgoing))
    }

    /// Notes that `topic` took a record: if none waits, the next refusal is a first one again.
    pub(super) fn succeeded(&mut self, topic: &str) {
        if !self.holds(topic) {
            self.topics.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DELAY_MAX, DELAY_MIN, Duration, Held, Instant, Outgoing};

    fn record(topic: &str, value: &str) -> Outgoing<()> {
        Outgoing {
            topic: topic.into(),
            partition: None,
            key: None,
            value: value.into(),
            headers: vec![],
            pieces: Default::default(),
            ticket: (),
        }
    }

    #[test]
    fn records_wait_in_the_order_in_which_they_were_first_sent_whatever_the_order_of_refusals() {
        let (mut held, now) = (Held::default(), Instant::now());
        for number in [3, 1, 2] {
            held.line_up(number, record("a", "four"), now);
        }
        assert!(held.holds("a") && !held.holds("b") && held.bytes() == 12);
        let order: Vec<u64> = std::iter::from_fn(|| held.pop("a")).map(|(number, _)| number).collect();
        assert_eq!((order, held.bytes(), held.holds("a")), (vec![1, 2, 3], 0, false));
    }

    #[test]
    fn a_topic_that_refuses_is_left_alone_longer_each_time_and_one_incident_counts_once() {
        let (mut held, mut now) = (Held::default(), Instant::now());
        held.line_up(1, record("a", "x"), now);
        held.line_up(2, record("b", "x"), now);
        held.leave_alone("a", now);
        held.leave_alone("a", now);
        assert_eq!(held.due(now), vec!["b".into()]);
        assert!(held.due(now + DELAY_MIN).contains(&"a".into()));
        for _ in 0..20 {
            now += DELAY_MAX;
            held.leave_alone("a", now);
        }
        assert!(!held.due(now + DELAY_MAX - Duration::from_millis(1)).contains(&"a".into()));
        held.pop("a");
        held.succeeded("a");
        held.pop("b");
        held.succeeded("b");
        assert!(held.is_calm());
    }
}
