//! Reading through io_uring: one submission for all files of a turn.

use std::{fs::File, io};

use super::disk::Disk;

/// Files of a `tokio-uring` runtime; usable on the thread of that runtime only.
pub(super) struct Ring;

impl Disk for Ring {
    type File = tokio_uring::fs::File;

    fn adopt(file: File) -> Self::File {
        tokio_uring::fs::File::from_std(file)
    }

    async fn read_at(file: &Self::File, mut buffer: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        buffer.clear();
        file.read_at(buffer, offset).await
    }
}

/// A runtime with a ring of its own.
///
/// # Errors
/// If the kernel, or a container's seccomp profile, refuses io_uring.
pub(super) fn runtime() -> io::Result<tokio_uring::Runtime> {
    tokio_uring::Runtime::new(tokio_uring::builder().entries(64))
}
