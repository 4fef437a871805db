//! What brokers may answer, one error at a time, from librdkafka's mock of a cluster: real brokers can't be made to
//! show most of these.
//!
//! Of every error one thing is asked: is the record in the topic afterwards, or back with its sender, and was its
//! sender told which? Never neither.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code},
};
use tokio::{
    sync::mpsc::{self, Receiver},
    time::timeout,
};

use super::{Delivered, KafkaError, Outgoing, Producer, Settings};

type Cluster = MockCluster<'static, DefaultProducerContext>;

const LIMIT: Duration = Duration::from_secs(120);

fn start(brokers: i32) -> (Cluster, Producer<u32>, Receiver<Delivered<u32>>) {
    let cluster = MockCluster::new(brokers).expect("a mock cluster");
    cluster.create_topic("t", 1, brokers).expect("a topic");
    let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), ..Settings::default() };
    let (sender, answers) = mpsc::channel(1000);
    (cluster, Producer::new(&settings, sender).expect("a producer"), answers)
}

async fn send(producer: &Producer<u32>, ticket: u32) {
    let (topic, value) = (Arc::from("t"), format!("value {ticket}").into_bytes());
    producer
        .send(Outgoing {
            topic,
            partition: Some(0),
            key: None,
            value,
            headers: Vec::new(),
            pieces: Default::default(),
            ticket,
        })
        .await;
}

async fn answer(what: &str, answers: &mut Receiver<Delivered<u32>>) -> Delivered<u32> {
    let answer = timeout(LIMIT, answers.recv()).await;
    answer.unwrap_or_else(|_| panic!("{what}: no answer")).expect("the producer lives")
}

/// Of each code that `answered` gives once to a record, the record is taken in the end.
async fn is_taken_after(codes: &[Code]) {
    let (cluster, producer, mut answers) = start(1);
    for (code, ticket) in codes.iter().zip(0..) {
        let what = format!("{code:?}");
        cluster.request_errors(Api::Produce, &[*code]);
        send(&producer, ticket).await;
        let answer = answer(&what, &mut answers).await;
        assert_eq!(answer.ticket, ticket, "{what}");
        assert!(answer.result.is_ok(), "{what}: {:?}", answer.result);
        assert_eq!(*producer.trouble().borrow(), None, "{what}: all is well again");
    }
    assert_eq!(producer.flush(LIMIT).await, 0);
    assert!(answers.try_recv().is_err(), "each was answered once");
}

#[tokio::test]
async fn what_brokers_may_take_later_is_sent_until_they_do() {
    is_taken_after(&[
        Code::RD_KAFKA_RESP_ERR_UNKNOWN,
        Code::RD_KAFKA_RESP_ERR_INVALID_MSG,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        Code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
        Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
        Code::RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
    ])
    .await;
}

#[tokio::test]
async fn what_an_operator_has_to_mend_is_sent_until_it_is_mended() {
    is_taken_after(&[
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
        Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
        Code::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
        Code::RD_KAFKA_RESP_ERR_SECURITY_DISABLED,
    ])
    .await;
}

/// Each of these ends a producer for good; another one takes its place, with what it had under way.
#[tokio::test]
async fn after_each_fatal_error_the_producer_is_rebuilt_and_the_record_taken() {
    is_taken_after(&[
        Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        Code::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
        Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING,
        Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
    ])
    .await;
}

/// The answer to the first try was lost, and the second one is told that the record is there.
#[tokio::test]
async fn a_record_that_is_there_already_is_taken() {
    is_taken_after(&[Code::RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER]).await;
}

#[tokio::test]
async fn what_no_broker_will_ever_take_comes_back_with_the_reason_and_the_next_record_is_taken() {
    let (cluster, producer, mut answers) = start(1);
    let codes = [
        (Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "too_large"),
        (Code::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, "too_large"),
        (Code::RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, "too_large"),
        (Code::RD_KAFKA_RESP_ERR_INVALID_RECORD, "refused"),
    ];
    for ((code, kind), ticket) in codes.into_iter().zip(0..) {
        let what = format!("{code:?}");
        cluster.request_errors(Api::Produce, &[code]);
        send(&producer, ticket).await;
        let back = answer(&what, &mut answers).await;
        let failed = back.result.expect_err(&what);
        assert_eq!((back.ticket, failed.error.kind()), (ticket, kind), "{what}");
        assert_eq!(failed.record.value, format!("value {ticket}").into_bytes(), "{what}: it comes back as it was");
        send(&producer, 1000 + ticket).await;
        let next = answer(&what, &mut answers).await;
        assert!(next.ticket == 1000 + ticket && next.result.is_ok(), "{what}: {next:?}");
    }
}

/// Without an identity of its own a producer may send nothing, so this error comes before the first record.
#[tokio::test]
async fn a_producer_that_gets_no_identity_waits_for_one() {
    for code in [
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    ] {
        let what = format!("{code:?}");
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("t", 1, 1).expect("a topic");
        cluster.request_errors(Api::InitProducerId, &[code; 3]);
        let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), ..Settings::default() };
        let (sender, mut answers) = mpsc::channel(1000);
        let producer = Producer::new(&settings, sender).expect("a producer");
        for ticket in 0..5 {
            send(&producer, ticket).await;
        }
        for ticket in 0..5 {
            let answer = answer(&what, &mut answers).await;
            assert!(answer.ticket == ticket && answer.result.is_ok(), "{what}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_partition_whose_leader_moves_takes_records_in_order() {
    let (cluster, producer, mut answers) = start(3);
    for ticket in 0..30 {
        if ticket % 10 == 5 {
            cluster.partition_leader("t", 0, Some(1 + (ticket as i32 / 10) % 3)).expect("moved");
        }
        send(&producer, ticket).await;
    }
    let mut offsets = Vec::new();
    for ticket in 0..30 {
        let answer = answer("a move", &mut answers).await;
        assert_eq!(answer.ticket, ticket);
        offsets.push(answer.result.expect("taken").offset);
    }
    assert!(offsets.is_sorted(), "{offsets:?}");
}

#[tokio::test]
async fn a_topic_that_the_brokers_can_say_nothing_of_is_waited_for() {
    let (cluster, producer, mut answers) = start(1);
    for code in [Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED] {
        cluster.topic_error("t", code).expect("set");
        send(&producer, 1).await;
        let early = timeout(Duration::from_secs(1), answers.recv()).await;
        let is_taken = |early: &Option<Delivered<u32>>| early.as_ref().is_some_and(|early| early.result.is_ok());
        assert!(early.as_ref().map_or(true, is_taken), "{code:?}: it does not come back: {early:?}");
        cluster.topic_error("t", Code::RD_KAFKA_RESP_ERR_NO_ERROR).expect("set");
        if early.is_err() {
            assert!(answer("a topic", &mut answers).await.result.is_ok(), "{code:?}");
        }
    }
    assert!(matches!(*producer.trouble().borrow(), None | Some(KafkaError::Away { .. })));
}
