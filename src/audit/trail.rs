//! What Kafka's records say of each stream: which bytes they hold, how many messages begin there, and what became of the
//! records. Pure: nothing here asks anyone.
//!
//! What is adjacent and alike is kept as one stretch of up to [`GRAIN`] messages, so memory depends on how much was
//! written far less than on how many files there are, and there is a limit to it.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
};

use crate::{batcher::outline::Told, record::Stream};

/// The most messages of a stretch that was joined: as many as a store lists at once.
pub(super) const GRAIN: u64 = 10_000;
/// The most bytes of records' values that have to be read again for a stretch that was joined.
const WIRE_BYTES_MAX: u64 = 32 << 20;
/// The most stretches that are kept.
pub(super) const STRETCHES_MAX: usize = 1_000_000;
/// The names of a file that are kept; one that is rotated has a few.
const PATHS_MAX: usize = 16;

/// What became of a record; of two, the later one says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// The transfer has not committed it.
    UnderWay,
    /// It is a dead letter as a whole.
    Dead,
    /// The transfer is done with it.
    Settled,
}

/// Which records hold a stretch: some of those between the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The topic, by its number in the audit.
    pub(super) topic: usize,
    pub(super) partition: i32,
    pub(super) first: i64,
    pub(super) last: i64,
    /// How many bytes the values of those have that hold the stretch.
    pub(super) bytes: u64,
}

/// Bytes of a stream that records hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Where it ends.
    pub(super) end: u64,
    /// How many messages begin in it; none if only the text can tell.
    pub(super) messages: Option<u64>,
    pub(super) fate: Fate,
    /// Whether the bytes are known, and not only where the messages begin.
    pub(super) is_exact: bool,
    /// Where the text is; none if it is not in the topic.
    pub(super) place: Option<Place>,
}

/// Adjacent stretches with one fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) messages: Option<u64>,
    pub(super) fate: Fate,
}

/// A stream, as the records tell of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    pub(super) task: Arc<str>,
    /// The names of its file, the first ones.
    pub(super) paths: Vec<PathBuf>,
    /// By where they begin; disjoint.
    pub(super) stretches: BTreeMap<u64, Stretch>,
}

/// All streams.
#[derive(Debug, Default)]
pub(super) struct Trails {
    pub(super) streams: HashMap<Stream, Trail>,
    stretches: usize,
}

/// There are more stretches than are kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Trails {
    /// Takes what a record tells of one of its segments.
    pub(super) fn take(&mut self, told: Told, fate: Fate, place: Option<Place>) -> Result<(), TooMany> {
        let Told { stream, path, task, start, end, messages } = told;
        let trail = self.streams.entry(stream).or_default();
        trail.task = task;
        if trail.paths.len() < PATHS_MAX && !trail.paths.contains(&path) {
            trail.paths.push(path);
        }
        let before = trail.stretches.len();
        trail.add(start, end, messages, fate, place);
        self.stretches += trail.stretches.len() - before;
        if self.stretches > STRETCHES_MAX { Err(TooMany) } else { Ok(()) }
    }
}

impl Trail {
    /// Adds a stretch. What is known already stays as it is, save that it may have a better fate.
    fn add(&mut self, start: u64, end: Option<u64>, messages: Option<u64>, fate: Fate, place: Option<Place>) {
        let is_exact = end.is_some();
        let end = end.unwrap_or(start + 1).max(start + 1);
        let overlapping = self.stretches.range(..end).rev().take_while(|(_, known)| known.end > start);
        let mut known: Vec<(u64, u64)> = overlapping.map(|(at, known)| (*at, known.end)).collect();
        known.reverse();
        let new = Stretch { end, messages, fate, is_exact, place };
        if known.is_empty() {
            return self.join(start, new);
        }
        if let [(at, known_end)] = known[..]
            && known_end > at + 1
            && !is_exact
        {
            return self.add_within(at, start, new);
        }
        for (at, known_end) in &known {
            if *at >= start
                && *known_end <= end
                && let Some(known) = self.stretches.get_mut(at)
                && known.fate < fate
            {
                (known.fate, known.place) = (fate, place);
            }
        }
        if !is_exact {
            return;
        }
        // How many messages begin in what is left only the text can tell.
        let mut at = start;
        for (known_start, known_end) in known {
            if at < known_start {
                self.stretches.insert(at, Stretch { end: known_start, messages: None, fate, is_exact, place });
            }
            at = at.max(known_end);
        }
        if at < end {
            self.stretches.insert(at, Stretch { end, messages: None, fate, is_exact, place });
        }
    }

