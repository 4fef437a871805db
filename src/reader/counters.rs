//! What a lane counts for each task.

use std::sync::Arc;

use crate::{
    metrics::{self, Counter, list},
    record::{Held, Tally},
};

/// The handles of one task's metrics.
pub(super) struct Counters {
    task: String,
    tally: Arc<Tally>,
    pub(super) too_long: Counter,
    pub(super) cut_late: Counter,
    pub(super) abandoned: Counter,
    pub(super) failed: Counter,
}

impl Counters {
    pub(super) fn of(task: &str, tally: Arc<Tally>) -> Self {
        Self {
            task: task.to_owned(),
            tally,
            too_long: metrics::counter(&list::CUT_LINES, &[task, "too_long"]),
            cut_late: metrics::counter(&list::CUT_LINES, &[task, "no_newline"]),
            abandoned: metrics::counter(&list::ABANDONED_BYTES, &[task]),
            failed: metrics::counter(&list::ERRORS, &["reader", "read"]),
        }
    }

    /// Notes what was read, for which somebody has to answer from now on.
    pub(super) fn read(&self, bytes: u64, lines: u32) -> Held {
        self.tally.read(lines.into(), bytes)
    }

    /// Counts a file event. They are rare, so the handle is not kept.
    pub(super) fn happened(&self, event: &str) {
        metrics::counter(&list::ROTATIONS, &[&self.task, event]).increment(1);
    }
}
