//! The consumer against librdkafka's mock of a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    super::{Outgoing, Producer},
    Assignment, AssignmentId, Consumer, Event, KafkaError, Membership, Records, Settings, StartFrom,
};

type Cluster = MockCluster<'static, DefaultProducerContext>;

const LIMIT: Duration = Duration::from_secs(60);

fn cluster(partitions: i32) -> (Cluster, Settings) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("app-1", partitions, 1).expect("a topic");
    // A group in a test has no members to wait for.
    let quick = [("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "200")];
    let settings = quick.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), settings, ..Settings::default() };
    (cluster, settings)
}

async fn write(settings: &Settings, partition: i32, values: impl Iterator<Item = Vec<u8>>) {
    let (sender, mut answers) = mpsc::channel(100_000);
    let producer = Producer::new(settings, sender).expect("a producer");
    for value in values {
        let topic = Arc::from("app-1");
        producer
            .send(Outgoing {
                topic,
                partition: Some(partition),
                key: None,
                value,
                headers: vec![],
                pieces: Default::default(),
                ticket: (),
            })
            .await;
    }
    assert_eq!(producer.flush(LIMIT).await, 0);
    while let Ok(answer) = answers.try_recv() {
        assert!(answer.result.is_ok());
    }
}

fn numbered(from: usize, to: usize) -> impl Iterator<Item = Vec<u8>> {
    (from..to).map(|number| number.to_string().into_bytes())
}

fn open(settings: &Settings) -> Consumer {
    let membership = Membership { group: "group", member: None, start_from: StartFrom::Earliest };
    Consumer::new(settings, &membership, &["^app-.*".to_owned()]).expect("a consumer")
}

async fn event(consumer: &mut Consumer) -> Event {
    tokio::time::timeout(LIMIT, consumer.next()).await.expect("an event in time")
}

/// A record, out of the set in which it came.
struct Record {
    assignment: AssignmentId,
    topic: Arc<str>,
    offset: u64,
    key: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    value: Option<Vec<u8>>,
    timestamp_ms: Option<i64>,
}

impl Record {
    fn of(records: &Records) -> impl Iterator<Item = Self> {
        records.iter().map(|record| Self {
            assignment: records.assignment,
            topic: Arc::clone(record.topic),
            offset: record.offset,
            key: record.key.map(<[u8]>::to_vec),
            headers: record.headers().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect(),
            value: record.value.map(<[u8]>::to_vec),
            timestamp_ms: record.timestamp_ms,
        })
    }
}

