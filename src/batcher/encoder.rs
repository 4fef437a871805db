//! Writes the packed format's value: text into LZ4 frames (`docs/wire-format.md`), the blocks compressed by `lz4_flex`.
//!
//! A frame is what any decoder of the LZ4 frame format reads. Text that comes in large pieces is compressed where it
//! stands; only small pieces are copied, to be compressed together. It must not know what the text is.

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// The frame's magic number, 0x184D2204; its descriptor: version 01, independent blocks, no checksums, blocks of up to
/// 256 KiB; and the second byte of the descriptor's XXH32.
///
/// Source: the LZ4 frame format, <https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md>.
const HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x50, 0xfb];
/// What stands where another block's size would.
const END_MARK: [u8; 4] = [0; 4];
/// The most bytes of text in a block, as the header says.
const BLOCK_BYTES_MAX: usize = 256 << 10;
/// A piece of this size is a block of its own; smaller ones wait for others.
const ALONE_BYTES_MIN: usize = 64 << 10;
/// Set in the size of a block that is stored as it is, since it doesn't get smaller.
const STORED: u32 = 1 << 31;
/// What a table for the compressor takes.
const TABLE_BYTES: usize = 16 << 10;

/// Compresses text into frames, one after the other, with the same buffers.
///
/// Blocks are independent and have no checksum: Kafka has one of the whole batch of records (CRC-32C), which the
/// consumer checks. Measured on 62 MB of mixed system logs, in CPU time, alternated, medians of 3:
///
/// | | ratio | packed MB/s |
/// |---|---|---|
/// | `lz4_flex`'s own frames, 256 KiB, checksum of the content | 2.995 | 669 |
/// | the same without the checksum | 2.995 | 708 |
/// | **this** | 2.995 | 791 |
///
/// Blocks of 1 MiB get 1 % smaller and take 2 % longer.
#[derive(Default)]
pub(super) struct Encoder {
    /// The frame, as far as it went.
    frame: Vec<u8>,
    /// Small pieces that become a block together.
    waiting: Vec<u8>,
    /// Where a block is compressed to; as large as the largest needed.
    scratch: Vec<u8>,
    table: Option<CompressTable>,
    /// How much to reserve for the next frame: the size of the last one and an eighth.
    guess: usize,
}

impl Encoder {
    /// Adds `text` to the frame.
    pub(super) fn write(&mut self, mut text: &[u8]) {
        while !text.is_empty() {
            let room = BLOCK_BYTES_MAX - self.waiting.len();
            let (piece, rest) = if text.len() >= ALONE_BYTES_MIN {
                self.close_block();
                text.split_at(text.len().min(BLOCK_BYTES_MAX))
            } else {
                text.split_at(text.len().min(room))
            };
            if piece.len() >= ALONE_BYTES_MIN {
                self.block(piece);
            } else {
                self.waiting.extend_from_slice(piece);
                if self.waiting.len() == BLOCK_BYTES_MAX {
                    self.close_block();
                }
            }
            text = rest;
        }
    }

    /// How many bytes of memory are held.
    pub(super) fn bytes_held(&self) -> usize {
        let table = if self.table.is_some() { TABLE_BYTES } else { 0 };
        self.frame.capacity() + self.waiting.capacity() + self.scratch.capacity() + table
    }

    /// Ends the frame and hands it over.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.close_block();
        self.begin();
        let mut frame = std::mem::take(&mut self.frame);
        frame.extend_from_slice(&END_MARK);
        self.guess = frame.len() + frame.len() / 8;
        if frame.capacity() > self.guess {
            frame.shrink_to_fit();
        }
        frame
    }

    /// Writes the header if that has not been done.
    fn begin(&mut self) {
        if self.frame.is_empty() {
            self.frame.reserve(self.guess);
            self.frame.extend_from_slice(&HEADER);
        }
    }

    /// Makes a block of what waits.
    fn close_block(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.block(&waiting);
        }
        waiting.clear();
        self.waiting = waiting;
    }

    /// Writes a block.
    fn block(&mut self, text: &[u8]) {
        self.begin();
        let most = get_maximum_output_size(text.len());
        if self.scratch.len() < most {
            self.scratch.resize(most, 0);
        }
        let table = self.table.get_or_insert_default();
        let packed = compress_into_with_table(text, &mut self.scratch, table)
            .expect("there is room for what text of this size takes at most");
        let (size, bytes) = match packed < text.len() {
            true => (packed as u32, &self.scratch[..packed]),
            false => (text.len() as u32 | STORED, text),
        };
        self.frame.extend_from_slice(&size.to_le_bytes());
        self.frame.extend_from_slice(bytes);
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("bytes_held", &self.bytes_held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use lz4_flex::frame::FrameDecoder;
    use proptest::prelude::*;

    use super::{ALONE_BYTES_MIN, BLOCK_BYTES_MAX, Encoder};

    /// What a decoder that isn't ours makes of it.
    fn decoded(frame: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        FrameDecoder::new(frame).read_to_end(&mut text).expect("a frame");
        text
    }

    /// A piece: of few or of all bytes, so that it gets smaller or not.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let sizes = prop_oneof![
            0..200_usize,
            ALONE_BYTES_MIN - 2..ALONE_BYTES_MIN + 2,
            BLOCK_BYTES_MAX - 2..BLOCK_BYTES_MAX + 2,
            0..3 * BLOCK_BYTES_MAX
        ];
        (sizes, any::<u64>(), prop_oneof![Just(0x03_u8), Just(0xff)]).prop_map(|(size, seed, mask)| {
            let mut state = seed | 1;
            let bytes = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8 & mask
            });
            bytes.take(size).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_frame_of_any_pieces_holds_them_one_after_the_other_and_so_does_the_next(
            frames in proptest::collection::vec(proptest::collection::vec(piece(), 0..8), 1..4),
        ) {
            let mut encoder = Encoder::default();
            for pieces in frames {
                for piece in &pieces {
                    encoder.write(piece);
                }
                let (text, frame) = (pieces.concat(), encoder.finish());
                prop_assert!(decoded(&frame) == text);
                let blocks = 2 * (text.len() / ALONE_BYTES_MIN) + 1;
                prop_assert!(frame.len() <= text.len() + 11 + 4 * blocks, "{} of {}", frame.len(), text.len());
            }
        }
    }

    #[test]
    fn an_encoder_of_few_lines_holds_little() {
        let mut encoder = Encoder::default();
        encoder.write(b"a line\n");
        assert!(encoder.bytes_held() < 100, "{}", encoder.bytes_held());
        assert_eq!(decoded(&encoder.finish()), b"a line\n");
        assert!(encoder.bytes_held() < 20_000, "{}", encoder.bytes_held());
    }

    #[test]
    fn small_pieces_are_compressed_together() {
        let mut encoder = Encoder::default();
        for _ in 0..1000 {
            encoder.write(b"the same line again and again\n");
        }
        assert!(encoder.finish().len() < 1000);
    }
}
