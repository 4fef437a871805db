//! The door to sled: what can go wrong in it, sorted into what the machine refused and what is damaged.
//!
//! sled answers most damage with an error and some with a panic. Both end here: a panic in a call is caught and
//! becomes an answer like any other.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use super::seal::{self, FILE_PREFIX, STATE_KEY, State};
use crate::record::{Checkpoint, Stream};

/// The memory that sled may use to keep pages; a commit needs only those that it changes.
const CACHE_BYTES: u64 = 1 << 20;

/// Why sled, or what it holds, is of no use.
#[derive(Debug)]
pub(super) enum Fault {
    /// The machine refused: no permission, no space, a device that fails, a lock that is held. The store may be whole.
    Refused(String),
    /// What is on disk can't be read.
    Damaged(String),
}

/// An open database that was read to its end once.
#[derive(Debug)]
pub(super) struct Door {
    db: sled::Db,
}

impl Door {
    /// Opens the database at `path`, or makes one; reads all of it. The state is none in a new one.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<State>), Fault> {
        if path.is_file() {
            return Err(Fault::Damaged("a file stands where its directory should be".to_owned()));
        }
        let door = Self { db: guard(|| open(path))? };
        match door.state() {
            Ok(state) => Ok((door, state)),
            Err(fault) => {
                door.close();
                Err(fault)
            }
        }
    }

    /// Lets go of what reading all of it left in memory, by opening it anew: sled keeps pages that nobody asks for.
    pub(super) fn refresh(self, path: &Path) -> Result<Self, Fault> {
        self.close();
        Ok(Self { db: guard(|| open(path))? })
    }

    /// The store's own state, after everything was read.
    fn state(&self) -> Result<Option<State>, Fault> {
        let state = guard(|| self.db.get(STATE_KEY))?.map(|record| seal::read_state(&record)).transpose()?;
        let mut count = 0_u64;
        self.each(|_| count += 1)?;
        if state.is_none() && count > 0 {
            return Err(Fault::Damaged("it holds checkpoints and not the store's own record".to_owned()));
        }
        Ok(state)
    }

    /// All checkpoints.
    pub(super) fn checkpoints(&self) -> Result<Vec<Checkpoint>, Fault> {
        let mut all = Vec::new();
        self.each(|checkpoint| all.push(checkpoint))?;
        Ok(all)
    }

    /// Visits all checkpoints, one at a time, since there may be a hundred thousand.
    fn each(&self, mut visit: impl FnMut(Checkpoint)) -> Result<(), Fault> {
        let mut records = self.db.scan_prefix(FILE_PREFIX);
        while let Some((key, record)) = guard(|| records.next().transpose())? {
            visit(seal::read(&key, &record)?);
        }
        Ok(())
    }

    /// Whether there is a checkpoint of a newer generation of the same file.
    pub(super) fn has_newer(&self, stream: Stream) -> Result<bool, Fault> {
        let newest = Stream { generation: u32::MAX, ..stream };
        if stream == newest {
            return Ok(false);
        }
        let newer = Stream { generation: stream.generation + 1, ..stream };
        let mut records = self.db.range(seal::key(newer)..=seal::key(newest));
        Ok(guard(|| records.next().transpose())?.is_some())
    }

    /// Writes everything anew, in the present version of the format.
    pub(super) fn renew(&self, batch: &mut sled::Batch) -> Result<(), Fault> {
        let mut records = self.db.scan_prefix(FILE_PREFIX);
        while let Some((key, record)) = guard(|| records.next().transpose())? {
            let checkpoint = seal::read(&key, &record)?;
            batch.remove(key);
            batch.insert(&seal::key(checkpoint.stream), seal::write(&checkpoint));
        }
        Ok(())
    }

    /// Changes all that is in `batch`, or nothing, and returns when it is on disk.
    pub(super) fn commit(&self, batch: sled::Batch) -> Result<(), Fault> {
        guard(|| self.db.apply_batch(batch).and_then(|()| self.db.flush()).map(drop))
    }

    /// Closes the database, whatever state it is in.
    pub(super) fn close(self) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }
}

fn config(path: &Path) -> sled::Config {
    // Commits say themselves when to flush. A thread that flushes at other times would only wake the machine.
    sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None)
}

/// Opens the database. A process that just closed it may hold its lock for a moment: sled's threads end behind it.
fn open(path: &Path) -> sled::Result<sled::Db> {
    const TRIES: usize = 50;
    const PAUSE: Duration = Duration::from_millis(20);
    drop_unfinished(path);
    let config = config(path);
    for _ in 1..TRIES {
        match config.open() {
            Err(sled::Error::Io(err)) if is_lock(&err) => std::thread::park_timeout(PAUSE),
            answer => return answer,
        }
    }
    config.open()
}

/// Removes snapshots that a crash or a full disk left half written. sled renames one when it is whole, but takes any
/// that it finds for whole (0.34.7), and the database for corrupt. A snapshot only makes opening faster.
fn drop_unfinished(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            // If it can't be removed, opening says what is wrong.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Calls into sled. What a panic leaves behind is not used again: the caller closes the door after a fault.
fn guard<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => answer.map_err(Fault::from),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Fault::Damaged(format!("the database gave up on it: {text}")))
        }
    }
}

impl From<sled::Error> for Fault {
    fn from(err: sled::Error) -> Self {
        match err {
            sled::Error::Io(err) if is_refusal(&err) => Fault::Refused(err.to_string()),
            sled::Error::Corruption { at: Some(at), .. } => Fault::Damaged(format!("it is corrupt at {at:?}")),
            sled::Error::Corruption { at: None, .. } => Fault::Damaged("it is corrupt".to_owned()),
            other => Fault::Damaged(other.to_string()),
        }
    }
}

impl From<seal::SealError> for Fault {
    fn from(err: seal::SealError) -> Self {
        Fault::Damaged(err.to_string())
    }
}

/// Whether the machine refused. sled hands out copies of an error, which keep only its kind, so the kind decides. An
/// error of these kinds speaks of what was read, or of a file that is missing from the database.
fn is_refusal(err: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, Other, UnexpectedEof};
    is_lock(err) || !matches!(err.kind(), InvalidData | InvalidInput | NotFound | Other | UnexpectedEof)
}

fn is_lock(err: &io::Error) -> bool {
    err.to_string().contains("could not acquire lock")
}
