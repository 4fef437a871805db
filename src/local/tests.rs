//! The role as a whole, on real files.

use std::{fs, io::Write, path::Path, time::Duration};

use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::Local;
use crate::{
    config::Config,
    embedded::Embedded,
    inspect,
    metrics::Health,
    store::{Page, Query, Store},
};

struct Running {
    store: Embedded,
    health: Health,
    stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

fn config(dir: &Path) -> Config {
    let mut config = Config::default();
    config.data_dir = dir.join("data");
    config
}

fn start(dir: &Path) -> Running {
    let mut config = config(dir);
    config.agent.idle_flush = Duration::from_millis(100);
    config.embedded.commit_age_max = Duration::from_millis(50);
    let local = Local::open(&config).expect("the store opens");
    let (store, stop, health) = (local.store(), CancellationToken::new(), Health::default());
    let patterns = vec![dir.join("*.log").display().to_string()];
    let (stopping, sick) = (stop.clone(), health.clone());
    let (_, questions) = inspect::channel();
    let ended = tokio::spawn(async move { local.run(&config, patterns, stopping, &sick, questions).await });
    Running { store, health, stop, ended }
}

impl Running {
    async fn wait_for(&self, count: u64) {
        for _ in 0..600 {
            if self.count().await >= count {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{} of {count} lines were found within 30 s; {:?}", self.count().await, self.health.report());
    }

    async fn count(&self) -> u64 {
        self.store.count(&Query::default()).await.expect("an answer").count
    }

    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.expect("no panic").expect("a clean end");
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::File::options().create(true).append(true).open(path).expect("it opens");
    file.write_all(text.as_bytes()).expect("it is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_are_found_while_files_grow_and_once_each_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.log"), dir.path().join("b.log"));
    append(&a, &(0..5_000).map(|n| format!("line {n}\n")).collect::<String>());
    let running = start(dir.path());
    running.wait_for(5_000).await;
    assert!(running.health.is_ready());
    append(&a, "one more\n");
    append(&b, "another file\n");
    running.wait_for(5_002).await;
    running.stop().await;

    append(&b, "while nobody looked\n");
    let running = start(dir.path());
    running.wait_for(5_003).await;
    append(&a, "at the end\n");
    running.wait_for(5_004).await;
    let page = Page { limit: 10, after: None };
    let now = jiff::Zoned::now();
    for (question, count) in [("\"line 4711\"", 1), ("file:*b.log", 2), ("line*", 5_000), ("logdrive.task:up", 5_004)] {
        let query = crate::store::parse(question, &now).unwrap();
        assert_eq!(running.store.find(&query, &page).await.unwrap().total.count, count, "{question}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_filled_again_from_the_files() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.log"), "one\ntwo\n");
    let running = start(dir.path());
    running.wait_for(2).await;
    running.stop().await;
    fs::write(dir.path().join("data/store/meta.json"), "damaged").unwrap();

    let running = start(dir.path());
    running.wait_for(2).await;
    assert_eq!(running.count().await, 2);
    let kept = fs::read_dir(dir.path().join("data")).unwrap();
    let kept =
        kept.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("store-set-aside-"));
    assert_eq!(kept.count(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path());
    let config = config(dir.path());
    let error = Local::open(&config).map(|_| ()).expect_err("it is taken").to_string();
    assert!(error.contains("is being written by another process"), "{error}");
    running.stop().await;
    Local::open(&config).expect("it is free again");
}
