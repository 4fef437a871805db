//! Partitions that are given back: Kafka keeps their records better than we can.
//!
//! When too much is held for an index that takes no documents, the delivery drops it and notes here which partitions
//! it was of. The desk pauses those and forgets what is under way of them; when the index takes documents again, it
//! has them read again from their last settled record. A line's `_id` makes it harmless that some are sent twice.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::kafka::AssignmentId;

/// What the delivery tells the desk. Everything in it is bounded by the number of partitions.
#[derive(Debug, Default)]
pub(super) struct Returns {
    news: Mutex<News>,
    changed: Notify,
}

/// What the desk has to do.
#[derive(Debug, Default)]
struct News {
    given_back: HashSet<AssignmentId>,
    again: HashSet<AssignmentId>,
    stalled: HashSet<AssignmentId>,
}

impl Returns {
    /// Of these partitions something was dropped.
    pub(super) fn give_back(&self, partitions: &HashSet<AssignmentId>) {
        let mut news = self.lock();
        news.given_back.extend(partitions);
        for partition in partitions {
            news.again.remove(partition);
        }
        drop(news);
        self.changed.notify_one();
    }

    /// What kept these partitions from being delivered is over.
    pub(super) fn read_again(&self, partitions: impl IntoIterator<Item = AssignmentId>) {
        self.lock().again.extend(partitions);
        self.changed.notify_one();
    }

    /// Of these partitions, and of no other, something is held for an index that takes no documents.
    pub(super) fn stall(&self, partitions: HashSet<AssignmentId>) {
        self.lock().stalled = partitions;
    }

    /// Whether something of the partition is held, so that waiting for it to be settled is in vain.
    pub(super) fn is_stalled(&self, partition: AssignmentId) -> bool {
        self.lock().stalled.contains(&partition)
    }

    /// Waits until there may be something to take. Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the partitions that were given back since the last call, and then those to be read again.
    pub(super) fn take(&self) -> (HashSet<AssignmentId>, HashSet<AssignmentId>) {
        let mut news = self.lock();
        (std::mem::take(&mut news.given_back), std::mem::take(&mut news.again))
    }

    /// The news are whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{AssignmentId, HashSet, Returns};

    #[tokio::test]
    async fn a_partition_given_back_once_more_is_not_read_again_for_the_reason_before() {
        let (returns, both) = (Returns::default(), HashSet::from([AssignmentId(1), AssignmentId(2)]));
        returns.give_back(&both);
        returns.read_again(both.iter().copied());
        returns.give_back(&HashSet::from([AssignmentId(1)]));
        returns.changed().await;
        assert_eq!(returns.take(), (both, HashSet::from([AssignmentId(2)])));
        assert_eq!(returns.take(), (HashSet::new(), HashSet::new()));
    }
}
