//! How far a stream is safe, and the evidence by which its file is recognised again.

use std::{path::PathBuf, sync::Arc};

use super::{Stream, TailMark};

/// Where the kernel keeps a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The device's number (`st_dev`).
    pub device: u64,
    /// The inode's number (`st_ino`).
    pub inode: u64,
    /// When the inode was made, in nanoseconds since 1970 (`stx_btime`); 0 where the file system doesn't say.
    pub birth_ns: i64,
}

/// A hash of a file's first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many bytes the hash covers: 0 (nothing is known) to [`Head::BYTES_MAX`]; it grows with a short file.
    pub bytes: u16,
    /// XXH3-64 of those bytes.
    pub hash: u64,
}

impl Head {
    /// The most bytes that a head covers.
    pub const BYTES_MAX: usize = 1024;

    /// The head of a file that begins with `text`.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let head = &text[..text.len().min(Self::BYTES_MAX)];
        Self { bytes: head.len() as u16, hash: xxhash_rust::xxh3::xxh3_64(head) }
    }
}

/// What a compressed file came to when all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The file's size.
    pub bytes: u64,
    /// The size of its text, as far as that can be read.
    pub text: u64,
}

/// Everything that is remembered of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The file and its generation.
    pub stream: Stream,
    /// The task that collects the file.
    pub task: Arc<str>,
    /// Every byte before this one is safe.
    pub offset: u64,
    /// The last bytes before `offset`.
    pub mark: TailMark,
    /// The path where the file was last seen; any bytes.
    pub path: PathBuf,
    /// Device, inode and birth.
    pub place: Place,
    /// The first bytes of the file.
    pub head: Head,
    /// Where lines behind `offset` were cut because they had no newline in time, in order: whoever reads the
    /// stream again cuts them there again, so that no text is ever sent under two identities.
    pub cuts: Vec<u64>,
    /// There if the file is compressed and all of it was read: so it need not be unpacked to know that.
    pub unpacked: Option<Unpacked>,
    /// When this was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl Checkpoint {
    /// Whether `offset` is the end of the file, if that has `size` bytes.
    #[must_use]
    pub fn is_end(&self, size: u64) -> bool {
        match self.unpacked {
            Some(unpacked) => (unpacked.bytes, unpacked.text) == (size, self.offset),
            None => self.offset == size,
        }
    }
}
