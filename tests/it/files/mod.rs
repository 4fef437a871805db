//! Files, in every way they rotate, shrink, vanish and come back, and no line lost or doubled.
//!
//! Scenes write numbered lines while something happens to their files. All scenes of a run share one agent, which is
//! stopped and started once in the middle; in some variations it is killed at random moments besides, or Kafka takes
//! nothing for seconds. What reached Kafka is judged: each line is there, unaltered, in its file's order, and under
//! one identity, however often it was sent.
//!
//! `IT_VARIATIONS=all` runs all variations on both I/O backends; without it each stands in for the others.
//! `IT_KILLS` (6) is how often the agent is killed in a run, if it lasts so long; `IT_SCENES` chooses scenes by a part
//! of their names.

mod agent;
mod heard;
mod limits;
mod scene;
mod scenes;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    sync::{Barrier, oneshot},
    time::timeout,
};

use self::{
    agent::Agent,
    heard::Listener,
    scene::{Scene, Shared},
};
use crate::rig::{Dice, Site, kafka, services::Broker, until};

/// How long anything may take; Kafka may be paused and the agent killed several times meanwhile.
const LIMIT: Duration = Duration::from_secs(120);

/// How the agent fares while the scenes happen.
#[derive(Clone, Copy, Debug)]
pub struct Variation {
    /// How files are read: `uring` or `pread`.
    pub io: &'static str,
    /// It is killed at random moments.
    pub kills: bool,
    /// Kafka takes nothing at first, and again and again.
    pub pauses: bool,
}

impl Variation {
    fn name(self) -> String {
        let also = |is: bool, name| if is { name } else { "" };
        format!("files-{}{}{}", self.io, also(self.kills, "-kills"), also(self.pauses, "-pauses"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_files_each_line_arrives_once() {
    play(Variation { io: "uring", kills: false, pauses: false }).await;
    if all_variations() {
        play(Variation { io: "pread", kills: false, pauses: false }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_files_each_line_arrives_once_though_the_agent_is_killed() {
    play(Variation { io: "pread", kills: true, pauses: false }).await;
    if all_variations() {
        play(Variation { io: "uring", kills: true, pauses: false }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_files_each_line_arrives_once_though_kafka_takes_nothing_for_seconds() {
    play(Variation { io: "uring", kills: false, pauses: true }).await;
    if all_variations() {
        play(Variation { io: "pread", kills: false, pauses: true }).await;
        play(Variation { io: "uring", kills: true, pauses: true }).await;
        play(Variation { io: "pread", kills: true, pauses: true }).await;
    }
}

fn all_variations() -> bool {
    std::env::var("IT_VARIATIONS").is_ok_and(|value| value == "all")
}

/// The broker of these tests alone, since it is paused now and then. One run at a time has it.
async fn broker() -> tokio::sync::MutexGuard<'static, Broker> {
    static BROKER: OnceLock<tokio::sync::Mutex<Broker>> = OnceLock::new();
    BROKER.get_or_init(|| tokio::sync::Mutex::new(Broker::start("files"))).lock().await
}

/// A site whose agent reads everything in and below `logs`.
async fn site(name: &str, broker: &Broker) -> Site {
    let mut site = Site::without_topics(name, &broker.servers, "http://127.0.0.1:1");
    kafka::create(&site.kafka, &site.topic, 3).await;
    let mut task = toml::Table::new();
    task.insert("name".to_owned(), "test".into());
    task.insert("paths".to_owned(), vec![site.logs().join("**").display().to_string()].into());
    task.insert("exclude".to_owned(), vec!["*.left".to_owned(), "*.tmp".to_owned()].into());
    task.insert("topic".to_owned(), site.topic.clone().into());
    site.set("agent.tasks", vec![toml::Value::Table(task)]);
    site.set("agent.rescan", "2s");
    site.set("agent.idle_flush", "700ms");
    site
}

/// Plays all scenes in one variation and judges what was heard.
async fn play(variation: Variation) {
    let broker = broker().await;
    let mut dice = Dice::thrown();
    let mut site = site(&variation.name(), &broker).await;
    site.set("agent.io", variation.io);
    site.set("agent.line_bytes_max", "64KiB");
    site.set("agent.batch.bytes_max", "128KiB");
    site.set("agent.in_flight_bytes_max", "512KiB");
    let chosen = scenes::chosen();
    let gate = Arc::new(Barrier::new(chosen.len() + 1));
    let mut agent = Agent::new(&site, variation.kills, dice.roll());
    agent.start();
    agent.ready().await;
    let listener = Arc::new(Listener::on(&site.kafka, &site.topic));
    let (pid, gate_of_scenes) = (agent.pid(), Arc::clone(&gate));
    let shared = Shared { variation, listener: Arc::clone(&listener), gate: gate_of_scenes, agent: pid };
    let (over, playing) = oneshot::channel();
    let pauses = pauses(variation.pauses, &broker, Dice::new(dice.roll()), playing);
    let logs = site.logs();
    let scenes = scenes::play(chosen, &logs, dice.roll(), shared);
    let (scenes, ()) = futures::join!(direct(&mut agent, &gate, scenes, over), pauses);

    agent.spare();
    let complete = async { until("everything there", LIMIT, async || scenes.iter().all(Scene::is_complete)).await };
    // What is missing is told line by line.
    let _ = timeout(LIMIT / 2, complete).await;
    agent.finish().await;
    // What the agent sent last is heard.
    let lasted = kafka::records(&site.kafka, &site.topic).len();
    until("all records heard", LIMIT, async || listener.heard().records() >= lasted).await;
    let mut faults = listener.heard().faults().to_vec();
    faults.extend(scenes.iter().flat_map(Scene::faults));
    let count = faults.len();
    faults.truncate(40);
    assert!(faults.is_empty(), "{count} faults in {lasted} records:\n{}", faults.join("\n"));
}

/// Starts and stops the agent when all scenes are ready for it; gives the scenes when all are over.
async fn direct(
    agent: &mut Agent<'_>,
    gate: &Barrier,
    scenes: impl Future<Output = Vec<Scene>>,
    over: oneshot::Sender<()>,
) -> Vec<Scene> {
    let (send, played) = oneshot::channel();
    let scenes = async { drop(send.send(scenes.await)) };
    let agent_lives = async {
        agent.live_until(gate.wait()).await;
        agent.stop().await;
        gate.wait().await;
        gate.wait().await;
        agent.start();
        gate.wait().await;
        let scenes = agent.live_until(played).await.expect("the scenes are joined below");
        let _ = over.send(()); // Without pauses nobody listens.
        scenes
    };
    futures::join!(scenes, agent_lives).1
}

/// Lets Kafka take nothing for two to four seconds, again and again, until the scenes are over.
async fn pauses(wanted: bool, broker: &Broker, mut dice: Dice, mut over: oneshot::Receiver<()>) {
    if !wanted {
        return;
    }
    loop {
        let paused = broker.pause();
        let left = timeout(Duration::from_millis(dice.within(2_000..4_000)), &mut over).await;
        drop(paused);
        if left.is_ok() || timeout(Duration::from_millis(dice.within(1_000..4_000)), &mut over).await.is_ok() {
            break;
        }
    }
}
