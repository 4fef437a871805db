//! Documents counted over time, from their columns.

use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::Column,
};

use crate::{
    record::Level,
    store::{Bucket, Histogram, bucket_width_ms},
};

use super::schema::{LEVEL, TIME};

/// The most buckets of one answer.
const BUCKETS_MAX: usize = 10_000;

/// The first and last time of the documents, in nanoseconds since 1970.
pub(super) struct Extent;

/// The documents of each bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    start_ms: i64,
    width_ms: i64,
    buckets: usize,
}

/// One more than there are levels: the last place counts all documents.
const COUNTS: usize = Level::ALL.len() + 1;

impl Bars {
    /// Bars of a round width, at most `buckets_max` of them, that cover the times from `first_ns` to `last_ns`.
    pub(super) fn covering(first_ns: i64, last_ns: i64, buckets_max: usize) -> Self {
        let (first_ms, end_ms) = (first_ns.div_euclid(1_000_000), last_ns.div_euclid(1_000_000) + 1);
        let buckets_max = buckets_max.clamp(1, BUCKETS_MAX);
        // Bars begin at round times, so one more than fits the range may be needed: then they must be wider.
        let mut wanted = buckets_max;
        loop {
            let width_ms = bucket_width_ms(&(first_ms..end_ms), wanted);
            let start_ms = first_ms.div_euclid(width_ms) * width_ms;
            let buckets = ((end_ms - start_ms) as u64).div_ceil(width_ms as u64) as usize;
            if buckets <= buckets_max || wanted == 1 {
                return Self { start_ms, width_ms, buckets };
            }
            wanted -= 1;
        }
    }

    /// Bars with nothing in them.
    pub(super) fn empty(self) -> Histogram {
        self.histogram(&vec![[0; COUNTS]; self.buckets])
    }

    fn histogram(self, counts: &[[u64; COUNTS]]) -> Histogram {
        let bucket = |counts: &[u64; COUNTS]| Bucket {
            count: counts[COUNTS - 1],
            levels: (Level::ALL.iter().zip(counts))
                .filter(|(_, count)| **count > 0)
                .map(|(level, count)| (level.name().to_owned(), *count))
                .collect(),
        };
        let buckets = counts.iter().map(bucket).collect();
        Histogram { start_ms: self.start_ms, width_ms: self.width_ms, buckets }
    }
}

impl Collector for Extent {
    type Fruit = Option<(i64, i64)>;
    type Child = SegmentExtent;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentExtent> {
        Ok(SegmentExtent { times: segment.fast_fields().i64(TIME)?, extent: None })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, extents: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        Ok(extents.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))))
    }
}

pub(super) struct SegmentExtent {
    times: Column<i64>,
    extent: Option<(i64, i64)>,
}

impl SegmentCollector for SegmentExtent {
    type Fruit = Option<(i64, i64)>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let Some(time) = self.times.first(doc) else { return };
        let (first, last) = self.extent.unwrap_or((time, time));
        self.extent = Some((first.min(time), last.max(time)));
    }

    fn harvest(self) -> Self::Fruit {
        self.extent
    }
}

impl Collector for Bars {
    type Fruit = Histogram;
    type Child = SegmentBars;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentBars> {
        let columns = segment.fast_fields();
        Ok(SegmentBars {
            bars: *self,
            times: columns.i64(TIME)?,
            levels: columns.u64(LEVEL)?,
            counts: vec![[0; COUNTS]; self.buckets],
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Vec<[u64; COUNTS]>>) -> tantivy::Result<Histogram> {
        let mut sum = vec![[0; COUNTS]; self.buckets];
        for segment in &segments {
            for (sum, count) in sum.iter_mut().flatten().zip(segment.iter().flatten()) {
                *sum += count;
            }
        }
        Ok(self.histogram(&sum))
    }
}

pub(super) struct SegmentBars {
    bars: Bars,
    times: Column<i64>,
    levels: Column<u64>,
    counts: Vec<[u64; COUNTS]>,
}

impl SegmentCollector for SegmentBars {
    type Fruit = Vec<[u64; COUNTS]>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let Some(time) = self.times.first(doc) else { return };
        let bucket = (time.div_euclid(1_000_000) - self.bars.start_ms).div_euclid(self.bars.width_ms);
        let Some(counts) = usize::try_from(bucket).ok().and_then(|bucket| self.counts.get_mut(bucket)) else { return };
        counts[COUNTS - 1] += 1;
        if let Some(count) = self.levels.first(doc).and_then(|level| counts[..COUNTS - 1].get_mut(level as usize)) {
            *count += 1;
        }
    }

    fn harvest(self) -> Self::Fruit {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::Bars;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bars_cover_the_range_in_at_most_as_many_buckets_as_wanted(
            first in 0_i64..2_000_000_000_000, length in 0_i64..100_000_000_000, buckets in 1_usize..200,
        ) {
            let bars = Bars::covering(first * 1_000_000, (first + length) * 1_000_000, buckets);
            // One bar may not be enough for a range that crosses a round time, however wide the bar is.
            prop_assert!(bars.buckets <= buckets.max(2));
            prop_assert!(bars.start_ms <= first);
            prop_assert!(bars.start_ms + bars.width_ms * bars.buckets as i64 > first + length);
        }
    }
}
