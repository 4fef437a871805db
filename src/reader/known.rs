//! Streams that have no file: what is remembered of each, and by what its file is found.
//!
//! At the start these are all checkpoints of the store. A file that is found takes its stream with it. A stream
//! comes back when its file loses its last name, or when its file begins to hold something else: then the rest of it
//! may stand in a copy.

use std::{
    collections::{BTreeSet, HashMap},
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, Instant},
};

use xxhash_rust::xxh3::xxh3_64;

use super::{identity, succession::Succession};
use crate::record::{Checkpoint, FileId, Place};

/// A stream without a file.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    /// What is known of it, with the offset up to which it was read.
    pub(super) checkpoint: Checkpoint,
    /// How many bytes behind the offset there were when it was last seen.
    pub(super) unread: u64,
    /// Whether its file may still hold it. If not, only a copy can.
    pub(super) in_place: bool,
    /// When whoever takes blocks is told that nothing more comes of it; none if that was done.
    pub(super) ends: Option<Instant>,
    /// Since when it is without a file.
    pub(super) since: Instant,
}

impl Stray {
    /// A stream whose file is not there: at the start, or after its last name was gone. It is ended.
    pub(super) fn parted(checkpoint: Checkpoint) -> Self {
        Self { checkpoint, unread: 0, in_place: true, ends: None, since: Instant::now() }
    }

    /// A stream whose file holds something else now, `unread` bytes before its end. A copy may go on with it if it
    /// turns up within `wait`.
    pub(super) fn replaced(checkpoint: Checkpoint, unread: u64, wait: Duration) -> Self {
        let since = Instant::now();
        Self { checkpoint, unread, in_place: false, ends: Some(since + wait), since }
    }
}

/// A stray's number.
pub(super) type Number = u64;

/// All strays.
pub(super) struct Known {
    seed: u128,
    /// Boxed, so that their memory comes back one by one when their files are found.
    strays: HashMap<Number, Box<Stray>>,
    /// How many of them are still to end.
    ending: usize,
    next: Number,
    /// The newest stray of each file that may still hold it, by the identity that the file's place gives it.
    by_file: HashMap<FileId, Number>,
    /// By a hash of the path where the file was last seen.
    by_path: BTreeSet<(u64, Number)>,
    /// Files by inode and birth, for a device that has another number since.
    inodes: HashMap<(u64, i64), FileId>,
    /// The newest generation under each identity.
    newest: HashMap<FileId, u32>,
    /// How many files were seen to leave each inode, where nothing else tells one from the next.
    rebirths: HashMap<(u64, u64), i64>,
    /// The birth of the last file that left each inode, to notice that one is used again.
    births: HashMap<(u64, u64), i64>,
}

impl Known {
    /// How many strays are remembered; the ones changed longest ago are forgotten first.
    pub(super) const STRAYS_MAX: usize = 65_536;

    /// How long a file has to be absent at least before it is forgotten.
    const ABSENT_MIN: Duration = Duration::from_secs(3600);

    pub(super) fn new(seed: u128, checkpoints: Vec<Checkpoint>) -> Self {
        let mut known = Self {
            seed,
            strays: HashMap::with_capacity(checkpoints.len()),
            ending: 0,
            next: 0,
            by_file: HashMap::with_capacity(checkpoints.len()),
            by_path: BTreeSet::new(),
            inodes: HashMap::new(),
            newest: HashMap::with_capacity(checkpoints.len()),
            rebirths: HashMap::new(),
            births: HashMap::new(),
        };
        for checkpoint in checkpoints {
            known.remember(Stray::parted(checkpoint));
        }
        known
    }

    /// Gives back the memory of strays whose files were found.
    pub(super) fn shrink(&mut self) {
        self.strays.shrink_to_fit();
        self.by_file.shrink_to_fit();
    }

