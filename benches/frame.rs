//! The packed format both ways, on batches of the default size.

use std::{fmt::Write as _, hint::black_box, path::PathBuf, sync::Arc, time::Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use logdrive::{
    batcher::{Batcher, Sender, Settings, frame},
    record::{Block, FileId, Form, Labels, Messages, Origin, Part, Permit, Stream, Tally},
};

const BLOCK_BYTES: usize = 256 << 10;

/// Mixed system logs: about 140 bytes a line, of which about a third is noise that doesn't compress.
fn text() -> Vec<u8> {
    let (mut text, mut noise) = (String::new(), 7_u64);
    let mut random = |below: u64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) % below
    };
    while text.len() < 900 << 10 {
        let (second, ms) = (random(60), random(1000));
        let (a, b, c, d) = (random(224), random(256), random(256), random(256));
        let line = match random(3) {
            0 => write!(
                text,
                "{a}.{b}.{c}.{d} - - [31/Jan/2026:12:34:{second:02} +0000] \"GET /api/v1/orders/{}?page={} HTTP/1.1\" 200 {} \"-\" \
                 \"Mozilla/5.0 (X11; Linux x86_64) Chrome/{}.0\"",
                random(1_000_000),
                random(40),
                random(50_000),
                90 + random(40)
            ),
            1 => write!(
                text,
                "Jan 31 12:34:{second:02} web-1 sshd[{}]: Failed password for invalid user u{} from {a}.{b}.{c}.{d} port {} ssh2",
                random(65_000),
                random(1000),
                random(65_000)
            ),
            _ => write!(
                text,
                "{{\"time\":\"2026-01-31T12:34:{second:02}.{ms:03}Z\",\"level\":\"info\",\"msg\":\"request done\",\"trace\":\"{:08x}{:08x}\",\"ms\":{}}}",
                random(1 << 31),
                random(1 << 31),
                random(3000)
            ),
        };
        line.expect("a string takes any text");
        text.push('\n');
    }
    text.into_bytes()
}

/// The text as a reader hands it over.
fn blocks(text: &[u8]) -> Vec<Block> {
    let stream = Stream { file: FileId(1), generation: 0 };
    let origin = Arc::new(Origin {
        stream,
        path: PathBuf::from("/var/log/app.log"),
        task: "app".into(),
        labels: Labels::default(),
        form: Form::default(),
    });
    let tally = Arc::new(Tally::default());
    let (mut blocks, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let room = &text[at..text.len().min(at + BLOCK_BYTES)];
        let piece = room.iter().rposition(|byte| *byte == b'\n').map_or(room, |end| &room[..=end]);
        blocks.push(Block {
            origin: Arc::clone(&origin),
            offset: at as u64,
            text: piece.to_vec(),
            lines: lines_of(piece) as u32,
            part: Part::Whole,
            messages: Messages::default(),
            read_at: jiff::Timestamp::UNIX_EPOCH,
            held: tally.read(lines_of(piece), piece.len() as u64),
            permit: Permit::none(),
        });
        at += piece.len();
    }
    blocks
}

fn lines_of(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn frames(c: &mut Criterion) {
    let text = text();
    let lines = lines_of(&text);
    let mut batcher = Batcher::new(&Settings::default(), Sender { host: "h".into(), machine: "m".into() });
    let now = Instant::now();
    let mut pack = |blocks: Vec<Block>| {
        for block in blocks {
            assert!(batcher.push(block, now).is_empty());
        }
        batcher.seal().expect("it holds all blocks")
    };
    let batch = pack(blocks(&text));
    println!(
        "{} bytes a line, ratio {:.2}",
        text.len() as u64 / lines,
        text.len() as f64 / batch.packed.value.len() as f64
    );

    let mut group = c.benchmark_group("frame");
    for (unit, throughput) in [("bytes", Throughput::Bytes(text.len() as u64)), ("lines", Throughput::Elements(lines))]
    {
        group.throughput(throughput);
        group.bench_function(format!("pack, {unit}"), |bencher| {
            bencher.iter_batched(
                || blocks(&text),
                |blocks| {
                    let batch = pack(blocks);
                    assert_eq!((batch.lines(), batch.text_bytes()), (lines, text.len() as u64));
                    batch
                },
                BatchSize::LargeInput,
            );
        });
        let mut unpacked = Vec::new();
        group.bench_function(format!("unpack, {unit}"), |bencher| {
            bencher.iter(|| {
                let packed = black_box(&batch.packed);
                let meta =
                    frame::decode(|name| packed.header(name), &packed.value, &mut unpacked).expect("its own packing");
                assert_eq!((meta.segments.len(), unpacked.len()), (1, text.len()));
            });
        });
        assert!(unpacked == text);
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
