//! New fields that come with values of all kinds at once, and names that clash: what the store takes, and what it refuses.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde::Deserialize;

use crate::rig::{Site, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(240);
const LINES: usize = 3_000;

/// Field names are flat there, so nothing is in another's way.
#[tokio::test]
async fn elasticsearch_takes_every_kind_of_value_and_names_that_clash() {
    let refused = mixed("kinds", services::elasticsearch(), true).await;
    assert_eq!(refused, BTreeMap::new());
}

/// Fields are a tree there: an object and a value can't share a name, and nothing else is refused.
#[tokio::test]
async fn opensearch_takes_every_kind_of_value_and_says_which_names_clash() {
    let refused = mixed("kinds-os", services::opensearch(), true).await;
    assert!(refused.keys().all(|reason| reason == "mapper_parsing_exception"), "{refused:?}");
    assert!(refused.values().sum::<usize>() > 0, "some names clash");
}

/// Whole numbers and fractions, words and truth values in fields that no index has yet, from several workers at once.
#[tokio::test]
async fn opensearch_takes_new_fields_whichever_kind_of_value_comes_first() {
    assert_eq!(mixed("kinds-new", services::opensearch(), false).await, BTreeMap::new());
}

/// What is read of a dead letter; its document has numbers that no parser of ours takes.
#[derive(Deserialize)]
struct Letter {
    reason_type: String,
}

/// Sends lines with such members; how many are refused, by reason. The others are all there, once.
async fn mixed(name: &str, store: &str, names_clash: bool) -> BTreeMap<String, usize> {
    let mut site = Site::on(name, services::kafka(), store).await;
    site.set("transfer.workers", 4);
    site.set("elasticsearch.bulk_documents_max", 50);
    let mut text = String::new();
    for number in 0..LINES {
        // Ten fields at a time, each with values of all kinds; then come the next ten.
        let field = format!("f{}_{}", number / 200, number % 10);
        let value = match number / 10 % 7 {
            0 => "1",
            1 => "1.5",
            2 => "9223372036854775808",
            3 => "\"word\"",
            4 => "true",
            5 => "1e400",
            _ => "[2.5]",
        };
        write!(text, r#"{{"number":{number},"{field}":{value}"#).expect("text");
        if names_clash {
            let clash = match number % 4 {
                0 => r#""c":1"#.to_owned(),
                1 => r#""c":{"d":1}"#.to_owned(),
                2 => r#""c.d":2"#.to_owned(),
                _ => r#""c":{"d":3},"c.d":4"#.to_owned(),
            };
            write!(text, ",{}", clash.replace("\"c", &format!("\"c{}_{}", number / 200, number / 4 % 10)))
                .expect("text");
        }
        text.push_str("}\n");
    }
    for lines in text.split_inclusive('\n').collect::<Vec<_>>().chunks(100) {
        kafka::produce(&site.kafka, &site.topic, &[], lines.concat().as_bytes());
    }
    let mut transfer = site.transfer();
    transfer.ready().await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;
    let mut refused = BTreeMap::new();
    for letter in kafka::records(&site.kafka, &site.dead_letters) {
        let letter: Letter = serde_json::from_slice(&letter.value).expect("JSON");
        *refused.entry(letter.reason_type).or_default() += 1;
    }
    let dead = refused.values().sum::<usize>();
    index::wait_for(store, &site.indices(), LINES - dead).await;
    assert_eq!(index::count_of(store, &site.indices()).await, LINES - dead, "{refused:?}");
    transfer.stop_well().await;
    refused
}
