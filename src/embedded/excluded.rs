//! What a question excludes, guarded for tantivy's walk over it.
//!
//! For each document that it may take, tantivy asks the excluded set whether it has that document, also when the set
//! is already further along. A set of phrases must not be asked so (it asserts it when tantivy is built with debug
//! assertions), so the guard answers such questions itself.

use std::sync::Arc;

use tantivy::{
    DocId, DocSet, Score, SeekDangerResult, SegmentReader, TantivyError,
    query::{EnableScoring, Explanation, Query, Scorer, Weight},
};

/// A query that may stand as what a boolean query must not have.
#[derive(Clone, Debug)]
pub(super) struct Excluded(Arc<dyn Query>);

impl From<Box<dyn Query>> for Excluded {
    fn from(query: Box<dyn Query>) -> Self {
        Self(Arc::from(query))
    }
}

impl Query for Excluded {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(ExcludedWeight(self.0.weight(scoring)?)))
    }
}

struct ExcludedWeight(Box<dyn Weight>);

impl Weight for ExcludedWeight {
    fn scorer(&self, segment: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let inner = self.0.scorer(segment, boost)?;
        Ok(Box::new(Guard { at_least: inner.doc(), inner }))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("hits are not scored".to_owned()))
    }
}

struct Guard {
    inner: Box<dyn Scorer>,
    /// No document from the last one asked for up to this one is in the set.
    at_least: DocId,
}

impl DocSet for Guard {
    fn advance(&mut self) -> DocId {
        self.at_least = self.inner.advance();
        self.at_least
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.at_least = self.inner.seek(target);
        self.at_least
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target < self.at_least {
            return SeekDangerResult::SeekLowerBound(self.at_least);
        }
        let found = self.inner.seek_danger(target);
        self.at_least = match &found {
            SeekDangerResult::Found => target,
            SeekDangerResult::SeekLowerBound(next) => *next,
        };
        found
    }

    fn doc(&self) -> DocId {
        self.inner.doc()
    }

    fn size_hint(&self) -> u32 {
        self.inner.size_hint()
    }

    fn cost(&self) -> u64 {
        self.inner.cost()
    }
}

impl Scorer for Guard {
    fn score(&mut self) -> Score {
        self.inner.score()
    }
}
