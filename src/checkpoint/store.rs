//! The checkpoint store: one sealed record for each stream, in a sled database in the data directory.
//!
//! ```text
//! <data directory>/
//!   checkpoints/                    the database
//!   checkpoints.sequence            the number of the last commit (see `sequence.rs`)
//!   checkpoints.lock                held while the store is open; names the process
//!   checkpoints.damaged-<time>/     a store that could not be read, with its sequence file; never deleted
//! ```
//!
//! A commit is one atomic batch, synced, and then its number, synced, in the file beside it. So after a crash the
//! store is at the last commit that returned, or at the one that was under way. A store that is behind its number
//! was put back from a copy or lost its end; that is safe, since lines are sent again and never skipped, but it
//! is reported.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use thiserror::Error;

use super::{
    Due,
    door::{Door, Fault},
    lock::{self, Held, Lock},
    seal::{self, State},
    sequence::Sequence,
};
use crate::record::{Checkpoint, Stream};

/// A store that is open, and what there is to say about how it was found.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Something that a person should know; none if all was well.
    pub note: Option<Note>,
}

/// How a store was found, if it was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The store could not be read. It was moved and a new one, with a new epoch and no checkpoints, began.
    SetAside {
        /// Where it is now.
        path: PathBuf,
        /// Why it could not be read.
        reason: String,
    },
    /// The store is older than its last commit.
    Stale {
        /// The number of the last commit that the store holds.
        found: u64,
        /// The number of the last commit that there was.
        expected: u64,
    },
    /// The file with the number of the last commit was lost, so a stale store would not have been noticed.
    Unnumbered,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::SetAside { path, reason } => {
                write!(f, "the checkpoint store can't be read ({reason}); it was moved to {}", path.display())
            }
            Note::Stale { found, expected } => write!(
                f,
                "the checkpoint store is at commit {found} and its last commit was {expected}: \
                 it was put back from a copy or lost its end"
            ),
            Note::Unnumbered => f.write_str("the file checkpoints.sequence beside the checkpoint store was lost"),
        }
    }
}

