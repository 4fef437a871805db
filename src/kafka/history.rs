//! What a topic holds: its partitions' newest records, read backwards in windows, or those at known places.
//!
//! Reading backwards is bounded: a window is at most [`WINDOW_MAX`] records, or more small ones, and a [`Reach`] limits
//! how far it goes.

use std::{
    ops::{ControlFlow, Range},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError as ClientError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode as Code,
};

use super::{
    KafkaError, Settings,
    headers::{self, Header},
    settings,
    token::{Bearer, Tokens},
};

/// How many records the first window of a partition has, and the largest one.
const WINDOW_FIRST: i64 = 64;
const WINDOW_MAX: i64 = 1024;
/// Of small records a window may have more: so many, and about so many bytes of values.
const WINDOW_RECORDS_MAX: i64 = 65_536;
const WINDOW_BYTES: u64 = 8 << 20;

/// How long the brokers may say nothing.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// How long one poll waits.
const TURN: Duration = Duration::from_millis(200);

/// How far back a topic is read. Its partitions share it evenly; the window in which a limit is met is read to its end.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Records of the topic.
    pub records_max: u64,
    /// Bytes of values, as they are on the wire.
    pub bytes_max: u64,
}

/// A record that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The partition that it lies in.
    pub partition: i32,
    /// Its place there, from 0.
    pub offset: i64,
    /// The headers, in order; names may repeat, values may be absent.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The value; none for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Past {
    /// The value of the first header called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(found, _)| found == name).and_then(|(_, value)| value.as_deref())
    }
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Records.
    pub records: u64,
    /// Bytes of values.
    pub bytes: u64,
    /// Whether all that the topic has was read.
    pub is_whole: bool,
}

/// Reads the newest records of `topic`, and shows each. Later windows hold older records; within a window they come
/// in order. Joins no group and commits nothing. It blocks, for as long as it takes.
///
/// # Errors
/// [`KafkaError::UnknownTopic`], [`KafkaError::Unauthorized`], [`KafkaError::Away`] or [`KafkaError::Setting`].
pub fn newest(
    settings: &Settings,
    topic: &str,
    reach: Reach,
    mut show: impl FnMut(Past),
) -> Result<Extent, KafkaError> {
    let reader = Reader::of(settings, topic)?;
    let partitions = reader.partitions()?;
    let share = |whole: u64| (whole / partitions.len().max(1) as u64).max(1);
    let reach = Reach { records_max: share(reach.records_max), bytes_max: share(reach.bytes_max) };
    let mut sum = Extent { is_whole: true, ..Extent::default() };
    for partition in partitions {
        let part = reader.backwards(partition, reach, &mut show)?;
        sum.records += part.records;
        sum.bytes += part.bytes;
        sum.is_whole &= part.is_whole;
    }
    Ok(sum)
}

/// Shows the records of `topic` that lie in `ranges` of offsets, each of a partition, in that order, until `show` wants
/// no more. What isn't there, or not any more, is passed over. It blocks, for as long as it takes.
///
/// # Errors
/// As [`newest`].
pub fn within(
    settings: &Settings,
    topic: &str,
    ranges: &[(i32, Range<i64>)],
    mut show: impl FnMut(Past) -> ControlFlow<()>,
) -> Result<(), KafkaError> {
    let reader = Reader::of(settings, topic)?;
    let partitions = reader.partitions()?;
    let mut going = ControlFlow::Continue(());
    for (partition, range) in ranges.iter().filter(|(partition, _)| partitions.contains(partition)) {
        let marks = reader.client.fetch_watermarks(topic, *partition, LIMIT);
        let (low, high) = marks.map_err(|error| reader.error(&error))?;
        let (lower, upper) = (range.start.max(low), range.end.min(high));
        if lower < upper && going.is_continue() {
            going = reader.window(*partition, lower, upper, &mut show)?;
        }
    }
    Ok(())
}

struct Reader<'a> {
    client: BaseConsumer<Bearer>,
    topic: &'a str,
    servers: &'a str,
}

impl<'a> Reader<'a> {
    fn of(settings: &'a Settings, topic: &'a str) -> Result<Self, KafkaError> {
        Ok(Self { client: client(settings, &settings.history()?)?, topic, servers: &settings.bootstrap_servers })
    }

    fn partitions(&self) -> Result<Vec<i32>, KafkaError> {
        partitions_of(&self.client, self.topic, self.servers)
    }

