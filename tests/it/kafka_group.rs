//! How the transfer is a member of its group.

use std::time::Duration;

use crate::rig::{Site, corpus, index, until};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_new_group_begins_at_the_time_that_it_is_told() {
    let mut site = Site::new("since").await;
    let files = corpus::files(&site.logs(), 31, 4, 300);
    let mut agent = site.agent();
    agent.ready().await;
    corpus::write_whole(&files[..2]);
    sent(&agent, &files[..2]).await;
    // Kafka's times are whole milliseconds; the machine and the broker share a clock.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let since = jiff::Timestamp::now().to_string();
    tokio::time::sleep(Duration::from_millis(50)).await;
    corpus::write_whole(&files[2..]);
    sent(&agent, &files).await;

    site.set("transfer.start_from", since);
    site.set("transfer.member", "the-only-one");
    let mut transfer = site.transfer();
    // Where nothing came since, there is nothing to commit, so what is committed doesn't say when all is done.
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(&files[2..])).await;
    transfer.stop_well().await;
    // Under its own name it gets its partitions back at once, and goes on where it was.
    let more = corpus::files(&site.logs(), 32, 5, 300);
    corpus::write_whole(&more[4..]);
    transfer = site.transfer();
    transfer.ready().await;
    let all: Vec<_> = files[2..].iter().chain(&more[4..]).cloned().collect();
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(&all)).await;
    transfer.stop_well().await;
    agent.stop_well().await;
    site.holds_exactly(&all).await;
}

/// Waits until all lines of the files are in Kafka.
async fn sent(agent: &crate::rig::Program, files: &[corpus::LogFile]) {
    let lines = corpus::lines_in(files) as f64;
    until("sent", LIMIT, async || agent.metric("logdrive_acknowledged_lines_total", &[]).await >= lines).await;
}
