//! How long to wait before trying again: longer each time, and never all at the same moment.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The first wait.
const MIN: Duration = Duration::from_millis(100);
/// The longest wait.
const MAX: Duration = Duration::from_secs(30);

/// Waits that double, from 100 ms to 30 s; each is drawn from the upper half of its range.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    range: Duration,
}

impl Backoff {
    /// The next wait; at least what the other side asked for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        self.range = (self.range * 2).clamp(MIN, MAX);
        // A new state is keyed at random, and that is all the chance that is needed.
        let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        self.range.mul_f64(0.5 + chance / 2.0).max(asked.unwrap_or_default().min(MAX))
    }

    /// Something succeeded: the next wait is a short one again.
    pub(super) fn reset(&mut self) {
        self.range = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Duration, MAX, MIN};

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next(None)).collect();
        assert!(waits[0] >= MIN / 2 && waits[0] <= MIN, "{waits:?}");
        assert!(waits[19] >= MAX / 2 && waits.iter().all(|wait| *wait <= MAX), "{waits:?}");
        assert_ne!(waits[18], waits[19], "two waits of the same range are drawn apart");
        backoff.reset();
        assert!(backoff.next(None) <= MIN);
        assert_eq!(backoff.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.next(Some(Duration::from_secs(3600))), MAX);
    }
}
