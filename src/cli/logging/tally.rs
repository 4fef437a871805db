//! How many events there were, for the metrics: events come before there are any, so they are counted here first.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::Level;

use crate::metrics::{self, list};

/// By level, the gravest first.
const LEVELS: [(Level, &str); 5] = [
    (Level::ERROR, "error"),
    (Level::WARN, "warn"),
    (Level::INFO, "info"),
    (Level::DEBUG, "debug"),
    (Level::TRACE, "trace"),
];

#[derive(Debug, Default)]
pub(super) struct Tally {
    events: [AtomicU64; LEVELS.len()],
    held_back: AtomicU64,
}

impl Tally {
    pub(super) fn saw(&self, level: Level) {
        if let Some(number) = LEVELS.iter().position(|(known, _)| *known == level) {
            self.events[number].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn held_back(&self) {
        self.held_back.fetch_add(1, Relaxed);
    }

    /// Brings the metrics up to what was counted.
    pub(super) fn publish(&self) {
        for ((_, level), count) in LEVELS.iter().zip(&self.events) {
            metrics::counter(&list::LOG_EVENTS, &[level]).absolute(count.load(Relaxed));
        }
        metrics::counter(&list::LOG_SUPPRESSED, &[]).absolute(self.held_back.load(Relaxed));
    }
}
