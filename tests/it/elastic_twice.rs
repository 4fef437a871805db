//! Records that are read again: what is there once, what twice, and into which index lines go at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::rig::{Program, Site, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(90);

/// Lines around midnight, with a time of their own and without.
const LINES: [&str; 6] = [
    "2026-11-20T23:59:59.999Z before",
    "2026-11-21T00:00:00Z after",
    "20/Nov/2026:23:30:00 -0100 after, too, by the clocks of UTC",
    r#"{"ts":1795219199,"msg":"before"}"#,
    r#"{"ts":"2026-11-21T01:00:00+01:00","msg":"after"}"#,
    "no time",
];

#[tokio::test]
async fn elasticsearch_has_a_line_once_whenever_it_is_read_again() {
    read_again("read-again", services::elasticsearch()).await;
}

#[tokio::test]
async fn opensearch_has_a_line_once_whenever_it_is_read_again() {
    read_again("read-again-os", services::opensearch()).await;
}

async fn read_again(name: &str, store: &str) {
    let mut site = Site::on(name, services::kafka(), store).await;
    LINES.iter().for_each(|line| kafka::produce(&site.kafka, &site.topic, &[], line.as_bytes()));
    for reading in ["first", "second"] {
        read(&mut site, reading).await.stop_well().await;
        assert_eq!(index::count_of(store, &site.indices()).await, LINES.len(), "the {reading} reading");
    }
    let documents = index::documents(store, &site.indices()).await;
    for document in documents.iter().filter(|document| document.text("logdrive.time") != "read") {
        let day = if document.text("message").ends_with("before") { 20 } else { 21 };
        assert_eq!(document.index, format!("{}-2026.11.{day}", site.name), "{document:?}");
    }
    assert_eq!(documents.iter().filter(|document| document.text("logdrive.time") == "read").count(), 1);

    // A data stream looks for an id only in the index that it writes to now.
    let stream = format!("{}-stream", site.name);
    into(&mut site, "data_stream", &stream);
    for reading in ["third", "fourth"] {
        read(&mut site, reading).await.stop_well().await;
        assert_eq!(index::count_of(store, &stream).await, LINES.len(), "the {reading} reading");
    }
    let answer = reqwest::Client::new().post(format!("{store}/{stream}/_rollover")).send().await.expect("it is up");
    assert!(answer.status().is_success(), "{answer:?}");
    for reading in ["fifth", "sixth"] {
        read(&mut site, reading).await.stop_well().await;
        assert_eq!(
            index::count_of(store, &stream).await,
            2 * LINES.len(),
            "the {reading} reading, behind the rollover"
        );
    }
    let ids: BTreeSet<String> =
        index::documents(store, &stream).await.into_iter().map(|document| document.id).collect();
    assert_eq!(ids.len(), LINES.len(), "those that are there twice have the same id");
}

#[tokio::test]
async fn a_field_decides_where_a_line_goes_and_values_beyond_the_limit_go_together() {
    let store = services::elasticsearch();
    let mut site = Site::on("routes", services::kafka(), store).await;
    let name = site.name.clone();
    into(&mut site, "index", &format!("{name}-{{[labels.service]}}-%Y"));
    site.set("transfer.routes_max", 2);
    site.set("transfer.workers", 1);
    site.set("transfer.ids", "auto");
    let values = ["\"API /v2\"", "\"web\"", "\"more\"", "7", "null"];
    let mut text = String::new();
    for service in values {
        let line = format!(r#"{{"ts":"2026-11-20T10:00:00Z","labels":{{"service":{service}}}}}"#);
        text += &format!("{line}\n{line}\n");
    }
    // One record, so that their order is known.
    kafka::produce(&site.kafka, &site.topic, &[], text.as_bytes());
    let transfer = read(&mut site, "first").await;
    let rerouted = async |reason| transfer.metric("logdrive_rerouted_documents_total", &[("reason", reason)]).await;
    assert_eq!((rerouted("too_many").await, rerouted("no_field").await), (4.0, 2.0));
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    index::each(store, &site.indices(), |document| *found.entry(document.index).or_default() += 1).await;
    let expected =
        [("api--v2", 2), ("other", 6), ("web", 2)].map(|(value, count)| (format!("{name}-{value}-2026"), count));
    assert_eq!(found, BTreeMap::from(expected));

    transfer.stop_well().await;

    // The ids are the server's, so what is read again is there again.
    read(&mut site, "second").await.stop_well().await;
    assert_eq!(index::count_of(store, &site.indices()).await, 2 * 2 * values.len());
}

/// Has all records read, as a group that has read none; the transfer runs on.
async fn read(site: &mut Site, reading: &str) -> Program {
    let group = format!("{}-{reading}", site.name);
    site.set("transfer.group", group.clone());
    let mut transfer = site.transfer();
    transfer.ready().await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &group) == 0).await;
    transfer
}

/// Sets where lines go, and nothing else.
fn into(site: &mut Site, kind: &str, name: &str) {
    let mut settings = site.clone_settings();
    let transfer = settings["transfer"].as_table_mut().expect("a table");
    transfer.remove("index");
    transfer.insert(kind.to_owned(), name.into());
    site.restore_settings(settings);
}
