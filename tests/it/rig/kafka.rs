//! Kafka from outside: topics are made, filled, read and asked how far a group is, by librdkafka alone.

use std::{
    collections::BTreeMap,
    process::Command,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    message::{Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::services;

const LIMIT: Duration = Duration::from_secs(30);

/// A record as it lies in a partition.
pub struct Record {
    /// The partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers by name.
    pub headers: BTreeMap<String, Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Makes a topic.
pub async fn create(servers: &str, topic: &str, partitions: i32) {
    create_held_by(servers, topic, partitions, 1).await;
}

/// Makes a topic that so many brokers hold.
pub async fn create_held_by(servers: &str, topic: &str, partitions: i32, brokers: i32) {
    make(servers, NewTopic::new(topic, partitions, TopicReplication::Fixed(brokers))).await;
}

/// Makes a topic that takes requests of at most `bytes` bytes for each partition.
pub async fn create_limited(servers: &str, topic: &str, partitions: i32, bytes: usize) {
    let (wanted, bytes) = (NewTopic::new(topic, partitions, TopicReplication::Fixed(1)), bytes.to_string());
    make(servers, wanted.set("max.message.bytes", &bytes)).await;
}

/// Makes a topic of one partition that keeps the newest record of each key, and takes none without a key.
pub async fn create_compacted(servers: &str, topic: &str) {
    make(servers, NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact")).await;
}

/// Changes a setting of a topic.
pub fn alter(servers: &str, topic: &str, setting: &str) {
    let whom = ["ConfigCommand", "--bootstrap-server", servers, "--entity-type", "topics", "--entity-name", topic];
    services::run("kafka/kafka-cli.sh", &[&whom[..], &["--alter", "--add-config", setting]].concat(), &[]);
}

async fn make(servers: &str, wanted: NewTopic<'_>) {
    let admin: AdminClient<_> = config(servers).create().expect("an admin client");
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let made = admin.create_topics([&wanted], &options).await.expect("Kafka answers");
    assert!(made.iter().all(Result::is_ok), "{} could not be made: {made:?}", wanted.name);
}

/// Removes a topic with all that is in it.
pub async fn delete(servers: &str, topic: &str) {
    let admin: AdminClient<_> = config(servers).create().expect("an admin client");
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let gone = admin.delete_topics(&[topic], &options).await.expect("Kafka answers");
    assert!(gone.iter().all(Result::is_ok), "{topic} could not be removed: {gone:?}");
}

/// Gives a topic more partitions, so that it has `partitions`.
pub async fn grow(servers: &str, topic: &str, partitions: usize) {
    let admin: AdminClient<_> = config(servers).create().expect("an admin client");
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    let wanted = NewPartitions::new(topic, partitions);
    let grown = admin.create_partitions([&wanted], &options).await.expect("Kafka answers");
    assert!(grown.iter().all(Result::is_ok), "{topic} could not grow: {grown:?}");
}

/// Puts one record into a topic.
pub fn produce(servers: &str, topic: &str, headers: &[(&str, &[u8])], value: &[u8]) {
    let producer: BaseProducer = config(servers).create().expect("a producer");
    let mut owned = OwnedHeaders::new();
    for (key, value) in headers {
        owned = owned.insert(Header { key, value: Some(*value) });
    }
    let record = BaseRecord::<(), [u8]>::to(topic).payload(value).headers(owned);
    producer.send(record).map_err(|(error, _)| error).expect("the producer's queue is empty");
    producer.flush(LIMIT).expect("Kafka takes a record");
}

/// How many partitions a topic has; none if it isn't there.
pub fn partitions(servers: &str, topic: &str) -> Option<usize> {
    let consumer: BaseConsumer = config(servers).create().expect("a consumer");
    let metadata = consumer.fetch_metadata(None, LIMIT).expect("Kafka answers");
    metadata.topics().iter().find(|known| known.name() == topic).map(|known| known.partitions().len())
}

/// Everything that is in a topic now, each partition's records in their order.
pub fn records(servers: &str, topic: &str) -> Vec<Record> {
    let consumer: BaseConsumer = config(servers)
        .set("group.id", "reads-by-hand")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .set("auto.offset.reset", "error")
        .create()
        .expect("a consumer");
    let mut wanted = TopicPartitionList::new();
    let mut ends = BTreeMap::new();
    for (partition, low, high) in watermarks(&consumer, topic) {
        wanted.add_partition_offset(topic, partition, Offset::Offset(low)).expect("an offset is valid");
        if low < high {
            ends.insert(partition, high);
        }
    }
    consumer.assign(&wanted).expect("the partitions exist");
    let (mut records, start) = (Vec::new(), Instant::now());
    while !ends.is_empty() {
        assert!(start.elapsed() < 2 * LIMIT, "of {topic} the partitions before these offsets can't be read: {ends:?}");
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        let (partition, offset) = (message.partition(), message.offset());
        match ends.get(&partition) {
            Some(end) if offset + 1 >= *end => drop(ends.remove(&partition)),
            Some(_) => (),
            // Written since the ends were asked for.
            None => continue,
        }
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
        });
        records.push(Record {
            partition,
            offset,
            key: message.key().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            value: message.payload().unwrap_or_default().to_vec(),
        });
    }
    records
}

/// What kcat prints of a topic: the values, each with a newline behind it.
pub fn kcat(servers: &str, topic: &str) -> Vec<u8> {
    let output =
        Command::new("kcat").args(["-C", "-q", "-e", "-b", servers, "-t", topic]).output().expect("kcat is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A consumer of all of a topic, each partition from its first record.
pub fn from_the_beginning(servers: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer =
        config(servers).set("group.id", "listens").set("enable.auto.commit", "false").create().expect("a consumer");
    let mut wanted = TopicPartitionList::new();
    for (partition, low, _) in watermarks(&consumer, topic) {
        wanted.add_partition_offset(topic, partition, Offset::Offset(low)).expect("an offset is valid");
    }
    consumer.assign(&wanted).expect("the partitions exist");
    consumer
}

/// How many records of a topic a group has not committed yet.
pub fn behind(servers: &str, topic: &str, group: &str) -> i64 {
    let consumer: BaseConsumer = config(servers).set("group.id", group).create().expect("a consumer");
    let marks = watermarks(&consumer, topic);
    let mut wanted = TopicPartitionList::new();
    for (partition, ..) in &marks {
        wanted.add_partition(topic, *partition);
    }
    let committed = consumer.committed_offsets(wanted, LIMIT).expect("Kafka answers");
    let next = |partition, low| match committed.find_partition(topic, partition).map(|found| found.offset()) {
        Some(Offset::Offset(next)) => next,
        _ => low,
    };
    marks.into_iter().map(|(partition, low, high)| high - next(partition, low)).sum()
}

/// Each partition with the first offset that it holds and the one after its last.
fn watermarks(consumer: &BaseConsumer, topic: &str) -> Vec<(i32, i64, i64)> {
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).expect("Kafka answers");
    let partitions = metadata.topics().first().expect("the topic that was asked for").partitions();
    let mut marks: Vec<_> = partitions
        .iter()
        .map(|partition| {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), LIMIT).expect("Kafka answers");
            (partition.id(), low, high)
        })
        .collect();
    marks.sort_unstable();
    marks
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}
