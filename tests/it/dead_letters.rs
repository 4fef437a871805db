//! Documents that can't be indexed go to the dead-letter topic, alone, and from there to the index once it takes them.

use std::io::Write;

use serde_json::{Value, json};

use crate::rig::{Site, index, kafka, services, until};
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

/// What `logdrive dead-letters` prints, and its exit code.
pub fn dead_letters(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.command("dead-letters").args(arguments).output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

async fn put(url: String, body: &Value) {
    let answer = reqwest::Client::new().put(url).json(body).send().await.expect("Elasticsearch is up");
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
}

#[tokio::test]
async fn documents_are_listed_shown_and_replayed_under_their_own_id_once_the_index_takes_them() {
    let site = Site::new("replay").await;
    let index = format!("{}-2026.11.20", site.name);
    let number = json!({ "properties": { "took_ms": { "type": "long" } } });
    put(format!("{}/{index}", site.elasticsearch), &json!({ "mappings": number })).await;
    let mut text = Vec::new();
    for number in 0..300 {
        let took = if number % 100 == 7 { "\"too \u{202e}long\"" } else { "1" };
        let line = format!(r#"{{"time":"2026-11-20T10:00:00Z","number":{number},"took_ms":{took},"exact":1.000}}"#);
        writeln!(text, "{line}").expect("a Vec takes all");
    }
    std::fs::write(site.logs().join("app.log"), text).expect("the site can be written");
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 297).await;
    until("three letters", Duration::from_secs(60), async || {
        transfer.metric("logdrive_dead_letters_total", &[]).await == 3.0
    })
    .await;
    agent.stop_well().await;
    transfer.stop_well().await;

    let (code, counted) = dead_letters(&site, &["list", "--count"]);
    assert_eq!((code, counted.lines().last()), (Some(0), Some("3  in all")), "{counted}");
    let (_, listed) = dead_letters(&site, &["list", "--limit", "2", "--task", "test"]);
    assert!(listed.contains("took_ms") && listed.contains("the newest 2 of 3 letters, 1 more"), "{listed}");
    let (_, lines) = dead_letters(&site, &["list", "--json", "--since", "1h"]);
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    let position = first["letter"].as_str().expect("its place");
    assert_eq!((&first["task"], &first["index"]), (&json!("test"), &json!(index)), "{first}");
    assert!(first["file"].as_str().is_some_and(|file| file.ends_with("/app.log")), "{first}");
    let (_, shown) = dead_letters(&site, &["show", position]);
    assert!(shown.contains("\n  \"exact\": 1.000"), "the document is as it was: {shown}");
    assert!(shown.contains("\\u202e") && !shown.contains('\u{202e}'), "nothing commands the terminal: {shown}");

    // Nothing was mended, so all are refused again and stay.
    let (code, refused) = dead_letters(&site, &["replay", "--all"]);
    assert_eq!(code, Some(1), "{refused}");
    assert!(refused.contains("refused again") && refused.contains("not replayed: 3"), "{refused}");
    let mended = json!({ "properties": { "took_ms": { "type": "long", "ignore_malformed": true } } });
    put(format!("{}/{index}/_mapping", site.elasticsearch), &mended).await;
    let (code, planned) = dead_letters(&site, &["replay", "--all", "--dry-run"]);
    assert_eq!((code, planned.trim()), (Some(0), &*format!("3 would be sent to the index {index}")));
    assert_eq!(index::count_of(&site.elasticsearch, &site.indices()).await, 297, "a dry run sends nothing");

    let (code, one) = dead_letters(&site, &["replay", position]);
    assert_eq!((code, one.trim()), (Some(0), "created: 1, there already: 0, sent back: 0, not replayed: 0"));
    let (_, again) = dead_letters(&site, &["replay", position]);
    assert_eq!(again.trim(), "created: 0, there already: 1, sent back: 0, not replayed: 0", "twice is once");
    let (_, others) = dead_letters(&site, &["replay", "--reason", "took_ms"]);
    assert_eq!(
        others.trim(),
        "created: 2, there already: 0, sent back: 0, not replayed: 0",
        "only those that are left"
    );
    let (_, none) = dead_letters(&site, &["list"]);
    assert_eq!(none, "no dead letters\n3 were replayed; list --replayed shows them, too\n");
    assert_eq!(dead_letters(&site, &["replay", "--all"]).1, "nothing to replay\n");
    index::wait_for(&site.elasticsearch, &site.indices(), 300).await;
    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    let mut numbers: Vec<_> = documents.iter().map(|document| document.number("number")).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..300), "all are there, each once");

    let (code, absent) = dead_letters(&site, &["replay", "0:999999"]);
    assert!(code == Some(1) && absent.contains("no letter is there"), "{absent}");
    let (code, absent) = dead_letters(&site, &["show", "0:999999"]);
    assert!(code == Some(1) && absent.contains("dead-letters list"), "{absent}");
}

#[tokio::test]
async fn a_record_that_could_not_be_read_goes_back_to_its_topic_as_it_was() {
    let site = Site::new("send-back").await;
    kafka::produce(&site.kafka, &site.topic, &[("logdrive.version", b"99"), ("other", b"x")], b"\xffnot to be read");
    let mut transfer = site.transfer();
    transfer.ready().await;
    let letters = async |count: f64| {
        until("the letters", Duration::from_secs(60), async || {
            transfer.metric("logdrive_dead_letters_total", &[]).await == count
        })
        .await;
    };
    letters(1.0).await;
    let (_, shown) = dead_letters(&site, &["show", "0:0"]);
    assert!(shown.contains("logdrive.version = 99") && shown.contains("value, 15 B"), "{shown}");
    let (code, said) = dead_letters(&site, &["replay", "--reason", "record_version"]);
    assert_eq!((code, said.trim()), (Some(0), "created: 0, there already: 0, sent back: 1, not replayed: 0"));
    // The transfer is the same one, and can't read it now either: there is a new letter, and the old one is done.
    letters(2.0).await;
    let (_, listed) = dead_letters(&site, &["list", "--json"]);
    assert!(listed.contains("1 were replayed"), "{listed}");
    let letter: Value = serde_json::from_str(listed.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&letter["offset"], &letter["reason_type"]), (&json!(1), &json!("record_version")), "{letter}");
    let records = kafka::records(&site.kafka, &site.topic);
    assert_eq!((records.len(), &records[1].value), (2, &records[0].value));
    assert_eq!(records[0].partition, records[1].partition);
    transfer.stop_well().await;
}

#[tokio::test]
async fn where_no_letter_was_ever_written_there_is_none_to_list_or_to_replay() {
    let site = Site::without_topics("no-letters", services::kafka(), "http://127.0.0.1:1");
    let (code, said) = dead_letters(&site, &["list"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&site.dead_letters) && said.contains("no dead letters"), "{said}");
    let (code, said) = dead_letters(&site, &["replay", "--all"]);
    assert!(code == Some(0) && said.contains("nothing to replay"), "{said}");
    let (code, said) = dead_letters(&site, &["replay"]);
    assert!(code == Some(2) && said.contains("Examples"), "{said}");
}
