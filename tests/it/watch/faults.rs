//! The scene: an agent, a transfer and `up` with lines that don't end, and the faults that are injected.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, Sender},
    time::Duration,
};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    checkpoints::{Damage, spoil},
    rig::{
        Dice, Program, Site, api,
        etcd::EtcdServer,
        kafka,
        services::{Broker, SearchServer},
        until,
    },
};

/// The alerts that fire under the faults of [`Scene::inject`]: of each group but that of Kafka at least one.
pub const ALERTS: &[&str] = &[
    "LogdriveConfigurationRefused",
    "LogdriveFilesFailed",
    "LogdriveBytesAbandoned",
    "LogdriveDeadLetters",
    "LogdriveIndexStopped",
    "LogdriveDiskFullSoon",
];

const LIMIT: Duration = Duration::from_secs(60);

/// Everything that is watched. What writes ends before the directories that it writes to go.
pub struct Scene {
    _writer: Writer,
    pub agent: Program,
    pub transfer: Program,
    pub up: Program,
    _up_site: Site,
    pub site: Site,
    broker: Broker,
    etcd: EtcdServer,
    store: SearchServer,
}

impl Scene {
    /// Starts all, and waits until lines flow from files to the store.
    pub async fn set() -> Self {
        let broker = Broker::start("watch-kafka");
        let etcd = EtcdServer::start("watch-etcd", &[]);
        // A request that is larger than 4 MiB is pushed back.
        let settings = [("ES_HEAP", "512m"), ("ES_EXTRA_YML", "indexing_pressure.memory.limit: 4mb")];
        let store = SearchServer::start("watch-es8", "es8", &settings);
        let mut site = Site::without_topics("watch", &broker.servers, &store.url);
        configure(&mut site, &etcd).await;
        let writer = Writer::start(&site.logs());
        let mut agent = agent_with_lost_checkpoints(&site).await;
        let mut transfer = site.transfer();
        let up_site = Site::without_topics("watch-up", "127.0.0.1:1", "http://127.0.0.1:1");
        let mut up = up_site.up(&[&site.logs().join("app.log").display().to_string()]);
        for program in [&mut agent, &mut transfer, &mut up] {
            program.ready().await;
        }
        etcd.ctl(&["put", "/logdrive/tasks/all", &tasks(&site, "remote")]);
        until("documents are indexed", LIMIT, async || {
            transfer.metric("logdrive_documents_total", &[("outcome", "created")]).await > 1000.0
                && agent.metric("logdrive_acknowledged_lines_total", &[("task", "remote")]).await > 0.0
                && api::count(up.web, "").await > 1000
        })
        .await;
        Self { _writer: writer, agent, transfer, up, _up_site: up_site, site, broker, etcd, store }
    }

    /// Does what the alerts and the panels are for.
    pub async fn inject(&mut self) {
        let logs = self.site.logs();
        // No room will be left, at this rate.
        let room = fs::File::create(self.site.dir.join("large")).expect("the site can be written");
        rustix::fs::fallocate(&room, rustix::fs::FallocateFlags::empty(), 0, 1 << 30).expect("1 GiB is free");
        // A file that must not be read, one that is emptied, one that goes before it was read, a line that Kafka doesn't take.
        append(&logs.join("app-closed.log"), "closed\n");
        fs::set_permissions(logs.join("app-closed.log"), fs::Permissions::from_mode(0o000)).expect("we own it");
        append(&logs.join("slow.log"), &"a line that waits for its rate\n".repeat(600_000));
        append(&logs.join("small.log"), &noise(50_000));
        // Documents that the mapping refuses, for an index that takes none, and more at once than the store takes.
        append(&logs.join("app.log"), &"{\"took_ms\":\"long\"}\n".repeat(50));
        append(&logs.join("blocked.log"), "a line for the index that takes none\n");
        append(
            &logs.join("app-burst.log"),
            &format!("{{\"burst\":\"{}\"}}\n", "more than is taken ".repeat(20)).repeat(40_000),
        );
        // A configuration that is none, and a task that is none.
        fs::write(self.site.dir.join("logdrive.toml"), "[kafka\n").expect("the site can be written");
        let pid = Pid::from_raw(self.agent.id().cast_signed()).expect("a process");
        kill_process(pid, Signal::HUP).expect("it runs");
        self.etcd.ctl(&["put", "/logdrive/agents/watch/tasks", "no tasks"]);
        self.search().await;
        until("the slow file is being read", LIMIT, async || {
            self.agent.metric("logdrive_read_lines_total", &[("task", "slow")]).await > 0.0
        })
        .await;
        fs::remove_file(logs.join("slow.log")).expect("it is there");
        fs::write(logs.join("app-emptied.log"), "begun anew\n").expect("the site can be written");
    }

