//! Kafka or Elasticsearch are away, at the start or in between: nothing is lost and memory stays bounded.
//!
//! `IT_OUTAGE_SECONDS` (20) makes the outage with restarts a longer one.

use std::time::Duration;

use crate::{
    rig::{Site, corpus, kafka, number, ports, services, until},
    road::settled,
};

/// How much the agent may have read and not yet delivered.
const BUDGET_BYTES: u64 = 8 << 20;

/// What the agent may need besides: the program, threads, librdkafka, a compressed copy of what is in flight.
const BASE_BYTES: u64 = 64 << 20;

#[tokio::test]
async fn a_broker_that_is_away_for_thirty_seconds_costs_no_line_and_no_memory() {
    let broker = services::Broker::start("outage");
    let mut site = Site::on("outage", &broker.servers, services::elasticsearch()).await;
    site.set("agent.in_flight_bytes_max", "8MiB");
    // A session ends during the outage: the transfer has to join again, with partitions that were taken from it.
    site.forget_dead_members_soon();
    let files = corpus::files(&site.logs(), 3, 8, 12_000);
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    assert!(bytes as u64 > 2 * BUDGET_BYTES, "{bytes} bytes don't fill the budget");
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;

    let written = corpus::write(&files, corpus::Pace::over(Duration::from_secs(20), &files));
    let outage = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        broker.stop();
        let mut most = 0.0_f64;
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            most = most.max(agent.metric("logdrive_in_flight_bytes", &[]).await);
        }
        let (ready, why) = agent.get("/readyz").await;
        assert_eq!(ready, 503, "an agent that can't deliver says so: {why}");
        assert_eq!(agent.get("/livez").await.0, 200, "and is alive");
        broker.start_again();
        most
    };
    let ((), most) = futures::join!(written, outage);
    assert!(most <= BUDGET_BYTES as f64, "{most} bytes in flight");
    assert!(most >= BUDGET_BYTES as f64 / 2.0, "only {most} bytes in flight: the outage was not felt");

    settled(&site, &files).await;
    for program in [&mut agent, &mut transfer] {
        program.ready().await; // again
    }
    let peak = agent.peak_memory_bytes();
    assert!(peak <= BUDGET_BYTES + BASE_BYTES, "the agent held {peak} bytes");
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_and_one_that_is_stopped_while_the_broker_is_away_cost_no_line() {
    let away = Duration::from_secs(number("IT_OUTAGE_SECONDS", 20));
    let broker = services::Broker::start("restarts");
    let mut site = Site::on("restarts", &broker.servers, services::elasticsearch()).await;
    site.set("agent.drain_timeout", "1s");
    site.forget_dead_members_soon();
    let files = corpus::files(&site.logs(), 5, 8, 6_000);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;

    let written = corpus::write(&files, corpus::Pace::over(away + Duration::from_secs(6), &files));
    let outage = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let acknowledged = agent.metric("logdrive_acknowledged_lines_total", &[]).await;
        assert!(acknowledged > 0.0, "some lines are safe before");
        broker.stop();
        tokio::time::sleep(away / 3).await;
        agent.kill();
        let agent = site.agent();
        tokio::time::sleep(away / 3).await;
        // It can't finish what it has, and ends all the same.
        agent.stop().await;
        let agent = site.agent();
        tokio::time::sleep(away / 3).await;
        broker.start_again();
        agent
    };
    let ((), mut agent) = futures::join!(written, outage);

    settled(&site, &files).await;
    agent.ready().await;
    transfer.ready().await; // again
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn servers_that_are_away_at_the_start_are_waited_for() {
    let (mut site, broker_port) = (Site::without_topics("away", "", services::elasticsearch()), ports::free());
    site.kafka = format!("127.0.0.1:{broker_port}");
    site.set("kafka.bootstrap_servers", site.kafka.clone());
    let store_port = ports::free();
    site.set("elasticsearch.urls", vec![format!("http://127.0.0.1:{store_port}")]);
    let files = corpus::files(&site.logs(), 4, 2, 500);
    corpus::write_whole(&files);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    for program in [&mut agent, &mut transfer] {
        until("alive", Duration::from_secs(30), async || program.answers("/livez").await).await;
        until("not ready", Duration::from_secs(30), async || program.get("/readyz").await.0 == 503).await;
    }
    until("a message names the server that is away", Duration::from_secs(60), async || {
        agent.output().lines().any(|line| line.contains("WARN") && line.contains(&site.kafka))
    })
    .await;

    // Both come up where they were expected: relays to the real ones.
    let _broker = services::Broker::start_at("away", broker_port);
    kafka::create(&site.kafka, &site.topic, 1).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    let store = services::elasticsearch().trim_start_matches("http://");
    let _relay = tokio::spawn(services::relay(store_port, store.to_owned()));

    agent.ready().await;
    transfer.ready().await;
    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}
