//! The checkpoint store: one sealed record for each stream, in a sled database in the data directory.
//!
//! ```text
//! <data directory>/
//!   checkpoints/                    the database
//!   checkpoints.sequence            the number of the last commit (see `sequence.rs`)
//!   checkpoints.lock                held while the store is open; names the process
//!   checkpoints.damaged-<time>/     a store that could not be read, with its sequence file; never deleted
//!   checkpoints.lost                there while checkpoints that were lost have not been made good (see `lost.rs`)
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
    lost::{self, Lost},
    seal::{self, State},
    sequence::Sequence,
};
use crate::record::{Checkpoint, Stream};

/// The file that says that checkpoints were lost.
const LOST: &str = "checkpoints.lost";

/// How many checkpoints one commit holds at most. Until a commit ends, sled keeps a copy of a page for each of them,
/// which are some kilobytes.
const COMMIT_MAX: usize = 2048;

/// A store that is open, and what there is to say about how it was found.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Something that a person should know; none if all was well.
    pub note: Option<Note>,
    /// What is known of a store that was lost; there until [`Store::made_good`] was called for it.
    pub lost: Option<Lost>,
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
    /// There was a store, and it is gone.
    Removed,
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
            Note::Removed => f.write_str("the checkpoint store was removed"),
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
    /// There is none.
    #[error("there are no checkpoints in {dir}: no agent has kept any there; data_dir in the configuration says where they are", dir = .dir.display())]
    Absent {
        /// The data directory.
        dir: PathBuf,
    },
    /// It can't be read, and was not set aside.
    #[error("the checkpoint store in {dir} can't be read: {reason}; an agent sets it aside when it starts, and finds out from kafka what was sent", dir = .dir.display())]
    Unreadable {
        /// The data directory.
        dir: PathBuf,
        /// What is wrong with it.
        reason: String,
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
        let lock = lock(dir)?;
        let (database, numbers) = (dir.join("checkpoints"), dir.join("checkpoints.sequence"));
        let mut sequence = Sequence::open(&numbers).map_err(refused)?;
        let (expected, epoch) = (sequence.last(None).map_err(refused)?, sequence.epoch().map_err(refused)?);
        let mut note = None;
        if expected.is_some() && !database.exists() {
            let reason = "it was removed".to_owned();
            lost::write(&dir.join(LOST), &Lost { epoch, path: None, reason }).map_err(refused)?;
            note = Some(Note::Removed);
        }
        // Whatever its files hold, sled may take it for a new database.
        let was_written = database.join("db").exists() || expected.is_some();
        let found = match Door::open(&database) {
            Ok((door, None)) if note.is_none() && was_written => {
                door.close();
                Err(Fault::Damaged("it is empty, and it had been written".to_owned()))
            }
            found => found,
        };
        let found = match found {
            Err(Fault::Damaged(reason)) => {
                let path = set_aside(dir, epoch, &reason).map_err(refused)?;
                note = Some(Note::SetAside { path, reason });
                sequence = Sequence::open(&numbers).map_err(refused)?;
                Door::open(&database)
            }
            found => found,
        };
        let (door, state) = found.map_err(|fault| error(dir, "opened", fault))?;
        let (inner, judged) = Inner::begin_or_go_on(dir, door, state, sequence, lock)?;
        let lost = lost::read(&dir.join(LOST)).map_err(refused)?;
        // What was lost before the last process died is still to be made good.
        let before = lost.as_ref().map(|lost| match &lost.path {
            Some(path) => Note::SetAside { path: path.clone(), reason: lost.reason.clone() },
            None => Note::Removed,
        });
        Ok(Opened { store: Self(Arc::new(Mutex::new(inner))), note: note.or(judged).or(before), lost })
    }

    /// Opens the store that is there, to look into it or to change it by hand. Nothing is made or set aside.
    ///
    /// # Errors
    /// If there is none, another process has it open, it can't be read, or the machine refuses.
    pub fn open_existing(dir: &Path) -> Result<Self, StoreError> {
        let refused = |err: io::Error| refused(dir, "opened", err.to_string());
        let database = dir.join("checkpoints");
        if !database.is_dir() {
            return Err(StoreError::Absent { dir: dir.to_owned() });
        }
        let lock = lock(dir)?;
        let sequence = Sequence::open(&dir.join("checkpoints.sequence")).map_err(refused)?;
        let unreadable = |reason| StoreError::Unreadable { dir: dir.to_owned(), reason };
        let (door, state) = match Door::open(&database) {
            Ok((door, Some(state))) => (door, Some(state)),
            Ok((door, None)) => {
                door.close();
                return Err(unreadable("it is empty".to_owned()));
            }
            Err(Fault::Damaged(reason)) => return Err(unreadable(reason)),
            Err(fault) => return Err(error(dir, "opened", fault)),
        };
        let (inner, _) = Inner::begin_or_go_on(dir, door, state, sequence, lock)?;
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// Saves what could be found out of checkpoints that were lost, and notes that nothing more is to be done about it.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn made_good(&self, checkpoints: &[Checkpoint]) -> Result<(), StoreError> {
        self.commit(checkpoints)?;
        let dir = self.inner().dir.clone();
        lost::remove(&dir.join(LOST)).map_err(|err| refused(&dir, "written", err.to_string()))
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
        let checkpoints = checkpoints.map_err(|fault| inner.fail("read", fault))?;
        let path = inner.dir.join("checkpoints");
        if let Some(door) = inner.door.take() {
            inner.door = Some(door.refresh(&path).map_err(|fault| error(&inner.dir, "opened again", fault))?);
        }
        Ok(checkpoints)
    }

    /// Saves `checkpoints` as [`Store::save`] does; they are on disk when this returns.
    ///
    /// # Errors
    /// If they could not be saved, which a full disk does; the next call tries everything anew.
    pub fn commit(&self, checkpoints: &[Checkpoint]) -> Result<(), StoreError> {
        self.save(&Due { checkpoints: checkpoints.to_vec(), ..Due::default() })
    }

    /// Saves what is due, in commits of up to [`COMMIT_MAX`] checkpoints, each all or none; mostly that is one. A
    /// finished stream leaves the store when a newer generation of its file is in it: nothing can come of it any
    /// more. Without one it stays, since its file may come back.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub fn save(&self, due: &Due) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let (first, last) = due.checkpoints.split_at(due.checkpoints.len().saturating_sub(1) / COMMIT_MAX * COMMIT_MAX);
        for some in first.chunks(COMMIT_MAX) {
            inner.change(|_, batch| {
                insert(batch, some);
                Ok(())
            })?;
        }
        inner.change(|door, batch| {
            insert(batch, last);
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

fn insert(batch: &mut sled::Batch, checkpoints: &[Checkpoint]) {
    for checkpoint in checkpoints {
        batch.insert(&seal::key(checkpoint.stream), seal::write(checkpoint));
    }
}

impl Inner {
    /// A new store, or the one that has this state, and what there is to say about it.
    fn begin_or_go_on(
        dir: &Path,
        door: Door,
        state: Option<State>,
        sequence: Sequence,
        lock: Held,
    ) -> Result<(Self, Option<Note>), StoreError> {
        let mut inner = Self { dir: dir.to_owned(), door: Some(door), state: State::default(), sequence, _lock: lock };
        let Some(state) = state else {
            inner.begin()?;
            return Ok((inner, None));
        };
        let last = inner.sequence.last(Some(state.epoch)).map_err(|err| refused(dir, "opened", err.to_string()))?;
        inner.state = State { sequence: state.sequence.max(last.unwrap_or(0)), ..state };
        if state.is_old {
            inner.change(Door::renew)?;
        }
        Ok((inner, judge(state, last)))
    }

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

/// Takes the lock of the data directory.
fn lock(dir: &Path) -> Result<Held, StoreError> {
    match lock::take(&dir.join("checkpoints.lock")).map_err(|err| refused(dir, "opened", err.to_string()))? {
        Lock::Ours(held) => Ok(held),
        Lock::Theirs(pid) => Err(StoreError::Held { dir: dir.to_owned(), pid }),
    }
}

/// Moves a damaged store out of the way, and its sequence file with it, and notes that first.
fn set_aside(dir: &Path, epoch: Option<u128>, reason: &str) -> io::Result<PathBuf> {
    const NAMES_MAX: usize = 1000;
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = (0..NAMES_MAX).map(|n| if n == 0 { String::new() } else { format!("-{n}") });
    let free = names.map(|n| dir.join(format!("checkpoints.damaged-{time}{n}"))).find(|path| !path.exists());
    let path = free.ok_or_else(|| io::Error::other("too many damaged stores stand beside it"))?;
    lost::write(&dir.join(LOST), &Lost { epoch, path: Some(path.clone()), reason: reason.to_owned() })?;
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
#[path = "store_tests.rs"]
mod tests;
