//! The ledger: spans handed over and settled, in order and in the worst order.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use logdrive::{checkpoint::Ledger, record::Span};

/// As many spans as a budget of 32 MiB may have under way, if each is 4 KiB.
const SPANS: u64 = 8192;
const SOURCES: u64 = 16;

fn span(index: u64) -> Span<u64, u64> {
    let start = index / SOURCES * 4096;
    Span { source: index % SOURCES, start, end: start + 4096, mark: index }
}

fn taken() -> Ledger<u64, u64> {
    let mut ledger = Ledger::default();
    for source in 0..SOURCES {
        ledger.open(source, 0);
    }
    for index in 0..SPANS {
        ledger.take(&span(index)).expect("adjacent");
    }
    ledger
}

fn ledger(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger");
    group.throughput(Throughput::Elements(SPANS));
    for (name, in_order) in [("settled in order", true), ("settled from the end", false)] {
        let order = |index| if in_order { index } else { SPANS - 1 - index };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                taken,
                |mut ledger| {
                    for index in 0..SPANS {
                        ledger.settle(&span(order(index))).expect("under way");
                    }
                    for source in 0..SOURCES {
                        assert_eq!(ledger.safe_to(source), Some(SPANS / SOURCES * 4096));
                    }
                    ledger
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
