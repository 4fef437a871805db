//! Reading through `pread(2)`, for kernels and containers that refuse io_uring, and network file systems.

use std::{fs::File, io};

use super::disk::Disk;

/// Plain files.
pub(super) struct Pread;

impl Disk for Pread {
    type File = File;

    fn adopt(file: File) -> Self::File {
        file
    }

    async fn read_at(file: &Self::File, mut buffer: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        buffer.clear();
        let read = loop {
            match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), offset) {
                Err(rustix::io::Errno::INTR) => (),
                read => break read,
            }
        };
        (read.map_err(io::Error::from), buffer)
    }
}

/// A runtime for one thread.
///
/// # Errors
/// If the kernel gives no epoll descriptor.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build()
}
