//! How fast lines are found.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logdrive::splitter;

fn split(c: &mut Criterion) {
    let lines = 1800;
    let text: Vec<u8> =
        (0..lines).flat_map(|line| format!("{line:06} {}\n", "x".repeat(line % 265)).into_bytes()).collect();
    let mut group = c.benchmark_group("splitter");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("line ends", |bencher| {
        bencher.iter(|| {
            assert_eq!(
                splitter::line_ends(black_box(&text)).fold((0, 0), |(n, _), end| (n + 1, end)),
                (lines, text.len())
            )
        });
    });
    group.bench_function("count", |bencher| {
        bencher.iter(|| assert_eq!(splitter::count(black_box(&text)), lines as u32))
    });
    group.bench_function("whole lines", |bencher| {
        bencher.iter(|| assert_eq!(splitter::whole_lines(black_box(&text)), text.len()));
    });
    group.finish();
}

criterion_group!(benches, split);
criterion_main!(benches);
