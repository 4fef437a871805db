//! Where a group begins in a partition of which it has committed nothing.

use std::time::Duration;

use jiff::Timestamp;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaResult,
};
use serde::Deserialize;
use tracing::warn;

/// How long the brokers have for each of the two questions; the group waits meanwhile.
const LIMIT: Duration = Duration::from_secs(10);

/// Where a group begins that is new to a partition: `earliest`, `latest`, or at a time such as `2026-11-20T00:00:00Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum StartFrom {
    /// With the oldest record that is kept.
    #[default]
    Earliest,
    /// With what is written from now on.
    Latest,
    /// With the first record that is not older; with what is written from now on, if all are.
    Time(Timestamp),
}

impl TryFrom<String> for StartFrom {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => time.parse().map(Self::Time).map_err(|_| {
                format!("{time:?} is neither \"earliest\" nor \"latest\" nor a time such as \"2026-11-20T00:00:00Z\"")
            }),
        }
    }
}

impl StartFrom {
    /// Sets where to begin in those of `assigned` that nothing was committed of. Where that can't be looked up, more is
    /// read rather than less.
    pub(super) fn apply<C: ConsumerContext>(self, consumer: &BaseConsumer<C>, assigned: &TopicPartitionList) {
        let found = match self {
            Self::Earliest => return,
            Self::Latest => uncommitted(consumer, assigned, Offset::End),
            Self::Time(time) => offsets(consumer, assigned, time),
        };
        match found {
            Ok(found) => {
                for mut element in assigned.elements() {
                    let start = found.find_partition(element.topic(), element.partition());
                    if let Some(start) = start.filter(|start| start.error().is_ok())
                        && let Err(error) = element.set_offset(start.offset())
                    {
                        warn!(%error, "a new partition is read from its beginning");
                    }
                }
            }
            Err(error) => {
                warn!(%error, start_from = ?self, "where to begin is not known; new partitions are read from their beginnings")
            }
        }
    }
}

/// The offsets at `time` of those of `assigned` that nothing was committed of.
fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    assigned: &TopicPartitionList,
    time: Timestamp,
) -> KafkaResult<TopicPartitionList> {
    let wanted = uncommitted(consumer, assigned, Offset::Offset(time.as_millisecond()))?;
    if wanted.count() == 0 { Ok(wanted) } else { consumer.offsets_for_times(wanted, LIMIT) }
}

/// Those of `assigned` that nothing was committed of, each with this offset.
fn uncommitted<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    assigned: &TopicPartitionList,
    offset: Offset,
) -> KafkaResult<TopicPartitionList> {
    let committed = consumer.committed_offsets(assigned.clone(), LIMIT)?;
    let mut wanted = TopicPartitionList::new();
    for element in committed.elements() {
        if !matches!(element.offset(), Offset::Offset(_)) {
            wanted.add_partition_offset(element.topic(), element.partition(), offset)?;
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::StartFrom;

    #[test]
    fn a_start_is_a_word_or_a_time() {
        let of = |text: &str| StartFrom::try_from(text.to_owned());
        assert_eq!((of("earliest"), of("latest")), (Ok(StartFrom::Earliest), Ok(StartFrom::Latest)));
        assert!(matches!(of("2026-11-20T00:00:00Z"), Ok(StartFrom::Time(_))));
        assert!(of("yesterday").expect_err("no time").contains("\"earliest\""));
    }
}