    /// Remembers a stream without a file.
    pub(super) fn remember(&mut self, mut stray: Stray) {
        let (stream, place) = (stray.checkpoint.stream, stray.checkpoint.place);
        let newest = self.newest.entry(stream.file).or_default();
        *newest = (*newest).max(stream.generation);
        if !stray.in_place && place.birth_ns != 0 {
            // Its file has begun a stream of its own since.
            let file = identity::first_id(self.seed, place);
            let begun = if file == stream.file { stream.generation.saturating_add(1) } else { 1 };
            let newest = self.newest.entry(file).or_default();
            *newest = (*newest).max(begun);
        }
        let number = self.next;
        self.next += 1;
        if stray.in_place && place != Place::default() {
            let file = identity::first_id(self.seed, place);
            if place.birth_ns != 0 {
                self.inodes.insert((place.inode, place.birth_ns), file);
            }
            let rival = self.by_file.get(&file).and_then(|rival| self.strays.get_mut(rival));
            match rival {
                Some(rival) if age(file, &rival.checkpoint) >= age(file, &stray.checkpoint) => stray.in_place = false,
                rival => {
                    // A file holds one stream at a time.
                    rival.into_iter().for_each(|rival| rival.in_place = false);
                    self.by_file.insert(file, number);
                }
            }
        }
        self.by_path.insert((path_hash(&stray.checkpoint.path), number));
        self.ending += usize::from(stray.ends.is_some());
        self.strays.insert(number, Box::new(stray));
    }

    /// The file at `place`: the one that the place leads to, or one that is known with another device number.
    pub(super) fn file_at(&self, place: Place) -> FileId {
        let rebirths = self.rebirths.get(&(place.device, place.inode)).filter(|_| place.birth_ns == 0);
        // No file is born before 1970.
        let birth_ns = rebirths.map_or(place.birth_ns, |count| -count);
        let file = identity::first_id(self.seed, Place { birth_ns, ..place });
        if place.birth_ns == 0 || self.by_file.contains_key(&file) {
            return file;
        }
        *self.inodes.get(&(place.inode, place.birth_ns)).unwrap_or(&file)
    }

    /// Notes that the file at `place` lost its last name: where the file system doesn't say when an inode was made,
    /// what is found at the same place is another file from now on.
    pub(super) fn let_go(&mut self, place: Place) {
        let inode = (place.device, place.inode);
        if place.birth_ns != 0 {
            // Bounded: what is forgotten here is only not counted.
            if self.births.len() >= Self::STRAYS_MAX {
                self.births.clear();
            }
            self.births.insert(inode, place.birth_ns);
        } else if place != Place::default() {
            // Bounded: what is forgotten here is told apart by its content.
            if self.rebirths.len() > Self::STRAYS_MAX {
                self.rebirths.clear();
            }
            *self.rebirths.entry(inode).or_default() += 1;
        }
    }

    /// Whether another file left the inode that the file at `place` has now; said once.
    pub(super) fn is_reused(&mut self, place: Place) -> bool {
        let before = self.births.remove(&(place.device, place.inode));
        before.is_some_and(|before| before != place.birth_ns)
    }

    /// The stream that the file may still hold.
    pub(super) fn by_file(&self, file: FileId) -> Option<&Stray> {
        Some(self.strays.get(self.by_file.get(&file)?)?.as_ref())
    }

    /// Takes the stream of a file that was found.
    pub(super) fn take(&mut self, file: FileId) -> Option<Stray> {
        let number = *self.by_file.get(&file)?;
        self.take_stray(number)
    }

    /// Takes a stray.
    pub(super) fn take_stray(&mut self, number: Number) -> Option<Stray> {
        let stray = self.strays.remove(&number)?;
        self.ending -= usize::from(stray.ends.is_some());
        self.by_path.remove(&(path_hash(&stray.checkpoint.path), number));
        let file = identity::first_id(self.seed, stray.checkpoint.place);
        if self.by_file.get(&file) == Some(&number) {
            self.by_file.remove(&file);
        }
        Some(*stray)
    }