    fn backwards(&self, partition: i32, reach: Reach, show: &mut impl FnMut(Past)) -> Result<Extent, KafkaError> {
        let marks = self.client.fetch_watermarks(self.topic, partition, LIMIT);
        let (low, mut upper) = marks.map_err(|error| self.error(&error))?;
        let (mut read, mut step) = (Extent::default(), WINDOW_FIRST);
        while upper > low && read.records < reach.records_max && read.bytes < reach.bytes_max {
            let lower = (upper - step).max(low);
            let _ = self.window(partition, lower, upper, &mut |past| {
                read.records += 1;
                read.bytes += past.value.as_ref().map_or(0, Vec::len) as u64;
                show(past);
                ControlFlow::Continue(())
            })?;
            upper = lower;
            step = (step * 4).min(window_max(&read));
        }
        read.is_whole = upper <= low;
        Ok(read)
    }

    /// Shows the records from `lower` up to and without `upper`, until `show` wants no more; offsets between them may be
    /// missing.
    fn window(
        &self,
        partition: i32,
        lower: i64,
        upper: i64,
        show: &mut impl FnMut(Past) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let assigned = list.add_partition_offset(self.topic, partition, Offset::Offset(lower));
        assigned.and_then(|()| self.client.assign(&list)).map_err(|error| self.error(&error))?;
        let mut heard = Instant::now();
        loop {
            match self.client.poll(TURN) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if message.offset() < upper && show(past(&message)).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    if message.offset() + 1 >= upper {
                        return Ok(ControlFlow::Continue(()));
                    }
                }
                Some(Err(ClientError::PartitionEOF(_))) => return Ok(ControlFlow::Continue(())),
                Some(Err(error)) if is_final(&error) => return Err(self.error(&error)),
                Some(Err(_)) | None if heard.elapsed() < LIMIT => (),
                Some(Err(error)) => return Err(self.error(&error)),
                None => return Err(self.away("no answer in time".to_owned())),
            }
        }
    }

    fn error(&self, error: &ClientError) -> KafkaError {
        told(error, self.topic, self.servers)
    }

    fn away(&self, why: String) -> KafkaError {
        KafkaError::Away { servers: self.servers.to_owned(), why }
    }
}

/// A client that joins no group.
pub(super) fn client(settings: &Settings, config: &ClientConfig) -> Result<BaseConsumer<Bearer>, KafkaError> {
    let bearer = Bearer(Tokens::of(settings));
    let client: BaseConsumer<_> = BaseConsumer::from_config_and_context(config, bearer).map_err(settings::refused)?;
    // A token is asked for by an event.
    drop(client.poll(Duration::ZERO));
    Ok(client)
}

/// The partitions of a topic, in their order.
pub(super) fn partitions_of(client: &BaseConsumer<Bearer>, topic: &str, servers: &str) -> Result<Vec<i32>, KafkaError> {
    let metadata = client.fetch_metadata(Some(topic), LIMIT).map_err(|error| told(&error, topic, servers))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let known = found.filter(|found| found.error().is_none() && !found.partitions().is_empty());
    let known = known.ok_or_else(|| KafkaError::UnknownTopic { topic: topic.to_owned() })?;
    let mut partitions: Vec<i32> = known.partitions().iter().map(|partition| partition.id()).collect();
    partitions.sort_unstable();
    Ok(partitions)
}

/// What the brokers at `servers` said of `topic`, in our words.
pub(super) fn told(error: &ClientError, topic: &str, servers: &str) -> KafkaError {
    match error.rdkafka_error_code() {
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => {
            KafkaError::UnknownTopic { topic: topic.to_owned() }
        }
        Some(code) if is_refusal(code) => {
            KafkaError::Unauthorized { what: format!("topic {topic:?}"), why: code.to_string() }
        }
        _ => KafkaError::Away { servers: servers.to_owned(), why: error.to_string() },
    }
}

/// How many records a window may have, going by how large those were that were read: many small ones, since each
/// window costs a question.
fn window_max(read: &Extent) -> i64 {
    let fitting = WINDOW_BYTES * read.records / read.bytes.max(1);
    i64::try_from(fitting).map_or(WINDOW_RECORDS_MAX, |fitting| fitting.clamp(WINDOW_MAX, WINDOW_RECORDS_MAX))
}

fn is_refusal(code: Code) -> bool {
    matches!(code, Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed)
}

