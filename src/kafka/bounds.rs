//! From where to where a topic's partitions go: what they hold, what of it is of a time, and how far a group is.

use jiff::Timestamp;
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError as ClientError};

use super::{
    KafkaError, Settings,
    history::{LIMIT, client, partitions_of, told},
};

/// A partition's offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The partition.
    pub partition: i32,
    /// The first offset that it still holds.
    pub low: i64,
    /// One past its last.
    pub high: i64,
    /// The first offset of the time that was asked for; `low` or more.
    pub from: i64,
    /// One past the last of that time; `high` or less.
    pub until: i64,
    /// Where the group goes on; none if it never committed anything.
    pub committed: Option<i64>,
}

/// The bounds of each partition of `topic`, in their order: of the records with times from `since` up to and without
/// `until`, and for `group`, which is not joined. It blocks, for as long as it takes.
///
/// # Errors
/// [`KafkaError::UnknownTopic`], [`KafkaError::Unauthorized`], [`KafkaError::Away`] or [`KafkaError::Setting`].
pub fn bounds(
    settings: &Settings,
    topic: &str,
    group: &str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Vec<Bounds>, KafkaError> {
    let mut config = settings.history()?;
    config.set("group.id", group);
    let client = client(settings, &config)?;
    let told = |error: ClientError| told(&error, topic, &settings.bootstrap_servers);
    let partitions = partitions_of(&client, topic, &settings.bootstrap_servers)?;
    let list = |offset: Offset| {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in &partitions {
            list.add_partition_offset(topic, *partition, offset)?;
        }
        Ok(list)
    };
    let committed = list(Offset::Invalid).and_then(|list| client.committed_offsets(list, LIMIT)).map_err(told)?;
    let at = |time: Option<Timestamp>| {
        let Some(time) = time else { return Ok(None) };
        let list = list(Offset::Offset(time.as_millisecond()))?;
        client.offsets_for_times(list, LIMIT).map(Some)
    };
    let (since, until) = (at(since).map_err(told)?, at(until).map_err(told)?);
    let mut bounds = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let (low, high) = client.fetch_watermarks(topic, partition, LIMIT).map_err(told)?;
        // Where no record is so late, the partition's end is meant.
        let first = |list: &Option<TopicPartitionList>| list.as_ref().map(|list| offset(list, topic, partition));
        let from = first(&since).map_or(low, |from| from.unwrap_or(high));
        let until = first(&until).map_or(high, |until| until.unwrap_or(high));
        let from = from.clamp(low, high.max(low));
        let until = until.clamp(from, high.max(from));
        bounds.push(Bounds { partition, low, high, from, until, committed: offset(&committed, topic, partition) });
    }
    Ok(bounds)
}

fn offset(list: &TopicPartitionList, topic: &str, partition: i32) -> Option<i64> {
    match list.find_partition(topic, partition)?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::{KafkaError, bounds};
    use crate::kafka::Settings;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_empty_topic_has_bounds_and_no_group_and_one_that_is_not_there_is_named() {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("app", 2, 1).expect("a topic");
        let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), ..Settings::default() };
        let ask = |topic| tokio::task::block_in_place(|| bounds(&settings, topic, "group", None, None));
        let found = ask("app").expect("it answers");
        let seen: Vec<_> = found.iter().map(|one| (one.partition, one.from, one.until, one.committed)).collect();
        assert_eq!(seen, [(0, 0, 0, None), (1, 0, 0, None)]);
        assert!(!matches!(ask("none"), Err(KafkaError::Fatal { .. })));
    }
}
