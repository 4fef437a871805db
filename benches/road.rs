//! The whole road from a file to a sink that acknowledges at once: reader, batcher, ledger.

use std::{fmt::Write as _, fs, hint::black_box, path::Path, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use logdrive::{
    batcher::{Batch, Batcher, Sender, Settings as Batching},
    checkpoint::Keeper,
    reader::{Event, Io, Reader, Settings, Tallies, Task},
    record::Budget,
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
    let reader =
        Reader::start(settings, &[task], Vec::new(), 1, &budget, &Tallies::default(), sender).expect("it starts");
    let mut keeper = Keeper::default();
    let mut batcher = Batcher::new(&Batching::default(), Sender { host: "h".into(), machine: "m".into() });
    let (mut read, mut lines) = (0, 0);
    let now = std::time::Instant::now();
    let mut settle = |keeper: &mut Keeper, batch: Batch| {
        lines += batch.lines();
        for span in &batch.spans {
            keeper.settle(span).expect("it is under way");
        }
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
    drop(events);
    reader.stop().await;
    let safe = keeper.safe().map(|(_, to)| to).sum();
    (lines, safe)
}

fn road(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let bytes = write_log(&dir.path().join("bench.log"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = c.benchmark_group("road");
    group.throughput(Throughput::Elements(LINES)).sample_size(10).measurement_time(Duration::from_secs(3));
    for (name, io) in [("uring", Io::Uring), ("pread", Io::Pread)] {
        group.bench_function(BenchmarkId::new("file to sink", name), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(travel(dir.path(), io, bytes)), (LINES, bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, road);
criterion_main!(benches);