    /// Adds a message without an end that begins within the stretch at `at`. If that one has exact bytes the message is
    /// among them. If only the beginnings of its messages are known, it is one of them that came again, or stands between
    /// them and came late: only the text can tell, of all records.
    fn add_within(&mut self, at: u64, start: u64, new: Stretch) {
        let Some(known) = self.stretches.get_mut(&at).filter(|known| !known.is_exact) else { return };
        let is_first = at == start;
        if known.fate == new.fate {
            if is_first {
                return;
            }
            if let Some(place) = both(known.place, new.place) {
                (known.messages, known.place) = (None, Some(place));
                return;
            }
        }
        let rest = Stretch { messages: None, ..*known };
        if is_first {
            self.stretches.remove(&at);
        } else {
            *known = Stretch { end: start, ..rest };
        }
        if new.end < rest.end {
            self.stretches.insert(new.end, rest);
        }
        self.stretches.insert(start, new);
    }

    /// Puts a stretch where there is none, joined to the one before it if they are alike.
    fn join(&mut self, start: u64, new: Stretch) {
        if let Some((_, before)) = self.stretches.range_mut(..start).next_back()
            && let Some((messages, place)) = joint(before, &new, before.end == start)
        {
            (before.end, before.messages, before.place) = (new.end, Some(messages), Some(place));
            return;
        }
        self.stretches.insert(start, new);
    }

    /// The spans, in order.
    pub(super) fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<(Span, bool)> = Vec::new();
        for (start, stretch) in &self.stretches {
            if let (Some((last, is_exact)), Some(more)) = (spans.last_mut(), stretch.messages)
                && last.fate == stretch.fate
                && *is_exact == stretch.is_exact
                && (!*is_exact || last.end == *start)
                && let Some(messages) = last.messages
            {
                (last.end, last.messages) = (stretch.end, Some(messages + more));
                continue;
            }
            let Stretch { end, messages, fate, is_exact, .. } = *stretch;
            spans.push((Span { start: *start, end, messages, fate }, is_exact));
        }
        spans.into_iter().map(|(span, _)| span).collect()
    }

    /// The bytes between stretches, which no record holds.
    pub(super) fn holes(&self) -> Vec<(u64, u64)> {
        let next = self.stretches.keys().skip(1);
        let pairs = self.stretches.values().zip(next);
        pairs.filter(|(one, next)| one.is_exact && one.end < **next).map(|(one, next)| (one.end, *next)).collect()
    }

    /// Where it begins and ends, and whether the end is exact.
    pub(super) fn extent(&self) -> Option<(u64, u64, bool)> {
        let (start, (_, last)) = (self.stretches.keys().next()?, self.stretches.last_key_value()?);
        Some((*start, last.end, last.is_exact))
    }
}

/// The place of what is in one place or the other, if they are in one partition.
fn both(one: Option<Place>, other: Option<Place>) -> Option<Place> {
    let (one, other) = (one?, other?);
    let together = Place {
        first: one.first.min(other.first),
        last: one.last.max(other.last),
        bytes: one.bytes + other.bytes,
        ..one
    };
    ((one.topic, one.partition) == (other.topic, other.partition)).then_some(together)
}

