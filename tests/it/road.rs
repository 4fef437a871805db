//! Lines that are being written arrive exactly once, byte for byte, in order.
//!
//! `IT_SECONDS` (5) and `IT_LOAD_LINES` (10000 lines in each of 20 files) make it the long form.

use std::{collections::HashMap, time::Duration};

use logdrive::{batcher::frame, record::Stream};

use crate::rig::{LogFile, Site, corpus, index, kafka, number, services, until};

#[tokio::test]
async fn two_hundred_thousand_lines_arrive_exactly_once_while_they_are_written_read_through_io_uring() {
    let site = travel("uring", services::elasticsearch(), "uring", 20, number("IT_LOAD_LINES", 10_000)).await;
    in_order(&site);
}

#[tokio::test]
async fn two_hundred_thousand_lines_arrive_exactly_once_while_they_are_written_read_through_pread() {
    let site = travel("pread", services::elasticsearch(), "pread", 20, number("IT_LOAD_LINES", 10_000)).await;
    in_order(&site);
}

#[tokio::test]
async fn lines_arrive_exactly_once_in_opensearch() {
    travel("opensearch", services::opensearch(), "auto", 4, 5_000).await;
}

/// The whole road for `count` files of `lines` lines each; gives the site for what else is to be checked.
async fn travel(name: &str, store: &str, io: &str, count: usize, lines: u64) -> Site {
    let mut site = Site::on(name, services::kafka(), store).await;
    site.set("agent.io", io);
    let files = corpus::files(&site.logs(), 1, count, lines as usize);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    if io != "auto" {
        assert_eq!(agent.metric("logdrive_io_backend_info", &[("backend", io)]).await, 1.0, "the backend asked for");
    }

    corpus::write(&files, corpus::Pace::over(Duration::from_secs(number("IT_SECONDS", 5)), &files)).await;
    settled(&site, &files).await;

    let read = agent.metric("logdrive_read_lines_total", &[]).await;
    let acknowledged = agent.metric("logdrive_acknowledged_lines_total", &[]).await;
    let created = transfer.metric("logdrive_documents_total", &[("outcome", "created")]).await;
    assert_eq!((read, acknowledged, created), [corpus::lines_in(&files) as f64; 3].into(), "what the metrics count");
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
    let hits = site.search(&["f01n0001234", "--json"]);
    assert!(hits.lines().count() == 1 && hits.contains("f01n0001234"), "the terminal finds one line: {hits}");
    site
}

/// Waits until all lines can be found and all records are committed, so that nothing is still to come.
pub async fn settled(site: &Site, files: &[LogFile]) {
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(files)).await;
    until("all records committed", Duration::from_secs(90), async || {
        kafka::behind(&site.kafka, &site.topic, &site.name) == 0
    })
    .await;
}

/// In Kafka, each file is in one partition, its segments adjacent and in order, from its first byte to its last.
fn in_order(site: &Site) {
    let mut seen: HashMap<Stream, (i32, Vec<u8>)> = HashMap::new();
    let mut paths = HashMap::new();
    let mut text = Vec::new();
    for record in kafka::records(&site.kafka, &site.topic) {
        let header = |name: &str| record.headers.get(name).map(Vec::as_slice);
        let meta = frame::decode(header, &record.value, &mut text).expect("a record of ours");
        let mut rest = &text[..];
        for segment in meta.segments {
            let (partition, before) = seen.entry(segment.stream).or_insert((record.partition, Vec::new()));
            assert_eq!(*partition, record.partition, "{} is in two partitions", segment.path.display());
            assert_eq!(before.len() as u64, segment.offset, "{} is out of order", segment.path.display());
            let (mine, behind) = rest.split_at(segment.bytes as usize);
            before.extend_from_slice(mine);
            rest = behind;
            paths.insert(segment.stream, segment.path);
        }
        assert!(rest.is_empty(), "text that belongs to no segment");
    }
    for (stream, (_, text)) in seen {
        let file = std::fs::read(&paths[&stream]).expect("the file is still there");
        assert!(text == file, "{} differs in Kafka", paths[&stream].display());
    }
}
