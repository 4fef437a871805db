//! Whether what was sent is being acknowledged: how long the oldest silence is, while something is under way.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// The progress of one topic. Read and written by several threads without a lock: a reader may be wrong by the
/// moment that a change takes, which is nothing against the seconds that matter here.
#[derive(Debug)]
pub(super) struct Progress {
    made: Instant,
    under_way: AtomicUsize,
    /// When the last answer came, or when something was first under way after nothing was; milliseconds since `made`.
    last_ms: AtomicU64,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self { made: now, under_way: AtomicUsize::new(0), last_ms: AtomicU64::new(0) }
    }

    /// Notes that a record is under way.
    pub(super) fn begun(&self, now: Instant) {
        if self.under_way.fetch_add(1, Ordering::AcqRel) == 0 {
            self.note(now);
        }
    }

    /// Notes that a record was answered.
    pub(super) fn answered(&self, now: Instant) {
        self.note(now);
        self.under_way.fetch_sub(1, Ordering::AcqRel);
    }

    /// How long no answer has come although something is under way; none if nothing is.
    pub(super) fn silent_for(&self, now: Instant) -> Option<Duration> {
        if self.under_way.load(Ordering::Acquire) == 0 {
            return None;
        }
        let last = self.made + Duration::from_millis(self.last_ms.load(Ordering::Acquire));
        Some(now.saturating_duration_since(last))
    }

    fn note(&self, now: Instant) {
        let passed = now.saturating_duration_since(self.made).as_millis();
        self.last_ms.fetch_max(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Progress;

    #[test]
    fn silence_counts_only_while_something_is_under_way_and_ends_with_an_answer() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let progress = Progress::new(start);
        assert_eq!(progress.silent_for(at(100)), None);
        progress.begun(at(100));
        progress.begun(at(105));
        assert_eq!(progress.silent_for(at(110)), Some(Duration::from_secs(10)));
        progress.answered(at(111));
        assert_eq!(progress.silent_for(at(112)), Some(Duration::from_secs(1)));
        progress.answered(at(113));
        assert_eq!(progress.silent_for(at(500)), None);
        progress.begun(at(500));
        assert_eq!(progress.silent_for(at(501)), Some(Duration::from_secs(1)), "idleness is no silence");
    }
}
