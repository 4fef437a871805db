//! The letters that a topic holds, looked through from the newest to the oldest.
//!
//! A letter's `replayed` record lies behind it in its partition, so whoever reads backwards meets it first, or in the
//! same window. Bounded: what is kept is the letters of one window, the newest that are wanted, and the places of the
//! letters that were replayed and not met yet.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::{ControlFlow, Range},
};

use jiff::Timestamp;

use crate::{
    kafka::{self, KafkaError, Past, Reach, Settings},
    letter::{Kind, Position, Summary},
};

/// How far back a topic is looked through.
const REACH: Reach = Reach { records_max: 5_000_000, bytes_max: 16 << 30 };
/// Names of reasons that are counted each by its own.
const REASONS_MAX: usize = 1000;
/// Letters that are no farther apart than this are read in one go.
const GAP_MAX: i64 = 1000;

/// Which letters are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that were not written before this.
    pub since: Option<Timestamp>,
    /// Those of this task.
    pub task: Option<String>,
    /// Those with this `reason_type`, or with this text in their `reason`.
    pub reason: Option<String>,
    /// Those that were replayed already, too.
    pub replayed: bool,
}

impl Filter {
    fn takes(&self, letter: &Summary) -> bool {
        let reason = self.reason.as_ref();
        self.since.is_none_or(|since| letter.time >= since)
            && self.task.as_ref().is_none_or(|task| letter.task.as_ref() == Some(task))
            && reason.is_none_or(|reason| letter.reason_type == *reason || letter.reason.contains(reason.as_str()))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Shelf {
    /// The newest of those that are wanted, the newest first.
    pub newest: Vec<(Position, Summary)>,
    /// How many are wanted, by the reason's name.
    pub reasons: BTreeMap<String, u64>,
    /// How many would be wanted, had they not been replayed.
    pub replayed: u64,
    /// Records of the topic that are neither letters nor `replayed`, or of a format that is not known here.
    pub strange: u64,
    /// Whether all of the topic was looked through.
    pub is_whole: bool,
}

impl Shelf {
    /// How many are wanted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.reasons.values().sum()
    }
}

/// Looks through the letters in `topic`, and keeps the newest `limit` of those that are wanted. It blocks.
///
/// # Errors
/// Those of [`kafka::newest`].
pub fn list(settings: &Settings, topic: &str, filter: &Filter, limit: usize) -> Result<Shelf, KafkaError> {
    let mut look =
        Look { filter, limit, window: Vec::new(), at: None, replayed: HashSet::new(), shelf: Shelf::default() };
    let extent = kafka::newest(settings, topic, REACH, |past| look.take(&past))?;
    Ok(Shelf { is_whole: extent.is_whole, ..look.end() })
}

/// Reads what lies at some positions, in their order, until `show` wants no more. It blocks.
///
/// # Errors
/// Those of [`kafka::within`].
pub fn find(
    settings: &Settings,
    topic: &str,
    positions: &BTreeSet<Position>,
    mut show: impl FnMut(Position, Vec<u8>) -> ControlFlow<()>,
) -> Result<(), KafkaError> {
    kafka::within(settings, topic, &ranges(positions), |past| {
        let position = Position { partition: past.partition, offset: past.offset };
        match past.value {
            Some(value) if positions.contains(&position) => show(position, value),
            _ => ControlFlow::Continue(()),
        }
    })
}

/// Ranges that hold all positions, and not much else.
fn ranges(positions: &BTreeSet<Position>) -> Vec<(i32, Range<i64>)> {
    let mut ranges: Vec<(i32, Range<i64>)> = Vec::new();
    for Position { partition, offset } in positions {
        match ranges.last_mut() {
            Some((last, range)) if last == partition && offset - range.end < GAP_MAX => range.end = offset + 1,
            _ => ranges.push((*partition, *offset..offset + 1)),
        }
    }
    ranges
}

/// Looking through a topic.
struct Look<'a> {
    filter: &'a Filter,
    limit: usize,
    /// The letters of the window at hand.
    window: Vec<(Position, Summary)>,
    /// The last record that was shown; offsets grow within a window.
    at: Option<Position>,
    replayed: HashSet<Position>,
    shelf: Shelf,
}

