//! Three brokers: each is killed under load, two are down at once, all are restarted in turn; and one that throttles.
//!
//! `IT_ROUNDS` (1) and `IT_LINES` (8000 lines in each of 6 files, for a round) make it the long form.

use std::{collections::HashMap, ops::Range, time::Duration};

use logdrive::{batcher::frame, record::Stream};
use tokio::time::sleep;

use crate::{
    rig::{
        LogFile, Program, Site,
        cluster::{Cluster, End},
        corpus, kafka, number, services, until,
    },
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(180);

/// How much the agent may have read and not yet delivered. What is packed counts as large as it is then.
const BUDGET_BYTES: u64 = 2 << 20;

/// How long writing goes on for each broker that is ended, in one round.
const EACH: Duration = Duration::from_secs(12);

#[tokio::test]
async fn each_broker_is_killed_in_turn_under_load_and_every_line_arrives_once_and_in_order() {
    let (cluster, rounds) = (Cluster::borrow().await, number("IT_ROUNDS", 1));
    let mut site = on(&cluster, "killed-brokers").await;
    site.forget_dead_members_soon();
    let files = files(&site, 31, rounds);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    let written = corpus::write(&files, corpus::Pace::over(3 * EACH * rounds as u32, &files));
    let killed = async {
        for _ in 0..rounds {
            for broker in ["1", "2", "3"] {
                sleep(Duration::from_secs(2)).await;
                cluster.end(End::Killed, &[broker]).await;
                // Long enough for the others to notice, and to lead what it led.
                sleep(Duration::from_secs(4)).await;
                cluster.start_again().await;
            }
        }
    };
    futures::join!(written, killed);
    settled(&site, &files).await;
    delivered(&agent, &files).await;
    for program in [&mut agent, &mut transfer] {
        program.ready().await; // again
    }
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
    arrived(&site, &files);
}

#[tokio::test]
async fn with_two_of_three_brokers_down_reading_pauses_and_goes_on_by_itself() {
    let cluster = Cluster::borrow().await;
    let mut site = on(&cluster, "two-down").await;
    site.set("agent.in_flight_bytes_max", "2MiB");
    let files = files(&site, 32, 3);
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    assert!(bytes as u64 > 8 * BUDGET_BYTES, "{bytes} bytes don't fill the budget");
    corpus::write_whole(&files[..1]);
    let mut agent = site.agent();
    agent.ready().await;
    delivered(&agent, &files[..1]).await;

    cluster.end(End::Killed, &["2", "3"]).await;
    corpus::write_whole(&files[1..]);
    until("the agent says that it can't deliver", LIMIT, async || agent.get("/readyz").await.0 == 503).await;
    until("the budget is full", LIMIT, async || {
        agent.metric("logdrive_in_flight_bytes", &[]).await >= BUDGET_BYTES as f64 / 2.0
    })
    .await;
    assert!(agent.metric("logdrive_in_flight_bytes", &[]).await <= BUDGET_BYTES as f64, "no more than the budget");
    let read = agent.metric("logdrive_read_lines_total", &[]).await;
    assert!(read < corpus::lines_in(&files) as f64, "reading waits: {read}");
    assert_eq!(agent.get("/livez").await.0, 200, "and the agent is alive");

    cluster.start_again().await;
    delivered(&agent, &files).await;
    agent.ready().await; // again
    agent.stop_well().await;
    arrived(&site, &files);
}

#[tokio::test]
async fn a_rolling_restart_of_all_brokers_costs_no_line() {
    let (cluster, rounds) = (Cluster::borrow().await, number("IT_ROUNDS", 1));
    let site = on(&cluster, "rolling").await;
    let files = files(&site, 33, rounds);
    let mut agent = site.agent();
    agent.ready().await;
    let written = corpus::write(&files, corpus::Pace::over(2 * EACH * rounds as u32, &files));
    let restarted = async {
        for _ in 0..rounds {
            for broker in ["1", "2", "3"] {
                sleep(Duration::from_secs(1)).await;
                cluster.end(End::Stopped, &[broker]).await;
                cluster.start_again().await;
            }
        }
    };
    futures::join!(written, restarted);
    delivered(&agent, &files).await;
    agent.ready().await; // again
    agent.stop_well().await;
    arrived(&site, &files);
}

#[tokio::test]
async fn a_quota_slows_the_agent_down_which_can_be_seen_and_loses_nothing() {
    let mut site = Site::new("quota").await;
    let name = site.name.clone();
    site.set_kafka("client.id", &name);
    site.set_kafka("statistics.interval.ms", "500");
    quota(&site, &["--add-config", "producer_byte_rate=100000"]);
    let files = files(&site, 34, 1);
    let mut agent = site.agent();
    agent.ready().await;
    corpus::write_whole(&files);
    until("the brokers' quota is felt", LIMIT, async || {
        agent.metric("logdrive_kafka_broker_throttle_seconds", &[("client", "producer")]).await > 0.0
    })
    .await;
    quota(&site, &["--delete-config", "producer_byte_rate"]);
    delivered(&agent, &files).await;
    agent.stop_well().await;
    arrived(&site, &files);
}

/// A site on the cluster, its topics held by all brokers.
async fn on(cluster: &Cluster, name: &str) -> Site {
    let site = Site::without_topics(name, &cluster.servers, services::elasticsearch());
    cluster.create(&site.topic, 6).await;
    cluster.create(&site.dead_letters, 1).await;
    site
}

fn files(site: &Site, seed: u64, rounds: u64) -> Vec<LogFile> {
    corpus::files(&site.logs(), seed, 6, (number("IT_LINES", 8_000) * rounds) as usize)
}

/// Changes what the site's client may send.
fn quota(site: &Site, change: &[&str]) {
    let whom = ["ConfigCommand", "--bootstrap-server", &site.kafka, "--alter", "--entity-type", "clients"];
    services::run("kafka/kafka-cli.sh", &[&whom[..], &["--entity-name", &site.name], change].concat(), &[]);
}

/// Waits until all lines are read and nothing of them is under way.
async fn delivered(agent: &Program, files: &[LogFile]) {
    let lines = corpus::lines_in(files) as f64;
    until("all lines in Kafka", LIMIT, async || {
        agent.metric("logdrive_read_lines_total", &[]).await >= lines
            && agent.metric("logdrive_in_flight_bytes", &[]).await == 0.0
    })
    .await;
}

/// Fails unless each file is in the topic, in one partition, from its first byte to its last, in order: what is sent
/// again after a lost answer is the same bytes at the same offsets, so that a line's identity makes it one.
fn arrived(site: &Site, files: &[LogFile]) {
    let mut seen: HashMap<Stream, (i32, Vec<u8>)> = HashMap::new();
    let mut paths = HashMap::new();
    // Of each file the records' offsets, and its bytes that they have.
    let mut came: HashMap<Stream, Vec<(i64, Range<usize>)>> = HashMap::new();
    let (mut text, mut again) = (Vec::new(), 0);
    for record in kafka::records(&site.kafka, &site.topic) {
        let header = |name: &str| record.headers.get(name).map(Vec::as_slice);
        let meta = frame::decode(header, &record.value, &mut text).expect("a record of ours");
        let mut rest = &text[..];
        for segment in meta.segments {
            let (piece, behind) = rest.split_at(segment.bytes as usize);
            rest = behind;
            let path = paths.entry(segment.stream).or_insert(segment.path);
            let (partition, before) = seen.entry(segment.stream).or_insert((record.partition, Vec::new()));
            assert_eq!(*partition, record.partition, "{} is in two partitions", path.display());
            let start = segment.offset as usize;
            came.entry(segment.stream).or_default().push((record.offset, start..start + piece.len()));
            let came = &came[&segment.stream];
            assert!(start <= before.len(), "{}: nothing from {} to {start}: {came:?}", path.display(), before.len());
            let known = piece.len().min(before.len() - start);
            assert!(piece[..known] == before[start..start + known], "{}: other bytes at {start}", path.display());
            again += known;
            before.extend_from_slice(&piece[known..]);
        }
    }
    for file in files {
        let of_file = |(stream, path): (&Stream, &std::path::PathBuf)| (*path == file.path).then_some(*stream);
        let streams: Vec<Stream> = paths.iter().filter_map(of_file).collect();
        assert_eq!(streams.len(), 1, "{} has one identity", file.path.display());
        assert!(seen[&streams[0]].1 == file.text, "{} differs in Kafka", file.path.display());
    }
    eprintln!("{}: {again} bytes came twice", site.name);
}
