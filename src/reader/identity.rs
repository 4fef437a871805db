//! Which file is this: identity from where the kernel keeps it, and evidence that its content is still the same.

use std::{
    fs::Metadata,
    hash::{BuildHasher, RandomState},
    os::unix::fs::MetadataExt,
    path::Path,
    time::UNIX_EPOCH,
};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::Identity;
use crate::record::{FileId, Place};

/// Where the kernel keeps the file that `metadata` describes.
pub(super) fn place(metadata: &Metadata) -> Place {
    let since_epoch = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let birth_ns = since_epoch.and_then(|age| i64::try_from(age.as_nanos()).ok()).unwrap_or(0);
    Place { device: metadata.dev(), inode: metadata.ino(), birth_ns }
}

/// When a file was made or last written, whichever is earlier, in nanoseconds since 1970: a copy that kept its time
/// is as old as its content.
pub(super) fn born_ns(metadata: &Metadata) -> i64 {
    let written = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    match place(metadata).birth_ns {
        0 => written,
        made => made.min(written),
    }
}

/// What the identities of files begin with: the machine, and the epoch of its checkpoint store.
#[must_use]
pub fn seed(machine: &str, epoch: u128) -> u128 {
    xxh3_128_with_seed(machine.as_bytes(), epoch as u64) ^ epoch
}

/// The identity of a file that was never seen before.
///
/// It depends on nothing that changes while the file lives, so an agent that dies before its first checkpoint
/// gives the file the same identity again. `seed` stands for the machine and the epoch of its checkpoint store.
pub(super) fn first_id(seed: u128, place: Place) -> FileId {
    let mut bytes = [0_u8; 40];
    bytes[..16].copy_from_slice(&seed.to_le_bytes());
    bytes[16..24].copy_from_slice(&place.device.to_le_bytes());
    bytes[24..32].copy_from_slice(&place.inode.to_le_bytes());
    bytes[32..].copy_from_slice(&place.birth_ns.to_le_bytes());
    FileId(xxh3_128_with_seed(&bytes, seed as u64))
}

/// Whether the file at `path` is known by its name and content, because inodes say nothing where it lies.
pub(super) fn is_by_content(identity: Identity, path: &Path) -> bool {
    match identity {
        Identity::Inode => false,
        Identity::Content => true,
        // The widths of the field and of the numbers differ from machine to machine; the numbers have 32 bits.
        Identity::Auto => rustix::fs::statfs(path).is_ok_and(|system| REMOTE.contains(&(system.f_type as u32))),
    }
}

/// The magic numbers of file systems whose inodes or events come from another machine or program: NFS, SMB (three
/// of them), FUSE, 9p, Ceph, AFS (two), Coda, Lustre, GPFS, BeeGFS, and the shared folders of VirtualBox.
const REMOTE: [u32; 14] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x6573_5546,
    0x0102_1997,
    0x00C3_6400,
    0x5346_414F,
    0x6B41_4653,
    0x7375_7245,
    0x0BD0_0BD0,
    0x4750_4653,
    0x1983_0326,
    0x786F_4256,
];

/// An identity that nothing had before, for a file whose place says too little.
pub(super) fn random_id() -> FileId {
    // Keyed with 128 bits that the kernel gave.
    let random = RandomState::new();
    FileId(u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1)))
}

#[cfg(test)]
mod tests {
    use super::{first_id, place, random_id};
    use crate::record::Place;

    #[test]
    fn a_new_file_on_a_used_inode_has_another_identity() {
        let old = Place { device: 1, inode: 2, birth_ns: 3 };
        let new = Place { birth_ns: 4, ..old };
        assert_eq!(first_id(9, old), first_id(9, old));
        assert_ne!(first_id(9, old), first_id(9, new));
        assert_ne!(first_id(9, old), first_id(8, old), "another machine, or another store");
    }

    #[test]
    fn random_identities_differ() {
        assert_ne!(random_id(), random_id());
    }

    #[test]
    fn a_file_keeps_its_place_under_another_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "x").expect("written");
        let before = place(&a.metadata().expect("there"));
        std::fs::rename(&a, &b).expect("renamed");
        assert_eq!(before, place(&b.metadata().expect("there")));
    }
}
