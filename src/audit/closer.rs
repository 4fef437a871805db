//! Stretches whose documents are not as many as their lines: their text is read from Kafka, once, and every line is looked
//! for among the documents.

use std::{collections::BTreeMap, ops::ControlFlow};

use tokio::task::block_in_place;

use super::{
    AuditError,
    compare::{Expected, Outcome, Stored, compare},
    proof::Proof,
    report::Difference,
    trail::{Fate, Place, Stretch},
};
use crate::{
    batcher::outline::{self, Message},
    kafka::{self, Past},
    record::Stream,
};

/// So many stretches are looked at together.
pub(super) const AT_ONCE: usize = 32;
/// So many are looked at in one audit; of the others the documents are only counted.
pub(super) const LOOKED_MAX: usize = 1024;
/// How much of a line's text is kept.
const TEXT_BYTES: usize = 400;
const TEXT_CHARS: usize = 100;

/// A stretch to be looked at.
#[derive(Clone, Debug)]
pub(super) struct Closer {
    /// Which file, by its number in the report.
    pub(super) file: usize,
    pub(super) stream: Stream,
    pub(super) start: u64,
    pub(super) stretch: Stretch,
    /// How many documents it has.
    pub(super) held: u64,
}

/// What is known of the lines of a stretch, besides what became of each.
pub(super) struct Lines {
    pub(super) written: u64,
    pub(super) fate: Fate,
}

type Looked = (usize, Lines, Outcome);

impl Proof<'_> {
    /// Looks at each line of some stretches.
    pub(super) async fn look(&self, some: &[Closer]) -> Result<Vec<Looked>, AuditError> {
        // Where nothing is there at all, there is nothing to compare line by line.
        let needs_text = |one: &Closer| one.held > 0 || one.stretch.messages.is_none();
        let with_text: Vec<&Closer> = some.iter().filter(|one| needs_text(one)).collect();
        let mut texts = block_in_place(|| self.texts(&with_text))?.into_iter();
        let mut looked = Vec::with_capacity(some.len());
        for one in some {
            if !needs_text(one) {
                looked.push((one.file, one.lines(one.stretch.messages), self.counted(one)));
                continue;
            }
            let expected = texts.next().unwrap_or_default();
            let count = expected.len() as u64;
            if one.stretch.messages.is_some_and(|messages| messages != count) {
                // The records can't be read any more.
                looked.push((one.file, one.lines(one.stretch.messages), self.counted(one)));
                continue;
            }
            let placed = self.places.list(&(one.stream, one.start..one.stretch.end)).await?;
            let stored: Vec<Stored> =
                placed.into_iter().map(|at| Stored { offset: at.offset, index: at.index, id: at.id }).collect();
            looked.push((one.file, one.lines(Some(count)), self.compared(one, &expected, &stored)));
        }
        Ok(looked)
    }

    /// What can be said of some stretches by their counts alone.
    pub(super) fn count_only(&self, some: &[Closer]) -> Vec<Looked> {
        some.iter().map(|one| (one.file, one.lines(one.stretch.messages), self.counted(one))).collect()
    }

    fn compared(&self, one: &Closer, expected: &[Expected], stored: &[Stored]) -> Outcome {
        let letters: BTreeMap<u64, _> = self.gathered.letters.of(one.stream, one.start, one.stretch.end).collect();
        let mut outcome = compare(expected, stored, |offset| letters.contains_key(&offset));
        if one.stretch.fate != Fate::Settled {
            outcome.differences.retain(|difference| !matches!(difference, Difference::Missing { .. }));
        }
        if one.stretch.fate == Fate::Dead && outcome.absent > 0 {
            outcome.differences.push(one.dead_record(outcome.absent));
        }
        let is_there = |offset: u64| stored.binary_search_by_key(&offset, |stored| stored.offset).is_ok();
        let dead = letters.iter().filter(|(offset, _)| !is_there(**offset));
        outcome.differences.extend(dead.map(|(offset, note)| note.difference(*offset)));
        outcome
    }

    fn counted(&self, one: &Closer) -> Outcome {
        let (start, end) = (one.start, one.stretch.end);
        let messages = one.stretch.messages.unwrap_or(0);
        let letters = self.gathered.letters.of(one.stream, start, end);
        let mut differences: Vec<Difference> = letters.map(|(offset, note)| note.difference(offset)).collect();
        let dead = (differences.len() as u64).min(messages);
        let due = messages - dead;
        let indexed = one.held.min(due);
        let (absent, doubled) = (due - indexed, one.held - indexed);
        match one.stretch.fate {
            Fate::Settled if one.held == 0 => {
                differences.push(Difference::Missing { start, end, lines: absent, text: None });
            }
            Fate::Dead => differences.push(one.dead_record(absent)),
            Fate::UnderWay if doubled == 0 => (),
            _ => differences.push(Difference::Counted { start, end, lines: due, documents: one.held }),
        }
        Outcome { indexed, dead, absent, doubled, stray: 0, differences }
    }

    /// The messages of each stretch, in order, as the records have them that can still be read.
    fn texts(&self, some: &[&Closer]) -> Result<Vec<Vec<Expected>>, AuditError> {
        let mut texts = vec![Vec::new(); some.len()];
        for (topic, name) in self.gathered.topics.iter().enumerate() {
            let mut places: Vec<(usize, Place)> = Vec::new();
            for (at, one) in some.iter().enumerate() {
                places.extend(one.stretch.place.filter(|place| place.topic == topic).map(|place| (at, place)));
            }
            let mut scratch = Vec::new();
            kafka::within(self.settings, name, &ranges(&places), |past| {
                read(&past, &places, some, &mut scratch, &mut texts);
                ControlFlow::Continue(())
            })?;
        }
        for text in &mut texts {
            // A line may have been sent twice.
            text.sort_by_key(|one: &Expected| one.start);
            text.dedup_by_key(|one| one.start);
        }
        Ok(texts)
    }
}

