//! Orderly stops finish what was read; files that are rotated or truncated meanwhile are read to their end.

use std::time::Duration;

use crate::{
    rig::{Program, Site, corpus, index, kafka, services, until, verify},
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_stop_delivers_what_was_read_and_the_next_start_repeats_nothing() {
    let site = Site::new("stops").await;
    let files = corpus::files(&site.logs(), 6, 4, 10_000);
    corpus::write_whole(&files);
    let mut agent = site.agent();
    agent.ready().await;
    all_read(&agent, &files).await;
    agent.stop_well().await;
    let sent = kafka::records(&site.kafka, &site.topic).len();
    let mut agent = site.agent();
    agent.ready().await;

    // Stopped in the middle three times, which must not show.
    for documents in [5_000, 15_000, 25_000] {
        let mut transfer = site.transfer();
        transfer.ready().await;
        index::wait_for(&site.elasticsearch, &site.indices(), documents).await;
        transfer.stop_well().await;
    }
    let mut transfer = site.transfer();
    transfer.ready().await;
    settled(&site, &files).await;
    assert_eq!(transfer.metric("logdrive_documents_total", &[("outcome", "duplicate")]).await, 0.0, "sent twice");
    transfer.stop_well().await;
    assert_eq!(agent.metric("logdrive_read_lines_total", &[]).await, 0.0, "the checkpoint was saved at the stop");
    agent.stop_well().await;
    assert_eq!(kafka::records(&site.kafka, &site.topic).len(), sent, "nothing was sent again");
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn an_agent_that_drains_is_not_ready_and_answers_until_it_ends() {
    let broker = services::Broker::start("drain");
    let site = Site::on("drain", &broker.servers, "http://127.0.0.1:1").await;
    let files = corpus::files(&site.logs(), 9, 2, 1_000);
    let mut agent = site.agent();
    agent.ready().await;
    // Kafka says nothing while it drains, so that it takes as long as is looked at it.
    let paused = broker.pause();
    corpus::write_whole(&files);
    until("lines under way", LIMIT, async || agent.metric("logdrive_in_flight_bytes", &[]).await > 0.0).await;
    agent.terminate();
    until("not ready", LIMIT, async || !agent.answers("/readyz").await).await;
    let (status, reasons) = agent.get("/readyz").await;
    assert_eq!(status, 503, "{reasons}");
    assert!(reasons.contains(r#""draining":{"ready":false,"why":"SIGTERM: "#), "{reasons}");
    assert!(agent.answers("/livez").await, "it is alive until it ends");
    assert!(agent.metric("logdrive_in_flight_bytes", &[]).await > 0.0, "it can be watched");
    drop(paused);
    let status = agent.ended().await;
    assert!(status.success(), "it ended with {status}");
    assert!(agent.output().contains("everything that was read is safe in Kafka"), "{}", agent.output());
}

#[tokio::test]
async fn a_file_that_is_renamed_or_truncated_while_it_is_written_is_read_to_its_end_once() {
    let site = Site::new("rotation").await;
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    let path = site.logs().join("app-00.log");
    let pace = |files: &[_]| corpus::Pace::over(Duration::from_secs(1), files);
    let mut all = Vec::new();
    for round in 0..6_u64 {
        let mut files = corpus::files(&site.logs(), 100 + round, 1, 2_000);
        // The same line must not come twice in different rounds: each round has a mark of its own.
        files[0].text = marked(&files[0].text, round);
        corpus::write(&files, pace(&files)).await;
        if round % 2 == 0 {
            // At once, as logrotate does: what was not read yet is read under the new name.
            std::fs::rename(&path, site.logs().join(format!("app-00.log.{round}"))).expect("renamed");
        } else {
            // Whoever truncates takes what was not read; so it must have been.
            all.append(&mut files.clone());
            all_read(&agent, &all).await;
            all.pop();
            std::fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(0)).expect("truncated");
        }
        all.append(&mut files);
    }
    settled(&site, &all).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    verify::same_lines(&all, &index::documents(&site.elasticsearch, &site.indices()).await);
}

/// Waits until the agent has delivered all lines of the files.
async fn all_read(agent: &Program, files: &[corpus::LogFile]) {
    let lines = corpus::lines_in(files) as f64;
    until("all lines delivered", Duration::from_secs(60), async || {
        agent.metric("logdrive_acknowledged_lines_total", &[]).await >= lines
    })
    .await;
}

/// The lines with the round's number at their ends.
fn marked(text: &[u8], round: u64) -> Vec<u8> {
    let mut marked = Vec::with_capacity(text.len() * 2);
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        marked.extend_from_slice(line);
        // Behind a JSON object there would be no JSON any more; blanks are.
        marked.resize(marked.len() + round as usize + 1, b' ');
        marked.push(b'\n');
    }
    marked
}
