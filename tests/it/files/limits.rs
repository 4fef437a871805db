//! What it costs: memory for lines without end, descriptors for many files, reads for bytes, and what is given up.
//!
//! `IT_FILES` (2000) is how many files there are of which 24 grow.

use std::{fs, io::Write, sync::Arc};

use logdrive::batcher::frame;
use rustix::fs::{Advice, fadvise};
use tokio::sync::Barrier;

use super::{
    LIMIT, Variation, broker,
    heard::Listener,
    scene::{Scene, Shared},
    site,
};
use crate::rig::{Site, kafka, number, until};

/// What the agent may need beside its budget: the program, threads, librdkafka, a compressed copy of what is in flight.
const BASE_BYTES: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_up_to_a_hundred_megabytes_arrive_to_the_byte_and_stay_within_the_budget() {
    let broker = broker().await;
    let site = site("long-lines", &broker).await;
    let path = site.logs().join("app.log");
    let mut text = Vec::new();
    for megabytes in [1, 10, 100] {
        text.extend((0..megabytes << 20).map(|at| b'a' + (at / 7 % 26) as u8));
        text.extend_from_slice(b"\nbehind it\n");
    }
    fs::write(&path, &text).expect("the site can be written");
    let mut agent = site.agent();
    agent.ready().await;
    until("all bytes acknowledged", LIMIT, async || {
        agent.metric("logdrive_acknowledged_bytes_total", &[]).await >= text.len() as f64
    })
    .await;
    let peak = agent.peak_memory_bytes();
    assert!(peak <= (32 << 20) + BASE_BYTES, "the agent held {peak} bytes");
    agent.stop_well().await;

    let mut came = vec![false; text.len()];
    let mut piece = Vec::new();
    for record in kafka::records(&site.kafka, &site.topic) {
        let meta = frame::decode(|name| record.headers.get(name).map(Vec::as_slice), &record.value, &mut piece);
        let mut at = 0;
        for segment in meta.expect("a record of ours").segments {
            let (start, bytes) = (segment.offset as usize, segment.bytes as usize);
            assert!(piece[at..at + bytes] == text[start..start + bytes], "changed at {start}");
            assert!(!came[start], "twice at {start}");
            came[start..start + bytes].fill(true);
            at += bytes;
        }
    }
    assert!(came.iter().all(|came| *came), "every byte came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_files_cost_few_descriptors_and_those_that_grow_are_read() {
    let broker = broker().await;
    let mut site = site("many", &broker).await;
    // Idle at once, or the test would be about how long that takes.
    site.set("agent.idle_flush", "500ms");
    let (files, growing) = (number("IT_FILES", 2_000), 24);
    let mut scene = scene(&site, "many");
    for file in 0..files {
        let text = scene.lines(2);
        fs::write(scene.path(&format!("{file}.log")), text).expect("the site can be written");
    }
    let mut agent = site.agent();
    agent.ready().await;
    scene.delivered().await;
    let open = || {
        let open = fs::read_dir(format!("/proc/{}/fd", agent.id())).expect("it runs").flatten();
        open.filter(|entry| fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(&scene.dir))).count()
    };
    until("files that were read are closed", LIMIT, async || open() == 0).await;
    for _ in 0..10 {
        for file in 0..growing {
            scene.write(&format!("{}.log", file * files / growing), 20).await;
        }
    }
    let open = fs::read_dir(format!("/proc/{}/fd", agent.id())).expect("it runs").count();
    assert!(open <= 40 + growing as usize, "{open} descriptors");
    scene.delivered().await;
    agent.stop_well().await;
    assert_eq!(scene.faults(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_read_once_and_not_much_more() {
    let broker = broker().await;
    for io in ["pread", "uring"] {
        let mut site = site(&format!("reads-{io}"), &broker).await;
        // The program comes from the disk too, if nobody used it for a while.
        fs::read(env!("CARGO_BIN_EXE_logdrive")).expect("it was built");
        site.set("agent.io", io);
        let mut scene = scene(&site, "reads");
        let mut size = 0;
        for (name, lines) in [("big.log", 100_000), ("small.log", 5), ("other.log", 40_000)] {
            let text = scene.lines(lines);
            let mut file = fs::File::create(scene.path(name)).expect("the site can be written");
            file.write_all(&text).and_then(|()| file.sync_all()).expect("the site can be written");
            // Out of the cache, so that the disk is asked for it.
            fadvise(&file, 0, None, Advice::DontNeed).expect("the kernel takes advice");
            size += text.len() as u64;
        }
        assert!(size > 10 << 20, "{size} bytes are enough to tell");
        let mut agent = site.agent();
        agent.ready().await;
        scene.delivered().await;
        // What Kafka and the checkpoints answer is in it, too.
        let limit = size + size / 20 + (1 << 20);
        let disk = bytes_read(agent.id(), "read_bytes: ");
        assert!(disk <= limit, "{disk} bytes were read from the disk, with {io}, of {size}");
        // What a ring reads is not counted as a system call's.
        let calls = bytes_read(agent.id(), "rchar: ");
        assert!(calls <= limit, "{calls} bytes were read by system calls, with {io}, of {size}");
        agent.stop_well().await;
        assert_eq!(scene.faults(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_file_is_let_go_after_its_grace_and_what_was_not_read_is_counted_and_named() {
    let broker = broker().await;
    let mut site = site("let-go", &broker).await;
    site.set("agent.deleted_grace", "2s");
    site.set("agent.line_bytes_max", "64KiB");
    site.set("agent.batch.bytes_max", "128KiB");
    site.set("agent.in_flight_bytes_max", "256KiB");
    let mut agent = site.agent();
    agent.ready().await;
    let mut scene = scene(&site, "let-go");
    scene.pid.store(agent.id(), std::sync::atomic::Ordering::Relaxed);
    let paused = broker.pause();
    let text = scene.lines(20_000);
    scene.put("app.log", &text).await;
    scene.delete("app.log").await;
    until("the file is let go", LIMIT, async || {
        let open = fs::read_dir(format!("/proc/{}/fd", agent.id())).expect("it runs").flatten();
        !open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| path.starts_with(&scene.dir))
    })
    .await;
    drop(paused);
    let given_up = agent.metric("logdrive_abandoned_bytes_total", &[]).await;
    assert!(given_up > 0.0 && agent.output().contains("let-go/app.log"), "it is counted and named");
    until("what was read is delivered", LIMIT, async || {
        agent.metric("logdrive_acknowledged_bytes_total", &[]).await + given_up >= text.len() as f64
    })
    .await;
    agent.stop_well().await;
    scene.give_up();
    let lost: usize = scene.lines.iter().filter(|(_, fate)| fate.may_be_lost).map(|(line, _)| line.len() + 1).sum();
    assert_eq!(lost as f64, given_up, "exactly what did not come was counted");
    assert_eq!(scene.faults(), Vec::<String>::new());
}

/// A scene alone at a site.
fn scene(site: &Site, name: &'static str) -> Scene {
    let variation = Variation { io: "auto", kills: false, pauses: false };
    let listener = Arc::new(Listener::on(&site.kafka, &site.topic));
    let (gate, agent) = (Arc::new(Barrier::new(1)), Arc::default());
    Scene::new(name, &site.logs(), 1, Shared { variation, listener, gate, agent })
}

/// How many bytes a process has read, as the kernel counts them under `name`.
fn bytes_read(pid: u32, name: &str) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).expect("it runs");
    let line = io.lines().find_map(|line| line.strip_prefix(name)).expect("Linux counts it");
    line.parse().expect("a number")
}
