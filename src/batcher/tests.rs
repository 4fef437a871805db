//! Tests of the room as a whole: what goes in comes out, whatever the sizes; what is damaged is refused.

use std::{
    cell::RefCell,
    collections::HashMap,
    ffi::OsString,
    io::Write,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use proptest::prelude::*;

use super::{
    Batch, Batcher, SEGMENTS_MAX, Sender, Settings, Split,
    frame::{self, FrameError, META_HEADER, Meta, Packed, Segment, Task, VERSION_HEADER},
    split,
};
use crate::record::{
    Amount, Block, Budget, FileId, Form, Labels, Messages, Origin, Part, Permit, Run, Span, Stream, TailMark, Tally,
};

pub(super) fn sender() -> Sender {
    Sender { host: "web-1".into(), machine: "4f6c1".into() }
}

fn batcher(bytes_max: u64) -> Batcher {
    Batcher::new(&Settings { bytes_max: ByteSize::b(bytes_max), ..Settings::default() }, sender())
}

/// The tally of a task.
pub(super) fn tally(task: &str) -> Arc<Tally> {
    thread_local!(static TALLIES: RefCell<HashMap<String, Arc<Tally>>> = RefCell::default());
    TALLIES.with_borrow_mut(|tallies| Arc::clone(tallies.entry(task.to_owned()).or_default()))
}

pub(super) fn block(file: u128, offset: u64, text: &[u8], part: Part) -> Block {
    let stream = Stream { file: FileId(file), generation: 3 };
    let path = PathBuf::from(format!("/var/log/{file}.log"));
    let lines = if part == Part::Whole { crate::splitter::count(text) } else { 1 };
    let origin =
        Arc::new(Origin { stream, path, task: "app".into(), labels: Labels::default(), form: Form::default() });
    let read_at = jiff::Timestamp::UNIX_EPOCH;
    Block {
        origin,
        offset,
        text: text.to_vec(),
        lines,
        part,
        messages: Messages::default(),
        read_at,
        held: tally("app").read(lines.into(), text.len() as u64),
        permit: Permit::none(),
    }
}

fn unpack(packed: &Packed) -> Result<(Meta, Vec<u8>), FrameError> {
    let mut text = b"left over".to_vec();
    let meta = frame::decode(|name| packed.header(name), &packed.value, &mut text)?;
    Ok((meta, text))
}

/// A piece of a stream: its text and which part of a line it is.
fn pieces() -> impl Strategy<Value = (Vec<u8>, Part)> {
    let word = || proptest::collection::vec(any::<u8>().prop_filter("no end", |byte| *byte != b'\n'), 0..40);
    let line = word().prop_map(|word| [word, vec![b'\n']].concat());
    let lines = proptest::collection::vec(line.clone(), 1..30).prop_map(|lines| (lines.concat(), Part::Whole));
    let cut = prop_oneof![Just(Part::First), Just(Part::Middle)];
    let inner = (word(), cut).prop_map(|(word, part)| ([word, vec![b'x']].concat(), part));
    prop_oneof![4 => lines, 1 => inner, 1 => line.prop_map(|line| (line, Part::Last))]
}

/// Messages of all `lines` lines, some of them units of several; `wishes` says of how many, and which.
fn grouped(lines: u32, wishes: &[(u32, bool)]) -> Messages {
    let (mut messages, mut left) = (Messages::default(), lines);
    for (wish, mixed) in wishes.iter().cycle().take(if wishes.is_empty() { 0 } else { lines as usize }) {
        let lines = (*wish).min(left);
        let numbers: Vec<i32> = (0..lines as i32).map(|line| line % 2).collect();
        match (lines, mixed) {
            (0, _) => break,
            (1, _) => messages.push(Run::Single(1)),
            (_, true) => messages.push(Run::Mixed(&numbers)),
            (_, false) => messages.push(Run::Joined(lines)),
        };
        left -= lines;
    }
    messages
}

/// The task of a stream in [`shared_blocks`]: the odd ones are of another, which has labels.
fn task_of(file: u128) -> Task {
    match file % 2 {
        0 => Task { name: "app".into(), labels: Labels::default() },
        _ => Task { name: "other".into(), labels: [("service", "\"api\"")].into_iter().collect() },
    }
}

/// Blocks of four streams, each stream's adjacent, in random turns; and the text of each stream. The lines of the
/// last two are messages of several.
pub(super) fn blocks() -> impl Strategy<Value = (Vec<Block>, HashMap<u128, Vec<u8>>)> {
    let wishes = proptest::collection::vec((1_u32..6, any::<bool>()), 0..4);
    proptest::collection::vec((0_u128..4, pieces(), wishes), 1..60).prop_map(|pieces| {
        let mut streams: HashMap<u128, Vec<u8>> = HashMap::new();
        let blocks = pieces.into_iter().map(|(file, (text, part), wishes)| {
            let stream = streams.entry(file).or_default();
            let offset = stream.len() as u64;
            stream.extend(&text);
            let mut block = block(file, offset, &text, part);
            if file > 1 && part == Part::Whole {
                block.messages = grouped(block.lines, &wishes);
            }
            block
        });
        (blocks.collect(), streams)
    })
}

/// Such blocks of two tasks.
fn shared_blocks() -> impl Strategy<Value = (Vec<Block>, HashMap<u128, Vec<u8>>)> {
    blocks().prop_map(|(mut blocks, streams)| {
        for block in &mut blocks {
            let Task { name: task, labels } = task_of(block.origin.stream.file.0);
            block.origin = Arc::new(Origin { task, labels, ..Origin::clone(&block.origin) });
        }
        (blocks, streams)
    })
}

/// The units of each stream: for each of its lines, the line's number within its unit and its message's number.
fn units(blocks: &[(u128, u32, Messages)]) -> HashMap<u128, Vec<(usize, i32)>> {
    let mut streams: HashMap<u128, Vec<(usize, i32)>> = HashMap::new();
    for (file, lines, messages) in blocks {
        let stream = streams.entry(*file).or_default();
        if messages.is_plain() {
            stream.extend((0..*lines).map(|_| (0, 0)));
        }
        for run in messages.runs() {
            match run {
                Run::Single(lines) => stream.extend((0..lines).map(|_| (0, 0))),
                Run::Joined(lines) => stream.extend((0..lines as usize).map(|line| (line, 0))),
                Run::Mixed(numbers) => stream.extend(numbers.iter().copied().enumerate()),
            }
        }
    }
    streams
}

fn units_of(batches: &[Batch]) -> HashMap<u128, Vec<(usize, i32)>> {
    let metas = batches.iter().map(|batch| unpack(&batch.packed).expect("its own packing").0);
    let segments = metas.flat_map(|meta| meta.segments);
    units(&segments.map(|segment| (segment.stream.file.0, segment.lines, segment.messages)).collect::<Vec<_>>())
}

/// What the batches hold of each stream; checks each batch against its record on the way.
fn unpack_all(batches: &[Batch]) -> HashMap<u128, Vec<u8>> {
    let mut streams: HashMap<u128, Vec<u8>> = HashMap::new();
    let mut covered: HashMap<u128, u64> = HashMap::new();
    for batch in batches {
        let (meta, text) = unpack(&batch.packed).expect("its own packing");
        assert_eq!((&*meta.host, &*meta.machine), ("web-1", "4f6c1"));
        assert_eq!(batch.text_bytes(), text.len() as u64);
        for (share, (place, task)) in batch.shares.iter().zip(meta.tasks.iter().enumerate()) {
            let own = || meta.segments.iter().filter(|segment| segment.task as usize == place);
            let lines: u64 = own().map(|segment| u64::from(segment.lines)).sum();
            let text_bytes = own().map(|segment| segment.bytes).sum();
            assert_eq!((&share.task, share.held.amount()), (&task.name, Amount { lines, bytes: text_bytes }));
            assert!(lines > 0, "a task is there only if it has something in it");
        }
        assert_eq!(batch.shares.len(), meta.tasks.len());
        for (segment, piece) in meta.segments_of(&text) {
            assert_eq!(*meta.task(segment), task_of(segment.stream.file.0));
            let stream = streams.entry(segment.stream.file.0).or_default();
            assert_eq!(segment.offset, stream.len() as u64, "a stream's segments are adjacent");
            stream.extend(piece);
        }
        for Span { source, start, end, mark } in &batch.spans {
            let at = covered.insert(source.file.0, *end).unwrap_or(0);
            assert!(at == *start && start < end, "a stream's spans are adjacent and not empty");
            let behind = &streams[&source.file.0][..*end as usize];
            let marked = &behind[behind.len() - usize::from(mark.bytes)..];
            assert_eq!(
                (*mark, mark.bytes > 0),
                (TailMark::behind(marked), true),
                "the mark is what stands before the end"
            );
        }
    }
    assert!(streams.iter().all(|(file, text)| covered[file] == text.len() as u64), "spans cover what was packed");
    streams
}

proptest! {
    #[test]
    fn all_bytes_that_go_in_come_out_in_order_whatever_the_sizes(
        (blocks, streams) in shared_blocks(),
        bytes_max in 200_u64..4000,
        sealed_early in any::<prop::sample::Index>(),
    ) {
        let (mut batcher, now) = (batcher(bytes_max), Instant::now());
        let early = sealed_early.index(blocks.len());
        let told: Vec<_> =
            blocks.iter().map(|block| (block.origin.stream.file.0, block.lines, block.messages.clone())).collect();
        let mut batches = Vec::new();
        for (index, block) in blocks.into_iter().enumerate() {
            batches.extend(batcher.push(block, now));
            if index == early {
                batches.extend(batcher.seal());
            }
        }
        batches.extend(batcher.seal());
        prop_assert_eq!(unpack_all(&batches), streams);
        prop_assert_eq!(units_of(&batches), units(&told));
        for batch in batches {
            let table = batch.packed.header(META_HEADER).expect("written").len();
            let text_bytes = batch.text_bytes();
            let is_one = matches!(split(batch), Split::Line(_));
            prop_assert!(is_one || text_bytes + (table as u64) < bytes_max + 160, "only one unit may be too large");
        }
        prop_assert!(batcher.seal().is_none() && batcher.due_at().is_none());
    }

    #[test]
    fn the_two_halves_of_a_batch_hold_what_the_batch_held((blocks, streams) in shared_blocks()) {
        let (mut batcher, now) = (batcher(1 << 20), Instant::now());
        let mut told = Vec::new();
        for block in blocks {
            told.push((block.origin.stream.file.0, block.lines, block.messages.clone()));
            prop_assert!(batcher.push(block, now).is_empty());
        }
        let batch = batcher.seal().expect("it holds something");
        // Down to single units, as a broker with a very small limit would have it.
        let (mut whole, mut lines) = (vec![batch], Vec::new());
        while let Some(batch) = whole.pop() {
            match split(batch) {
                Split::Halves(halves) => {
                    let [first, second] = *halves;
                    whole.extend([second, first]);
                }
                Split::Line(batch) => {
                    let (meta, _) = unpack(&batch.packed).expect("its own packing");
                    let [segment] = &meta.segments[..] else { panic!("a segment can be split off") };
                    let is_unit = matches!(segment.messages.runs().next(), Some(Run::Joined(_) | Run::Mixed(_)));
                    prop_assert!(is_unit && segment.messages.runs().count() == 1 || batch.lines() == 1);
                    lines.push(*batch);
                }
            }
        }
        prop_assert_eq!(unpack_all(&lines), streams);
        prop_assert_eq!(units_of(&lines), units(&told));
    }

    #[test]
    fn what_was_changed_on_its_way_is_refused_or_still_the_same_and_never_a_panic(
        (blocks, _) in blocks(),
        at in any::<prop::sample::Index>(),
        change in any::<u8>(),
        kind in 0..4,
    ) {
        let (mut batcher, now) = (batcher(1 << 20), Instant::now());
        for block in blocks {
            prop_assert!(batcher.push(block, now).is_empty());
        }
        let mut packed = batcher.seal().expect("it holds something").packed;
        let before = unpack(&packed).expect("its own packing");
        let at = at.index(packed.value.len());
        match kind {
            0 => packed.value[at] = change,
            1 => packed.value.truncate(at),
            2 => packed.value.insert(at, change),
            _ => {
                let json = &mut packed.headers[1].1;
                let at = at % json.len();
                json[at] = change;
            }
        }
        match unpack(&packed) {
            Ok((meta, text)) => prop_assert!(text == before.1 && (kind == 3 || meta == before.0)),
            Err(err) => prop_assert!(!err.to_string().is_empty()),
        }
    }

    #[test]
    fn any_bytes_are_refused_and_take_no_more_memory_than_was_announced(
        value in proptest::collection::vec(any::<u8>(), 0..200),
        bytes in 1_u64..1000,
        magic in any::<bool>(),
    ) {
        let mut packed = frame::encode(&meta_of(bytes), b"");
        // With the magic number and a header's flags in front, the rest is read as blocks.
        packed.value = if magic { [&packed.value[..7], &value].concat() } else { value };
        let mut text = Vec::new();
        prop_assert!(frame::decode(|name| packed.header(name), &packed.value, &mut text).is_err());
        prop_assert!(text.len() as u64 <= bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Other programs make other frames: linked blocks, no checksums, a content size. Without a checksum of blocks
    /// what was changed reaches the decompressor.
    #[test]
    fn a_frame_of_any_standard_form_is_read_and_a_damaged_one_is_never_a_panic(
        seed in any::<u64>(),
        linked in any::<bool>(),
        checked in any::<bool>(),
        sized in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
        let words = (0_u64..60_000).map(|n| (n.wrapping_mul(seed | 1) >> 7) % 1000).map(|word| format!("{word} "));
        let text = words.collect::<String>() + "\n";
        let info = FrameInfo::new()
            .block_size(BlockSize::Max64KB)
            .block_mode(if linked { BlockMode::Linked } else { BlockMode::Independent })
            .content_checksum(checked)
            .content_size(sized.then_some(text.len() as u64));
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(text.as_bytes()).expect("memory");
        let value = encoder.finish().expect("memory");
        let mut packed = Packed { headers: meta_of(text.len() as u64).headers(&value), value };
        prop_assert_eq!(unpack(&packed).map(|(_, unpacked)| unpacked == text.as_bytes()), Ok(true));
        for (at, change) in changes {
            let at = at.index(packed.value.len());
            packed.value[at] = change;
        }
        let mut unpacked = Vec::new();
        let _ = frame::decode(|name| packed.header(name), &packed.value, &mut unpacked);
        prop_assert!(unpacked.len() <= text.len());
    }
}

fn meta_of(bytes: u64) -> Meta {
    let stream = Stream { file: FileId(1), generation: 0 };
    let path = OsString::from_vec(b"/tmp/\xffx".to_vec()).into();
    let segment = Segment {
        task: 0,
        stream,
        path,
        offset: 5,
        bytes,
        lines: 1,
        part: Part::Whole,
        form: Form::default(),
        messages: Messages::default(),
    };
    Meta {
        host: "h".to_owned(),
        machine: "m".to_owned(),
        tasks: vec![Task { name: "t".into(), labels: Labels::default() }],
        read_at: jiff::Timestamp::UNIX_EPOCH,
        segments: vec![segment],
    }
}

fn error_of(change: impl FnOnce(&mut Packed)) -> String {
    let mut packed = frame::encode(&meta_of(6), b"hello\n");
    change(&mut packed);
    unpack(&packed).expect_err("it was changed").to_string()
}

#[test]
fn each_kind_of_bad_record_is_told_from_the_others() {
    assert_eq!(unpack(&frame::encode(&meta_of(6), b"hello\n")), Ok((meta_of(6), b"hello\n".to_vec())));
    let version = error_of(|packed| packed.headers[0].1 = b"4".to_vec());
    assert_eq!(version, r#"the record has format version "4" and this program reads versions up to 3: upgrade it"#);
    assert!(error_of(|packed| packed.headers.clear()).contains(VERSION_HEADER));
    assert!(error_of(|packed| drop(packed.headers.pop())).contains(META_HEADER));
    assert!(error_of(|packed| packed.headers[1].1 = b"{}".to_vec()).contains("missing field"));
    assert!(error_of(|packed| packed.headers[1].1 = vec![b' '; (8 << 20) + 1]).contains("bytes of metadata"));
    assert!(error_of(|packed| packed.value.truncate(packed.value.len() - 1)).contains("cut short"));
    assert!(error_of(|packed| packed.value.truncate(packed.value.len() - 4)).contains("cut short"));
    assert!(error_of(|packed| packed.value.clear()).contains("cut short"));
    assert!(error_of(|packed| packed.value.push(0)).contains("1 bytes behind"));
    assert!(error_of(|packed| packed.value[0] = 0).contains("can't be decompressed"));
    assert!(error_of(|packed| packed.value[12] ^= 1).contains("was changed"), "the value's CRC-32 is checked");
    let of = |meta: Meta, text: &[u8]| unpack(&frame::encode(&meta, text)).expect_err("they disagree").to_string();
    assert!(of(meta_of(7), b"hello\n").contains("shorter"));
    assert!(of(meta_of(5), b"hello\n").contains("longer"));
    assert!(of(meta_of(6), b"hello ").contains("no end"));
    assert!(of(meta_of(6), b"hell\n\n").contains("another number of lines"));
    assert!(of(meta_of(0), b"").contains("is empty"));
    assert!(of(meta_of(u64::MAX), b"").contains("beyond the largest offset"));
    assert!(of(meta_of(65 << 20), b"").contains("bytes of text"));
    let many = Meta { segments: vec![meta_of(1).segments[0].clone(); 10_001], ..meta_of(1) };
    assert!(of(many, b"").contains("10001 segments"));
    for (part, text) in
        [(Part::First, b"hello\n"), (Part::Middle, b"he\nlo "), (Part::Last, b"hello "), (Part::Last, b"he\no \n")]
    {
        let mut meta = meta_of(6);
        meta.segments[0].part = part;
        assert!(of(meta, text).contains("segment 0"), "{part:?}");
    }
}

#[test]
fn a_bomb_is_refused_at_the_size_that_was_announced() {
    let bomb = frame::encode(&meta_of(6), &vec![0; 32 << 20]);
    assert!(bomb.value.len() < 200 << 10);
    let mut text = Vec::new();
    let answer = frame::decode(|name| bomb.header(name), &bomb.value, &mut text);
    assert_eq!((answer, text.capacity() <= 1 << 20), (Err(FrameError::Size("longer")), true));
}

#[test]
fn text_that_can_not_be_compressed_fits_a_record_of_the_default_size() {
    let (mut batcher, mut state, mut text) = (Batcher::new(&Settings::default(), sender()), 1_u64, Vec::new());
    while text.len() < 2 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let byte = (state >> 56) as u8;
        text.push(if text.len() % 100 == 99 { b'\n' } else { byte });
    }
    let whole = crate::splitter::whole_lines(&text);
    let batches = batcher.push(block(1, 0, &text[..whole], Part::Whole), Instant::now());
    assert_eq!(batches.len(), 2);
    for batch in &batches {
        let packed = &batch.packed;
        let headers: usize = packed.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
        assert!(packed.value.len() as u64 > batch.text_bytes() && packed.value.len() + headers + 100 < 1_000_000);
    }
}

#[test]
fn a_long_line_that_no_broker_takes_becomes_parts_that_are_always_the_same() {
    let line = [vec![b'x'; (1 << 20) - 1], b"\n".to_vec()].concat();
    for (part, parts) in [
        (Part::Whole, [Part::First, Part::Last]),
        (Part::First, [Part::First, Part::Middle]),
        (Part::Middle, [Part::Middle, Part::Middle]),
        (Part::Last, [Part::Middle, Part::Last]),
    ] {
        let is_ended = matches!(part, Part::Whole | Part::Last);
        let text = if is_ended { &line[..] } else { &line[..line.len() - 1] };
        let mut batcher = batcher(960 << 10);
        assert!(batcher.push(block(1, 70, text, part), Instant::now()).is_empty());
        let Some(Split::Halves(halves)) = batcher.seal().map(split) else { panic!("it is long enough") };
        let mut offset = 70;
        for (half, part) in halves.iter().zip(parts) {
            let (meta, piece) = unpack(&half.packed).expect("its own packing");
            let [segment] = &meta.segments[..] else { panic!("one part") };
            assert_eq!((segment.part, segment.offset, half.lines()), (part, offset, 1));
            assert_eq!((half.spans[0].start, half.spans[0].end), (offset, offset + piece.len() as u64));
            assert_eq!(half.spans[0].mark.in_line, !piece.ends_with(b"\n"));
            offset = half.spans[0].end;
        }
        assert_eq!(offset, 70 + text.len() as u64);
    }
    let short = block(1, 0, &line[line.len() - 60_000..], Part::Whole);
    let mut batcher = batcher(960 << 10);
    assert!(batcher.push(short, Instant::now()).is_empty());
    assert!(matches!(split(batcher.seal().expect("it holds something")), Split::Line(_)));
}

#[test]
fn a_batch_is_sealed_by_age_and_by_the_number_of_its_segments() {
    let (mut batcher, start) = (batcher(1 << 20), Instant::now());
    assert!(batcher.push(block(1, 0, b"a\n", Part::Whole), start).is_empty());
    let due = start + Settings::default().age_max;
    assert_eq!(batcher.due_at(), Some(due));
    assert!(batcher.due(due - Duration::from_nanos(1)).is_none());
    assert_eq!(batcher.due(due).map(|batch| batch.lines()), Some(1));
    let mut sealed = Vec::new();
    for file in 0..=SEGMENTS_MAX as u128 {
        sealed.extend(batcher.push(block(file, 0, b"a\n", Part::Whole), start));
    }
    assert_eq!(sealed.iter().map(Batch::lines).collect::<Vec<_>>(), [SEGMENTS_MAX as u64]);
}

/// A block of a task of its own with labels.
fn block_of(task: u128, labels: Labels) -> Block {
    let mut block = block(task, 0, b"a line\n", Part::Whole);
    block.origin = Arc::new(Origin { task: task.to_string().into(), labels, ..Origin::clone(&block.origin) });
    block.held = tally(&task.to_string()).read(1, block.text.len() as u64);
    block
}

#[test]
fn small_tasks_share_a_record_and_one_task_alone_has_one_of_the_first_version() {
    let (mut batcher, now) = (batcher(1 << 20), Instant::now());
    let mut version_of = |tasks: u128| {
        for task in 0..tasks {
            assert!(batcher.push(block_of(task, Labels::default()), now).is_empty());
        }
        let batch = batcher.seal().expect("it holds something");
        assert_eq!((batch.shares.len() as u128, batch.lines() as u128), (tasks, tasks));
        batch.packed.header(VERSION_HEADER).expect("written").to_vec()
    };
    assert_eq!((version_of(1), version_of(40)), (b"1".to_vec(), b"3".to_vec()));
}

#[test]
fn tasks_with_many_labels_share_a_record_only_while_it_fits_a_record_of_the_default_size() {
    let (mut batcher, now, mut batches) = (Batcher::new(&Settings::default(), sender()), Instant::now(), Vec::new());
    for task in 0..300 {
        let name = |number: usize| format!("{}{number:02}", "n".repeat(62));
        let labels = (0..16).map(|number| (name(number), "\"".repeat(256)));
        batches.extend(batcher.push(block_of(task, labels.collect()), now));
    }
    batches.extend(batcher.seal());
    assert!(batches.len() >= 300 / SEGMENTS_MAX && batches.iter().map(Batch::lines).sum::<u64>() == 300);
    for batch in &batches {
        assert!(batch.packed.headers.iter().map(|(_, value)| value.len()).sum::<usize>() < 1_000_000);
    }
}

#[test]
fn a_batch_holds_of_the_budget_what_it_holds_of_memory() {
    let budget = Budget::new(16 << 20);
    let (mut batcher, now) = (batcher(960 << 10), Instant::now());
    let text = b"the same line over and over again\n".repeat(60_000);
    let mut whole = block(1, 0, &text, Part::Whole);
    whole.permit = budget.try_take(text.len()).expect("free");
    let mut batches = batcher.push(whole, now);
    batches.extend(batcher.seal());
    assert_eq!(batches.iter().map(Batch::text_bytes).sum::<u64>(), text.len() as u64);
    for batch in &batches {
        assert!(batch.permit.bytes() >= batch.packed.bytes_held() && batch.permit.bytes() < 32 << 10);
    }
    assert_eq!(budget.in_flight(), batches.iter().map(|batch| batch.permit.bytes()).sum::<usize>());
    let Some(Split::Halves(halves)) = batches.pop().map(split) else { panic!("it has many lines") };
    drop(batches);
    assert_eq!(budget.in_flight(), halves.iter().map(|batch| batch.permit.bytes()).sum::<usize>());
}