fn is_final(error: &ClientError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        is_refusal(code) || matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::Fatal)
    })
}

fn past(message: &BorrowedMessage<'_>) -> Past {
    let owned = |(name, value): Header<'_>| (String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec));
    let headers = headers::of(message).map(owned).collect();
    let (partition, offset) = (message.partition(), message.offset());
    Past { partition, offset, headers, value: message.payload().map(<[u8]>::to_vec) }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
    use tokio::sync::mpsc;

    use super::{
        ControlFlow, Extent, KafkaError, Past, Reach, WINDOW_MAX, WINDOW_RECORDS_MAX, newest, window_max, within,
    };
    use crate::kafka::{Outgoing, Producer, Settings};

    async fn topic(records: usize) -> (MockCluster<'static, DefaultProducerContext>, Settings) {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("app", 2, 1).expect("a topic");
        let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), ..Settings::default() };
        let (sender, _answers) = mpsc::channel(10_000);
        let producer = Producer::new(&settings, sender).expect("a producer");
        for number in 0..records {
            let (value, partition) = (number.to_string().into_bytes(), Some(number as i32 % 2));
            let headers = vec![("number", value.clone())];
            let topic = Arc::from("app");
            producer
                .send(Outgoing { topic, partition, key: None, value, headers, pieces: Default::default(), ticket: () })
                .await;
        }
        assert_eq!(producer.flush(std::time::Duration::from_secs(30)).await, 0);
        (cluster, settings)
    }

    #[test]
    fn a_window_has_more_records_the_smaller_they_are() {
        let of = |records, bytes| window_max(&Extent { records, bytes, is_whole: false });
        assert_eq!((of(10, 10_000_000), of(1000, 1_000_000)), (WINDOW_MAX, 8388));
        assert_eq!((of(1000, 0), of(u64::MAX >> 24, 1)), (WINDOW_RECORDS_MAX, WINDOW_RECORDS_MAX));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_newest_records_are_shown_once_each_and_no_more_than_was_asked_for() {
        let (_cluster, settings) = topic(600).await;
        let read = |records_max| {
            let mut numbers = Vec::new();
            let reach = Reach { records_max, bytes_max: 1 << 30 };
            let extent = newest(&settings, "app", reach, |past| {
                assert_eq!(past.header("number"), past.value.as_deref());
                let text = String::from_utf8(past.value.expect("a value")).expect("a number");
                numbers.push(text.parse::<usize>().expect("a number"));
            });
            let set: BTreeSet<usize> = numbers.iter().copied().collect();
            assert_eq!(set.len(), numbers.len(), "each once");
            (extent.expect("read"), set)
        };
        let (extent, all) = tokio::task::block_in_place(|| read(1_000_000));
        assert_eq!((extent.records, extent.is_whole, all), (600, true, (0..600).collect()));
        let (extent, some) = tokio::task::block_in_place(|| read(20));
        assert_eq!((extent.records, extent.is_whole, some), (128, false, (472..600).collect()));
        let nothing =
            tokio::task::block_in_place(|| newest(&settings, "none", Reach { records_max: 1, bytes_max: 1 }, |_| ()));
        assert!(matches!(nothing, Err(KafkaError::UnknownTopic { .. }) | Ok(Extent { records: 0, .. })), "{nothing:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn records_at_known_places_are_shown_and_those_that_are_not_there_are_passed_over() {
        let (_cluster, settings) = topic(20).await;
        let read = |ranges: &[(i32, std::ops::Range<i64>)], count: usize| {
            let mut shown = Vec::new();
            let take = |past: Past| {
                shown.push((past.partition, past.offset, past.value.expect("a value")));
                if shown.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            tokio::task::block_in_place(|| within(&settings, "app", ranges, take)).expect("read");
            shown
                .into_iter()
                .map(|(partition, offset, value)| (partition, offset, String::from_utf8(value).expect("text")))
                .collect::<Vec<_>>()
        };
        let text = |partition, offset, value: &str| (partition, offset, value.to_owned());
        let wanted = [(1, 2..4), (0, 9..12), (0, 50..60), (7, 0..1)];
        assert_eq!(read(&wanted, 100), [text(1, 2, "5"), text(1, 3, "7"), text(0, 9, "18")]);
        assert_eq!(read(&wanted, 1), [text(1, 2, "5")]);
    }
}