    /// Asks the page of `up` for lines.
    pub async fn search(&self) {
        for question in ["burst", "level:error", "took_ms:>3"] {
            api::ask(self.up.web, "search", &[("q", question)]).await;
        }
    }

    /// Ends the broker.
    pub fn take_kafka_away(&self) {
        self.broker.stop();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.etcd.lose();
        self.store.kill();
    }
}

async fn configure(site: &mut Site, etcd: &EtcdServer) {
    kafka::create(&site.kafka, &site.topic, 3).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    let small = format!("{}-small", site.topic);
    kafka::create_limited(&site.kafka, &small, 1, 30_000).await;
    let tasks = [
        ("app", "app*.log", &site.topic, "labels = { service = \"app\" }"),
        ("slow", "slow.log", &site.topic, "rate = \"256KiB/s\""),
        ("small", "small.log", &small, "encoding = \"lines\""),
        ("past", "past.log", &site.topic, "start_at = \"end\""),
        ("blocked", "blocked.log", &site.topic, "labels = { service = \"blocked\" }"),
    ];
    let tasks = tasks.map(|(name, paths, topic, more)| {
        let paths = site.logs().join(paths);
        let text = format!("name = \"{name}\"\npaths = [\"{}\"]\ntopic = \"{topic}\"\n{more}\n", paths.display());
        toml::Value::Table(toml::from_str(&text).expect("TOML"))
    });
    site.set("agent.tasks", tasks.to_vec());
    site.set("agent.host", "watch");
    site.set("agent.rescan", "1s");
    site.set("agent.deleted_grace", "1s");
    site.set("etcd.endpoints", vec![etcd.endpoint.clone()]);
    site.set("transfer.topics", vec![site.topic.clone(), small]);
    site.set("transfer.index", format!("{}-{{[labels.service]}}-now", site.name));
    append(&site.logs().join("past.log"), "a line that was there before, and is not wanted\n");
    append(&site.logs().join("app-emptied.log"), &"a line of a file that is emptied later\n".repeat(100));
    let mapping = json!({ "mappings": { "properties": { "took_ms": { "type": "long" } } } });
    ask(site, &format!("{}-app-now", site.name), &mapping).await;
    ask(site, &format!("{}-blocked-now", site.name), &json!({ "settings": { "index.blocks.write": true } })).await;
}

/// The tasks that etcd has: one more.
fn tasks(site: &Site, name: &str) -> String {
    let path = site.logs().join("remote.log").display().to_string();
    json!([{ "name": name, "paths": [path], "topic": site.topic }]).to_string()
}

/// An agent whose checkpoints were lost, and found again in Kafka.
async fn agent_with_lost_checkpoints(site: &Site) -> Program {
    let mut agent = Program::without_superpowers(site, "agent");
    agent.ready().await;
    until("lines are in kafka", LIMIT, async || {
        agent.metric("logdrive_acknowledged_lines_total", &[("task", "app")]).await > 1000.0
    })
    .await;
    agent.stop_well().await;
    spoil(&site.dir.join("data/checkpoints"), Damage::Cut);
    Program::without_superpowers(site, "agent")
}

/// Writes lines to files, until it is dropped.
struct Writer {
    _stop: Sender<()>,
}

impl Writer {
    fn start(logs: &Path) -> Self {
        let files = ["app.log", "small.log", "remote.log"].map(|name| logs.join(name));
        let (stop, stopped) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut first = 0;
            while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
                write_lines(&files, first);
                first += 100;
            }
        });
        Self { _stop: stop }
    }
}

/// A hundred lines of ordinary length for each file.
fn write_lines(files: &[PathBuf], first: u64) {
    let now = jiff::Timestamp::now();
    for file in files {
        let lines = (first..first + 100).map(|number| {
            format!(
                "{{\"time\":\"{now}\",\"level\":\"info\",\"took_ms\":{},\"msg\":\"request {number} was served\"}}\n",
                number % 90
            )
        });
        append(file, &lines.collect::<String>());
    }
}

/// A line that can't be compressed.
fn noise(bytes: u64) -> String {
    let letters = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    let mut dice = Dice::new(8);
    let line: String = (0..bytes).map(|_| char::from(letters[dice.within(0..64) as usize])).collect();
    line + "\n"
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the site can be written");
    file.write_all(text.as_bytes()).expect("the site can be written");
}

/// Makes an index.
async fn ask(site: &Site, index: &str, body: &serde_json::Value) {
    let url = format!("{}/{index}", site.elasticsearch);
    let answer = reqwest::Client::new().request(Method::PUT, &url).json(body).send().await.expect("the server is up");
    assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap_or_default());
}
