//! One process a data directory: a lock file that names its holder.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// What came of trying to take the lock.
#[derive(Debug)]
pub(super) enum Lock {
    /// It is ours.
    Ours(Held),
    /// It is another process's, whose number is this, where the file says so.
    Theirs(Option<u32>),
}

/// The lock, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child process that was forked and has not begun its program yet.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the lock file at `path`, if nobody holds it. The file stays when the lock is given back.
pub(super) fn take(path: &Path) -> io::Result<Lock> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => (),
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let holder = file.take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Ok(Lock::Theirs(holder));
        }
        Err(err) => return Err(err.into()),
    }
    // Only for people: a full disk must not keep the program from starting, so what can't be written is left out.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock::Ours(Held(file)))
}
