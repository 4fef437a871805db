//! What a lane counts for each task.

use crate::metrics::{self, Counter, list};

/// The handles of one task's metrics.
pub(super) struct Counters {
    task: String,
    bytes: Counter,
    lines: Counter,
    pub(super) too_long: Counter,
    pub(super) cut_late: Counter,
    pub(super) abandoned: Counter,
    pub(super) failed: Counter,
}

impl Counters {
    pub(super) fn of(task: &str) -> Self {
        Self {
            task: task.to_owned(),
            bytes: metrics::counter(&list::READ_BYTES, &[task]),
            lines: metrics::counter(&list::READ_LINES, &[task]),
            too_long: metrics::counter(&list::CUT_LINES, &[task, "too_long"]),
            cut_late: metrics::counter(&list::CUT_LINES, &[task, "no_newline"]),
            abandoned: metrics::counter(&list::ABANDONED_BYTES, &[task]),
            failed: metrics::counter(&list::ERRORS, &["reader", "read"]),
        }
    }

    pub(super) fn read(&self, bytes: u64, lines: u32) {
        self.bytes.increment(bytes);
        self.lines.increment(u64::from(lines));
    }

    /// Counts a file event. They are rare, so the handle is not kept.
    pub(super) fn happened(&self, event: &str) {
        metrics::counter(&list::ROTATIONS, &[&self.task, event]).increment(1);
    }
}
