//! The ledger: which stretches of a source are under way, and up to where everything is safe.
//!
//! It keeps a *low watermark* per source. A span that is not settled holds back everything behind it, however
//! much was settled after it:
//!
//! | under way (settled in brackets) | settle | watermark moves |
//! |---|---|---|
//! | 0-10, 10-20, 20-30 | 10-20 | stays at 0 |
//! | 0-10, \[10-20\], 20-30 | 0-10 | to 20 |
//! | 20-30 | 20-30 | to 30 |
//!
//! What was handed over may come back in other pieces: spans may be joined or cut on their way, as long as each
//! piece is settled once. The ledger holds one small entry for each piece that was settled out of order, and the
//! budget bounds how many those can be.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::Hash,
};

use thiserror::Error;

use crate::record::Span;

/// What a caller got wrong. Each is a defect in the caller, and refusing it keeps the watermark true.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LedgerError {
    /// A source must be opened before anything of it is handed over or settled.
    #[error("the source is not open")]
    NotOpen,
    /// A span must begin where the one before it ended, and must not be empty.
    #[error("a span {start}..{end} was handed over where one beginning at {expected} was due")]
    NotAdjacent {
        /// Where the span began.
        start: u64,
        /// Where it ended.
        end: u64,
        /// Where it should have begun.
        expected: u64,
    },
    /// Only what is under way can be settled, and only once.
    #[error("a span {start}..{end} was settled that is not wholly under way")]
    NotUnderWay {
        /// Where the span began.
        start: u64,
        /// Where it ended.
        end: u64,
    },
}

/// Up to where a source is safe, and the mark that came with the last safe span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safe<M> {
    /// Every byte or record before this one is settled.
    pub to: u64,
    /// The mark of the span that ended at `to`; none if nothing was settled since the source was opened.
    pub mark: Option<M>,
}

/// The spans under way, and the watermark, of any number of sources.
#[derive(Debug)]
pub struct Ledger<K, M = ()> {
    sources: HashMap<K, Account<M>>,
    /// Sources whose watermark moved since [`Ledger::moved`] was last asked.
    moved: HashSet<K>,
}

#[derive(Debug)]
struct Account<M> {
    safe: Safe<M>,
    /// Where the next span has to begin; never less than `safe.to`.
    next: u64,
    /// What is settled behind `safe.to`: by where it starts, where it ends, and its mark. Disjoint, none of it
    /// begins at `safe.to`, and none of it ends behind `next`.
    ahead: BTreeMap<u64, (u64, M)>,
}

impl<M: Copy> Account<M> {
    /// Whether all of `start..end` is under way.
    fn is_under_way(&self, start: u64, end: u64) -> bool {
        let before = self.ahead.range(..start).next_back().map(|(_, (end, _))| *end);
        let behind = self.ahead.range(start..).next().map(|(start, _)| *start);
        let from = before.unwrap_or(0).max(self.safe.to);
        let to = behind.unwrap_or(u64::MAX).min(self.next);
        from <= start && start < end && end <= to
    }
}

impl<K, M> Default for Ledger<K, M> {
    fn default() -> Self {
        Self { sources: HashMap::new(), moved: HashSet::new() }
    }
}

impl<K: Copy + Eq + Hash, M: Copy> Ledger<K, M> {
    /// Begins a source: everything before `at` is safe already. Opening an open source forgets what is under way.
    pub fn open(&mut self, source: K, at: u64) {
        self.moved.remove(&source);
        let safe = Safe { to: at, mark: None };
        self.sources.insert(source, Account { safe, next: at, ahead: BTreeMap::new() });
    }

    /// Ends a source; returns up to where it was safe.
    pub fn close(&mut self, source: K) -> Option<Safe<M>> {
        self.moved.remove(&source);
        self.sources.remove(&source).map(|account| account.safe)
    }

    /// Notes that `span` was handed over.
    ///
    /// # Errors
    /// If the source is not open, or the span does not begin where the one before it ended, or is empty.
    pub fn take(&mut self, span: &Span<K, M>) -> Result<(), LedgerError> {
        let account = self.sources.get_mut(&span.source).ok_or(LedgerError::NotOpen)?;
        if span.start != account.next || span.end <= span.start {
            return Err(LedgerError::NotAdjacent { start: span.start, end: span.end, expected: account.next });
        }
        account.next = span.end;
        Ok(())
    }

    /// Notes that `span` is safe: acknowledged, or dropped on purpose and counted.
    ///
    /// # Errors
    /// If the source is not open, or not all of the span is under way; the watermark stays where it was.
    pub fn settle(&mut self, span: &Span<K, M>) -> Result<(), LedgerError> {
        let account = self.sources.get_mut(&span.source).ok_or(LedgerError::NotOpen)?;
        let Span { start, end, mark, .. } = *span;
        if !account.is_under_way(start, end) {
            return Err(LedgerError::NotUnderWay { start, end });
        }
        if start > account.safe.to {
            account.ahead.insert(start, (end, mark));
            return Ok(());
        }
        account.safe = Safe { to: end, mark: Some(mark) };
        while let Some((end, mark)) = account.ahead.remove(&account.safe.to) {
            account.safe = Safe { to: end, mark: Some(mark) };
        }
        self.moved.insert(span.source);
        Ok(())
    }

    /// Up to where `source` is safe; none if it is not open. It only grows while the source is open.
    #[must_use]
    pub fn safe_to(&self, source: K) -> Option<u64> {
        self.sources.get(&source).map(|account| account.safe.to)
    }

