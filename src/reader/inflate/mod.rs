//! Compressed files as their text: bytes in, text out, whatever they are and wherever they end.
//!
//! A file is known by its first bytes, not by its name. Nothing here reads a file: whoever does hands over the bytes
//! of [`Unpack::wants_at`], so that files are read as any others are. Offsets count the text, and there is no other
//! way to an offset than through everything before it ([`Seek`]), a bounded piece at a time. A file that ends within
//! a member or a frame is one that is still being written; a damaged one yields all that stands before the damage.

mod gzip;
mod seek;
#[cfg(test)]
mod tests;
mod zstandard;

use std::{fs::File, io, os::unix::fs::FileExt};

pub use self::seek::{Seek, Sought};
use self::{gzip::Gzip, zstandard::Zstandard};
use crate::record::Head;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// One or more members of RFC 1952.
    Gzip,
    /// One or more frames of RFC 8878.
    Zstandard,
}

impl Packing {
    /// How a file is compressed that begins with `head`; none if it isn't, or if that is too short to tell.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        if gzip::is_gzip(head) { Some(Self::Gzip) } else { zstandard::is_zstandard(head).then_some(Self::Zstandard) }
    }
}

/// What is wrong with a compressed file; nothing behind it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damage(&'static str);

/// How far one step of a decoder went.
struct Step {
    taken: usize,
    given: usize,
}

/// Why unpacking pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// As much text as was asked for is there.
    Full,
    /// The input is used up.
    Hungry,
    /// What follows can't be read.
    Damaged(Damage),
}

enum Decoder {
    Gzip(Box<Gzip>),
    Zstandard(Zstandard),
}

/// A compressed file on its way to text, from its first byte on.
pub struct Unpack {
    decoder: Decoder,
    input: Vec<u8>,
    /// How many bytes of the input the decoder took.
    taken: usize,
    /// Where in the file the input ends.
    fed_to: u64,
    damage: Option<Damage>,
}

impl Unpack {
    /// How many bytes of the file are read at once.
    pub const INPUT_BYTES: usize = 64 * 1024;

    /// A decoder at the beginning of a file.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(packing: Packing) -> io::Result<Self> {
        let decoder = match packing {
            Packing::Gzip => Decoder::Gzip(Box::new(Gzip::new())),
            Packing::Zstandard => Decoder::Zstandard(Zstandard::new()?),
        };
        Ok(Self { decoder, input: Vec::new(), taken: 0, fed_to: 0, damage: None })
    }

    /// Where in the file the next input begins, in bytes of the file.
    #[must_use]
    pub fn wants_at(&self) -> u64 {
        self.fed_to
    }

    /// An empty buffer for the next input; only when the last one is used up.
    pub fn buffer(&mut self) -> Vec<u8> {
        debug_assert_eq!(self.taken, self.input.len());
        self.taken = 0;
        let mut buffer = std::mem::take(&mut self.input);
        buffer.clear();
        buffer.reserve_exact(Self::INPUT_BYTES);
        buffer
    }

    /// Takes over what stands in the file at [`Self::wants_at`].
    pub fn feed(&mut self, input: Vec<u8>) {
        (self.fed_to, self.taken, self.input) = (self.fed_to + input.len() as u64, 0, input);
    }

    /// Whether the file may end where the input ended: behind a whole member or frame.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match &self.decoder {
            Decoder::Gzip(gzip) => gzip.is_whole(),
            Decoder::Zstandard(zstandard) => zstandard.is_whole(),
        }
    }

    /// Bytes of the file that became text; what is left of it can't, if it is damaged.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.fed_to - (self.input.len() - self.taken) as u64
    }

    /// Appends text until `text` is `bytes_max` long.
    pub fn unpack(&mut self, text: &mut Vec<u8>, bytes_max: usize) -> Pause {
        let mut end = text.len();
        if end < bytes_max {
            text.resize(bytes_max, 0);
        }
        let pause = loop {
            if let Some(damage) = self.damage {
                break Pause::Damaged(damage);
            }
            if end >= bytes_max {
                break Pause::Full;
            }
            let (input, room) = (&self.input[self.taken..], &mut text[end..]);
            let stepped = match &mut self.decoder {
                Decoder::Gzip(gzip) => gzip.step(input, room),
                Decoder::Zstandard(zstandard) => zstandard.step(input, room),
            };
            match stepped {
                Err(damage) => self.damage = Some(damage),
                Ok(Step { taken: 0, given: 0 }) if self.taken < self.input.len() => {
                    // There is room and there is input, so a decoder that stands still never goes on.
                    self.damage = Some(Damage("the compressed bytes are not valid"));
                }
                Ok(Step { taken: 0, given: 0 }) => break Pause::Hungry,
                Ok(Step { taken, given }) => (self.taken, end) = (self.taken + taken, end + given),
            }
        };
        text.truncate(end);
        pause
    }
}

/// The first bytes of a file, which it is known by.
#[derive(Debug)]
pub struct Look {
    /// Up to [`Head::BYTES_MAX`] bytes: of its text if it is compressed.
    pub text: Vec<u8>,
    /// How the file is compressed.
    pub packing: Option<Packing>,
}

impl Look {
    /// Whether a file whose head was `head` can have grown to this one.
    #[must_use]
    pub fn continues(&self, head: Head) -> bool {
        self.text.get(..usize::from(head.bytes)).is_some_and(|begin| begin.is_empty() || Head::of(begin) == head)
    }
}

/// Looks at the first bytes of a file, or of its text if `unpack` and it is compressed.
///
/// # Errors
/// If the file can't be read.
pub fn look(file: &File, unpack: bool) -> io::Result<Look> {
    let mut input = Vec::new();
    read_at(file, 0, &mut input, Head::BYTES_MAX)?;
    let Some(packing) = Packing::of(&input).filter(|_| unpack) else { return Ok(Look { text: input, packing: None }) };
    let (mut decoder, mut text) = (Unpack::new(packing)?, Vec::new());
    decoder.feed(input);
    // Bounded: frames that hold no text end the search for some.
    for _ in 0..16 {
        if decoder.unpack(&mut text, Head::BYTES_MAX) != Pause::Hungry {
            break;
        }
        let mut input = decoder.buffer();
        read_at(file, decoder.wants_at(), &mut input, Unpack::INPUT_BYTES)?;
        if input.is_empty() {
            break;
        }
        decoder.feed(input);
    }
    Ok(Look { text, packing: Some(packing) })
}

/// Reads up to `bytes` from `offset` on; fewer only at the file's end.
fn read_at(file: &File, offset: u64, into: &mut Vec<u8>, bytes: usize) -> io::Result<()> {
    into.resize(bytes, 0);
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut into[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    into.truncate(filled);
    Ok(())
}
