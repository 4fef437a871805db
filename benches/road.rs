//! The whole road from a file to a sink that acknowledges at once: reader, batcher, ledger.
//!
//! `scripts/bench metrics` counts its instructions without metrics, with them (`ROAD_METRICS=1` in the environment), and with
//! them scraped (`ROAD_SCRAPES=100`).

use std::{fmt::Write as _, fs, hint::black_box, path::Path, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use logdrive::{
    batcher::{Batch, Batcher, Sender, Settings as Batching},
    checkpoint::Keeper,
    metrics::Exposition,
    reader::{Event, Io, Reader, Settings, Tallies, Task},
    record::{Budget, Outcome},
};
use tokio::sync::mpsc;

const LINES: u64 = 100_000;

fn write_log(path: &Path) -> u64 {
    let mut text = String::new();
    for line in 0..LINES {
        let (minute, second) = (line / 60 % 60, line % 60);
        writeln!(
            text,
            "2026-11-20T10:{minute:02}:{second:02}.{:06}Z web-{} nginx[{}]: GET /api/v1/users?id={} HTTP/1.1 200 {} {:.3} \"agent {}\"",
            line * 37 % 1_000_000, line % 7, 1000 + line % 13, line * 7919 % 100_000, line % 5000, line as f64 / 997.0, line % 23
        )
        .expect("a string takes any text");
    }
    fs::write(path, &text).expect("written");
    text.len() as u64
}

/// Reads the file, packs its lines, settles each batch at once; returns the lines and bytes that came out.
async fn travel(dir: &Path, io: Io, bytes: u64) -> (u64, u64) {
    let settings = Settings { io, lanes: 1, ..Settings::default() };
    let paths = vec![dir.join("*.log").to_string_lossy().into_owned()];
    let task = Task::new("bench", paths);
    let (sender, mut events) = mpsc::channel(64);
    let budget = Budget::new(32 << 20);
    let tallies = Tallies::default();
    let reader = Reader::start(settings, &[task], Vec::new(), 1, &budget, &tallies, sender).expect("it starts");
    let mut keeper = Keeper::default();
    let mut batcher = Batcher::new(&Batching::default(), Sender { host: "h".into(), machine: "m".into() });
    let (mut read, mut lines) = (0, 0);
    let now = std::time::Instant::now();
    let mut settle = |keeper: &mut Keeper, batch: Batch| {
        lines += batch.lines();
        for span in &batch.spans {
            keeper.settle(span).expect("it is under way");
        }
        batch.shares.into_iter().for_each(|share| share.held.end(Outcome::Acknowledged));
        black_box(batch.packed);
    };
    while read < bytes {
        match events.recv().await.expect("the reader runs") {
            Event::Opened(checkpoint) => keeper.opened(checkpoint),
            Event::Block(block) => {
                read += block.text.len() as u64;
                keeper.take(&block.span()).expect("adjacent");
                for batch in batcher.push(block, now) {
                    settle(&mut keeper, batch);
                }
            }
            Event::Resumed(checkpoint) => keeper.opened(checkpoint),
            Event::Changed(_)
            | Event::Cut(..)
            | Event::Rested(_)
            | Event::Ended(_)
            | Event::Forgotten(_)
            | Event::Dismissed(_) => (),
        }
    }
    if let Some(batch) = batcher.seal() {
        settle(&mut keeper, batch);
    }
    tallies.tell();
    drop(events);
    reader.stop().await;
    let safe = keeper.safe().map(|(_, to)| to).sum();
    (lines, safe)
}

fn road(c: &mut Criterion) {
    let wish = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let exposition = (wish("ROAD_METRICS") > 0).then(|| Exposition::install().expect("there is none yet"));
    let dir = tempfile::tempdir().expect("a directory");
    let bytes = write_log(&dir.path().join("bench.log"));
    if wish("ROAD_NOTHING") > 0 {
        // What the rest is compared with.
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("road");
    group.throughput(Throughput::Elements(LINES)).sample_size(10).measurement_time(Duration::from_secs(3));
    for (name, io) in [("uring", Io::Uring), ("pread", Io::Pread)] {
        group.bench_function(BenchmarkId::new("file to sink", name), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(travel(dir.path(), io, bytes)), (LINES, bytes)));
        });
    }
    group.finish();
    for _ in 0..wish("ROAD_SCRAPES") {
        black_box(exposition.as_ref().expect("there are metrics").render());
    }
}

criterion_group!(benches, road);
criterion_main!(benches);
