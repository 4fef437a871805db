//! Compressed files of every kind come out as their text, from any offset, and damage is met where it is.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::{Damage, Packing, Pause, Seek, Sought, Unpack, look};
use crate::record::TailMark;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstandard(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("a level that there is");
    encoder.include_checksum(true).expect("it can");
    encoder.write_all(text).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// What the tool makes of `text`.
fn piped(tool: &str, arguments: &[&str], text: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool} is needed: {error}"));
    let (mut stdin, text) = (child.stdin.take().expect("it is piped"), text.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&text).expect("it reads"));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("written");
    output.stdout
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|line| format!("line {line} of a log, {}\n", line * 7919 % 1000).into_bytes()).collect()
}

/// Feeds a decoder from `file` a bit at a time; the text, and how it ended.
fn read(unpack: &mut Unpack, file: &[u8], input_bytes: usize, text_bytes: usize) -> (Vec<u8>, Pause) {
    let mut all = Vec::new();
    loop {
        let mut text = Vec::new();
        let pause = unpack.unpack(&mut text, text_bytes);
        assert!(text.len() <= text_bytes);
        all.extend_from_slice(&text);
        match pause {
            Pause::Full => (),
            Pause::Damaged(_) => return (all, pause),
            Pause::Hungry => {
                let at = usize::try_from(unpack.wants_at()).expect("it fits");
                let mut buffer = unpack.buffer();
                buffer.extend_from_slice(&file[at..file.len().min(at + input_bytes)]);
                if buffer.is_empty() {
                    return (all, pause);
                }
                unpack.feed(buffer);
            }
        }
    }
}

fn whole(file: &[u8]) -> (Vec<u8>, Pause, bool) {
    let mut unpack = Unpack::new(Packing::of(file).expect("it is compressed")).expect("memory");
    let (text, pause) = read(&mut unpack, file, 4096, 10_000);
    (text, pause, unpack.is_whole())
}

fn seek(file: &[u8], goal: u64, mark: TailMark) -> Result<Vec<u8>, Sought> {
    let mut seek = Seek::new(Packing::of(file).expect("it is compressed"), goal, mark).expect("memory");
    let mut text = Vec::new();
    loop {
        match seek.step(&mut text) {
            Sought::Going => (),
            Sought::Reached => return Ok(read(&mut seek.into_unpack(), file, 777, 1000).0),
            Sought::Hungry => {
                let at = usize::try_from(seek.unpack().wants_at()).expect("it fits");
                let mut buffer = seek.unpack().buffer();
                buffer.extend_from_slice(&file[at..file.len().min(at + 999)]);
                if buffer.is_empty() {
                    return Err(Sought::Hungry);
                }
                seek.unpack().feed(buffer);
            }
            other => return Err(other),
        }
    }
}

#[test]
fn what_the_usual_tools_write_is_read_as_its_text() {
    let text = lines(30_000);
    for file in [
        piped("gzip", &["-9"], &text),
        piped("gzip", &["-1", "--rsyncable"], &text),
        piped("zstd", &["-q", "-3"], &text),
        piped("zstd", &["-q", "-19", "--long=27"], &text),
        piped("zstd", &["-q", "--no-check"], &text),
        gzip(&text),
        zstandard(&text),
    ] {
        assert!(whole(&file) == (text.clone(), Pause::Hungry, true));
    }
}

