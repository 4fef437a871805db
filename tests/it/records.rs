//! Kafka records that the transfer can't read: each is set aside with its reason, and the road goes on.

use std::time::Duration;

use crate::rig::{Site, corpus, index, kafka, until};

#[tokio::test]
async fn records_that_are_foreign_cut_short_or_of_an_unknown_version_are_set_aside_and_counted() {
    let site = Site::new("records").await;
    let files = corpus::files(&site.logs(), 5, 1, 500);
    corpus::write_whole(&files);
    let mut agent = site.agent();
    agent.ready().await;
    until("lines in Kafka", Duration::from_secs(30), async || {
        agent.metric("logdrive_acknowledged_lines_total", &[]).await == 500.0
    })
    .await;
    agent.stop_well().await;

    // A record of ours is the model of three that can't be read.
    let ours = kafka::records(&site.kafka, &site.topic).pop().expect("the agent sent one");
    let mut headers: Vec<(&str, &[u8])> =
        ours.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    kafka::produce(&site.kafka, &site.topic, &headers, &ours.value[..ours.value.len() / 2]);
    let version = headers.iter_mut().find(|(name, _)| name.contains("version")).expect("records tell their version");
    version.1 = b"99";
    kafka::produce(&site.kafka, &site.topic, &headers, &ours.value);
    kafka::produce(&site.kafka, &site.topic, &[], b"a line that someone else put here");
    kafka::produce(&site.kafka, &site.topic, &[], b"");

    let mut transfer = site.transfer();
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 500).await;
    until("all records committed", Duration::from_secs(30), async || {
        kafka::behind(&site.kafka, &site.topic, &site.name) == 0
    })
    .await;
    assert_eq!(transfer.metric("logdrive_dead_letters_total", &[]).await, 4.0, "each is counted");
    transfer.stop_well().await;
    site.holds_exactly(&files).await;

    let letters = kafka::records(&site.kafka, &site.dead_letters);
    assert_eq!(letters.len(), 4, "each is kept");
    for letter in &letters {
        let headers = letter.headers_text();
        assert!(headers.values().any(|value| value.contains(&site.topic)), "the origin is told: {headers:?}");
    }
    let foreign = letters.iter().find(|letter| letter.value == b"a line that someone else put here");
    assert!(foreign.is_some(), "a record that we can't read is kept as it was");
}
