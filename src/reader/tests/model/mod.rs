//! A model of one directory, driven through random sequences of everything that happens to log files and to those
//! who read them, with both backends. Whatever happens, every byte that anybody could have read comes, unaltered, and
//! no line under two identities; only what was copied or compressed may come twice where chance makes that happen
//! faster than anybody can look, unless `MODEL_STRICT` is set.
//!
//! `MODEL_CASES` (3 sequences on each of 8 threads) and `MODEL_SEED` (0) make it the long form. A sequence that
//! failed is made shorter and kept in `proptest-regressions`; those that were understood stand in `known.rs`.

mod known;
mod receipts;
mod sink;
mod world;

use std::{thread, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

use self::{
    sink::Sink,
    world::{Form, KEPT, World},
};
use crate::reader::Io;

/// What was found wrong, in words.
type Checked<T = ()> = Result<T, String>;

/// How many sequences run at the same time; most of what they do is to wait.
const THREADS: u64 = 8;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// So many lines of about so many bytes are written, into a new file if there is none.
    Write(usize, usize),
    /// A line is begun; the next write goes on with it.
    Begin(usize),
    /// Lines are written to the file that was renamed last.
    WriteLate(usize),
    /// The file and all that were rotated before are renamed, and the oldest is deleted if there are too many.
    Rename,
    /// As above, but the file is copied and truncated.
    CopyTruncate,
    /// The file is truncated, and so many lines are written at once.
    Truncate(usize),
    /// The file, or a rotated one, is deleted.
    Delete(usize),
    /// A rotated file is compressed.
    Compress(usize, Form),
    /// Checkpoints are saved.
    Save,
    /// The process ends in order.
    Stop,
    /// The process ends at once.
    Kill,
    /// The process begins.
    Start,
    /// The task ends, if Kafka takes what was read of it.
    Leave,
    /// The task begins anew.
    Join,
    /// Kafka takes nothing any more.
    Hold,
    /// Kafka takes again.
    Release,
    /// So many milliseconds pass.
    Wait(u64),
}

/// A sequence, and the chances that are not in it.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    /// Whether all files begin with the same text, longer than what a head covers.
    banner: bool,
    /// Whether nothing may come twice, be it a copy.
    is_strict: bool,
    ops: Vec<Op>,
}

fn ops() -> impl Strategy<Value = Op> {
    let form = prop_oneof![Just(Form::Gzip), Just(Form::Zstd)];
    prop_oneof![
        10 => (1_usize..30, prop_oneof![4 => 0_usize..60, 1 => 400_usize..1500]).prop_map(|(lines, bytes)| Op::Write(lines, bytes)),
        3 => (0_usize..100).prop_map(Op::Begin),
        2 => (1_usize..20).prop_map(Op::WriteLate),
        5 => Just(Op::Rename),
        3 => Just(Op::CopyTruncate),
        2 => (0_usize..40).prop_map(Op::Truncate),
        2 => (0..=KEPT).prop_map(Op::Delete),
        3 => (1..=KEPT, form).prop_map(|(slot, form)| Op::Compress(slot, form)),
        2 => Just(Op::Save),
        2 => Just(Op::Stop),
        3 => Just(Op::Kill),
        5 => Just(Op::Start),
        2 => Just(Op::Leave),
        4 => Just(Op::Join),
        2 => Just(Op::Hold),
        3 => Just(Op::Release),
        8 => prop_oneof![3 => 1_u64..30, 1 => 30_u64..700].prop_map(Op::Wait),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let sequence = proptest::collection::vec(ops(), 1..25);
    (any::<u64>(), prop::bool::weighted(0.3), sequence).prop_map(|(seed, banner, ops)| {
        let is_strict = std::env::var_os("MODEL_STRICT").is_some();
        Case { seed, banner, is_strict, ops }
    })
}

/// Lets a sequence happen in a directory of its own, and judges what came out.
fn happen(case: &Case, io: Io) -> Checked {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(dir.path(), case.banner);
        let mut sink = Sink::new(&world, io, case.seed);
        sink.start();
        for op in &case.ops {
            perform(*op, &mut world, &mut sink).await?;
        }
        let judged = judge(&mut world, &mut sink, case.is_strict).await;
        judged.map_err(|fault| format!("{fault}\n{:?}\n{}", world.listing(), sink.describe(&world)))
    })
}

async fn perform(op: Op, world: &mut World, sink: &mut Sink) -> Checked {
    match op {
        Op::Write(lines, bytes) => world.write(lines, bytes),
        Op::Begin(bytes) => world.begin_line(bytes),
        Op::WriteLate(lines) => world.write_late(lines),
        Op::Rename => {
            make_room(world, sink).await?;
            world.rename();
        }
        Op::CopyTruncate => {
            make_room(world, sink).await?;
            world.copy_and_truncate();
        }
        Op::Truncate(lines) => truncate(lines, world, sink).await?,
        Op::Delete(slot) => delete(slot, world, sink).await?,
        Op::Compress(slot, form) => world.compress(slot, form),
        Op::Save => sink.save(),
        Op::Stop => sink.stop(world).await?,
        Op::Kill => sink.kill(world).await,
        Op::Start => sink.start(),
        Op::Leave => sink.leave(world).await?,
        Op::Join => sink.join(),
        Op::Hold => sink.flows = false,
        Op::Release => sink.flows = true,
        Op::Wait(time) => return sink.pass(world, Duration::from_millis(time)).await,
    }
    sink.pass(world, Duration::from_millis(1)).await
}

