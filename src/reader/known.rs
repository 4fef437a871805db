//! What is remembered of files that were not found yet, and by what they are found again.

use std::collections::{HashMap, hash_map::Entry};

use super::{identity, succession::Succession};
use crate::record::{Checkpoint, FileId, Place};

/// Checkpoints of files that nothing was found for yet: the store's at the start, and later those of files that
/// lost their last name.
pub(super) struct Known {
    seed: u128,
    /// By the file that the place of each leads to; of several streams in one file, the newest.
    by_file: HashMap<FileId, Checkpoint>,
    /// Files by inode and birth, for a device that has another number since.
    inodes: HashMap<(u64, i64), FileId>,
    /// The newest generation under each identity.
    newest: HashMap<FileId, u32>,
    /// Streams that a newer one in the same file has taken the place of.
    older: Vec<Checkpoint>,
}

impl Known {
    pub(super) fn new(seed: u128, checkpoints: Vec<Checkpoint>) -> Self {
        let (by_file, inodes, newest) = (HashMap::with_capacity(checkpoints.len()), HashMap::new(), HashMap::new());
        let mut known = Self { seed, by_file, inodes, newest, older: Vec::new() };
        for checkpoint in checkpoints {
            known.remember(checkpoint);
        }
        known
    }

    /// Remembers a file that may come back.
    pub(super) fn remember(&mut self, checkpoint: Checkpoint) {
        let (stream, place) = (checkpoint.stream, checkpoint.place);
        let newest = self.newest.entry(stream.file).or_default();
        *newest = (*newest).max(stream.generation);
        let file = identity::first_id(self.seed, place);
        if place.birth_ns != 0 {
            self.inodes.insert((place.inode, place.birth_ns), file);
        }
        match self.by_file.entry(file) {
            Entry::Vacant(free) => drop(free.insert(checkpoint)),
            Entry::Occupied(mut taken) => {
                let older =
                    if age(file, &checkpoint) > age(file, taken.get()) { taken.insert(checkpoint) } else { checkpoint };
                self.older.push(older);
            }
        }
    }

    /// The file at `place`: the one that the place leads to, or one that is known with another device number.
    pub(super) fn file_at(&self, place: Place) -> FileId {
        let file = identity::first_id(self.seed, place);
        if self.by_file.contains_key(&file) {
            return file;
        }
        // Without a birth, an inode on another device is another file.
        if place.birth_ns == 0 { file } else { *self.inodes.get(&(place.inode, place.birth_ns)).unwrap_or(&file) }
    }

    /// Takes what is remembered of a file that was found.
    pub(super) fn take(&mut self, file: FileId) -> Option<Checkpoint> {
        self.by_file.remove(&file)
    }

    /// Which streams the file at `place` has still to begin, if it goes on with `known`.
    pub(super) fn succession(&self, file: FileId, place: Place, known: Option<&Checkpoint>) -> Succession {
        let mut succession = match place.birth_ns {
            // Another file may have had the inode, and nothing would tell the two apart.
            0 => Succession::random(identity::random_id()),
            _ => Succession::after(file, self.newest.get(&file).copied()),
        };
        if let Some(known) = known {
            succession.go_on(known.stream);
        }
        succession
    }
}

/// Orders the streams that one file held. Those that it began itself come after one that it took over.
fn age(file: FileId, checkpoint: &Checkpoint) -> (bool, u32, i64) {
    let own = checkpoint.stream.file == file;
    (own, if own { checkpoint.stream.generation } else { 0 }, checkpoint.updated_ms)
}

#[cfg(test)]
mod tests {
    use super::Known;
    use crate::{
        reader::identity,
        record::{Checkpoint, FileId, Head, Place, Stream, TailMark},
    };

    const PLACE: Place = Place { device: 1, inode: 2, birth_ns: 3 };

    fn checkpoint(file: FileId, generation: u32, place: Place) -> Checkpoint {
        Checkpoint {
            stream: Stream { file, generation },
            task: "t".into(),
            offset: 0,
            mark: TailMark::default(),
            path: "/a".into(),
            place,
            head: Head::default(),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 0,
        }
    }

    #[test]
    fn of_several_streams_in_one_file_the_newest_is_taken() {
        let own = identity::first_id(9, PLACE);
        let foreign = FileId(77);
        let streams = [(own, 2), (foreign, 5), (own, 3), (own, 0)];
        let streams = streams.map(|(file, generation)| checkpoint(file, generation, PLACE));
        let mut known = Known::new(9, streams.to_vec());
        let taken = known.take(known.file_at(PLACE)).expect("known");
        assert_eq!(taken.stream, Stream { file: own, generation: 3 });
        assert_eq!(known.succession(own, PLACE, Some(&taken)).begin().generation, 4);
        assert_eq!(known.older.len(), 3);
    }

    #[test]
    fn a_file_whose_stream_was_taken_over_by_a_copy_begins_above_it() {
        let own = identity::first_id(9, PLACE);
        let copy = Place { inode: 5, ..PLACE };
        let mut known = Known::new(9, vec![checkpoint(own, 0, copy)]);
        assert_eq!(known.file_at(PLACE), own);
        assert!(known.take(own).is_none(), "its stream is at another place");
        assert_eq!(known.succession(own, PLACE, None).begin().generation, 1);
        let taken = known.take(known.file_at(copy)).expect("known");
        assert_eq!(taken.stream.file, own);
        let next = known.succession(identity::first_id(9, copy), copy, Some(&taken)).begin();
        assert_eq!((next.file == own, next.generation), (false, 1));
    }

    #[test]
    fn a_device_with_another_number_holds_the_same_files() {
        let mut known = Known::new(9, vec![checkpoint(FileId(1), 0, PLACE)]);
        let moved = Place { device: 8, ..PLACE };
        let file = known.file_at(moved);
        assert!(known.take(file).is_some());
        let later = Place { birth_ns: 4, ..moved };
        assert!(known.take(known.file_at(later)).is_none(), "an inode used again is another file");
    }
}
