//! The number of the last commit, in a small file beside the store, by which a store that is older is noticed.
//!
//! The file has two slots of 32 bytes, written in turn and synced, so that a crash while one is written leaves
//! the other: epoch (16 bytes), sequence number (8), XXH3-64 of those (8), all little-endian.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use xxhash_rust::xxh3::xxh3_64;

const SLOT_BYTES: usize = 32;

/// The open file.
#[derive(Debug)]
pub(super) struct Sequence(File);

impl Sequence {
    /// Opens the file, and makes it, synced in its directory, if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()?;
        Ok(Self(file))
    }

    /// The highest number that was written for the store of `epoch`, or for any store; none if there is none that
    /// can be read.
    pub(super) fn last(&self, epoch: Option<u128>) -> io::Result<Option<u64>> {
        let mut last = None;
        for slot in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            match self.0.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64) {
                Ok(()) => last = last.max(read_slot(&bytes, epoch)),
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => (),
                Err(err) => return Err(err),
            }
        }
        Ok(last)
    }

    /// The store that the highest number was written for; none if there is none that can be read.
    pub(super) fn epoch(&self) -> io::Result<Option<u128>> {
        let mut newest = None;
        for slot in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            match self.0.read_exact_at(&mut bytes, slot * SLOT_BYTES as u64) {
                Ok(()) => {
                    let epoch = bytes.first_chunk().map(|epoch| u128::from_le_bytes(*epoch));
                    newest = newest.max(read_slot(&bytes, None).zip(epoch));
                }
                Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => (),
                Err(err) => return Err(err),
            }
        }
        Ok(newest.map(|(_, epoch)| epoch))
    }

    /// Writes `number`, over the number before the last one, and syncs it.
    pub(super) fn write(&self, epoch: u128, number: u64) -> io::Result<()> {
        let mut slot = [0; SLOT_BYTES];
        slot[..16].copy_from_slice(&epoch.to_le_bytes());
        slot[16..24].copy_from_slice(&number.to_le_bytes());
        let seal = xxh3_64(&slot[..24]);
        slot[24..].copy_from_slice(&seal.to_le_bytes());
        self.0.write_all_at(&slot, number % 2 * SLOT_BYTES as u64)?;
        self.0.sync_data()
    }
}

fn read_slot(slot: &[u8; SLOT_BYTES], epoch: Option<u128>) -> Option<u64> {
    let (fields, seal) = slot.split_at(24);
    let (of, number) = fields.split_at(16);
    let sealed = seal == xxh3_64(fields).to_le_bytes() && epoch.is_none_or(|epoch| of == epoch.to_le_bytes());
    sealed.then(|| number.try_into().map(u64::from_le_bytes).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn the_highest_whole_number_of_the_same_store_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("sequence");
        let sequence = Sequence::open(&path).expect("a new file");
        assert_eq!(sequence.last(Some(7)).expect("readable"), None);
        for number in [8, 9] {
            sequence.write(7, number).expect("written");
            assert_eq!(sequence.last(Some(7)).expect("readable"), Some(number));
        }
        assert_eq!(sequence.last(Some(6)).expect("readable"), None, "another store's number says nothing");
        assert_eq!((sequence.last(None).expect("readable"), sequence.epoch().expect("readable")), (Some(9), Some(7)));
        let mut bytes = std::fs::read(&path).expect("there");
        bytes[32 + 3] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        let sequence = Sequence::open(&path).expect("the same file");
        assert_eq!(sequence.last(Some(7)).expect("readable"), Some(8), "a torn slot leaves the one before it");
    }
}
