//! Watching it: a real Prometheus scrapes an agent, a transfer and `up` under load, while faults are injected. Every
//! panel of every dashboard then shows something that can be, and of each group of alerts one fires, and none before.

#[path = "../grafana/boards.rs"]
mod boards;
mod faults;
mod page;

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Child, Command, Stdio},
    time::Duration,
};

use boards::Query;
use serde_json::Value;

use crate::rig::{
    Program, Site, ports,
    prometheus::{Prometheus, Target},
    until,
};
use faults::Scene;

const LIMIT: Duration = Duration::from_secs(90);

/// How much of the past panels show in this test.
const SPAN: Duration = Duration::from_secs(60);

/// Questions that nothing is to answer here, and the fault that they would take.
const QUIET: &[(&str, &str)] = &[
    ("logdrive_kafka_producer_rebuilds_total", "a broker that refuses the producer's identity for good"),
    ("logdrive_build_info{", "another version that is started"),
];

#[tokio::test]
async fn every_panel_shows_what_can_be_and_of_each_group_of_alerts_one_fires_under_its_fault_and_none_before() {
    let mut scene = Scene::set().await;
    let node = NodeExporter::start();
    let target = |job, instance, address: String| Target { job, instance, address };
    let prometheus = Prometheus::start(
        &scene.site.dir.join("prometheus"),
        &[
            target("logdrive", "agent", scene.agent.metrics.to_string()),
            target("logdrive", "transfer", scene.transfer.metrics.to_string()),
            target("logdrive", "up", scene.up.metrics.to_string()),
            target("node", "host", node.address.clone()),
        ],
    )
    .await;
    // What was written before the transfer started is more at once than the store takes: that is over first.
    until("all are scraped for a while, and nothing is wrong", LIMIT, async || {
        let scraped = "sum(min_over_time(up[10s])) == 4 and sum(count_over_time(up[10s])) >= 39";
        let mut wrong = prometheus.firing().await;
        // The disk of the machine that tests is not ours alone.
        wrong.retain(|(_, group)| group != "logdrive-host");
        eprintln!("wrong: {wrong:?}");
        wrong.is_empty() && prometheus.now(scraped).await.len() == 1
    })
    .await;
    for program in [&scene.agent, &scene.transfer, &scene.up] {
        promtool_is_content_with(program).await;
    }

    scene.inject().await;
    let mut missing: BTreeSet<&str> = faults::ALERTS.iter().copied().collect();
    until("the alerts of all faults have fired", LIMIT, async || {
        for (name, _) in prometheus.firing().await {
            missing.remove(name.as_str());
        }
        eprintln!("not yet: {missing:?}");
        missing.is_empty()
    })
    .await;
    // A rate takes two looks, with something in between.
    until("searches are seen", LIMIT, async || {
        scene.search().await;
        prometheus.now("sum(rate(logdrive_search_seconds_count[10s])) > 0").await.len() == 1
    })
    .await;
    shows(&prometheus, &scene.site).await;

    scene.take_kafka_away();
    until("kafka is missed", LIMIT, async || {
        prometheus.firing().await.iter().any(|(name, _)| name == "LogdriveKafkaAway")
    })
    .await;
}

/// Asks what each panel asks, and has a browser draw the answers.
async fn shows(prometheus: &Prometheus, site: &Site) {
    let mut faults = Vec::new();
    let boards = boards::all();
    for board in &boards {
        let mut drawn = Vec::new();
        for panel in board.panels() {
            let mut answers = Vec::new();
            for query in panel.queries() {
                let answer = answered(prometheus, query).await;
                faults.extend(
                    wrong(query, &answer).map(|what| format!("{}: {what}: {}", panel.name(), query.expression())),
                );
                answers.push(answer);
            }
            drawn.push((panel, answers));
        }
        page::draw(board, &drawn, site);
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

async fn answered(prometheus: &Prometheus, query: Query<'_>) -> Vec<Value> {
    let expression = query.panel.board.filled(query.expression(), "10s", "60s", "60s");
    match query.json["instant"].as_bool() {
        Some(true) => prometheus.now(&expression).await,
        _ => prometheus.lately(&expression, SPAN).await,
    }
}

/// What is wrong with an answer: there is none, it is of another kind, or a value can't be.
fn wrong(query: Query<'_>, answer: &[Value]) -> Option<String> {
    let is_quiet = QUIET.iter().any(|(name, _)| query.expression().contains(name));
    if answer.is_empty() {
        return (!is_quiet).then(|| "no data".to_owned());
    }
    if query.json["format"] == "heatmap" && !answer.iter().all(|series| series["metric"]["le"].is_string()) {
        return Some("no buckets".to_owned());
    }
    // A series that begins or ends has no quantile and no share for a moment; one with none at all is no answer.
    let values: Vec<f64> = answer.iter().flat_map(page::values).map(|(_, value)| value).collect();
    let finite: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let Some(possible) = boards::possible(query.unit()) else {
        return Some(format!("nobody said what values {} can have", query.unit()));
    };
    let odd = finite.iter().find(|value| !possible.contains(*value));
    odd.map(|value| format!("{value} is not {}", query.unit())).or(finite.is_empty().then(|| "only NaN".to_owned()))
}

/// Prometheus' own linter finds nothing in what a program serves.
async fn promtool_is_content_with(program: &Program) {
    let (_, exposed) = program.get("/metrics").await;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("scripts/needs brings it");
    promtool.stdin.take().expect("a pipe").write_all(exposed.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A real node_exporter, whose names the dashboard of hosts goes by.
struct NodeExporter {
    child: Child,
    address: String,
}

impl NodeExporter {
    fn start() -> Self {
        let address = format!("127.0.0.1:{}", ports::free());
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "prometheus-node-exporter"])
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/needs brings setpriv and prometheus-node-exporter");
        Self { child, address }
    }
}

impl Drop for NodeExporter {
    fn drop(&mut self) {
        // Both fail only if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
