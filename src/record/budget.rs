//! The budget: one limit, in bytes, for everything that was read and is not yet safe.
//!
//! Whoever is about to hold bytes takes a [`Permit`] first and waits until there is one. The permit travels with
//! the bytes and gives its share back when it is dropped, so the sum of all permits never exceeds the limit.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limit, shared by all who read. Clones share one limit.
#[derive(Clone, Debug)]
pub struct Budget {
    free: Arc<Semaphore>,
    bytes_max: usize,
}

/// A share of the budget, in bytes, held as long as the value lives.
#[derive(Debug)]
pub struct Permit(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of `bytes_max` bytes (at most 4 GiB - 1, which is what one permit can hold).
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.clamp(1, u32::MAX as usize);
        Self { free: Arc::new(Semaphore::new(bytes_max)), bytes_max }
    }

    /// Waits for `bytes` bytes. A wish larger than the whole budget waits for the whole budget.
    pub async fn take(&self, bytes: usize) -> Permit {
        let share = bytes.min(self.bytes_max) as u32;
        // The semaphore is never closed; if it were, holding nothing is the safe answer.
        Permit(Arc::clone(&self.free).acquire_many_owned(share).await.ok())
    }

    /// Takes `bytes` bytes if they are free now.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        let share = bytes.min(self.bytes_max) as u32;
        Arc::clone(&self.free).try_acquire_many_owned(share).ok().map(|permit| Permit(Some(permit)))
    }

    /// How many bytes are held now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.bytes_max.saturating_sub(self.free.available_permits())
    }

    /// The limit in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}

impl Permit {
    /// A permit for nothing, for bytes that no budget governs.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// How many bytes the permit holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives back all but `bytes` bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            let excess = held.num_permits().saturating_sub(bytes);
            drop(held.split(excess));
        }
    }

    /// Parts with `bytes` bytes of the share, or with all of it if it is smaller.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Permit {
        Permit(self.0.as_mut().and_then(|held| held.split(bytes.min(held.num_permits()))))
    }

    /// Adds `other`'s share, of the same budget, to this one.
    pub fn merge(&mut self, other: Permit) {
        match (&mut self.0, other.0) {
            (Some(held), Some(more)) => held.merge(more),
            (None, more) => self.0 = more,
            (Some(_), None) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Permit};

    #[test]
    fn what_is_held_and_what_is_given_back_add_up_to_the_limit() {
        let budget = Budget::new(100);
        let mut first = budget.try_take(60).expect("60 of 100 are free");
        assert!(budget.try_take(50).is_none());
        first.shrink_to(10);
        let second = budget.try_take(50).expect("90 of 100 are free");
        first.merge(second);
        first.merge(Permit::none());
        assert_eq!((first.bytes(), budget.in_flight()), (60, 60));
        drop(first);
        assert_eq!(budget.in_flight(), 0);
    }

    #[tokio::test]
    async fn a_wish_beyond_the_limit_is_granted_the_whole_limit_rather_than_never() {
        let budget = Budget::new(10);
        assert_eq!(budget.take(1000).await.bytes(), 10);
    }
}