#[test]
fn members_and_frames_follow_each_other_with_what_may_stand_between() {
    let (one, two) = (lines(100), lines(3000));
    let both = [one.clone(), two.clone()].concat();
    let padded = [gzip(&one), gzip(&two), vec![0; 512]].concat();
    assert_eq!(whole(&padded), (both.clone(), Pause::Hungry, true));
    let skipped =
        [&[0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc", &zstandard(&one), &zstandard(&[]), &zstandard(&two)];
    assert_eq!(whole(&skipped.concat()), (both, Pause::Hungry, true));
}

#[test]
fn every_part_of_a_gzip_header_is_passed() {
    let text = lines(10);
    let plain = gzip(&text);
    let mut file = vec![0x1f, 0x8b, 8, 0b1_1110, 0, 0, 0, 0, 0, 3];
    file.extend_from_slice(&[4, 0, 1, 2, 3, 4]);
    file.extend_from_slice(b"name.log\0a comment\0\x12\x34");
    file.extend_from_slice(&plain[10..]);
    for input_bytes in [1, 2, 3, 7, 4096] {
        let mut unpack = Unpack::new(Packing::Gzip).expect("memory");
        assert_eq!(read(&mut unpack, &file, input_bytes, 100), (text.clone(), Pause::Hungry));
        assert!(unpack.is_whole());
    }
}

#[test]
fn a_file_that_is_still_written_is_waited_for_wherever_it_ends() {
    let text = lines(200);
    for file in [gzip(&text), zstandard(&text)] {
        for end in 4..file.len() {
            let mut unpack = Unpack::new(Packing::of(&file).expect("it is compressed")).expect("memory");
            let (mut before, pause) = read(&mut unpack, &file[..end], 4096, 1000);
            assert_eq!((pause, unpack.is_whole()), (Pause::Hungry, false), "{end} of {} bytes", file.len());
            // Looking again and again changes nothing.
            for _ in 0..40 {
                assert_eq!(unpack.unpack(&mut Vec::new(), 10), Pause::Hungry);
            }
            let (rest, pause) = read(&mut unpack, &file, 4096, 1000);
            before.extend_from_slice(&rest);
            assert_eq!((before == text, pause, unpack.is_whole()), (true, Pause::Hungry, true));
        }
    }
}

#[test]
fn what_stands_before_the_damage_is_read_and_the_damage_is_named() {
    let (one, two) = (lines(1000), lines(2000));
    let mut wrong_sum = [gzip(&one), gzip(&two)].concat();
    let end = wrong_sum.len();
    wrong_sum[end - 8] ^= 1;
    let both = [one.clone(), two.clone()].concat();
    let named = |what| Pause::Damaged(Damage(what));
    assert_eq!(whole(&wrong_sum).0, both);
    assert_eq!(whole(&wrong_sum).1, named("the text does not match the checksum behind it"));
    let garbage = [gzip(&one), b"garbage".to_vec()].concat();
    assert_eq!((whole(&garbage).0, whole(&garbage).1), (one.clone(), named("what follows is no gzip member")));
    let garbage = [zstandard(&one), b"garbage".to_vec()].concat();
    assert_eq!((whole(&garbage).0, whole(&garbage).1), (one.clone(), named("what follows is no Zstandard frame")));
    for mut broken in [[gzip(&one), gzip(&two)].concat(), [zstandard(&one), zstandard(&two)].concat()] {
        let at = gzip(&one).len().max(zstandard(&one).len()) + 1000;
        broken[at..at + 300].fill(0xff);
        let (text, pause, _) = whole(&broken);
        assert!(matches!(pause, Pause::Damaged(_)), "{pause:?}");
        assert!(text.len() >= one.len() && both.starts_with(&text[..one.len()]));
    }
}

#[test]
fn a_frame_that_asks_for_too_large_a_window_is_refused_by_name() {
    let file = piped("zstd", &["-q", "--ultra", "-1", "--long=28"], &vec![b'x'; 300 << 20]);
    let (text, pause, _) = whole(&file);
    assert_eq!((text.len(), pause), (0, Pause::Damaged(Damage("a frame asks for a window of more than 128 MiB"))));
}

#[test]
fn a_text_a_thousand_times_as_long_comes_in_the_pieces_that_were_asked_for() {
    let text = vec![0; 64 << 20];
    for file in [gzip(&text), zstandard(&text)] {
        let mut unpack = Unpack::new(Packing::of(&file).expect("it is compressed")).expect("memory");
        let (mut at, mut piece, mut bytes) = (0, Vec::new(), 0);
        loop {
            piece.clear();
            let pause = unpack.unpack(&mut piece, 4096);
            assert!(piece.capacity() <= 8192);
            bytes += piece.len();
            if pause == Pause::Hungry {
                let mut buffer = unpack.buffer();
                assert!(buffer.capacity() <= 2 * Unpack::INPUT_BYTES);
                let end = file.len().min(at + Unpack::INPUT_BYTES);
                buffer.extend_from_slice(&file[at..end]);
                at = end;
                if buffer.is_empty() {
                    break;
                }
                unpack.feed(buffer);
            }
        }
        assert_eq!((bytes, unpack.is_whole()), (text.len(), true));
    }
}

#[test]
fn a_file_is_known_by_the_first_bytes_of_its_text() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = lines(1000);
    for (name, bytes, packing) in [
        ("plain", text.clone(), None),
        ("gz", gzip(&text), Some(Packing::Gzip)),
        ("zst", zstandard(&text), Some(Packing::Zstandard)),
        ("begun", gzip(&text)[..30].to_vec(), Some(Packing::Gzip)),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, &bytes).expect("written");
        let file = std::fs::File::open(&path).expect("there");
        let seen = look(&file, true).expect("read");
        assert_eq!(seen.packing, packing);
        assert!(text[..1024].starts_with(&seen.text) && (name == "begun" || seen.text.len() == 1024));
        assert_eq!(look(&file, false).expect("read").text, bytes[..bytes.len().min(1024)]);
    }
}

proptest! {
    #[test]
    fn reading_goes_on_at_any_offset_with_the_mark_that_stands_there(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3000), 1..4),
        at in any::<prop::sample::Index>(),
        use_gzip in any::<bool>(),
        wrong in any::<bool>(),
    ) {
        let text = pieces.concat();
        let file: Vec<u8> = pieces.iter().flat_map(|piece| if use_gzip { gzip(piece) } else { zstandard(piece) }).collect();
        let at = at.index(text.len() + 1);
        let mut mark = TailMark::behind(&text[..at]);
        if wrong && at > 0 {
            mark.hash ^= 1;
            prop_assert_eq!(seek(&file, at as u64, mark), Err(Sought::Differs));
        } else {
            prop_assert_eq!(seek(&file, at as u64, mark), Ok(text[at..].to_vec()));
        }
        prop_assert_eq!(seek(&file, text.len() as u64 + 1, mark), Err(Sought::Hungry));
    }

    #[test]
    fn bytes_of_any_kind_never_do_harm(
        head in 0..3_usize,
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let magic: &[u8] = [&[0x1f, 0x8b, 8, 0][..], &[0x28, 0xb5, 0x2f, 0xfd], &[0x50, 0x2a, 0x4d, 0x18]][head];
        let file = [magic, &bytes].concat();
        let mut unpack = Unpack::new(Packing::of(&file).expect("it is compressed")).expect("memory");
        let mut text = Vec::new();
        unpack.feed(file);
        for _ in 0..100 {
            if unpack.unpack(&mut text, 5000) != Pause::Full {
                break;
            }
            text.clear();
        }
    }
}