    /// Where the next span of `source` has to begin; none if it is not open.
    #[must_use]
    pub fn next(&self, source: K) -> Option<u64> {
        self.sources.get(&source).map(|account| account.next)
    }

    /// How many stretches of `source` are settled behind its watermark.
    #[must_use]
    pub fn settled_ahead(&self, source: K) -> usize {
        self.sources.get(&source).map_or(0, |account| account.ahead.len())
    }

    /// The sources whose watermark moved since the last call, with their watermarks.
    pub fn moved(&mut self) -> Vec<(K, Safe<M>)> {
        let sources = &self.sources;
        self.moved.drain().filter_map(|source| sources.get(&source).map(|account| (source, account.safe))).collect()
    }

    /// Whether nothing of `source` is under way (true for a source that is not open).
    #[must_use]
    pub fn is_settled(&self, source: K) -> bool {
        self.sources.get(&source).is_none_or(|account| account.safe.to == account.next)
    }

    /// Whether nothing of any source is under way.
    #[must_use]
    pub fn is_all_settled(&self) -> bool {
        self.sources.values().all(|account| account.safe.to == account.next)
    }

    /// The open sources.
    pub fn sources(&self) -> impl Iterator<Item = K> + '_ {
        self.sources.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, LedgerError};
    use crate::record::Span;
    use proptest::prelude::*;

    fn span(start: u64, end: u64) -> Span<u8, u64> {
        Span { source: 7, start, end, mark: end }
    }

    #[test]
    fn a_gap_holds_back_everything_behind_it() {
        let mut ledger = Ledger::default();
        ledger.open(7, 0);
        for (start, end) in [(0, 10), (10, 20), (20, 30)] {
            ledger.take(&span(start, end)).expect("adjacent");
        }
        ledger.settle(&span(10, 20)).expect("under way");
        assert_eq!((ledger.safe_to(7), ledger.moved().len()), (Some(0), 0));
        ledger.settle(&span(0, 10)).expect("under way");
        let moved = ledger.moved();
        assert_eq!((moved[0].1.to, moved[0].1.mark), (20, Some(20)));
        assert_eq!(ledger.settle(&span(0, 10)), Err(LedgerError::NotUnderWay { start: 0, end: 10 }));
        assert!(ledger.moved().is_empty() && !ledger.is_all_settled());
    }

    #[test]
    fn nothing_is_settled_of_a_source_that_was_not_opened() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.take(&span(0, 1)), Err(LedgerError::NotOpen));
        assert_eq!(ledger.settle(&span(0, 1)), Err(LedgerError::NotOpen));
        ledger.open(7, 5);
        assert_eq!(ledger.take(&span(6, 9)), Err(LedgerError::NotAdjacent { start: 6, end: 9, expected: 5 }));
        assert_eq!(ledger.take(&span(5, 5)), Err(LedgerError::NotAdjacent { start: 5, end: 5, expected: 5 }));
    }

    proptest! {
        /// The plain definition: the watermark is the first byte that is not in a settled span.
        #[test]
        fn the_watermark_is_the_first_unsettled_byte_whatever_the_order(
            lengths in proptest::collection::vec(1_u64..50, 1..60),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..90),
        ) {
            let mut ledger = Ledger::default();
            ledger.open(7, 100);
            let (mut spans, mut at) = (Vec::new(), 100);
            for length in lengths {
                spans.push(span(at, at + length));
                ledger.take(&span(at, at + length)).expect("adjacent");
                at += length;
            }
            let mut settled = vec![false; spans.len()];
            let mut before = 100;
            for pick in order {
                let pick = pick.index(spans.len());
                prop_assert_eq!(ledger.settle(&spans[pick]).is_ok(), !settled[pick]);
                settled[pick] = true;
                let expected = spans.iter().zip(&settled).find(|(_, done)| !**done).map_or(at, |(first, _)| first.start);
                prop_assert_eq!(ledger.safe_to(7), Some(expected));
                let moved = ledger.moved();
                prop_assert_eq!(moved.len(), usize::from(expected > before));
                if let [(_, safe)] = moved[..] {
                    prop_assert_eq!((safe.to, safe.mark), (expected, Some(expected)));
                }
                before = expected;
            }
            prop_assert_eq!(ledger.is_settled(7), settled.iter().all(|done| *done));
        }

        /// What is settled may be cut and joined in any way, and must not overlap what is settled already.
        #[test]
        fn pieces_of_any_size_settle_and_overlapping_ones_are_refused(
            pieces in proptest::collection::vec((0_u64..64, 1_u64..20), 0..60),
        ) {
            let mut ledger = Ledger::default();
            ledger.open(7, 0);
            ledger.take(&span(0, 24)).expect("adjacent");
            ledger.take(&span(24, 64)).expect("adjacent");
            let mut settled = [false; 64];
            for (start, length) in pieces {
                let range = start as usize..(start + length) as usize;
                let free = settled.get(range.clone()).is_some_and(|bytes| bytes.iter().all(|done| !*done));
                prop_assert_eq!(ledger.settle(&span(start, start + length)).is_ok(), free);
                if free {
                    settled[range].fill(true);
                }
                let expected = settled.iter().position(|done| !*done).unwrap_or(64) as u64;
                prop_assert_eq!(ledger.safe_to(7), Some(expected));
            }
        }
    }
}
