//! Any bytes are unpacked in pieces of any size without panic and within the room that was given; what plain decoders
//! read is read alike; and reading goes on at any offset of a text, past the mark that stands there.
#![no_main]

use std::io::{Read, Write};

use libfuzzer_sys::fuzz_target;
use logdrive::{
    inflate::{Packing, Pause, Seek, Sought, Unpack},
    record::TailMark,
};

/// No more text than this is looked at, whatever a few bytes unpack to.
const TEXT_MAX: usize = 1 << 20;

/// The text, whether all of it is there, and whether the end is one of a file.
fn unpack(unpack: &mut Unpack, file: &[u8], input: usize, room: usize) -> (Vec<u8>, Pause) {
    let (mut all, mut text) = (Vec::new(), Vec::new());
    loop {
        text.clear();
        let pause = unpack.unpack(&mut text, room);
        assert!(text.len() <= room && unpack.used() <= unpack.wants_at());
        all.extend_from_slice(&text);
        match pause {
            Pause::Full if all.len() < TEXT_MAX => (),
            Pause::Hungry if unpack.wants_at() < file.len() as u64 => {
                let at = unpack.wants_at() as usize;
                let mut buffer = unpack.buffer();
                buffer.extend_from_slice(&file[at..file.len().min(at + input)]);
                unpack.feed(buffer);
            }
            pause => return (all, pause),
        }
    }
}

/// Looks for an offset; what stands behind it if it was reached.
fn seek(packing: Packing, file: &[u8], goal: u64, mark: TailMark) -> Option<Vec<u8>> {
    let mut seek = Seek::new(packing, goal, mark).expect("memory");
    let mut passed = Vec::new();
    for _ in 0..100 {
        match seek.step(&mut passed) {
            Sought::Going => (),
            Sought::Reached => return Some(unpack(&mut seek.into_unpack(), file, 100, 1000).0),
            Sought::Hungry if seek.unpack().wants_at() == 0 => {
                let mut buffer = seek.unpack().buffer();
                buffer.extend_from_slice(file);
                seek.unpack().feed(buffer);
            }
            Sought::Hungry | Sought::Differs | Sought::Damaged(_) => return None,
        }
    }
    None
}

fuzz_target!(|input: (&[u8], u16, u16, u16)| {
    let (bytes, piece, room, at) = input;
    let (piece, room) = (usize::from(piece).max(1), usize::from(room).max(1));
    let in_pieces = |file: &[u8], packing| {
        let mut decoder = Unpack::new(packing).expect("memory");
        let (text, pause) = unpack(&mut decoder, file, piece, room);
        (text, pause, decoder.is_whole())
    };

    // From anywhere. What the whole of it was unpacked to doesn't depend on the pieces.
    for packing in [Packing::Gzip, Packing::Zstandard] {
        let (text, pause, is_whole) = in_pieces(bytes, packing);
        let mut at_once = Unpack::new(packing).expect("memory");
        let (same, end) = unpack(&mut at_once, bytes, usize::MAX / 2, TEXT_MAX);
        if pause == Pause::Hungry && end == Pause::Hungry {
            assert!(text == same && is_whole == at_once.is_whole());
            // A whole gzip file is one to others, too; a checksum of the header is not looked at here. What does not
            // begin like one is never taken for one: here zeros before a member are passed over as those behind one are.
            if is_whole && Packing::of(bytes) == Some(Packing::Gzip) && packing == Packing::Gzip && bytes[3] & 2 == 0 {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).expect("its first member can be read");
                assert!(text.starts_with(&plain));
            }
            if is_whole && packing == Packing::Zstandard && !bytes.is_empty() {
                assert!(zstd::decode_all(bytes).expect("it can be read") == text);
            }
        }
        seek(packing, bytes, u64::from(at), TailMark::behind(bytes));
    }

    // Of ours: in two members, from any offset.
    let half = bytes.len() / 2;
    let mut file = Vec::new();
    for member in [&bytes[..half], &bytes[half..]] {
        let mut encoder = flate2::write::GzEncoder::new(&mut file, flate2::Compression::fast());
        encoder.write_all(member).expect("memory takes it");
        encoder.finish().expect("memory takes it");
    }
    let at = usize::from(at) % (bytes.len() + 1);
    for (packing, file) in
        [(Packing::Gzip, file), (Packing::Zstandard, zstd::encode_all(bytes, 1).expect("memory takes it"))]
    {
        let (text, pause, is_whole) = in_pieces(&file, packing);
        assert!(text == bytes && pause == Pause::Hungry && is_whole);
        let mark = TailMark::behind(&bytes[..at]);
        assert!(seek(packing, &file, at as u64, mark).as_deref() == Some(&bytes[at..]));
    }
});
