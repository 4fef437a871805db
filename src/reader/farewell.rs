//! Deleted files that are still held: what they take up, and which of them a full disk needs back.

use std::{
    fs::{self, File},
    os::fd::RawFd,
    path::PathBuf,
};

use crate::{
    reader::identity,
    record::{FileId, Place},
};

/// An open file whose last name is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) descriptor: RawFd,
    pub(super) place: Place,
}

/// What a held file takes up, and what its file system has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) held_bytes: u64,
    pub(super) free_bytes: u64,
}

/// The files to let go of now: on each file system with too little space, the one that takes up most. Those that
/// are left are asked about again when its space came back, so no more is given up than has to be.
pub(super) fn crowded_out(
    held: &[(FileId, Held)],
    free_bytes_min: u64,
    look: impl Fn(Held) -> Option<Space>,
) -> Vec<FileId> {
    let mut largest: Vec<(u64, u64, FileId)> = Vec::new();
    for (id, held) in held {
        let Some(space) = look(*held).filter(|space| space.free_bytes < free_bytes_min) else { continue };
        match largest.iter_mut().find(|(device, ..)| *device == held.place.device) {
            Some(known) if known.1 >= space.held_bytes => (),
            Some(known) => *known = (held.place.device, space.held_bytes, *id),
            None => largest.push((held.place.device, space.held_bytes, *id)),
        }
    }
    largest.into_iter().map(|(.., id)| id).collect()
}

/// Asks the kernel; none if it doesn't say.
pub(super) fn look(held: Held) -> Option<Space> {
    let held_bytes = size(held)?;
    let system = rustix::fs::statvfs(path(held)).ok()?;
    Some(Space { held_bytes, free_bytes: system.f_bavail.saturating_mul(system.f_frsize) })
}

/// The size of a held file; none if its descriptor leads elsewhere by now.
pub(super) fn size(held: Held) -> Option<u64> {
    let metadata = fs::metadata(path(held)).ok()?;
    (identity::place(&metadata) == held.place).then_some(metadata.len())
}

/// Opens a held file once more; none if its descriptor leads elsewhere by now.
pub(super) fn reopen(held: Held) -> Option<File> {
    File::open(path(held)).ok()
}

/// A path that leads to an open file without a name, for both kinds of descriptors that lanes use.
fn path(held: Held) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", held.descriptor))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::{Held, Space, crowded_out, look, size};
    use crate::{
        reader::identity,
        record::{FileId, Place},
    };

    fn held(device: u64, descriptor: i32) -> (FileId, Held) {
        let place = Place { device, inode: descriptor as u64, birth_ns: 0 };
        (FileId(descriptor as u128), Held { descriptor, place })
    }

    #[test]
    fn the_largest_file_of_each_full_file_system_is_let_go_and_no_other() {
        let all = [held(1, 10), held(1, 30), held(1, 20), held(2, 5), held(3, 7)];
        let space = |held: Held| {
            let free_bytes = if held.place.device == 2 { 100 } else { 99 };
            (held.place.device != 3).then_some(Space { held_bytes: held.descriptor as u64, free_bytes })
        };
        assert_eq!(crowded_out(&all, 100, space), [FileId(30)]);
        assert_eq!(crowded_out(&all, 101, space), [FileId(30), FileId(5)]);
        assert!(crowded_out(&all, 99, space).is_empty());
    }

    #[test]
    fn a_file_without_a_name_is_measured_and_a_descriptor_that_leads_elsewhere_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a");
        std::fs::write(&path, "12345").expect("written");
        let file = std::fs::File::open(&path).expect("opened");
        let place = identity::place(&file.metadata().expect("there"));
        std::fs::remove_file(&path).expect("deleted");
        let held = Held { descriptor: file.as_raw_fd(), place };
        assert_eq!(size(held), Some(5));
        assert!(look(held).is_some_and(|space| space.held_bytes == 5 && space.free_bytes > 0));
        assert_eq!(size(Held { place: Place { inode: place.inode + 1, ..place }, ..held }), None);
    }
}