/// Why the store could not be opened, read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error(
        "{holder} uses the data directory {dir}: stop it, or give this process a data_dir of its own",
        dir = .dir.display(),
        holder = .pid.map_or("another process".to_owned(), |pid| format!("another process (pid {pid})"))
    )]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// The other process, if its lock file says.
        pid: Option<u32>,
    },
    /// The machine refused something.
    #[error("the checkpoint store in {dir} can't be {what}: {reason}; {hint}", dir = .dir.display())]
    Refused {
        /// The data directory.
        dir: PathBuf,
        /// What could not be done, as a participle.
        what: &'static str,
        /// The machine's reason.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The store was damaged after it was opened.
    #[error("the checkpoint store in {dir} was damaged while it was open: {reason}; restart to set it aside", dir = .dir.display())]
    Damaged {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// The checkpoints of one data directory. Clones are the same store. Its calls wait for the disk.
#[derive(Clone, Debug)]
pub struct Store(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// None after a fault, until it can be opened again.
    door: Option<Door>,
    state: State,
    sequence: Sequence,
    _lock: Held,
}

impl Store {
    /// Opens the store of the data directory `dir`, and makes both if there are none. A store that can't be read
    /// is set aside and a new one begins.
    ///
    /// # Errors
    /// If another process has it open, or the machine refuses to read or write it.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        let refused = |err: io::Error| refused(dir, "opened", err.to_string());
        fs::create_dir_all(dir).map_err(refused)?;
        let lock = match lock::take(&dir.join("checkpoints.lock")).map_err(refused)? {
            Lock::Ours(held) => held,
            Lock::Theirs(pid) => return Err(StoreError::Held { dir: dir.to_owned(), pid }),
        };
        let (database, numbers) = (dir.join("checkpoints"), dir.join("checkpoints.sequence"));
        let mut sequence = Sequence::open(&numbers).map_err(refused)?;
        let expected = sequence.last(None).map_err(refused)?;
        let had_directory = database.exists();
        let mut note = None;
        let found = match Door::open(&database) {
            Ok((door, None)) if had_directory && expected.is_some() => {
                door.close();
                Err(Fault::Damaged("it is empty, and commits had been made".to_owned()))
            }
            found => found,
        };
        let found = match found {
            Err(Fault::Damaged(reason)) => {
                note = Some(Note::SetAside { path: set_aside(dir).map_err(refused)?, reason });
                sequence = Sequence::open(&numbers).map_err(refused)?;
                Door::open(&database)
            }
            found => found,
        };
        let (door, state) = found.map_err(|fault| error(dir, "opened", fault))?;
        let mut inner = Inner { dir: dir.to_owned(), door: Some(door), state: State::default(), sequence, _lock: lock };
        match state {
            None => {
                note = note.or(expected.map(|expected| Note::Stale { found: 0, expected }));
                inner.begin()?;
            }
            Some(state) => {
                let last = inner.sequence.last(Some(state.epoch)).map_err(refused)?;
                note = judge(state, last);
                inner.state = State { sequence: state.sequence.max(last.unwrap_or(0)), ..state };
                if state.is_old {
                    inner.change(Door::renew)?;
                }
            }
        }
        Ok(Opened { store: Self(Arc::new(Mutex::new(inner))), note })
    }

    /// The store's random number, made with it. Identities of files are made from it, so that a store that was
    /// lost never gives a new file the identity of an old one.
    #[must_use]
    pub fn epoch(&self) -> u128 {
        self.inner().state.epoch
    }

    /// All checkpoints, one for each stream. A file may have several: of its earlier generations as long as
    /// something of them may still be read.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn load(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let mut inner = self.inner();
        let checkpoints = inner.door()?.checkpoints();
        checkpoints.map_err(|fault| inner.fail("read", fault))
    }

    /// Saves `checkpoints`, all or none; they are on disk when this returns.
    ///
    /// # Errors
    /// If they could not be saved, which a full disk does; the next call tries everything anew.
    pub fn commit(&self, checkpoints: &[Checkpoint]) -> Result<(), StoreError> {
        self.save(&Due { checkpoints: checkpoints.to_vec(), ..Due::default() })
    }

    /// Saves what is due, all or none. A finished stream leaves the store when a newer generation of its file is in
    /// it: nothing can come of it any more. Without one it stays, since its file may come back.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn save(&self, due: &Due) -> Result<(), StoreError> {
        self.inner().change(|door, batch| {
            for checkpoint in &due.checkpoints {
                batch.insert(&seal::key(checkpoint.stream), seal::write(checkpoint));
            }
            for stream in &due.finished {
                let newer = |known: &Checkpoint| {
                    known.stream.file == stream.file && known.stream.generation > stream.generation
                };
                if due.checkpoints.iter().any(newer) || door.has_newer(*stream)? {
                    batch.remove(&seal::key(*stream));
                }
            }
            due.forgotten.iter().for_each(|stream| batch.remove(&seal::key(*stream)));
            Ok(())
        })
    }

    /// Forgets exactly `streams`; those that are not known do no harm.
    ///
    /// # Errors
    /// If the change could not be saved.
    pub fn forget(&self, streams: &[Stream]) -> Result<(), StoreError> {
        self.inner().change(|_, batch| {
            streams.iter().for_each(|stream| batch.remove(&seal::key(*stream)));
            Ok(())
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Whatever a panicking thread left unfinished is in the database or isn't: there is no state in between.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Begins a new store: an epoch, on disk before anything else.
    fn begin(&mut self) -> Result<(), StoreError> {
        let refuse = |err: io::Error| refused(&self.dir, "made", err.to_string());
        let mut random = [0; 16];
        File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random)).map_err(refuse)?;
        self.state = State { epoch: u128::from_le_bytes(random), sequence: 0, is_old: false };
        self.change(|_, _| Ok(()))?;
        // The database synced its files; their names are synced here.
        for directory in [&self.dir.join("checkpoints"), &self.dir] {
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|err| refused(&self.dir, "made", err.to_string()))?;
        }
        Ok(())
    }

    /// One commit: what `fill` puts in the batch, and the next number.
    fn change(&mut self, fill: impl FnOnce(&Door, &mut sled::Batch) -> Result<(), Fault>) -> Result<(), StoreError> {
        let next = State { sequence: self.state.sequence + 1, is_old: false, ..self.state };
        let mut batch = sled::Batch::default();
        batch.insert(seal::STATE_KEY, seal::write_state(next));
        let door = self.door()?;
        if let Err(fault) = fill(door, &mut batch).and_then(|()| door.commit(batch)) {
            return Err(self.fail("written", fault));
        }
        self.state = next;
        let numbered = self.sequence.write(next.epoch, next.sequence);
        numbered.map_err(|err| refused(&self.dir, "written", err.to_string()))
    }

    /// The database, opened again if a fault closed it.
    fn door(&mut self) -> Result<&Door, StoreError> {
        if self.door.is_none() {
            let (door, state) =
                Door::open(&self.dir.join("checkpoints")).map_err(|fault| error(&self.dir, "opened again", fault))?;
            if state.is_none_or(|state| state.epoch != self.state.epoch) {
                let reason = "it was replaced by another store".to_owned();
                return Err(StoreError::Damaged { dir: self.dir.clone(), reason });
            }
            self.door = Some(door);
        }
        Ok(self.door.as_ref().expect("opened above"))
    }

    /// Closes the database after a fault: sled answers every call after a failed write with the same error.
    fn fail(&mut self, what: &'static str, fault: Fault) -> StoreError {
        if let Some(door) = self.door.take() {
            door.close();
        }
        error(&self.dir, what, fault)
    }
}

