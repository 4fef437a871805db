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
    /// It is ours until the file is closed, by us or by the kernel when the process ends, however it ends.
    Ours(File),
    /// It is held by the process with this number, where the file says so.
    Held(Option<u32>),
}

/// Takes the lock file at `path`, if nobody holds it. The file stays when the lock is given back.
pub(super) fn take(path: &Path) -> io::Result<Lock> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => (),
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let holder = file.take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Ok(Lock::Held(holder));
        }
        Err(err) => return Err(err.into()),
    }
    // Only for people: a full disk must not keep the program from starting, so what can't be written is left out.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock::Ours(file))
}
