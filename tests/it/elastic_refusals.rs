//! Indices that take no documents stop only themselves, for as long as it takes.

use std::{collections::HashSet, fmt::Write as _, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Program, Site, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test]
async fn an_index_that_is_read_only_or_closed_stops_only_itself_in_elasticsearch() {
    read_only_closed_and_conflicting("refusals", services::elasticsearch()).await;
}

#[tokio::test]
async fn an_index_that_is_read_only_or_closed_stops_only_itself_in_opensearch() {
    read_only_closed_and_conflicting("refusals-os", services::opensearch()).await;
}

/// Lines of four days in every record: of one day the index is read-only, of one it is closed, and on the two days
/// that go well every tenth document conflicts with the mapping.
async fn read_only_closed_and_conflicting(name: &str, store: &str) {
    const LINES: usize = 8_000;
    let site = Site::on(name, services::kafka(), store).await;
    let index_of = |day: usize| format!("{}-2026.11.{}", site.name, 20 + day);
    for day in 0..4 {
        let mappings = json!({ "mappings": { "properties": { "took_ms": { "type": "long" } } } });
        ask(&site, Method::PUT, &index_of(day), &mappings).await;
    }
    ask(&site, Method::PUT, &format!("{}/_settings", index_of(1)), &json!({ "index.blocks.write": true })).await;
    ask(&site, Method::POST, &format!("{}/_close", index_of(2)), &Value::Null).await;
    for record in 0..16 {
        let mut text = String::new();
        for number in (0..LINES).filter(|number| number % 16 == record) {
            // The lines of a record go through all days, and those that conflict through all records.
            let (day, is_wrong) = (number / 16 % 4, number / 64 % 10 == 0);
            let took = if is_wrong { json!("long") } else { json!(number % 100) };
            let day = 20 + day;
            writeln!(text, r#"{{"time":"2026-11-{day}T10:00:00Z","number":{number},"took_ms":{took}}}"#).expect("text");
        }
        kafka::produce(&site.kafka, &site.topic, &[], text.as_bytes());
    }
    let wrong = |day: usize| (0..LINES).filter(|number| number / 16 % 4 == day && number / 64 % 10 == 0).count();
    let right = |day: usize| LINES / 4 - wrong(day);

    let mut transfer = site.transfer();
    transfer.alive().await;
    for day in [0, 3] {
        index::wait_for(store, &index_of(day), right(day)).await;
    }
    until("two indices are known to be stopped", LIMIT, async || {
        transfer.metric("logdrive_stopped_indices", &[]).await == 2.0
    })
    .await;
    let (status, said) = transfer.get("/readyz").await;
    assert!(status == 503 && said.contains(&index_of(1)), "it says which index and why: {status} {said}");
    assert!(transfer.metric("logdrive_stopped_documents", &[]).await > 0.0);
    assert_eq!(transfer.get("/livez").await.0, 200);

    ask(&site, Method::PUT, &format!("{}/_settings", index_of(1)), &json!({ "index.blocks.write": false })).await;
    ask(&site, Method::POST, &format!("{}/_open", index_of(2)), &Value::Null).await;
    for day in [1, 2] {
        index::wait_for(store, &index_of(day), right(day)).await;
    }
    committed(&site, &[&site.topic]).await;
    transfer.ready().await;
    assert_eq!(transfer.metric("logdrive_stopped_indices", &[]).await, 0.0);
    let all_wrong: usize = (0..4).map(wrong).sum();
    assert_eq!(outcome(&transfer, "created").await as usize, LINES - all_wrong);
    assert_eq!(outcome(&transfer, "dead_lettered").await as usize, all_wrong);
    assert_eq!(outcome(&transfer, "duplicate").await, 0.0, "nothing that was taken is sent again");
    transfer.stop_well().await;

    assert_eq!(numbers(&site).await.len(), LINES - all_wrong, "each number once");
    let letters = kafka::records(&site.kafka, &site.dead_letters);
    let reasons: HashSet<String> = letters
        .iter()
        .map(|letter| serde_json::from_slice::<Value>(&letter.value).expect("JSON")["reason"].to_string())
        .collect();
    assert!(letters.len() == all_wrong && reasons.iter().all(|reason| reason.contains("took_ms")), "{reasons:?}");
}

#[tokio::test]
async fn more_than_can_be_held_for_a_blocked_index_waits_in_kafka_and_other_topics_go_on() {
    const LINES: usize = 40_000;
    let mut site = Site::new("held").await;
    let other = format!("{}-other", site.topic);
    kafka::create(&site.kafka, &other, 3).await;
    site.set("transfer.topics", vec![site.topic.clone(), other.clone()]);
    site.set("transfer.index", "{topic}-%Y.%m.%d");
    // A quarter of it is held for indices that take no documents.
    site.set("transfer.in_flight_bytes_max", "4MiB");
    let blocked = format!("{}-2026.11.20", site.topic);
    ask(&site, Method::PUT, &blocked, &json!({})).await;
    ask(&site, Method::PUT, &format!("{blocked}/_settings"), &json!({ "index.blocks.write": true })).await;
    let records = |topic: &str, from: usize| {
        for start in (from..from + LINES).step_by(500) {
            let mut text = String::new();
            for number in start..start + 500 {
                let filler = "a line of ordinary length, more or less, and a few words ".repeat(2);
                writeln!(text, r#"{{"time":"2026-11-20T10:00:00Z","number":{number},"msg":"{filler}"}}"#)
                    .expect("text");
            }
            kafka::produce(&site.kafka, topic, &[], text.as_bytes());
        }
    };
    records(&site.topic, 0);
    let mut transfer = site.transfer();
    transfer.alive().await;
    until("too much is held", LIMIT, async || transfer.metric("logdrive_returned_partitions_total", &[]).await >= 1.0)
        .await;
    // What comes now for another index is not held up.
    records(&other, LINES);
    index::wait_for(&site.elasticsearch, &format!("{other}-*"), LINES).await;
    committed(&site, &[&other]).await;
    assert!(transfer.metric("logdrive_in_flight_bytes", &[]).await <= f64::from(4 << 20));
    assert_eq!(index::count_of(&site.elasticsearch, &blocked).await, 0);

    ask(&site, Method::PUT, &format!("{blocked}/_settings"), &json!({ "index.blocks.write": false })).await;
    index::wait_for(&site.elasticsearch, &blocked, LINES).await;
    committed(&site, &[&site.topic]).await;
    transfer.ready().await;
    transfer.stop_well().await;
    assert_eq!(numbers(&site).await.len(), 2 * LINES, "each number once");
}

/// A request to the store that has to go well; null stands for no body.
async fn ask(site: &Site, method: Method, path: &str, body: &Value) {
    let url = format!("{}/{path}", site.elasticsearch);
    let request = reqwest::Client::new().request(method, &url);
    let request = if body.is_null() { request } else { request.json(body) };
    let answer = request.send().await.expect("the server is up");
    assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap_or_default());
}

/// The numbers of all documents; the test fails if one is there twice.
async fn numbers(site: &Site) -> HashSet<u64> {
    let mut numbers = HashSet::new();
    index::each(&site.elasticsearch, &site.indices(), |document| {
        let number = document.number("number");
        assert!(numbers.insert(number), "{number} is there twice");
    })
    .await;
    numbers
}

async fn committed(site: &Site, topics: &[&str]) {
    until("all records committed", LIMIT, async || {
        topics.iter().all(|topic| kafka::behind(&site.kafka, topic, &site.name) == 0)
    })
    .await;
}

async fn outcome(transfer: &Program, outcome: &str) -> f64 {
    transfer.metric("logdrive_documents_total", &[("outcome", outcome)]).await
}
