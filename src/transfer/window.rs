//! How many bulk requests may be under way at once: fewer when the servers push back, more when they don't.
//!
//! As networks do it: a limit that grows by one for each round of requests that went well, and halves when one
//! was pushed back. Requests that were under way together when the servers began to push back belong to the same
//! event and halve it once. It grows only while it is the limit that keeps requests from being sent.

use std::time::Instant;

use crate::metrics::{self, Gauge, list};

/// The limit at first, before anything is known of the servers.
const FIRST: f64 = 2.0;

/// The limit. All times are when a request began.
#[derive(Debug)]
pub(super) struct Window {
    limit: f64,
    most: f64,
    /// When it was last made smaller.
    halved: Option<Instant>,
    shown: Shown,
}

/// The limit as a metric.
struct Shown(Gauge);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

impl Window {
    /// A window that never lets more than `most` requests be under way, and always one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        let shown = Shown(metrics::gauge(&list::BULK_REQUESTS_LIMIT, &[]));
        let limit = FIRST.min(most);
        shown.0.set(limit);
        Self { limit, most, halved: None, shown }
    }

    /// How many requests may be under way.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// A request went well; `was_full` if as many were under way as may be.
    pub(super) fn went_well(&mut self, was_full: bool) {
        if was_full {
            self.set(self.limit + 1.0 / self.limit.floor());
        }
    }

    /// The servers pushed back a request that began at `began`.
    pub(super) fn pushed_back(&mut self, began: Instant, now: Instant) {
        if self.halved.is_none_or(|halved| began >= halved) {
            self.halved = Some(now);
            self.set(self.limit / 2.0);
        }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(1.0, self.most);
        self.shown.0.set(self.limit.floor());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Instant, Window};

    #[test]
    fn it_grows_by_one_for_each_round_that_went_well_up_to_its_most() {
        let mut window = Window::new(4);
        let mut limits = vec![window.limit()];
        for _ in 0..6 {
            for _ in 0..window.limit() {
                window.went_well(true);
            }
            limits.push(window.limit());
        }
        assert_eq!(limits, [2, 3, 4, 4, 4, 4, 4]);
        assert_eq!(Window::new(1).limit(), 1);
    }

    #[test]
    fn it_does_not_grow_while_it_is_not_what_limits() {
        let mut window = Window::new(8);
        (0..100).for_each(|_| window.went_well(false));
        assert_eq!(window.limit(), 2);
    }

    #[test]
    fn servers_that_push_back_halve_it_once_for_all_that_was_under_way_and_never_below_one() {
        let mut window = Window::new(8);
        (0..100).for_each(|_| window.went_well(true));
        assert_eq!(window.limit(), 8);
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        (1..8).for_each(|second| window.pushed_back(began, at(second)));
        assert_eq!(window.limit(), 4);
        window.pushed_back(at(1), at(9));
        assert_eq!(window.limit(), 2);
        (10..20).for_each(|second| window.pushed_back(at(second), at(second)));
        assert_eq!(window.limit(), 1);
    }
}
