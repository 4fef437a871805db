//! Many agents on one etcd: each over connections of its own, with all that an agent does there.
//!
//! `IT_AGENTS` (30) and `IT_REST_SECONDS` (1) make it the long form, which prints what etcd costs at rest.

use std::{
    fs,
    time::{Duration, Instant},
};

use logdrive::{
    config::{Config, remote::Remote, remote::View},
    etcd::{Etcd, Settings},
    registry::{self, Registration, Role, Standing},
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::rig::{Site, etcd::EtcdServer, number, until};

const LIMIT: Duration = Duration::from_secs(120);
const KEY: &str = "/logdrive/tasks/all";

/// Agents that follow their keys and are registered.
struct Agents {
    views: Vec<watch::Receiver<View>>,
    registrations: Vec<watch::Sender<Registration>>,
    tasks: JoinSet<()>,
}

impl Agents {
    fn start(config: &Config, site: &Site, count: u64) -> Self {
        let mut agents = Self { views: Vec::new(), registrations: Vec::new(), tasks: JoinSet::new() };
        for number in 0..count {
            let mut config = config.clone();
            config.agent.host = Some(format!("host-{number}"));
            config.data_dir = site.dir.join(format!("data-{number}"));
            // As in an agent, one connection is for both.
            let etcd = Etcd::new(&config.etcd).expect("settings of an etcd");
            let remote = Remote::open(&config, Some("127.0.0.1".to_owned()));
            agents.views.push(remote.view());
            agents.tasks.spawn(remote.follow(etcd.clone()));
            let (says, said) = watch::channel(registration(number));
            agents.registrations.push(says);
            agents.tasks.spawn(registry::register(etcd, said, CancellationToken::new()));
        }
        agents
    }

    /// Whether all have the key as it is since `revision`.
    fn all_have(&self, revision: i64) -> bool {
        let has = |view: &View| view.keys.iter().any(|key| key.key == KEY && key.revision >= revision);
        self.views.iter().all(|view| has(&view.borrow()))
    }
}

fn registration(number: u64) -> Registration {
    Registration {
        role: Role::Agent,
        id: format!("machine-{number}"),
        host: format!("host-{number}"),
        addresses: vec!["127.0.0.1".to_owned()],
        group: None,
        version: "0".to_owned(),
        started: jiff::Timestamp::now(),
        generation: 1,
        keys: Vec::new(),
        tasks_total: 0,
        tasks: Vec::new(),
        unread_bytes: 0,
        failing: Vec::new(),
        topics: Vec::new(),
        partitions: 0,
        lag_records: 0,
        metrics: "0.0.0.0:9717".to_owned(),
    }
}

/// What etcd itself says that it has used: seconds of processors, bytes of memory, and bytes from and to its clients.
async fn used(server: &EtcdServer) -> [f64; 4] {
    let text = reqwest::get(format!("http://{}/metrics", server.endpoint)).await.expect("it answers");
    let text = text.text().await.expect("text");
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("etcd tells no {name}")).parse().expect("a number")
    };
    [
        value("process_cpu_seconds_total"),
        value("process_resident_memory_bytes"),
        value("etcd_network_client_grpc_received_bytes_total"),
        value("etcd_network_client_grpc_sent_bytes_total"),
    ]
}

/// Puts a task into the key for all; the revision that this made.
fn put(server: &EtcdServer, topic: &str) -> i64 {
    let answer = server.ctl(&["put", KEY, &format!("[{{\"path\":\"/a\",\"topic\":\"{topic}\"}}]"), "--write-out=json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("etcdctl prints JSON");
    answer["header"]["revision"].as_i64().expect("a revision")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_agents_is_registered_and_has_a_change_also_after_etcd_was_killed() {
    let (count, seconds) = (number("IT_AGENTS", 30), number("IT_REST_SECONDS", 1));
    let server = EtcdServer::start("etcd-fleet", &[]);
    let mut site = Site::without_topics("fleet", "127.0.0.1:1", "http://127.0.0.1:1");
    site.set("etcd.endpoints", vec![server.endpoint.clone()]);
    let file = site.dir.join("fleet.toml");
    fs::write(&file, toml::to_string(&site.clone_settings()).expect("it is a configuration")).expect("written");
    let config = Config::load(Some(&file)).expect("a configuration");
    let before = used(&server).await;
    let agents = Agents::start(&config, &site, count);
    let etcd = Etcd::new(&Settings { endpoints: vec![server.endpoint.clone()], ..config.etcd.clone() }).expect("one");
    let are_there = async || {
        let members = registry::members(&etcd).await.unwrap_or_default();
        members.len() == agents.registrations.len() && members.iter().all(|member| member.standing == Standing::Running)
    };
    until("all are registered", LIMIT, are_there).await;
    let is_heard = |view: &watch::Receiver<View>| view.borrow().is_heard;
    until("all have heard of etcd", LIMIT, async || agents.views.iter().all(is_heard)).await;

    let (begin, began) = (used(&server).await, Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (end, elapsed) = (used(&server).await, began.elapsed().as_secs_f64());
    let rate = |at: usize| (end[at] - begin[at]) / elapsed;
    eprintln!(
        "{count} agents at rest: {:.4} of a core, {:.0} MiB more of memory than none, {:.0} B/s from and {:.0} B/s to them",
        rate(0),
        (end[1] - before[1]) / 1_048_576.0,
        rate(2),
        rate(3)
    );

    let (put_at, revision) = (Instant::now(), put(&server, "one"));
    until("all have the change", LIMIT, async || agents.all_have(revision)).await;
    eprintln!("a change was with all of them after {:?}", put_at.elapsed());

    server.kill();
    until("all know that it is away", LIMIT, async || agents.views.iter().all(|view| view.borrow().away.is_some()))
        .await;
    server.start_again();
    let revision = put(&server, "two");
    until("all have the next change", LIMIT, async || agents.all_have(revision)).await;
    until("all are registered again", LIMIT, are_there).await;
}
