//! A stretch of a stream, message by message: what Kafka has of it against what the store has. Pure.

use super::report::Difference;

/// A message that Kafka has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// Where it begins in the stream.
    pub(super) start: u64,
    /// Where it ends, as far as that is known.
    pub(super) end: u64,
    /// The beginning of its text.
    pub(super) text: String,
}

/// A document that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The `log.offset`.
    pub(super) offset: u64,
    pub(super) index: std::sync::Arc<str>,
    pub(super) id: String,
}

/// What became of the messages of a stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Messages that are in the store, once or more.
    pub(super) indexed: u64,
    /// Messages that are not, and are dead letters.
    pub(super) dead: u64,
    /// Messages that are neither.
    pub(super) absent: u64,
    /// Documents beyond the first of a message.
    pub(super) doubled: u64,
    /// Documents of no message.
    pub(super) stray: u64,
    /// What is not as it should be; messages that are absent as ranges of adjacent ones.
    pub(super) differences: Vec<Difference>,
}

/// Compares what is in order of its offsets, each message once; `dead` has the offsets of dead letters.
pub(super) fn compare(expected: &[Expected], stored: &[Stored], is_dead: impl Fn(u64) -> bool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut stored = stored.chunk_by(|one, next| one.offset == next.offset).peekable();
    let mut follows = false;
    for message in expected {
        while let Some(copies) = stored.next_if(|copies| copies[0].offset < message.start) {
            outcome.add_stray(copies);
        }
        let copies = stored.next_if(|copies| copies[0].offset == message.start);
        let is_absent = copies.is_none() && !is_dead(message.start);
        match copies {
            Some(copies) => outcome.add_indexed(copies),
            None if is_absent => outcome.add_absent(message, follows),
            None => outcome.dead += 1,
        }
        follows = is_absent;
    }
    stored.for_each(|copies| outcome.add_stray(copies));
    outcome
}

impl Outcome {
    /// Adds a message that is not there; `follows` says that neither is the one before it.
    fn add_absent(&mut self, message: &Expected, follows: bool) {
        self.absent += 1;
        if follows
            && let Some(Difference::Missing { end, lines, .. }) =
                self.differences.iter_mut().rev().find(|known| matches!(known, Difference::Missing { .. }))
        {
            (*end, *lines) = (message.end.max(*end), *lines + 1);
            return;
        }
        let Expected { start, end, text } = message.clone();
        self.differences.push(Difference::Missing { start, end, lines: 1, text: Some(text) });
    }

    fn add_indexed(&mut self, copies: &[Stored]) {
        self.indexed += 1;
        if let [first, _, ..] = copies {
            self.doubled += copies.len() as u64 - 1;
            let indices = copies.iter().map(|copy| copy.index.to_string()).collect();
            let ids = copies.iter().map(|copy| copy.id.clone()).collect();
            self.differences.push(Difference::Doubled { offset: first.offset, indices, ids });
        }
    }

    fn add_stray(&mut self, copies: &[Stored]) {
        self.stray += copies.len() as u64;
        self.differences.extend(copies.iter().map(|copy| Difference::Stray {
            offset: copy.offset,
            index: copy.index.to_string(),
            id: copy.id.clone(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Difference, Expected, Stored, compare};

    fn expected(starts: &[u64]) -> Vec<Expected> {
        starts.iter().map(|start| Expected { start: *start, end: start + 10, text: start.to_string() }).collect()
    }

    fn stored(offset: u64, index: &str) -> Stored {
        Stored { offset, index: index.into(), id: offset.to_string() }
    }

    #[test]
    fn each_difference_is_told_once_and_missing_lines_as_ranges() {
        let documents = [stored(5, "a"), stored(0, "a"), stored(30, "a"), stored(30, "b"), stored(60, "a")];
        let mut documents = documents.to_vec();
        documents.sort_by_key(|document| document.offset);
        let outcome = compare(&expected(&[0, 10, 20, 30, 40, 50]), &documents, |offset| offset == 40);
        let told: Vec<String> = outcome
            .differences
            .iter()
            .map(|difference| match difference {
                Difference::Missing { start, end, lines, text } => format!("missing {start}-{end} {lines} {text:?}"),
                Difference::Doubled { offset, indices, .. } => format!("doubled {offset} {}", indices.join(",")),
                Difference::Stray { offset, index, .. } => format!("stray {offset} {index}"),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            "stray 5 a",
            "missing 10-30 2 Some(\"10\")",
            "doubled 30 a,b",
            "missing 50-60 1 Some(\"50\")",
            "stray 60 a",
        ];
        assert_eq!(told, expected);
        assert_eq!((outcome.indexed, outcome.dead, outcome.absent, outcome.doubled, outcome.stray), (2, 1, 3, 1, 2));
    }

    proptest! {
        #[test]
        fn every_message_and_every_document_is_accounted_for(
            starts in proptest::collection::btree_set(0_u64..60, 0..30),
            mut offsets in proptest::collection::vec(0_u64..60, 0..50),
            dead in proptest::collection::btree_set(0_u64..60, 0..10),
        ) {
            offsets.sort_unstable();
            let starts: Vec<u64> = starts.into_iter().collect();
            let documents: Vec<Stored> = offsets.iter().map(|offset| stored(*offset, "a")).collect();
            let outcome = compare(&expected(&starts), &documents, |offset| dead.contains(&offset));
            prop_assert_eq!(outcome.indexed + outcome.dead + outcome.absent, starts.len() as u64);
            prop_assert_eq!(outcome.indexed + outcome.doubled + outcome.stray, offsets.len() as u64);
            let there: BTreeSet<u64> = offsets.into_iter().collect();
            let absent = starts.iter().filter(|start| !there.contains(start) && !dead.contains(start)).count() as u64;
            prop_assert_eq!(outcome.absent, absent);
            let listed: u64 = outcome.differences.iter().map(|difference| match difference {
                Difference::Missing { lines, .. } => *lines,
                _ => 0,
            }).sum();
            prop_assert_eq!(listed, absent);
        }
    }
}
