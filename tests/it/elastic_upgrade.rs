//! Servers that become another major version, with the data that they have, while a transfer places lines in them.

use std::{fmt::Write as _, ops::Range, time::Duration};

use crate::rig::{Program, Site, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(120);
const LINES: usize = 20_000;

#[tokio::test]
async fn opensearch_2_that_becomes_opensearch_3_while_lines_flow_has_every_line_once_and_is_known_for_what_it_is() {
    let mut server = services::SearchServer::start("upgrade", "os2", &[("ES_HEAP", "512m")]);
    let mut site = Site::on("upgrade", services::kafka(), &server.url).await;
    // The OpenSearch 2 that Maven Central has lacks a tokenizer of our template.
    site.set("elasticsearch.manage_template", false);
    let mut transfer = site.transfer();
    transfer.ready().await;
    produce(&site, 0..LINES / 2);
    until("some are there", LIMIT, async || created(&transfer).await > 0.0).await;

    server.stop();
    produce(&site, LINES / 2..LINES);
    until("it misses the servers", LIMIT, async || transfer.output().contains("not ready part=elasticsearch")).await;
    server.start_as("os3");
    index::wait_for(&server.url, &site.indices(), LINES).await;
    committed(&site, &site.name).await;
    let said = "the servers are another version now before=OpenSearch 2.19.6 now=OpenSearch 3.6.0";
    until("it knows the new servers", LIMIT, async || transfer.output().contains(said)).await;
    transfer.stop_well().await;

    // Another group reads it all again: the ids that the old version gave are those that the new one is asked for.
    let group = format!("{}-again", site.name);
    site.set("transfer.group", group.clone());
    let mut transfer = site.transfer();
    transfer.ready().await;
    committed(&site, &group).await;
    assert_eq!(created(&transfer).await, 0.0, "all were there");
    transfer.stop_well().await;

    assert_eq!(index::distinct(&server.url, &site.indices()).await, LINES);
    assert!(kafka::records(&site.kafka, &site.dead_letters).is_empty(), "no document is at fault");
    server.remove();
}

fn produce(site: &Site, numbers: Range<usize>) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(500) {
        let mut text = String::new();
        some.iter().for_each(|number| writeln!(text, r#"{{"number":{number}}}"#).expect("text"));
        kafka::produce(&site.kafka, &site.topic, &[], text.as_bytes());
    }
}

async fn committed(site: &Site, group: &str) {
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, group) == 0).await;
}

async fn created(transfer: &Program) -> f64 {
    transfer.metric("logdrive_documents_total", &[("outcome", "created")]).await
}
