//! Topics that change while the agent sends to them and the transfer reads them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use logdrive::{batcher::frame, record::Stream};
use tokio::time::sleep;

use crate::{
    rig::{Site, corpus, index, kafka, services, until, verify::Verdict},
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_topic_that_is_deleted_and_made_again_with_fewer_partitions_is_gone_on_with() {
    let site = Site::new("deleted").await;
    let files = corpus::files(&site.logs(), 21, 6, 400);
    corpus::write_whole(&files[..3]);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    settled(&site, &files[..3]).await;

    kafka::delete(&site.kafka, &site.topic).await;
    corpus::write_whole(&files[3..]);
    until("the agent names the topic that is gone", LIMIT, async || {
        let (status, body) = agent.get("/readyz").await;
        status == 503 && body.contains(&format!("{:?}", site.topic).replace('"', "\\\"")) && body.contains("exist")
    })
    .await;
    kafka::create(&site.kafka, &site.topic, 2).await;

    settled(&site, &files).await;
    agent.ready().await;
    transfer.ready().await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn partitions_that_are_added_are_used_and_no_line_is_lost_or_doubled() {
    let site = Site::new("grown").await;
    let files = corpus::files(&site.logs(), 22, 8, 2_000);
    corpus::write_whole(&files[..2]);
    let (agent, transfer) = (site.agent(), site.transfer());
    settled(&site, &files[..2]).await;
    kafka::grow(&site.kafka, &site.topic, 12).await;
    until("the agent notices", LIMIT, async || agent.output().contains("another number of partitions")).await;
    corpus::write_whole(&files[2..]);
    settled(&site, &files).await;
    let used = kafka::records(&site.kafka, &site.topic).iter().map(|record| record.partition).max();
    assert!(used.is_some_and(|most| most >= 3), "six files went to old partitions only: {used:?}");
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// What was acknowledged and not read is gone with the topic that held it, and nothing else is.
#[tokio::test]
async fn a_topic_that_is_deleted_and_made_again_under_load_takes_nothing_with_it_but_what_it_held() {
    let mut site = Site::new("anew").await;
    // New partitions are seen sooner than after half a minute.
    site.set_kafka("topic.metadata.refresh.interval.ms", "2000");
    let files = corpus::files(&site.logs(), 23, 6, 6_000);
    let (agent, transfer) = (site.agent(), site.transfer());
    let written = corpus::write(&files, corpus::Pace::over(Duration::from_secs(12), &files));
    let changes = async {
        for partitions in [3, 2] {
            sleep(Duration::from_secs(3)).await;
            kafka::delete(&site.kafka, &site.topic).await;
            kafka::create(&site.kafka, &site.topic, partitions).await;
        }
    };
    futures::join!(written, changes);
    let lines = corpus::lines_in(&files) as f64;
    until("all lines in Kafka", LIMIT, async || {
        agent.metric("logdrive_read_lines_total", &[]).await >= lines
            && agent.metric("logdrive_in_flight_bytes", &[]).await == 0.0
    })
    .await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;
    agent.stop_well().await;
    transfer.stop_well().await;

    let mut verdict = Verdict::on(&files);
    index::each(&site.elasticsearch, &site.indices(), |document| verdict.hear(&document)).await;
    let starts = starts(&site);
    assert_eq!(starts.len(), files.len(), "each file was still being written");
    for (path, start) in starts {
        assert!(start > 0, "{path} was begun before");
        verdict.forgive(&path, start);
    }
    verdict.pronounce();
}

#[tokio::test]
async fn a_topic_that_is_made_anew_behind_the_transfers_back_is_read_from_its_beginning() {
    let mut site = Site::without_topics("behind", services::kafka(), services::elasticsearch());
    kafka::create(&site.kafka, &site.topic, 1).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    // Where a group begins that is new says nothing of a topic that is.
    site.set("transfer.start_from", "latest");
    let mut transfer = site.transfer();
    transfer.ready().await;
    write(&site, 0..10);
    index::wait_for(&site.elasticsearch, &site.indices(), 10).await;
    until("committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;

    let paused = transfer.pause();
    kafka::delete(&site.kafka, &site.topic).await;
    kafka::create(&site.kafka, &site.topic, 1).await;
    // More than the old topic held, so that an offset of the old one means something in the new one.
    write(&site, 10..40);
    drop(paused);
    index::wait_for(&site.elasticsearch, &site.indices(), 40).await;
    until("committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;

    // The same while no transfer runs.
    transfer.stop_well().await;
    kafka::delete(&site.kafka, &site.topic).await;
    kafka::create(&site.kafka, &site.topic, 1).await;
    site.set("transfer.start_from", "earliest");
    write(&site, 40..90);
    let mut transfer = site.transfer();
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 90).await;
    transfer.stop_well().await;
    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    let mut found: Vec<&str> = documents.iter().map(|document| document.text("message")).collect();
    found.sort_unstable_by_key(|line| line[5..].parse::<usize>().expect("a number"));
    assert!(found.into_iter().eq((0..90).map(|line| format!("line {line}"))), "each line once");
}

/// Puts lines into the site's topic, one a record.
fn write(site: &Site, lines: std::ops::Range<usize>) {
    for line in lines {
        kafka::produce(&site.kafka, &site.topic, &[], format!("line {line}").as_bytes());
    }
}

/// Where each file begins that is in the topic as it is now; fails unless it goes on from there without a gap.
fn starts(site: &Site) -> BTreeMap<String, u64> {
    let (mut reached, mut starts) = (HashMap::<Stream, u64>::new(), BTreeMap::new());
    let mut text = Vec::new();
    for record in kafka::records(&site.kafka, &site.topic) {
        let header = |name: &str| record.headers.get(name).map(Vec::as_slice);
        let meta = frame::decode(header, &record.value, &mut text).expect("a record of ours");
        for segment in meta.segments {
            let path = segment.path.display().to_string();
            let before = reached.entry(segment.stream).or_insert(segment.offset);
            assert!(segment.offset <= *before, "{path}: nothing from {before} to {}", segment.offset);
            *before = (*before).max(segment.offset + segment.bytes);
            starts.entry(path).or_insert(segment.offset);
        }
    }
    starts
}