/// The messages and the place of two stretches together, if they can be one.
fn joint(one: &Stretch, next: &Stretch, is_adjacent: bool) -> Option<(u64, Place)> {
    let (place, behind) = (one.place?, next.place?);
    let messages = one.messages? + next.messages?;
    let same_record = place.last == behind.first;
    let bytes = place.bytes + if same_record { 0 } else { behind.bytes };
    let fits = one.fate == next.fate
        && one.is_exact == next.is_exact
        && (is_adjacent || !one.is_exact)
        && (place.topic, place.partition) == (behind.topic, behind.partition)
        && place.last <= behind.first
        && messages <= GRAIN
        && bytes <= WIRE_BYTES_MAX;
    fits.then_some((messages, Place { last: behind.last, bytes, ..place }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fate, Place, Span, Trail};

    fn at(offset: i64) -> Option<Place> {
        Some(Place { topic: 0, partition: 0, first: offset, last: offset, bytes: 100 })
    }

    #[test]
    fn what_is_adjacent_is_one_and_what_came_again_counts_once() {
        let mut trail = Trail::default();
        for (record, start, end) in [(0, 0, 10), (1, 10, 30), (2, 0, 10), (3, 10, 30), (4, 30, 40)] {
            trail.add(start, Some(end), Some(end - start), Fate::Settled, at(record));
        }
        assert_eq!(trail.spans(), [Span { start: 0, end: 40, messages: Some(40), fate: Fate::Settled }]);
        assert_eq!((trail.stretches.len(), trail.extent()), (1, Some((0, 40, true))));
    }

    #[test]
    fn what_came_again_otherwise_cut_is_counted_by_its_text() {
        let mut trail = Trail::default();
        trail.add(0, Some(10), Some(2), Fate::Settled, at(0));
        trail.add(5, Some(20), Some(3), Fate::Settled, at(1));
        let spans: Vec<_> = trail.spans().iter().map(|span| (span.start, span.end, span.messages)).collect();
        assert_eq!(spans, [(0, 10, Some(2)), (10, 20, None)]);
    }

    #[test]
    fn the_best_fate_of_several_copies_counts() {
        let mut trail = Trail::default();
        trail.add(0, Some(10), Some(2), Fate::UnderWay, at(5));
        trail.add(0, Some(10), Some(2), Fate::Settled, at(1));
        trail.add(0, Some(10), Some(2), Fate::Dead, at(2));
        assert_eq!(trail.spans()[0].fate, Fate::Settled);
    }

    #[test]
    fn of_messages_without_an_end_only_the_beginnings_are_known_and_no_hole() {
        let mut trail = Trail::default();
        for (record, start) in [(0, 0), (1, 100), (2, 250), (3, 0)] {
            trail.add(start, None, Some(1), Fate::Settled, at(record));
        }
        assert_eq!(trail.spans(), [Span { start: 0, end: 251, messages: Some(3), fate: Fate::Settled }]);
        assert_eq!(trail.holes(), []);
    }

    #[test]
    fn of_messages_without_an_end_one_that_came_late_or_again_is_left_to_the_text_and_never_lost() {
        let mut trail = Trail::default();
        for (record, start) in [(0, 0), (1, 100), (2, 400), (3, 250)] {
            trail.add(start, None, Some(1), Fate::Settled, at(record));
        }
        assert_eq!(trail.spans(), [Span { start: 0, end: 401, messages: None, fate: Fate::Settled }]);
        assert_eq!(trail.stretches[&0].place.map(|place| (place.first, place.last)), Some((0, 3)));
    }

    #[test]
    fn of_messages_without_an_end_one_with_another_fate_is_told_apart_from_those_around_it() {
        let mut trail = Trail::default();
        for (record, start) in [(0, 0), (1, 100), (2, 400)] {
            trail.add(start, None, Some(1), Fate::Settled, at(record));
        }
        trail.add(250, None, Some(1), Fate::Dead, None);
        let span = |start, end, messages, fate| Span { start, end, messages, fate };
        let (settled, dead) = (Fate::Settled, Fate::Dead);
        let expected = [span(0, 250, None, settled), span(250, 251, Some(1), dead), span(251, 401, None, settled)];
        assert_eq!(trail.spans(), expected);
    }

    proptest! {
        /// Whatever records come in whatever order: the bytes are those that they hold, and a count is never more than
        /// what can be known.
        #[test]
        fn stretches_are_disjoint_and_hold_what_the_records_hold(
            records in proptest::collection::vec((0_u64..80, 1_u64..15, 0..3_usize), 1..40),
        ) {
            // Every byte is a message of its own, so a count is a number of bytes.
            let fates = [Fate::UnderWay, Fate::Dead, Fate::Settled];
            let mut trail = Trail::default();
            let mut held = [false; 100];
            for (record, (start, length, fate)) in records.into_iter().enumerate() {
                trail.add(start, Some(start + length), Some(length), fates[fate], at(record as i64));
                held[start as usize..(start + length) as usize].fill(true);
            }
            let (mut found, mut before) = ([false; 100], 0);
            for (start, stretch) in &trail.stretches {
                prop_assert!(*start >= before && stretch.end > *start);
                prop_assert!(stretch.messages.is_none_or(|messages| messages == stretch.end - start));
                found[*start as usize..stretch.end as usize].fill(true);
                before = stretch.end;
            }
            prop_assert_eq!(held, found);
            let (start, end, _) = trail.extent().expect("there is one");
            let holes: u64 = trail.holes().iter().map(|(start, end)| end - start).sum();
            let spans: u64 = trail.spans().iter().map(|span| span.end - span.start).sum();
            prop_assert_eq!(holes + spans, end - start);
        }
    }
}
