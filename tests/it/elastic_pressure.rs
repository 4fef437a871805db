//! A store that pushes back: a write queue of one, a small limit of indexing pressure, and a node that is killed in
//! the middle of it and comes back.

use std::{fmt::Write as _, time::Duration};

use crate::rig::{Program, Site, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(120);
const LINES: usize = 60_000;

#[tokio::test]
async fn a_small_node_that_pushes_back_and_is_killed_in_the_middle_has_every_line_once() {
    // Requests larger than 1 MiB are refused whatever else goes on; one write may wait.
    let settings = [
        ("ES_WRITE_QUEUE", "1"),
        ("ES_HEAP", "512m"),
        ("ES_EXTRA_YML", "thread_pool.write.size: 1\\nindexing_pressure.memory.limit: 1mb"),
    ];
    let server = services::SearchServer::start("pressure", "es8", &settings);
    let mut site = Site::on("pressure", services::kafka(), &server.url).await;
    // Lines of five days, so that a body is for five indices and its writes compete for the queue.
    site.set("elasticsearch.bulk_requests_max", 8);
    site.set("elasticsearch.request_timeout", "20s");
    let write = |from: usize, to: usize| {
        for start in (from..to).step_by(500) {
            let mut text = String::new();
            for number in start..start + 500 {
                let day = 20 + number % 5;
                let filler = "a line of ordinary length ".repeat(2);
                writeln!(text, r#"{{"time":"2026-11-{day}T10:00:00Z","number":{number},"msg":"{filler}"}}"#)
                    .expect("text");
            }
            kafka::produce(&site.kafka, &site.topic, &[], text.as_bytes());
        }
    };
    write(0, LINES / 2);
    let mut transfer = site.transfer();
    transfer.alive().await;
    until("a third is taken", LIMIT, async || documents(&transfer, "created").await > LINES as f64 / 3.0).await;
    assert!(documents(&transfer, "retried").await > 0.0, "the store pushed back");
    let refused = transfer.metric("logdrive_bulk_responses_total", &[("code", "429")]).await;
    assert!(refused > 0.0, "requests that are too large are refused");

    write(LINES / 2, LINES);
    server.kill();
    until("it says that the store is away", LIMIT, async || transfer.get("/readyz").await.0 == 503).await;
    assert_eq!(transfer.get("/livez").await.0, 200);
    server.start_again();
    index::wait_for(&server.url, &site.indices(), LINES).await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;
    transfer.stop_well().await;
    assert_eq!(index::distinct(&server.url, &site.indices()).await, LINES);
    assert!(kafka::records(&site.kafka, &site.dead_letters).is_empty(), "no document is at fault");
    server.remove();
}

async fn documents(transfer: &Program, outcome: &str) -> f64 {
    transfer.metric("logdrive_documents_total", &[("outcome", outcome)]).await
}
