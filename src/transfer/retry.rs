//! How long to wait before trying again: longer each time, and never all at the same moment.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

use crate::elastic::ElasticError;

/// The first wait.
const MIN: Duration = Duration::from_millis(100);
/// The longest wait.
const MAX: Duration = Duration::from_secs(30);

/// Waits that double, from 100 ms to 30 s; each is drawn from the upper half of its range.
#[derive(Clone, Debug, Default)]
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

/// Servers that are only busy are nothing to report, unless they take nothing for so many tries.
const BUSY_TRIES: u32 = 6;

/// The way to the store: whether requests find one that answers them as requests.
#[derive(Debug, Default)]
pub(super) struct Road {
    backoff: Backoff,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    at: Instant,
    opens_at: Instant,
    tries: u32,
    /// What tells one failure from another, however it is worded.
    kind: (Option<u16>, std::mem::Discriminant<ElasticError>),
    is_busy: bool,
    text: String,
}

impl Road {
    /// A request that began at `began` failed as a whole. Those that were under way together fail together, and count
    /// once. Returns whether it is news.
    pub(super) fn failed(
        &mut self,
        error: &ElasticError,
        asked: Option<Duration>,
        began: Instant,
        now: Instant,
    ) -> bool {
        let kind = (error.status(), std::mem::discriminant(error));
        let before = self.failure.take();
        let is_news = before.as_ref().is_none_or(|before| before.kind != kind);
        let (opens_at, tries) = match &before {
            Some(before) if began < before.at => (before.opens_at, before.tries),
            _ => (now + self.backoff.next(asked), before.map_or(0, |before| before.tries) + 1),
        };
        let (is_busy, text) = (error.is_too_busy(), error.to_string());
        self.failure = Some(Failure { at: now, opens_at, tries, kind, is_busy, text });
        is_news
    }

    /// A request was answered; returns whether the one before it was not.
    pub(super) fn works(&mut self) -> bool {
        self.backoff.reset();
        self.failure.take().is_some_and(|failure| !failure.is_busy)
    }

    /// Whether requests may be sent now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.opens_at().is_none_or(|at| at <= now)
    }

    /// When requests may be sent again; none if they may be already, as far as is known.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        self.failure.as_ref().map(|failure| failure.opens_at)
    }

    /// Whether the last request failed.
    pub(super) fn is_troubled(&self) -> bool {
        self.failure.is_some()
    }

    /// What is wrong, in words for a person.
    pub(super) fn trouble(&self) -> Option<String> {
        let failure = self.failure.as_ref().filter(|failure| !failure.is_busy || failure.tries >= BUSY_TRIES)?;
        Some(failure.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{BUSY_TRIES, Backoff, Duration, ElasticError, Instant, MAX, MIN, Road};

    fn status(status: u16) -> ElasticError {
        let (url, path, kind, reason) = Default::default();
        ElasticError::Status { url, path, status, kind, reason }
    }

    #[test]
    fn requests_that_fail_together_are_one_failure_and_the_wait_after_it_is_kept() {
        let (mut road, now) = (Road::default(), Instant::now());
        assert!(road.is_open(now) && road.failed(&status(503), None, now, now));
        let opens_at = road.opens_at();
        let later = now + Duration::from_millis(1);
        (0..10).for_each(|_| assert!(!road.failed(&status(503), None, now - Duration::from_millis(1), later)));
        assert_eq!(road.opens_at(), opens_at);
        assert!(!road.is_open(now) && road.is_open(now + MIN));
        assert!(road.failed(&status(401), Some(Duration::from_secs(9)), later, later), "another failure is news");
        assert!(!road.is_open(now + Duration::from_secs(9)));
        assert!(road.works() && !road.works());
        assert!(road.is_open(now) && road.trouble().is_none());
    }

    #[test]
    fn servers_that_are_only_busy_are_no_trouble_unless_they_stay_so() {
        let (mut road, now) = (Road::default(), Instant::now());
        for _ in 1..BUSY_TRIES {
            road.failed(&status(429), None, now, now);
            assert!(road.is_troubled() && road.trouble().is_none());
        }
        road.failed(&status(429), None, now, now);
        assert!(road.trouble().is_some_and(|text| text.contains("429")));
    }

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
