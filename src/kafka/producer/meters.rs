//! What is counted of a topic, and what the client has of it.

use std::{sync::atomic::AtomicUsize, time::Instant};

use super::progress::Progress;
use crate::metrics::{self, Counter, Histogram, list};

/// A topic's metrics, and what the client has of it.
pub(super) struct Meters {
    pub(super) sent: Counter,
    pub(super) sent_bytes: Counter,
    acknowledged: Counter,
    seconds: Histogram,
    /// Records of the topic that the client has and did not report yet.
    pub(super) inside: AtomicUsize,
    pub(super) progress: Progress,
}

impl Meters {
    pub(super) fn of(topic: &str) -> Self {
        Self {
            sent: metrics::counter(&list::SENT_BATCHES, &[topic]),
            sent_bytes: metrics::counter(&list::SENT_BYTES, &[topic]),
            acknowledged: metrics::counter(&list::ACKNOWLEDGED_BATCHES, &[topic]),
            seconds: metrics::histogram(&list::PRODUCE_SECONDS, &[topic]),
            inside: AtomicUsize::new(0),
            progress: Progress::new(Instant::now()),
        }
    }

    /// Notes that a record or a set that was handed over at `sent_at` is safe.
    pub(super) fn note_acknowledged(&self, sent_at: Instant) {
        self.acknowledged.increment(1);
        self.seconds.record(sent_at.elapsed().as_secs_f64());
    }
}
