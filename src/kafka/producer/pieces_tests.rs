//! Sets of small records against librdkafka's mock of a cluster: all of them arrive, in order, and are answered once.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::Headers,
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code},
};
use tokio::sync::mpsc::{self, Receiver};

use crate::kafka::{Delivered, KafkaError, Outgoing, Producer, Settings};
use crate::record::{Piece, Pieces};

const LIMIT: Duration = Duration::from_secs(60);

struct Bench {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: Producer<u32>,
    answers: Receiver<Delivered<u32>>,
}

impl Bench {
    fn new(settings: &[(&str, &str)]) -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("t", 1, 1).expect("a topic");
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), settings, ..Settings::default() };
        let (sender, answers) = mpsc::channel(1000);
        let producer = Producer::of_pieces(&settings, Duration::from_millis(50), sender).expect("a producer");
        Self { cluster, producer, answers }
    }

    async fn answer(&mut self) -> Delivered<u32> {
        tokio::time::timeout(LIMIT, self.answers.recv()).await.expect("an answer in time").expect("the producer lives")
    }

    /// Everything that is in the topic, in order: its values, and its headers' values.
    fn topic(&self) -> Vec<(String, Vec<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.cluster.bootstrap_servers())
            .set("group.id", "reads-by-hand")
            .create()
            .expect("a consumer");
        let (_, end) = consumer.fetch_watermarks("t", 0, LIMIT).expect("the cluster answers");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Beginning).expect("an offset");
        consumer.assign(&list).expect("assigned");
        let mut all = Vec::new();
        while (all.len() as i64) < end {
            let message = consumer.poll(LIMIT).expect("there are more").expect("a record");
            let headers = message.headers().map(|headers| {
                headers
                    .iter()
                    .map(|header| format!("{}={}", header.key, text(header.value.unwrap_or_default())))
                    .collect()
            });
            all.push((text(message.payload().expect("a value")), headers.unwrap_or_default()));
        }
        all
    }

    fn values(&self) -> Vec<String> {
        self.topic().into_iter().map(|(value, _)| value).collect()
    }
}

/// A set of `count` records, each with a header if `headers` says so.
fn set(ticket: u32, count: u32, headers: bool) -> Outgoing<u32> {
    let (mut value, mut pieces) = (Vec::new(), Pieces::default());
    for number in 0..count {
        let start = value.len() as u32;
        // One is empty.
        let text = if number == 1 { String::new() } else { text(ticket, number) };
        value.extend_from_slice(text.as_bytes());
        let end = value.len() as u32;
        value.push(b'\n');
        let first = pieces.headers.len() as u32;
        if headers {
            pieces.headers.push(("same", 0..end.min(3)));
            let own = value.len() as u32;
            value.extend_from_slice(number.to_string().as_bytes());
            pieces.headers.push(("number", own..value.len() as u32));
        }
        pieces.each.push(Piece { value: start..end, key: 0..0, headers: first..pieces.headers.len() as u32 });
    }
    Outgoing { topic: Arc::from("t"), partition: Some(0), key: None, value, headers: vec![], pieces, ticket }
}

fn text(ticket: u32, number: u32) -> String {
    format!("set {ticket} record {number}")
}

fn texts(tickets: std::ops::Range<u32>, count: u32) -> Vec<String> {
    let text = |ticket, number| if number == 1 { String::new() } else { text(ticket, number) };
    tickets.flat_map(|ticket| (0..count).map(move |number| text(ticket, number))).collect()
}

#[tokio::test]
async fn all_records_of_a_set_arrive_in_order_and_it_is_answered_once() {
    let mut bench = Bench::new(&[]);
    for ticket in 0..20 {
        bench.producer.send(set(ticket, 3000, false)).await;
    }
    for ticket in 0..20 {
        let answer = bench.answer().await;
        assert_eq!((answer.ticket, answer.result.is_ok()), (ticket, true));
    }
    assert_eq!((bench.producer.flush(LIMIT).await, bench.answers.try_recv().is_err()), (0, true));
    assert!(bench.values() == texts(0..20, 3000));
}

#[tokio::test]
async fn headers_come_with_each_record() {
    let mut bench = Bench::new(&[]);
    bench.producer.send(set(7, 100, true)).await;
    assert!(bench.answer().await.result.is_ok());
    let topic = bench.topic();
    assert_eq!(topic.len(), 100);
    for (number, (value, headers)) in topic.into_iter().enumerate() {
        assert_eq!(value, if number == 1 { String::new() } else { text(7, number as u32) });
        assert_eq!(headers, ["same=set".to_owned(), format!("number={number}")]);
    }
}