/// Whether the store is at its last commit.
fn judge(state: State, last: Option<u64>) -> Option<Note> {
    match last {
        Some(last) if last > state.sequence => Some(Note::Stale { found: state.sequence, expected: last }),
        Some(_) => None,
        // A crash right after the store was made leaves its first commit without a number.
        None if state.sequence <= 1 => None,
        None => Some(Note::Unnumbered),
    }
}

/// Moves a damaged store out of the way, and its sequence file with it.
fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    const NAMES_MAX: usize = 1000;
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = (0..NAMES_MAX).map(|n| if n == 0 { String::new() } else { format!("-{n}") });
    let free = names.map(|n| dir.join(format!("checkpoints.damaged-{time}{n}"))).find(|path| !path.exists());
    let path = free.ok_or_else(|| io::Error::other("too many damaged stores stand beside it"))?;
    fs::rename(dir.join("checkpoints"), &path)?;
    if path.is_dir() {
        match fs::rename(dir.join("checkpoints.sequence"), path.join("checkpoints.sequence")) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => (),
        }
    }
    File::open(dir)?.sync_all()?;
    Ok(path)
}

fn error(dir: &Path, what: &'static str, fault: Fault) -> StoreError {
    match fault {
        Fault::Refused(reason) => refused(dir, what, reason),
        Fault::Damaged(reason) => StoreError::Damaged { dir: dir.to_owned(), reason },
    }
}