impl Closer {
    fn lines(&self, written: Option<u64>) -> Lines {
        Lines { written: written.unwrap_or(0), fate: self.stretch.fate }
    }

    fn dead_record(&self, lines: u64) -> Difference {
        Difference::DeadRecord { start: self.start, end: self.stretch.end, lines }
    }

    fn has(&self, message: &Message<'_>) -> bool {
        message.stream == self.stream && (self.start..self.stretch.end).contains(&message.start)
    }
}

/// The records of these places, each once.
fn ranges(places: &[(usize, Place)]) -> Vec<(i32, std::ops::Range<i64>)> {
    let mut sorted: Vec<&Place> = places.iter().map(|(_, place)| place).collect();
    sorted.sort_by_key(|place| (place.partition, place.first));
    let mut ranges: Vec<(i32, std::ops::Range<i64>)> = Vec::new();
    for place in sorted {
        match ranges.last_mut() {
            Some((partition, range)) if *partition == place.partition && place.first <= range.end => {
                range.end = range.end.max(place.last + 1);
            }
            _ => ranges.push((place.partition, place.first..place.last + 1)),
        }
    }
    ranges
}

/// Adds a record's messages to the texts of the stretches that they are of.
fn read(past: &Past, places: &[(usize, Place)], some: &[&Closer], scratch: &mut Vec<u8>, texts: &mut [Vec<Expected>]) {
    let holds = |place: &Place| place.partition == past.partition && (place.first..=place.last).contains(&past.offset);
    let wanted: Vec<usize> = places.iter().filter(|(_, place)| holds(place)).map(|(at, _)| *at).collect();
    if wanted.is_empty() {
        return;
    }
    let value = past.value.as_deref().unwrap_or_default();
    // What can't be read adds nothing: the count then says so.
    let _ = outline::each(
        |name| past.header(name),
        value,
        scratch,
        |message| {
            for at in wanted.iter().filter(|at| some[**at].has(&message)) {
                texts[*at].push(Expected { start: message.start, end: message.end, text: beginning(&message) });
            }
        },
    );
}

/// The beginning of a message's text, for people.
fn beginning(message: &Message<'_>) -> String {
    let mut text = Vec::new();
    // Not within a character of any charset whose characters have a fixed width.
    message.form.charset.decode(&message.text[..message.text.len().min(TEXT_BYTES)], &mut text);
    let text = String::from_utf8_lossy(&text);
    let line = text.trim_end_matches(['\r', '\n']);
    match line.char_indices().nth(TEXT_CHARS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, ranges};

    #[test]
    fn records_that_several_stretches_need_are_read_once() {
        let place = |partition, first, last| (0, Place { topic: 0, partition, first, last, bytes: 0 });
        let places = [place(1, 5, 9), place(0, 3, 4), place(0, 0, 3), place(0, 9, 9)];
        assert_eq!(ranges(&places), [(0, 0..5), (0, 9..10), (1, 5..10)]);
    }
}