#[tokio::test]
async fn a_queue_smaller_than_the_sets_delays_them_and_changes_no_order() {
    for headers in [false, true] {
        let mut bench = Bench::new(&[("queue.buffering.max.messages", "50"), ("linger.ms", "0")]);
        for ticket in 0..10 {
            bench.producer.send(set(ticket, if ticket == 5 { 30 } else { 120 }, headers)).await;
        }
        for _ in 0..10 {
            assert!(bench.answer().await.result.is_ok());
        }
        let wanted = [texts(0..5, 120), texts(5..6, 30), texts(6..10, 120)].concat();
        assert_eq!(bench.values(), wanted);
    }
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_in_its_place_and_nothing_else() {
    for code in [
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        Code::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
    ] {
        let mut bench = Bench::new(&[("batch.num.messages", "10")]);
        bench.cluster.request_errors(Api::Produce, &[code; 3]);
        for ticket in 0..5 {
            bench.producer.send(set(ticket, 40, false)).await;
        }
        for _ in 0..5 {
            assert!(bench.answer().await.result.is_ok());
        }
        assert_eq!(bench.values(), texts(0..5, 40), "{code:?}");
        assert_eq!(*bench.producer.trouble().borrow(), None, "{code:?}");
    }
}

#[tokio::test]
async fn what_librdkafka_takes_for_written_and_no_broker_confirmed_is_sent_again() {
    // Of requests with many records it has one under way at a time.
    let mut bench = Bench::new(&[("batch.num.messages", "1")]);
    bench.producer.send(set(100, 1, false)).await;
    assert!(bench.answer().await.result.is_ok());
    // Long enough for requests to be sent before the first of them is answered. A broker refuses those behind it then; the
    // mock takes them.
    bench.cluster.broker_round_trip_time(1, Duration::from_millis(200)).expect("set");
    bench.cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    for ticket in 0..2 {
        bench.producer.send(set(ticket, 6, ticket == 1)).await;
    }
    for _ in 0..2 {
        assert!(bench.answer().await.result.is_ok());
    }
    bench.cluster.broker_round_trip_time(1, Duration::ZERO).expect("set");
    let (mut found, mut wanted) = (bench.values(), texts(0..2, 6));
    wanted.push(text(100, 0));
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_client_that_met_a_fatal_error_is_rebuilt_and_what_was_under_way_is_sent_again() {
    let mut bench = Bench::new(&[("batch.num.messages", "10")]);
    bench.producer.send(set(100, 1, false)).await;
    assert!(bench.answer().await.result.is_ok());
    bench.cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER; 5]);
    for ticket in 0..5 {
        bench.producer.send(set(ticket, 40, false)).await;
    }
    for _ in 0..5 {
        assert!(bench.answer().await.result.is_ok());
    }
    let (mut found, mut wanted) = (bench.values(), texts(0..5, 40));
    wanted.push(text(100, 0));
    found.sort_unstable();
    found.dedup();
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_sent_again_in_smaller_ones() {
    let mut bench = Bench::new(&[]);
    bench.cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2]);
    bench.producer.send(set(0, 500, false)).await;
    bench.producer.send(set(1, 500, true)).await;
    for _ in 0..2 {
        assert!(bench.answer().await.result.is_ok());
    }
    let (mut found, mut wanted) = (bench.values(), texts(0..2, 500));
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "nothing is lost, and nothing that was taken is sent twice");
}

#[tokio::test]
async fn records_that_are_too_large_come_back_alone() {
    // Requests can't get smaller than these, so what is refused was too large by itself.
    let mut bench = Bench::new(&[("batch.size", "1000"), ("batch.num.messages", "1")]);
    // It is tried alone, as the first of the partition, and then with the others.
    bench.cluster.request_errors(Api::Produce, &[Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2]);
    bench.producer.send(set(3, 5, true)).await;
    let answer = bench.answer().await;
    let failed = answer.result.expect_err("one was refused");
    assert_eq!((answer.ticket, failed.error), (3, KafkaError::TooLarge { topic: "t".to_owned(), bytes: 14 }));
    let record = failed.record;
    let [piece] = &record.pieces.each[..] else { panic!("one was refused: {:?}", record.pieces) };
    assert_eq!(record.pieces.value(piece, &record.value), text(3, 0).as_bytes());
    assert_eq!(record.pieces.headers_of(piece, &record.value).last(), Some(("number", &b"0"[..])));
    assert_eq!(bench.values(), texts(3..4, 5)[1..]);
}

#[tokio::test]
async fn dropping_a_producer_with_sets_under_way_does_not_hang() {
    let settings = Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..Settings::default() };
    let (sender, mut answers) = mpsc::channel(1);
    let producer = Producer::of_pieces(&settings, Duration::from_millis(50), sender).expect("a producer");
    for ticket in 0..10 {
        producer.send(set(ticket, 100, ticket % 2 == 0)).await;
    }
    assert_eq!(producer.flush(Duration::from_millis(10)).await, 10);
    drop(producer);
    while let Some(answer) = answers.recv().await {
        assert!(answer.result.is_err());
    }
}