fn refused(dir: &Path, what: &'static str, reason: String) -> StoreError {
    let hint = "see that the disk has space and that this user may write there";
    StoreError::Refused { dir: dir.to_owned(), what, reason, hint }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Due,
            seal::{
                STATE_KEY, State,
                old::{newer_state, old_checkpoint, old_record, old_state},
            },
        },
        Note, Store, StoreError,
    };
    use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};
    use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt};

    fn checkpoint(file: u128, generation: u32, offset: u64) -> Checkpoint {
        Checkpoint {
            stream: Stream { file: FileId(file), generation },
            task: "nginx".into(),
            offset,
            mark: TailMark::behind(b"the last line\n"),
            path: "/var/log/nginx/access.log".into(),
            place: Place { device: 1, inode: file as u64, birth_ns: 2 },
            head: Head::of(b"the first line\n"),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 3,
        }
    }

    fn offsets(store: &Store) -> Vec<(u128, u32, u64)> {
        let all = store.load().expect("readable");
        all.iter().map(|found| (found.stream.file.0, found.stream.generation, found.offset)).collect()
    }

    #[test]
    fn what_was_committed_is_there_when_the_store_is_opened_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let opened = Store::open(dir.path()).expect("a new store");
        assert_eq!(opened.note, None);
        let epoch = opened.store.epoch();
        let mut first = checkpoint(1, 0, 10);
        first.path = OsString::from_vec(b"/tmp/\xff\n".to_vec()).into();
        opened.store.commit(&[first.clone(), checkpoint(2, 0, 20)]).expect("committed");
        opened.store.commit(&[checkpoint(2, 0, 30)]).expect("committed");
        drop(opened);
        let opened = Store::open(dir.path()).expect("the same store");
        assert_eq!((opened.note, opened.store.epoch()), (None, epoch));
        assert_eq!(opened.store.load().expect("readable"), [first, checkpoint(2, 0, 30)]);
    }

    #[test]
    fn each_stream_has_its_checkpoint_and_exactly_what_is_named_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a new store").store;
        store.commit(&[checkpoint(1, 2, 5), checkpoint(1, 1, 900), checkpoint(2, 0, 7)]).expect("committed");
        store.commit(&[checkpoint(1, 1, 901)]).expect("committed");
        assert_eq!(offsets(&store), [(1, 1, 901), (1, 2, 5), (2, 0, 7)]);
        store.forget(&[checkpoint(1, 2, 0).stream, checkpoint(7, 0, 0).stream]).expect("committed");
        assert_eq!(offsets(&store), [(1, 1, 901), (2, 0, 7)]);
    }

    #[test]
    fn a_finished_stream_leaves_the_store_when_a_newer_generation_is_in_it_and_not_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a new store").store;
        let save = |checkpoints: &[&Checkpoint], finished: &[&Checkpoint]| {
            let checkpoints = checkpoints.iter().copied().cloned().collect();
            let finished = finished.iter().map(|checkpoint| checkpoint.stream).collect();
            store.save(&Due { checkpoints, finished, ..Due::default() }).expect("saved");
        };
        let (old, new, newest) = (checkpoint(1, 0, 9), checkpoint(1, 1, 5), checkpoint(1, u32::MAX, 1));
        save(&[&old], &[&old]);
        assert_eq!(offsets(&store), [(1, 0, 9)], "its file may come back");
        save(&[&new], &[&old]);
        assert_eq!(offsets(&store), [(1, 1, 5)]);
        save(&[&newest], &[]);
        save(&[], &[&new, &newest]);
        assert_eq!(offsets(&store), [(1, u32::MAX, 1)]);
    }

    #[test]
    fn a_store_of_the_format_before_is_written_anew_and_one_of_a_newer_format_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = State { epoch: 5, sequence: 4, is_old: true };
        let write = |records: [(Vec<u8>, Vec<u8>); 2]| {
            let db = sled::open(dir.path().join("checkpoints")).expect("a database");
            records.into_iter().for_each(|(key, record)| drop(db.insert(key, record).expect("inserted")));
        };
        write([(STATE_KEY.to_vec(), old_state(state)), old_record()]);
        for _ in 0..2 {
            let opened = Store::open(dir.path()).expect("the store");
            assert_eq!((opened.store.epoch(), opened.store.load().expect("readable")), (5, vec![old_checkpoint()]));
            opened.store.commit(&[]).expect("committed");
        }
        write([(b"fnew".to_vec(), b"\x63".to_vec()), (STATE_KEY.to_vec(), newer_state())]);
        let opened = Store::open(dir.path()).expect("a new store");
        let note = opened.note.expect("it was set aside").to_string();
        assert!(note.contains("written by a newer version of this program, in record format 3"), "{note}");
        assert_eq!(offsets(&opened.store), []);
    }

    #[test]
    fn a_second_process_on_the_same_directory_is_told_who_has_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Store::open(dir.path()).expect("a new store");
        let err = Store::open(dir.path()).expect_err("it is held");
        assert!(matches!(&err, StoreError::Held { pid: Some(pid), .. } if *pid == std::process::id()));
        assert!(err.to_string().contains("stop it, or give this process a data_dir of its own"), "{err}");
        drop(first);
        Store::open(dir.path()).expect("it is free again");
    }

    #[test]
    fn a_store_put_back_from_a_copy_is_noticed_and_so_is_a_lost_number() {
        let dir = tempfile::tempdir().expect("a directory");
        let (live, copy) = (dir.path().join("checkpoints"), dir.path().join("copy"));
        let store = Store::open(dir.path()).expect("a new store").store;
        store.commit(&[checkpoint(1, 0, 10)]).expect("committed");
        drop(store);
        copy_all(&live, &copy);
        let store = Store::open(dir.path()).expect("the same store").store;
        store.commit(&[checkpoint(1, 0, 20)]).expect("committed");
        drop(store);
        fs::remove_dir_all(&live).expect("removed");
        copy_all(&copy, &live);
        let opened = Store::open(dir.path()).expect("the older store");
        assert_eq!(opened.note, Some(Note::Stale { found: 2, expected: 3 }));
        assert_eq!(offsets(&opened.store), [(1, 0, 10)]);
        opened.store.commit(&[checkpoint(1, 0, 15)]).expect("committed");
        drop(opened);
        assert_eq!(Store::open(dir.path()).expect("the same store").note, None);
        fs::remove_file(dir.path().join("checkpoints.sequence")).expect("removed");
        assert_eq!(Store::open(dir.path()).expect("the same store").note, Some(Note::Unnumbered));
    }

    #[test]
    fn a_store_that_was_removed_begins_anew_with_another_epoch_and_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a new store").store;
        let epoch = store.epoch();
        drop(store);
        fs::remove_dir_all(dir.path().join("checkpoints")).expect("removed");
        let opened = Store::open(dir.path()).expect("a new store");
        assert_eq!(opened.note, Some(Note::Stale { found: 0, expected: 1 }));
        assert_ne!(opened.store.epoch(), epoch);
    }

    fn copy_all(from: &std::path::Path, to: &std::path::Path) {
        fs::create_dir_all(to).expect("made");
        for entry in walkdir::WalkDir::new(from).into_iter().map(|entry| entry.expect("readable")) {
            let target = to.join(entry.path().strip_prefix(from).expect("below"));
            match entry.file_type().is_dir() {
                true => fs::create_dir_all(target).expect("made"),
                false => drop(fs::copy(entry.path(), target).expect("copied")),
            }
        }
    }
}