/// Moves the rotated files on if there is a file to rotate.
async fn make_room(world: &mut World, sink: &mut Sink) -> Checked {
    if world.slots[0].is_some() {
        delete(KEPT, world, sink).await?;
        world.shift();
    }
    Ok(())
}

/// Truncates. A reader that runs was given the time to read everything, if Kafka took it; else what was not read is
/// lost, as it has to be.
async fn truncate(lines: usize, world: &mut World, sink: &mut Sink) -> Checked {
    let Some(held) = world.slots[0] else { return Ok(()) };
    if sink.runs() && sink.flows && !sink.pass_until(world, |sink| sink.receipts.has_all(world, held.run)).await? {
        return Err(format!("stuck: run {} is not read to its end", held.run));
    }
    world.truncate();
    if !world.holds(held.run) {
        sink.receipts.lose(world, held.run, !sink.runs());
    }
    if lines > 0 {
        world.write(lines, 30);
    }
    Ok(())
}

/// Deletes. A reader that runs was given the time to open the file, and then reads it to its end, whatever Kafka does.
async fn delete(slot: usize, world: &mut World, sink: &mut Sink) -> Checked {
    let (Some(held), Some(inode)) = (world.slots[slot], world.inode(slot)) else { return Ok(()) };
    let is_sure = |sink: &Sink| sink.receipts.has_all(world, held.run) || world.is_open(inode);
    if sink.runs() && !sink.pass_until(world, is_sure).await? {
        return Err(format!("stuck: run {} has unread bytes and is not open", held.run));
    }
    world.delete(slot);
    // It was open a moment ago; if it was closed since, then in the moment before there was more to read.
    let is_held = sink.runs() && world.is_open(inode);
    if !world.holds(held.run) && !is_held {
        sink.receipts.lose(world, held.run, !sink.runs());
    }
    Ok(())
}

/// Waits until everything came that can come, and a little longer for what must not.
async fn judge(world: &mut World, sink: &mut Sink, is_strict: bool) -> Checked {
    sink.flows = true;
    sink.start();
    sink.join();
    let all = |sink: &Sink| (0..world.runs.len()).all(|run| sink.receipts.has_all(world, run));
    sink.pass_until(world, all).await?;
    // A copy that nobody missed would be read as a file of its own.
    sink.pass_until(world, |sink| sink.unread() == 0).await?;
    sink.pass(world, Duration::from_millis(500)).await?;
    sink.stop(world).await?;
    sink.receipts.verdict(world, is_strict)
}

/// Many sequences, several at a time; the first that fails is told in its shortest form.
fn torture(io: Io) {
    let number = |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (cases_each, seed) = (number("MODEL_CASES", 3), number("MODEL_SEED", 0));
    let threads = (0..THREADS).map(|thread| {
        let config = Config {
            cases: cases_each as u32,
            max_shrink_iters: number("MODEL_SHRINKS", 20) as u32,
            source_file: Some(file!()),
            failure_persistence: Some(Box::new(FileFailurePersistence::SourceParallel("proptest-regressions"))),
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(seed * THREADS + thread).to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        thread::spawn(move || {
            let mut runner = TestRunner::new_with_rng(config, rng);
            runner
                .run(&cases(), |case| happen(&case, io).map_err(TestCaseError::fail))
                .map_err(|error| error.to_string())
        })
    });
    let threads: Vec<_> = threads.collect();
    let faults: Vec<String> =
        threads.into_iter().filter_map(|thread| thread.join().expect("a fault is told, not thrown").err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The sequences that are known, all at the same time.
fn walk_known(io: Io) {
    let walks = known::all().map(|(name, case)| (name, thread::spawn(move || happen(&case, io))));
    for (name, walk) in walks.collect::<Vec<_>>() {
        let walked = walk.join().expect("a fault is told, not thrown");
        assert!(walked.is_ok(), "{name}: {}", walked.unwrap_err());
    }
}

#[test]
fn sequences_that_everybody_meets_are_read_once_to_the_byte_with_uring() {
    walk_known(Io::Uring);
}

#[test]
fn sequences_that_everybody_meets_are_read_once_to_the_byte_with_pread() {
    walk_known(Io::Pread);
}

#[test]
fn whatever_happens_to_a_directory_is_read_once_to_the_byte_with_uring() {
    torture(Io::Uring);
}

#[test]
fn whatever_happens_to_a_directory_is_read_once_to_the_byte_with_pread() {
    torture(Io::Pread);
}
