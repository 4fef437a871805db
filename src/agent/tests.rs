//! The role against librdkafka's mock of a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use tokio::{
    sync::watch,
    task::{JoinHandle, block_in_place},
};
use tokio_util::sync::CancellationToken;

use super::{Control, Standing, Tasks};
use crate::{
    batcher::frame,
    checkpoint::Window,
    config::{Config, Task, Wanted},
    inspect,
    kafka::{self, Reach},
    metrics::Health,
    record::Stream,
};

const LIMIT: Duration = Duration::from_secs(60);
const FILES: usize = 3;

struct Site {
    dir: tempfile::TempDir,
    config: Config,
    _cluster: MockCluster<'static, DefaultProducerContext>,
    running: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    control: Option<(watch::Sender<Wanted>, watch::Receiver<Tasks>)>,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("app", 2, 1).expect("a topic");
        cluster.create_topic("single", 1, 1).expect("a topic");
        let path = dir.path().display();
        let text = format!(
            "data_dir = \"{path}/data\"\n[kafka]\nbootstrap_servers = \"{}\"\n\
             [[agent.tasks]]\nname = \"t\"\npaths = [\"{path}/*.log\"]\ntopic = \"app\"\n",
            cluster.bootstrap_servers()
        );
        let file = dir.path().join("logdrive.toml");
        fs::write(&file, text).expect("written");
        let config = Config::load(Some(&file)).expect("a configuration");
        Self { dir, config, _cluster: cluster, running: None, control: None }
    }

    fn start(&mut self) {
        let (stop, config) = (CancellationToken::new(), self.config.clone());
        let token = stop.clone();
        let (wants, wanted) = watch::channel(Wanted { tasks: config.agent.tasks.clone().into(), generation: 1 });
        let (tells, told) = watch::channel(Tasks::default());
        let (_, questions) = inspect::channel();
        let control = Control { wanted, tasks: tells, questions };
        self.control = Some((wants, told));
        let role = async move { super::run(&config, control, token, &Health::default(), &Window::default()).await };
        self.running = Some((stop, tokio::spawn(role)));
    }

    async fn stop(&mut self) {
        let (stop, role) = self.running.take().expect("it runs");
        stop.cancel();
        role.await.expect("no panic").expect("it ends well");
    }

    fn append(&self, lines: std::ops::Range<usize>) -> u64 {
        let text = |file| lines.clone().map(move |number| format!("file {file} line {number}\n")).collect::<String>();
        let texts: Vec<String> = (0..FILES).map(text).collect();
        for (file, text) in texts.iter().enumerate() {
            let path = self.dir.path().join(format!("{file}.log"));
            let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
            file.write_all(text.as_bytes()).expect("written");
        }
        texts.iter().map(|text| text.len() as u64).sum()
    }

    /// The segments in the topic: by stream, where they begin and how many bytes they have.
    fn sent(&self) -> BTreeMap<Stream, Vec<(u64, u64)>> {
        let mut sent: BTreeMap<Stream, Vec<(u64, u64)>> = BTreeMap::new();
        let (reach, mut text) = (Reach { records_max: u64::MAX, bytes_max: u64::MAX }, Vec::new());
        let read = block_in_place(|| {
            kafka::newest(&self.config.kafka, "app", reach, |past| {
                let value = past.value.as_deref().expect("a value");
                let meta = frame::decode(|name| past.header(name), value, &mut text).expect("a record of ours");
                for segment in meta.segments {
                    sent.entry(segment.stream).or_default().push((segment.offset, segment.bytes));
                }
            })
        });
        read.expect("the cluster answers");
        sent
    }

    /// Waits until so many bytes are in the topic.
    async fn sent_all(&self, bytes: u64) {
        let begun = Instant::now();
        loop {
            let sent: u64 = self.sent().values().flatten().map(|(_, bytes)| bytes).sum();
            if sent >= bytes {
                return assert_eq!(sent, bytes, "nothing is sent twice");
            }
            assert!(begun.elapsed() < LIMIT, "{sent} of {bytes} bytes were sent");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn spoil(data: &Path) {
    fs::write(data.join("checkpoints/db"), vec![0xaa; 1000]).expect("damaged");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_checkpoints_are_found_again_in_kafka_and_nothing_is_sent_twice() {
    let mut site = Site::new();
    let data = site.dir.path().join("data");
    let mut bytes = site.append(0..1000);
    site.start();
    site.sent_all(bytes).await;
    site.stop().await;
    // Once the number beside the store still says how identities were made; once nothing but the text is left.
    for (round, numbered) in (1..).zip([true, false]) {
        spoil(&data);
        if !numbered {
            fs::write(data.join("checkpoints.sequence"), b"").expect("emptied");
        }
        bytes += site.append(round * 1000..round * 1000 + 500);
        site.start();
        site.sent_all(bytes).await;
        site.stop().await;
        assert!(!data.join("checkpoints.lost").exists(), "it was made good");
    }
    let sent = site.sent();
    assert_eq!(sent.len(), FILES, "each file is the stream that it was");
    for pieces in sent.into_values() {
        let pieces: BTreeSet<(u64, u64)> = pieces.into_iter().collect();
        let end = pieces.iter().fold(0, |at, (offset, bytes)| if *offset == at { at + bytes } else { at });
        assert_eq!(Some(end), pieces.last().map(|(offset, bytes)| offset + bytes), "they are adjacent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_anything_in_kafka_the_configured_rule_says_where_to_begin() {
    let mut site = Site::new();
    site.append(0..100);
    // Checkpoints were lost, and Kafka has nothing of the files.
    let data = site.dir.path().join("data");
    fs::create_dir_all(data.join("checkpoints")).expect("made");
    spoil(&data);
    site.config.agent.checkpoints_lost = crate::reader::StartAt::End;
    site.start();
    let begun = Instant::now();
    while data.join("checkpoints.lost").exists() || !data.join("checkpoints/db").exists() {
        assert!(begun.elapsed() < LIMIT, "it was not made good");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The first walk is over when a file that appeared later is read.
    let begun = Instant::now();
    let later = site.dir.path().join("later.log");
    tokio::time::sleep(Duration::from_secs(1)).await;
    fs::write(&later, "later\n").expect("written");
    site.sent_all(6).await;
    assert!(begun.elapsed() < LIMIT);
    site.stop().await;
}

impl Site {
    /// Wants these tasks, and waits until they are what runs.
    async fn want(&mut self, tasks: &[Task]) -> Tasks {
        let (wants, told) = self.control.as_mut().expect("it runs");
        let generation = wants.borrow().generation + 1;
        wants.send_replace(Wanted { tasks: tasks.into(), generation });
        let done = told.wait_for(|tasks| tasks.generation == generation);
        tokio::time::timeout(LIMIT, done).await.expect("in time").expect("it runs").clone()
    }

    fn task(&self, name: &str, pattern: &str, topic: &str, rest: &str) -> Task {
        let path = self.dir.path().display();
        let text = format!("name = \"{name}\"\npaths = [\"{path}/{pattern}\"]\ntopic = \"{topic}\"\n{rest}");
        toml::from_str(&text).expect("a task")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_begin_end_and_change_while_others_run_and_each_line_is_sent_once() {
    let mut site = Site::new();
    let mut bytes = site.append(0..1000);
    site.start();
    site.sent_all(bytes).await;
    let t = site.config.agent.tasks[0].clone();
    let labelled = site.task("t", "*.log", "app", "labels = { service = \"api\" }");
    let single = site.task("single", "*.txt", "single", "encoding = \"lines\"");
    fs::write(site.dir.path().join("a.txt"), "a line\n").expect("written");

    let told = site.want(&[t.clone(), single.clone()]).await;
    assert_eq!(told.each.keys().map(|name| &**name).collect::<Vec<_>>(), ["single", "t"]);
    assert_eq!((told.each["t"].generation, told.each["single"].generation), (1, 2), "the first was not touched");
    assert!(told.each.values().all(|task| task.standing == Standing::Running));
    for round in 1..20 {
        bytes += site.append(round * 1000..round * 1000 + 500);
        let tasks =
            [&[][..], &[t.clone(), single.clone()], std::slice::from_ref(&labelled), &[single.clone(), t.clone()]];
        let tasks = tasks[round % tasks.len()];
        let told = site.want(tasks).await;
        assert_eq!(told.each.len(), tasks.len());
        assert!(told.each.values().all(|task| task.standing == Standing::Running));
        bytes += site.append(round * 1000 + 500..round * 1000 + 1000);
    }
    site.want(&[labelled]).await;
    site.sent_all(bytes).await;
    site.stop().await;
    let sent = site.sent();
    for pieces in sent.into_values() {
        let all = pieces.len();
        let pieces: BTreeSet<(u64, u64)> = pieces.into_iter().collect();
        assert_eq!(pieces.len(), all, "nothing was sent twice");
        let end = pieces.iter().fold(0, |at, (offset, bytes)| if *offset == at { at + bytes } else { at });
        assert_eq!(Some(end), pieces.last().map(|(offset, bytes)| offset + bytes), "they are adjacent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_while_the_agent_starts_is_collected_too() {
    let mut site = Site::new();
    let bytes = site.append(0..10);
    fs::write(site.dir.path().join("late.txt"), "a line\n").expect("written");
    // Whenever it comes: before anything is read, or in between.
    for wait in [0, 1, 5, 20, 60] {
        site.start();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let tasks = [site.config.agent.tasks[0].clone(), site.task("late", "*.txt", "app", "")];
        let told = site.want(&tasks).await;
        assert_eq!(told.each.len(), 2);
        site.sent_all(bytes + 7).await;
        site.stop().await;
        fs::remove_dir_all(site.dir.path().join("data/checkpoints")).expect("removed");
        let cluster = MockCluster::new(1).expect("a mock cluster");
        cluster.create_topic("app", 2, 1).expect("a topic");
        site.config.kafka.bootstrap_servers = cluster.bootstrap_servers();
        site._cluster = cluster;
    }
}
