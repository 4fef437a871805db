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
pub(super) struct Lag(Mutex<HashMap<(Arc<str>, i32), Gauge>>);

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
                gauges
                    .entry((Arc::from(topic.as_str()), *partition))
                    .or_insert_with(|| metrics::gauge(&list::CONSUMER_LAG, &[topic, &partition.to_string()]))
                    .set(statistics.consumer_lag as f64);
            }
        }
    }

    /// Shows nothing behind for partitions that are someone else's from now on.
    pub(super) fn forget(&self, partitions: &[Assignment]) {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Assignment { topic, partition, .. } in partitions {
            if let Some(gauge) = gauges.remove(&(Arc::clone(topic), *partition)) {
                gauge.set(0.0);
            }
        }
    }
}