impl Look<'_> {
    fn take(&mut self, past: &Past) {
        let position = Position { partition: past.partition, offset: past.offset };
        if self.at.replace(position).is_some_and(|before| position < before || position.partition != before.partition) {
            self.close_window();
        }
        match past.value.as_deref().map(Summary::read) {
            // A tombstone, of which compaction leaves nothing either.
            None => (),
            Some(None) => self.shelf.strange += 1,
            Some(Some(Summary { kind: Kind::Replayed, replayed, .. })) => self.replayed.extend(replayed),
            Some(Some(letter)) => self.window.push((position, letter)),
        }
    }

    fn close_window(&mut self) {
        for (position, letter) in self.window.drain(..) {
            let was_replayed = self.replayed.remove(&position);
            if !self.filter.takes(&letter) {
                continue;
            }
            self.shelf.replayed += u64::from(was_replayed);
            if was_replayed && !self.filter.replayed {
                continue;
            }
            let known = self.shelf.reasons.len();
            let name = &letter.reason_type;
            let is_counted = known < REASONS_MAX || self.shelf.reasons.contains_key(name);
            let name = if is_counted { name.clone() } else { "others".to_owned() };
            *self.shelf.reasons.entry(name).or_default() += 1;
            self.shelf.newest.push((position, letter));
        }
        if self.shelf.newest.len() >= self.limit.saturating_mul(2) {
            self.keep_newest();
        }
    }

    fn keep_newest(&mut self) {
        self.shelf.newest.sort_by(|(a, first), (b, second)| (second.time, b).cmp(&(first.time, a)));
        self.shelf.newest.truncate(self.limit);
    }

    fn end(mut self) -> Shelf {
        self.close_window();
        self.keep_newest();
        self.shelf
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, Filter, HashSet, Look, Past, Position, Shelf, ranges};

    fn past(partition: i32, offset: i64, value: &str) -> Past {
        Past { partition, offset, value: Some(value.as_bytes().to_vec()), ..Past::default() }
    }

    fn letter(second: u8, reason: &str, task: &str) -> String {
        format!(
            r#"{{"version":1,"time":"2026-01-01T00:00:{second:02}Z","kind":"document","reason_type":"{reason}","reason":"why {second}","task":"{task}","document":{{}}}}"#
        )
    }

    fn replayed(partition: i32, offset: i64) -> String {
        format!(
            r#"{{"version":1,"time":"2026-01-01T00:01:00Z","kind":"replayed","letter":{{"partition":{partition},"offset":{offset}}},"outcome":"created"}}"#
        )
    }

    fn look(filter: &Filter, limit: usize, records: &[Past]) -> Shelf {
        let mut look =
            Look { filter, limit, window: Vec::new(), at: None, replayed: HashSet::new(), shelf: Shelf::default() };
        records.iter().for_each(|past| look.take(past));
        look.end()
    }

    /// As they are shown: partition by partition, later windows first, in order within each.
    fn topic() -> Vec<Past> {
        vec![
            past(0, 4, &letter(5, "a", "web")),
            past(0, 5, &replayed(0, 4)),
            past(0, 6, &replayed(0, 1)),
            past(0, 0, &letter(1, "a", "web")),
            past(0, 1, &letter(2, "b", "web")),
            past(0, 2, "something else"),
            past(1, 1, &letter(9, "b", "db")),
        ]
    }

    fn places(shelf: &Shelf) -> Vec<String> {
        shelf.newest.iter().map(|(position, _)| position.to_string()).collect()
    }

    #[test]
    fn letters_that_were_replayed_are_left_out_and_the_newest_come_first() {
        let shelf = look(&Filter::default(), 10, &topic());
        assert_eq!(places(&shelf), ["1:1", "0:0"]);
        assert_eq!((shelf.count(), shelf.replayed, shelf.strange), (2, 2, 1));
        let all = look(&Filter { replayed: true, ..Filter::default() }, 10, &topic());
        assert_eq!(places(&all), ["1:1", "0:4", "0:1", "0:0"]);
    }

    #[test]
    fn all_that_are_wanted_are_counted_and_no_more_than_the_limit_kept() {
        let shelf = look(&Filter { replayed: true, ..Filter::default() }, 1, &topic());
        assert_eq!((places(&shelf), shelf.count()), (vec!["1:1".to_owned()], 4));
        assert_eq!(shelf.reasons, [("a".to_owned(), 2), ("b".to_owned(), 2)].into());
    }

    #[test]
    fn a_filter_takes_what_fits_in_all_ways() {
        let of = |filter: Filter| places(&look(&Filter { replayed: true, ..filter }, 10, &topic()));
        let since = Some("2026-01-01T00:00:05Z".parse().expect("a time"));
        assert_eq!(of(Filter { since, ..Filter::default() }), ["1:1", "0:4"]);
        assert_eq!(of(Filter { since, task: Some("web".to_owned()), ..Filter::default() }), ["0:4"]);
        assert_eq!(of(Filter { reason: Some("b".to_owned()), ..Filter::default() }), ["1:1", "0:1"]);
        assert_eq!(of(Filter { reason: Some("why 1".to_owned()), ..Filter::default() }), ["0:0"]);
    }

    #[test]
    fn what_lies_close_together_is_read_in_one_go() {
        let positions: BTreeSet<Position> =
            [(0, 1), (0, 5), (0, 5000), (1, 5001)].map(|(partition, offset)| Position { partition, offset }).into();
        assert_eq!(ranges(&positions), [(0, 1..6), (0, 5000..5001), (1, 5001..5002)]);
    }
}
