//! Documents that can't be indexed go to the dead-letter topic, alone.

use std::io::Write;

use serde_json::{Value, json};

use crate::rig::{Site, index, kafka, until};
use std::time::Duration;

#[tokio::test]
async fn one_bad_document_among_ten_thousand_is_dead_lettered_with_its_reason_and_the_others_are_indexed() {
    let site = Site::new("dead").await;
    let template = json!({
        "index_patterns": [site.indices()],
        "priority": 900,
        "template": { "mappings": { "properties": { "took_ms": { "type": "long" } } } },
    });
    let url = format!("{}/_index_template/{}", site.elasticsearch, site.name);
    let made = reqwest::Client::new().put(url).json(&template).send().await.expect("Elasticsearch is up");
    assert!(made.status().is_success(), "{}", made.text().await.unwrap_or_default());

    let mut text = Vec::new();
    for number in 0..10_000 {
        let took = if number == 6_543 { r#""too long""#.to_owned() } else { (number % 100).to_string() };
        let line = format!(r#"{{"time":"2026-11-20T10:00:00Z","number":{number},"took_ms":{took}}}"#);
        writeln!(text, "{line}").expect("a Vec takes all");
    }
    std::fs::write(site.logs().join("app.log"), text).expect("the site can be written");
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 9_999).await;
    until("all records committed", Duration::from_secs(30), async || {
        kafka::behind(&site.kafka, &site.topic, &site.name) == 0
    })
    .await;

    assert_eq!(transfer.metric("logdrive_documents_total", &[("outcome", "dead_lettered")]).await, 1.0);
    assert_eq!(transfer.metric("logdrive_dead_letters_total", &[]).await, 1.0);
    agent.stop_well().await;
    transfer.stop_well().await;
    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    let mut numbers: Vec<_> = documents.iter().map(|document| document.number("number")).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq((0..10_000).filter(|number| *number != 6_543)), "the other 9 999, each once");

    let letters = kafka::records(&site.kafka, &site.dead_letters);
    assert_eq!(letters.len(), 1, "one dead letter");
    let letter: Value = serde_json::from_slice(&letters[0].value).expect("a dead letter is JSON");
    assert_eq!(letter["kind"], "document", "{letter}");
    assert_eq!(letter["document"]["number"], 6_543, "the document is in it: {letter}");
    let reason = letter["reason"].as_str().expect("a reason");
    assert!(reason.contains("took_ms") && reason.contains("long"), "field and type are named: {reason}");
    assert_eq!(letter["topic"], *site.topic, "the origin is told: {letter}");
}