/// Reads until `count` records came, and returns them by partition.
async fn read(consumer: &mut Consumer, count: usize) -> BTreeMap<i32, Vec<Record>> {
    let (mut read, mut seen) = (BTreeMap::<i32, Vec<Record>>::new(), 0);
    while seen < count {
        if let Event::Records(chunk) = event(consumer).await {
            for records in chunk {
                assert!(!records.is_empty());
                seen += records.len();
                read.entry(records.partition).or_default().extend(Record::of(&records));
            }
        }
    }
    read
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_announced_before_their_records_which_come_in_order() {
    let (cluster, settings) = cluster(2);
    write(&settings, 0, numbered(0, 5000)).await;
    write(&settings, 1, numbered(0, 10)).await;
    let mut consumer = open(&settings);
    let Event::Assigned(assigned) = event(&mut consumer).await else { panic!("the assignment comes first") };
    assert_eq!(assigned.len(), 2);
    for (partition, records) in read(&mut consumer, 5010).await {
        let Assignment { id, topic, .. } = assigned.iter().find(|a| a.partition == partition).expect("ours");
        for (number, record) in records.iter().enumerate() {
            assert_eq!((record.offset, record.assignment, &record.topic), (number as u64, *id, topic));
            assert_eq!(record.value.as_deref(), Some(number.to_string().as_bytes()));
        }
    }
    consumer.close().await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_member_goes_on_where_the_last_commit_was() {
    let (cluster, settings) = cluster(1);
    write(&settings, 0, numbered(0, 100)).await;
    let mut first = open(&settings);
    let records = read(&mut first, 100).await.remove(&0).expect("of the only partition");
    first.committer().commit(vec![(Arc::clone(&records[0].topic), 0, 40)]).await.expect("committed");
    first.close().await;
    let mut second = open(&settings);
    let records = read(&mut second, 60).await.remove(&0).expect("of the only partition");
    assert_eq!((records[0].offset, records.len()), (40, 60));
    second.close().await;
    drop(cluster);
}

/// Which offset comes next of each partition.
#[derive(Default)]
struct Heard(BTreeMap<i32, u64>);

impl Heard {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Records(chunk) => {
                for records in chunk {
                    let next = self.0.get_mut(&records.partition).expect("it is ours");
                    assert_eq!(records.first(), Some(*next), "nothing is passed over or comes twice");
                    *next = records.last().map_or(*next, |last| last + 1);
                }
            }
            // Nothing is committed here, so who gets a partition begins with it.
            Event::Assigned(list) => self.0.extend(list.iter().map(|assignment| (assignment.partition, 0))),
            Event::Revoked(list, _) => {
                self.0.retain(|partition, _| list.iter().all(|gone| gone.partition != *partition))
            }
            Event::Failed(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_partitions_that_move_go_when_released_and_the_others_are_read_on() {
    let (cluster, settings) = cluster(2);
    write(&settings, 0, numbered(0, 3000)).await;
    write(&settings, 1, numbered(0, 3000)).await;
    let (mut first, mut heard) = (open(&settings), Heard::default());
    while heard.0.values().sum::<u64>() == 0 {
        heard.hear(event(&mut first).await);
    }
    // A second member makes the group take one of its two partitions from the first.
    let mut second = open(&settings);
    let (gone, release) = loop {
        match event(&mut first).await {
            Event::Revoked(list, release) => {
                assert_eq!(list.len(), 1);
                break (list[0].partition, release);
            }
            other => heard.hear(other),
        }
    };
    heard.0.remove(&gone);
    // Records of it that were fetched before wait in the channel; they must not come any more.
    while let Ok(event) = tokio::time::timeout(Duration::from_millis(300), first.next()).await {
        heard.hear(event);
    }
    drop(release);
    let others = loop {
        match event(&mut second).await {
            Event::Records(records) => break records,
            other => assert!(matches!(other, Event::Assigned(_)), "{other:?}"),
        }
    };
    assert_eq!((others[0].partition, others[0].first()), (gone, Some(0)), "nothing was committed");
    let kept = 1 - gone;
    write(&settings, kept, numbered(3000, 3100)).await;
    while heard.0.get(&kept) != Some(&3100) {
        heard.hear(event(&mut first).await);
    }
    drop((first, second, cluster));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_takes_nothing_for_long_stays_in_the_group_and_misses_nothing() {
    let (cluster, settings) = cluster(1);
    write(&settings, 0, numbered(0, 20_000)).await;
    let mut consumer = open(&settings);
    assert!(matches!(event(&mut consumer).await, Event::Assigned(_)));
    tokio::time::sleep(super::PATIENCE * 2).await;
    let records = read(&mut consumer, 20_000).await.remove(&0).expect("of the only partition");
    assert!(records.iter().enumerate().all(|(number, record)| record.offset == number as u64));
    assert_eq!(records.len(), 20_000);
    consumer.close().await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_record_is_passed_on_as_it_is() {
    let (cluster, settings) = cluster(1);
    let (sender, _answers) = mpsc::channel(10);
    let producer = Producer::new(&settings, sender).expect("a producer");
    let odd = vec![0_u8, 255, 10];
    let headers = vec![("name", odd.clone()), ("name", vec![])];
    let (topic, key) = (Arc::from("app-1"), Some(odd.clone()));
    producer
        .send(Outgoing {
            topic,
            partition: Some(0),
            key,
            value: vec![],
            headers,
            pieces: Default::default(),
            ticket: (),
        })
        .await;
    assert_eq!(producer.flush(LIMIT).await, 0);
    let mut consumer = open(&settings);
    let record = read(&mut consumer, 1).await.remove(&0).expect("of the only partition").remove(0);
    assert_eq!(record.key.as_deref(), Some(&odd[..]));
    assert_eq!(record.headers, [("name".to_owned(), Some(odd)), ("name".to_owned(), Some(vec![]))]);
    assert!(record.timestamp_ms.is_some_and(|at| at > 1_600_000_000_000));
    assert!(record.value.unwrap_or_default().is_empty());
    drop((consumer, cluster));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_set_aside_is_read_again_from_where_the_role_says_and_others_go_on() {
    let (cluster, settings) = cluster(2);
    write(&settings, 0, numbered(0, 3000)).await;
    let mut consumer = open(&settings);
    let Event::Assigned(assigned) = event(&mut consumer).await else { panic!("the assignment comes first") };
    let of = |partition| assigned.iter().find(|one: &&Assignment| one.partition == partition).expect("ours").id;
    let Event::Records(_) = event(&mut consumer).await else { panic!("records come next") };
    consumer.set_aside(of(0));
    // More than is fetched ahead: none of it comes, and the other partition does.
    write(&settings, 0, numbered(3000, 6000)).await;
    write(&settings, 1, numbered(0, 500)).await;
    assert!(read(&mut consumer, 500).await.into_keys().eq([1]));
    assert!(tokio::time::timeout(Duration::from_secs(1), consumer.next()).await.is_err());

    let mut id = of(0);
    for from in [17_usize, 4000, 0] {
        consumer.read_again(id, from as u64);
        let Event::Assigned(anew) = event(&mut consumer).await else { panic!("it is announced anew") };
        assert!(anew.len() == 1 && anew[0].partition == 0 && anew[0].id != id);
        id = anew[0].id;
        let records = read(&mut consumer, 6000 - from).await.remove(&0).expect("of this partition");
        for (at, record) in records.iter().enumerate() {
            assert_eq!((record.offset, record.assignment), ((from + at) as u64, id));
        }
        consumer.set_aside(id);
    }
    consumer.close().await;
    drop(cluster);
}

/// What brokers may answer to a fetch, each in its turn, while records are read.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_fetches_cost_no_record_and_double_none() {
    let (cluster, mut settings) = cluster(1);
    // It only has to wait less long after each of them.
    for (name, value) in [("fetch.error.backoff.ms", "20"), ("topic.metadata.refresh.interval.ms", "500")] {
        settings.settings.insert(name.to_owned(), value.to_owned());
    }
    let mut consumer = open(&settings);
    let mut written = 0;
    for code in [
        Code::RD_KAFKA_RESP_ERR_UNKNOWN,
        Code::RD_KAFKA_RESP_ERR_INVALID_MSG,
        Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        Code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
        Code::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    ] {
        cluster.request_errors(Api::Fetch, &[code; 2]);
        write(&settings, 0, numbered(written, written + 10)).await;
        let records = read(&mut consumer, 10).await.remove(&0).expect("of the only partition");
        let offsets: Vec<u64> = records.iter().map(|record| record.offset).collect();
        assert!(offsets.iter().copied().eq(written as u64..written as u64 + 10), "{code:?}: {offsets:?}");
        written += 10;
    }
    consumer.close().await;
    drop(cluster);
}

/// What a role does that settles each record when it comes: it reads, commits what it read, again if that failed, and
/// begins anew where the group says.
struct Role {
    consumer: Consumer,
    seen: BTreeSet<u64>,
    /// Where partition 0 is read on, under its present assignment.
    next: Option<u64>,
    /// How often a commit failed.
    failed: usize,
}

impl Role {
    /// Works until the group has it that it goes on at `end`.
    async fn commit_up_to(&mut self, end: u64) {
        let mut commit: Option<(u64, JoinHandle<Result<(), KafkaError>>)> = None;
        loop {
            if commit.is_none()
                && let Some(next) = self.next
            {
                let (committer, offsets) = (self.consumer.committer(), vec![(Arc::from("app-1"), 0, next)]);
                commit = Some((next, tokio::spawn(async move { committer.commit(offsets).await })));
            }
            let done = async {
                match &mut commit {
                    Some((next, commit)) => (*next, commit.await.expect("it doesn't panic")),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                (next, done) = done => {
                    commit = None;
                    match done {
                        Ok(()) if next == end => return,
                        Ok(()) => (),
                        Err(error) => {
                            assert_eq!(error.kind(), "commit", "{error}");
                            self.failed += 1;
                        }
                    }
                    // What came in the meantime, and at most a moment, so that the next one commits something new.
                    if let Ok(event) = tokio::time::timeout(Duration::from_millis(20), self.consumer.next()).await {
                        self.hear(event);
                    }
                }
                event = self.consumer.next() => self.hear(event),
                () = tokio::time::sleep(LIMIT) => panic!("nothing happens any more: read to {:?} of {end}", self.next),
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Assigned(_) | Event::Revoked(..) => self.next = None,
            Event::Records(records) => {
                for record in records.iter().flat_map(Record::of) {
                    assert!(self.next.is_none_or(|next| next == record.offset), "{}", record.offset);
                    self.next = Some(record.offset + 1);
                    self.seen.insert(record.offset);
                }
            }
            Event::Failed(error) => panic!("{error}"),
        }
    }
}

/// A commit either says that it failed, and can be made again, or is done. Some errors make the member join anew: then it
/// reads again from the last commit. Whatever the group answers, no record is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_is_made_again_and_no_record_is_passed_over() {
    let (cluster, mut settings) = cluster(1);
    // The mock waits for other members for a second less, each time that one joins; and it forgets whoever it was silent
    // to for longer than this, which at first is three seconds.
    settings.settings.insert("session.timeout.ms".to_owned(), "4500".to_owned());
    let mut role = Role { consumer: open(&settings), seen: BTreeSet::new(), next: None, failed: 0 };
    let mut written = 0;
    for code in [
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        Code::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
        Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
        Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE,
        Code::RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE,
    ] {
        cluster.request_errors(Api::OffsetCommit, &[code]);
        write(&settings, 0, numbered(written, written + 50)).await;
        written += 50;
        role.commit_up_to(written as u64).await;
        assert!(role.seen.iter().copied().eq(0..written as u64), "{code:?}: all were read");
    }
    assert!(role.failed > 0, "not all that a coordinator may answer is made good by librdkafka alone");
    write(&settings, 0, numbered(written, written + 50)).await;
    role.consumer.close().await;
    let mut second = open(&settings);
    let records = read(&mut second, 50).await.remove(&0).expect("of the only partition");
    assert_eq!((records[0].offset, records.len()), (written as u64, 50), "the last commit is there");
    second.close().await;
    drop(cluster);
}
