//! The producer against librdkafka's mock of a cluster.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code},
};
use tokio::sync::mpsc::{self, Receiver};

use crate::kafka::{Delivered, KafkaError, Outgoing, Producer, Settings};

type Cluster = MockCluster<'static, DefaultProducerContext>;

const LIMIT: Duration = Duration::from_secs(60);
/// Long enough for requests to be sent before the first of them is answered.
const LONG: Duration = Duration::from_millis(200);

fn start(partitions: i32) -> (Cluster, Producer<u32>, Receiver<Delivered<u32>>) {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("t", partitions, 1).expect("a topic");
    let (producer, answers) = connect(&cluster);
    (cluster, producer, answers)
}

fn connect(cluster: &Cluster) -> (Producer<u32>, Receiver<Delivered<u32>>) {
    let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), ..Settings::default() };
    let (sender, answers) = mpsc::channel(1000);
    (Producer::new(&settings, sender).expect("a producer"), answers)
}

fn record(ticket: u32) -> Outgoing<u32> {
    Outgoing {
        topic: Arc::from("t"),
        partition: Some(0),
        key: Some(b"key".to_vec()),
        value: format!("value {ticket}").into_bytes(),
        headers: vec![("name", b"header".to_vec())],
        pieces: Default::default(),
        ticket,
    }
}

async fn answer(answers: &mut Receiver<Delivered<u32>>) -> Delivered<u32> {
    tokio::time::timeout(LIMIT, answers.recv()).await.expect("an answer in time").expect("the producer lives")
}

/// Sends `count` records and returns the tickets in the order of their offsets in the partition.
async fn order_of(count: u32, producer: &Producer<u32>, answers: &mut Receiver<Delivered<u32>>) -> Vec<u32> {
    for ticket in 0..count {
        producer.send(record(ticket)).await;
    }
    let mut placed = Vec::new();
    for _ in 0..count {
        let answer = answer(answers).await;
        placed.push((answer.result.expect("taken").offset, answer.ticket));
    }
    assert!(placed.iter().all(|(offset, _)| *offset >= 0), "a broker has each: {placed:?}");
    assert_eq!(producer.flush(LIMIT).await, 0);
    placed.sort_unstable();
    placed.into_iter().map(|(_, ticket)| ticket).collect()
}

#[tokio::test]
async fn every_record_is_answered_once_with_its_place() {
    let (_cluster, producer, mut answers) = start(3);
    assert_eq!(producer.partitions("t").await, Ok(3));
    assert_eq!(order_of(50, &producer, &mut answers).await, (0..50).collect::<Vec<_>>());
    assert!(answers.try_recv().is_err());
}

#[tokio::test]
async fn a_record_that_is_refused_for_now_is_sent_again_in_its_place() {
    for code in [
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Code::RD_KAFKA_RESP_ERR__TRANSPORT,
        Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    ] {
        let (cluster, producer, mut answers) = start(1);
        cluster.request_errors(Api::Produce, &[code; 3]);
        let order = order_of(20, &producer, &mut answers).await;
        assert_eq!(order, (0..20).collect::<Vec<_>>(), "{code:?}");
        assert_eq!(*producer.trouble().borrow(), None, "{code:?}");
    }
}

/// The mock takes any sequence, as a broker does that knows nothing of the producer.
#[tokio::test]
async fn a_broker_that_takes_the_second_request_and_not_the_first_changes_no_order() {
    for code in [Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART] {
        let (cluster, producer, mut answers) = start(1);
        cluster.broker_round_trip_time(1, LONG).expect("set");
        cluster.request_errors(Api::Produce, &[code]);
        assert_eq!(order_of(20, &producer, &mut answers).await, (0..20).collect::<Vec<_>>(), "{code:?}");
    }
}

