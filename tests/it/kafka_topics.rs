//! Topics that change while the agent sends to them.

use std::time::Duration;

use crate::{
    rig::{Site, corpus, kafka, until},
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