    /// The strays whose files were last seen at `path`, the newest first.
    pub(super) fn at_path<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (Number, &'a Stray)> + 'a {
        let hash = path_hash(path);
        let numbers = self.by_path.range((hash, 0)..=(hash, Number::MAX)).rev();
        numbers
            .filter_map(|(_, number)| Some((*number, self.strays.get(number)?.as_ref())))
            .filter(move |(_, stray)| stray.checkpoint.path == path)
    }

    /// All strays.
    pub(super) fn strays(&self) -> impl Iterator<Item = (Number, &Stray)> {
        self.strays.iter().map(|(number, stray)| (*number, stray.as_ref()))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.strays.is_empty()
    }

    /// Whether there are strays that are still to end.
    pub(super) fn has_ending(&self) -> bool {
        self.ending > 0
    }

    /// The strays whose time has come and that are not awaited: nothing more comes of them, unless their files turn
    /// up after all.
    pub(super) fn end_due(&mut self, now: Instant, is_awaited: impl Fn(&Path) -> bool) -> Vec<Stray> {
        if self.ending == 0 {
            return Vec::new();
        }
        let due = self.strays.values_mut().filter(|stray| stray.ends.is_some_and(|ends| ends <= now));
        let due = due.filter(|stray| !is_awaited(&stray.checkpoint.path));
        let ended: Vec<Stray> = due
            .map(|stray| {
                let ended = Stray::clone(stray);
                (stray.ends, stray.unread) = (None, 0);
                ended
            })
            .collect();
        self.ending -= ended.len();
        ended
    }

    /// Forgets the strays that nothing was heard of for `after`, and the oldest ones if there are too many.
    ///
    /// What was saved of a file that is idle may be older than that, so each is looked for a while first: a
    /// file system may be mounted late.
    pub(super) fn forget(&mut self, now_ms: i64, after: Duration) -> Vec<Checkpoint> {
        let limit = now_ms.saturating_sub(i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
        let absent = after.min(Self::ABSENT_MIN);
        let quiet = self.strays.iter().filter(|(_, stray)| stray.ends.is_none() && stray.since.elapsed() >= absent);
        let mut quiet: Vec<(i64, Number)> =
            quiet.map(|(number, stray)| (stray.checkpoint.updated_ms, *number)).collect();
        quiet.sort_unstable();
        let too_many = self.strays.len().saturating_sub(Self::STRAYS_MAX);
        let old = quiet.iter().take_while(|(updated_ms, _)| *updated_ms < limit).count();
        let forgotten = quiet.into_iter().take(old.max(too_many));
        forgotten.filter_map(|(_, number)| Some(self.take_stray(number)?.checkpoint)).collect()
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

fn path_hash(path: &Path) -> u64 {
    xxh3_64(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        time::{Duration, Instant},
    };

    use super::{Known, Stray};
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
        let taken = known.take(known.file_at(PLACE)).expect("known").checkpoint;
        assert_eq!(taken.stream, Stream { file: own, generation: 3 });
        assert_eq!(known.succession(own, PLACE, Some(&taken)).begin().generation, 4);
        assert!(known.take(own).is_none(), "the others are looked for in copies only");
        let older = known.at_path(Path::new("/a")).map(|(_, stray)| stray.checkpoint.stream.generation);
        assert_eq!(older.collect::<Vec<_>>(), [0, 5, 2]);
    }

    #[test]
    fn a_file_whose_stream_was_taken_over_by_a_copy_begins_above_it() {
        let own = identity::first_id(9, PLACE);
        let copy = Place { inode: 5, ..PLACE };
        let mut known = Known::new(9, vec![checkpoint(own, 0, copy)]);
        assert_eq!(known.file_at(PLACE), own);
        assert!(known.take(own).is_none(), "its stream is at another place");
        assert_eq!(known.succession(own, PLACE, None).begin().generation, 1);
        let taken = known.take(known.file_at(copy)).expect("known").checkpoint;
        assert_eq!(taken.stream.file, own);
        let next = known.succession(identity::first_id(9, copy), copy, Some(&taken)).begin();
        assert_eq!((next.file == own, next.generation), (false, 1));
        assert!(known.is_empty() && known.by_path.is_empty());
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

    #[test]
    fn a_stray_ends_once_and_is_forgotten_only_when_it_was_quiet_for_long_enough() {
        let mut known = Known::new(9, Vec::new());
        let now = Instant::now();
        let old = Checkpoint { updated_ms: 1_000, ..checkpoint(FileId(1), 0, PLACE) };
        let stray = Stray { ends: Some(now), ..Stray::replaced(old.clone(), 7, Duration::ZERO) };
        known.remember(stray);
        known.remember(Stray::parted(Checkpoint { updated_ms: 9_000, ..checkpoint(FileId(2), 0, PLACE) }));
        let after = Duration::from_millis(995_000);
        known.strays.values_mut().for_each(|stray| stray.since = now - Known::ABSENT_MIN);
        assert!(known.forget(1_000_000, after).is_empty(), "one is not ended, one is young");
        assert!(known.end_due(now, |path| path == Path::new("/a")).is_empty(), "a file waits for it");
        assert_eq!(known.end_due(now, |_| false).iter().map(|stray| stray.unread).collect::<Vec<_>>(), [7]);
        assert!(known.end_due(now, |_| false).is_empty() && !known.has_ending());
        assert_eq!(known.forget(1_000_000, after), [old]);
        assert_eq!(known.strays().count(), 1);
    }
}
