//! How long to wait before trying again: longer each time, and never in step with others.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The first wait, before it is spread.
const FIRST: Duration = Duration::from_millis(200);

/// No wait is longer.
const LONGEST: Duration = Duration::from_secs(15);

/// Waits that double. A fleet whose etcd comes back must not ask all at once, so each wait is spread over its second half.
#[derive(Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// The wait after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        // Each `RandomState` has keys of its own.
        let spread = (RandomState::new().hash_one(self.failures) % 512) as u32;
        whole / 2 + whole * spread / 1024
    }

    /// It works: the next wait is a short one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, LONGEST, Pace};

    #[test]
    fn waits_grow_to_a_limit_and_are_short_again_after_a_success() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..40).map(|_| pace.next()).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] < FIRST);
        assert!(waits.iter().all(|wait| *wait < LONGEST) && waits[39] >= LONGEST / 2);
        pace.reset();
        assert!(pace.next() < FIRST);
    }
}
