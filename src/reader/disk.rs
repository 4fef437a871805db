//! How bytes come from a file: one small interface, two answers (`ring`, `pread`).

use std::{fs::File, io, os::fd::AsRawFd};

/// Reads files. A lane uses one kind for all its files; both pass the same tests.
pub(super) trait Disk: 'static {
    /// An open file.
    type File: AsRawFd + 'static;

    /// Takes over an open file.
    fn adopt(file: File) -> Self::File;

    /// Reads up to the buffer's capacity from `offset` on. The buffer comes back with what was read in it,
    /// from its beginning; its length is the number of bytes read.
    fn read_at(file: &Self::File, buffer: Vec<u8>, offset: u64) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;
}