#[tokio::test]
async fn what_librdkafka_takes_for_written_and_no_broker_confirmed_is_sent_again() {
    let (cluster, producer, mut answers) = start(1);
    producer.send(record(1000)).await;
    assert!(answer(&mut answers).await.result.is_ok());
    cluster.broker_round_trip_time(1, LONG).expect("set");
    // A broker refuses those behind the first then; the mock takes them.
    cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    let mut order = order_of(20, &producer, &mut answers).await;
    order.sort_unstable();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_waits_for_a_partitions_first_record_goes_on_when_that_is_refused_for_good() {
    let (cluster, producer, mut answers) = start(2);
    cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    for ticket in 0..5 {
        producer.send(record(ticket)).await;
    }
    for ticket in 0..5 {
        let answer = answer(&mut answers).await;
        assert_eq!((answer.ticket, answer.result.is_ok()), (ticket, ticket > 0));
    }
}

#[tokio::test]
async fn a_record_that_is_too_large_comes_back_whole_and_alone() {
    let (cluster, producer, mut answers) = start(1);
    cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    producer.send(record(7)).await;
    let refused = answer(&mut answers).await;
    let failed = refused.result.expect_err("refused");
    assert_eq!(failed.error, KafkaError::TooLarge { topic: "t".to_owned(), bytes: 7 });
    assert_eq!((refused.ticket, &failed.record.value[..]), (7, &b"value 7"[..]));
    assert_eq!(failed.record.key.as_deref(), Some(&b"key"[..]));
    assert_eq!(failed.record.headers, [("name", b"header".to_vec())]);
    producer.send(record(8)).await;
    assert!(answer(&mut answers).await.result.is_ok());
}

#[tokio::test]
async fn a_client_that_met_a_fatal_error_is_rebuilt_and_everything_is_sent_again_in_order() {
    let (cluster, producer, mut answers) = start(1);
    producer.send(record(1000)).await;
    assert!(answer(&mut answers).await.result.is_ok());
    cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER; 5]);
    let mut order = order_of(200, &producer, &mut answers).await;
    // Five requests were in flight. A broker refuses those behind the first, whose sequence has a gap then; the
    // mock keeps no sequences and may take their retries, so of these five the order says nothing here.
    order[..5].sort_unstable();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn brokers_that_are_away_only_delay_what_is_sent() {
    let (cluster, producer, mut answers) = start(1);
    cluster.broker_down(-1).expect("down");
    let mut trouble = producer.trouble();
    for ticket in 0..10 {
        producer.send(record(ticket)).await;
    }
    tokio::time::timeout(LIMIT, trouble.wait_for(Option::is_some)).await.expect("noticed").expect("lives");
    assert!(answers.try_recv().is_err() && producer.under_way() == 10);
    cluster.broker_up(-1).expect("up");
    for ticket in 0..10 {
        assert_eq!(answer(&mut answers).await.ticket, ticket);
    }
    assert_eq!(*producer.trouble().borrow(), None);
}

#[tokio::test]
async fn a_topic_that_is_unknown_is_named_and_takes_records_once_it_is_there() {
    let (cluster, producer, mut answers) = start(1);
    cluster.topic_error("t", Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).expect("set");
    assert_eq!(producer.partitions("t").await, Err(KafkaError::UnknownTopic { topic: "t".to_owned() }));
    producer.send(record(1)).await;
    producer.send(record(2)).await;
    cluster.topic_error("t", Code::RD_KAFKA_RESP_ERR_NO_ERROR).expect("set");
    assert_eq!((answer(&mut answers).await.ticket, answer(&mut answers).await.ticket), (1, 2));
}

#[tokio::test]
async fn dropping_a_producer_that_waits_for_brokers_does_not_hang_and_gives_no_answer() {
    let settings = Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..Settings::default() };
    let (sender, mut answers) = mpsc::channel(1);
    let producer = Producer::new(&settings, sender).expect("a producer");
    for ticket in 0..10 {
        producer.send(record(ticket)).await;
    }
    assert_eq!(producer.flush(Duration::from_millis(10)).await, 10);
    drop(producer);
    while let Some(answer) = answers.recv().await {
        assert!(answer.result.is_err());
    }
}
