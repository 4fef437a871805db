//! Partitions that are ours and not read for now, because the role can't use their records yet.
//!
//! All of it happens on the consumer's thread, between two polls: what was polled before a partition is read again
//! carries its old number, what is polled after carries the new one, and nothing lies in between.

use std::{
    collections::{BTreeMap, HashSet},
    sync::atomic::Ordering,
    time::Duration,
};

use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError as ClientError};
use tracing::warn;

use super::{AssignmentId, consumer::Client, rebalance::Context};

/// How long going back to an offset may take before it is tried again at the next poll.
const SEEK_MAX: Duration = Duration::from_secs(5);

/// What the role wants of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// Not to get its records.
    SetAside(AssignmentId),
    /// To get them again, from this offset on.
    ReadAgain(AssignmentId, u64),
}

/// The partitions that are set aside.
#[derive(Debug, Default)]
pub(super) struct Aside {
    partitions: HashSet<AssignmentId>,
    /// Those to be read again, and from where.
    due: BTreeMap<AssignmentId, u64>,
}

impl Aside {
    /// Does what is wanted. Of partitions that went nothing is.
    pub(super) fn obey(&mut self, client: &Client, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::SetAside(assignment) => self.set_aside(client, assignment),
                Wish::ReadAgain(assignment, offset) => {
                    self.due.insert(assignment, offset);
                }
            }
        }
        if !self.due.is_empty() {
            let due = std::mem::take(&mut self.due);
            self.due =
                due.into_iter().filter(|(assignment, offset)| !self.read_again(client, *assignment, *offset)).collect();
        }
    }

    /// The partitions of `all` that are not set aside.
    pub(super) fn without(
        &self,
        context: &Context,
        all: &TopicPartitionList,
    ) -> Result<TopicPartitionList, ClientError> {
        let mut list = TopicPartitionList::new();
        for element in all.elements() {
            let assignment = context.assignment(element.topic(), element.partition());
            if assignment.is_none_or(|(_, id)| !self.partitions.contains(&id)) {
                list.add_partition_offset(element.topic(), element.partition(), Offset::Invalid)?;
            }
        }
        Ok(list)
    }

    fn set_aside(&mut self, client: &Client, assignment: AssignmentId) {
        self.partitions.retain(|id| client.context().place(*id).is_some());
        let Some((topic, partition)) = client.context().place(assignment) else { return };
        self.partitions.insert(assignment);
        // If this fails its records still come, and are dropped for their number.
        if let Err(error) = client.pause(&only(&topic, partition)) {
            warn!(%error, %topic, partition, "a partition could not be paused");
        }
    }

    /// Returns whether that is done, or not to be done any more.
    fn read_again(&mut self, client: &Client, assignment: AssignmentId, offset: u64) -> bool {
        let Some((topic, partition)) = client.context().place(assignment) else {
            self.partitions.remove(&assignment);
            return true;
        };
        if let Err(error) = client.seek(&topic, partition, Offset::Offset(offset as i64), SEEK_MAX) {
            warn!(%error, %topic, partition, offset, "a partition could not be read again yet");
            return false;
        }
        self.partitions.remove(&assignment);
        client.context().begin_anew(&topic, partition);
        if !client.context().paused.load(Ordering::Acquire)
            && let Err(error) = client.resume(&only(&topic, partition))
        {
            warn!(%error, %topic, partition, "a partition could not be resumed");
        }
        true
    }
}

fn only(topic: &str, partition: i32) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    list
}
