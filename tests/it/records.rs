//! Kafka records that are not the agent's, or not as it sent them: what can't be read is set aside with its reason.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::rig::{Site, corpus, index, kafka, until, verify};

#[tokio::test]
async fn records_that_are_cut_short_or_of_an_unknown_version_are_dead_lettered_and_foreign_text_is_lines() {
    let site = Site::new("records").await;
    let files = corpus::files(&site.logs(), 5, 1, 500);
    corpus::write_whole(&files);
    site.send(&files).await;

    // A record of ours is the model of three that can't be read.
    let ours_in_kafka = kafka::records(&site.kafka, &site.topic).pop().expect("the agent sent one");
    let mut headers: Vec<(&str, &[u8])> =
        ours_in_kafka.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    kafka::produce(&site.kafka, &site.topic, &headers, &ours_in_kafka.value[..ours_in_kafka.value.len() / 2]);
    let version = headers.iter_mut().find(|(name, _)| name.contains("version")).expect("records tell their version");
    version.1 = b"99";
    kafka::produce(&site.kafka, &site.topic, &headers, &ours_in_kafka.value);
    kafka::produce(&site.kafka, &site.topic, &[], b"a line that someone else put here\nand another");

    let mut transfer = site.transfer();
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 502).await;
    until("all records committed", Duration::from_secs(30), async || {
        kafka::behind(&site.kafka, &site.topic, &site.name) == 0
    })
    .await;
    assert_eq!(transfer.metric("logdrive_dead_letters_total", &[]).await, 2.0, "each is counted");
    transfer.stop_well().await;

    // What others put into the topic as plain text are lines too; they have no file.
    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    let is_foreign = |document: &index::Document| document.text("log.file.path").starts_with("kafka:");
    let (mut foreign, ours): (Vec<_>, Vec<_>) = documents.into_iter().partition(is_foreign);
    foreign.sort_by_key(|document| document.number("logdrive.generation"));
    let messages: Vec<_> = foreign.iter().map(|document| document.text("message")).collect();
    assert_eq!(messages, ["a line that someone else put here", "and another"]);
    verify::same(&files, &ours);

    let mut letters: Vec<Value> = kafka::records(&site.kafka, &site.dead_letters)
        .iter()
        .map(|letter| serde_json::from_slice(&letter.value).expect("a dead letter is JSON"))
        .collect();
    letters.sort_by_key(|letter| letter["reason_type"].to_string());
    let [cut, unknown] = &letters[..] else { panic!("two dead letters: {letters:?}") };
    assert_eq!((&cut["reason_type"], &unknown["reason_type"]), (&json!("record_text"), &json!("record_version")));
    assert!(unknown["reason"].as_str().is_some_and(|reason| reason.contains("upgrade")), "what to do: {unknown}");
    for letter in &letters {
        assert_eq!((&letter["kind"], &letter["topic"]), (&json!("record"), &json!(site.topic)), "the origin is told");
    }
    let value = unknown["value"].as_str().expect("the record's value");
    assert_eq!(BASE64_STANDARD.decode(value).ok(), Some(ours_in_kafka.value), "the record is kept as it was");
}
