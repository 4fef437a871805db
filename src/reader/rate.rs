//! A limit of bytes a second: a bucket that fills with time, shared by all who read under it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The bucket. It holds at most one second's worth, or one read's if that is more, so that a pause is not followed
/// by a flood. A read takes what it is for beforehand, and puts back what it did not find; the level may thereby
/// fall below nothing, by no more than one read.
#[derive(Debug)]
pub(super) struct Bucket {
    bytes_per_second: u64,
    burst: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    bytes: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket of `bytes_per_second`, for reads of up to `read_bytes`.
    pub(super) fn new(bytes_per_second: u64, read_bytes: usize, now: Instant) -> Self {
        let bytes_per_second = bytes_per_second.max(1);
        let burst = bytes_per_second.max(read_bytes as u64) as f64;
        Self { bytes_per_second, burst, level: Mutex::new(Level { bytes: burst, at: now }) }
    }

    /// Takes `bytes` if anything is there; else says how long it will take until something is.
    pub(super) fn take(&self, bytes: usize, now: Instant) -> Result<(), Duration> {
        self.at(now, |level| {
            if level.bytes < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - level.bytes) / self.bytes_per_second as f64));
            }
            level.bytes -= bytes as f64;
            Ok(())
        })
    }

    /// Pays for what was sent instead of what was taken beforehand.
    pub(super) fn settle(&self, taken: usize, sent: usize, now: Instant) {
        self.at(now, |level| level.bytes = (level.bytes + taken as f64 - sent as f64).min(self.burst));
    }

    fn at<T>(&self, now: Instant, then: impl FnOnce(&mut Level) -> T) -> T {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(level.at);
        level.at = level.at.max(now);
        level.bytes = (level.bytes + passed.as_secs_f64() * self.bytes_per_second as f64).min(self.burst);
        then(&mut level)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::Bucket;

    #[test]
    fn a_full_bucket_gives_a_burst_and_then_the_rate() {
        let start = Instant::now();
        let bucket = Bucket::new(1000, 100, start);
        for _ in 0..10 {
            bucket.take(100, start).expect("a second's worth is there");
        }
        let wait = bucket.take(100, start).expect_err("it is empty");
        assert!((Duration::from_micros(900)..Duration::from_micros(1100)).contains(&wait), "{wait:?}");
        let later = start + Duration::from_millis(100);
        bucket.take(100, later).expect("a tenth of a second's worth came");
        assert!(bucket.take(1, later).is_err());
        bucket.settle(100, 50, later);
        bucket.take(1, later).expect("what was put back is there");
    }

    #[test]
    fn a_read_larger_than_the_rate_is_paid_for_afterwards() {
        let start = Instant::now();
        let bucket = Bucket::new(10, 100, start);
        bucket.take(100, start).expect("one read is there");
        bucket.take(100, start + Duration::from_millis(200)).expect("two bytes are there");
        let wait = bucket.take(100, start + Duration::from_millis(200)).expect_err("98 bytes are owed");
        assert!((9.5..10.5).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    proptest! {
        /// Over any stretch of time no more is taken than the rate allows, a burst and one read; and whoever waits
        /// as long as told gets something.
        #[test]
        fn the_rate_is_kept_whatever_the_pattern_and_waiting_is_rewarded(
            rate in 1_u64..10_000,
            reads in proptest::collection::vec((1_usize..500, 0_usize..500, 0_u64..2_000), 1..200),
        ) {
            let start = Instant::now();
            let bucket = Bucket::new(rate, 500, start);
            let (mut now, mut taken) = (start, 0);
            for (bytes, found, pause_ms) in reads {
                now += Duration::from_millis(pause_ms);
                if let Err(wait) = bucket.take(bytes, now) {
                    now += wait + Duration::from_micros(1);
                    prop_assert!(bucket.take(bytes, now).is_ok());
                }
                let unused = bytes.saturating_sub(found);
                bucket.settle(bytes, bytes - unused, now);
                taken += bytes - unused;
                let allowed = rate as f64 * (now - start).as_secs_f64() + rate.max(500) as f64 + 500.0;
                prop_assert!(taken as f64 <= allowed + 1.0, "{} of {}", taken, allowed);
            }
        }
    }
}
