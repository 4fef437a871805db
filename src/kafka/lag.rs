//! How far behind a consumer is, partition by partition, as metrics.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rdkafka::Statistics;

use super::Assignment;
use crate::metrics::{self, Gauge, list};

/// The gauges of the partitions that are ours.
#[derive(Default)]
pub(super) struct Lag(Mutex<HashMap<(Arc<str>, i32), Shown>>);

/// A partition's lag, in records.
struct Shown {
    gauge: Gauge,
    records: u64,
}

impl Lag {
    /// Shows what librdkafka counted, for the partitions that are `ours`.
    pub(super) fn show(&self, statistics: &Statistics, ours: impl Fn(&str, i32) -> bool) {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, statistics) in &statistics.topics {
            for (partition, statistics) in &statistics.partitions {
                // -1 stands for not known yet, before the first offset was committed.
                if statistics.consumer_lag < 0 || !ours(topic, *partition) {
                    continue;
                }
                let shown = gauges.entry((Arc::from(topic.as_str()), *partition)).or_insert_with(|| Shown {
                    gauge: metrics::gauge(&list::CONSUMER_LAG, &[topic, &partition.to_string()]),
                    records: 0,
                });
                shown.records = statistics.consumer_lag.unsigned_abs();
                shown.gauge.set(statistics.consumer_lag as f64);
            }
        }
    }

    /// Shows nothing behind for partitions that are someone else's from now on.
    pub(super) fn forget(&self, partitions: &[Assignment]) {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Assignment { topic, partition, .. } in partitions {
            if let Some(shown) = gauges.remove(&(Arc::clone(topic), *partition)) {
                shown.gauge.set(0.0);
            }
        }
    }

    /// What was counted last of each partition of which something was.
    pub(super) fn now(&self) -> HashMap<(Arc<str>, i32), u64> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().map(|(partition, shown)| (partition.clone(), shown.records)).collect()
    }
}
