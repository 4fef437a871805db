//! What discovery and the lanes share: how far each file was read, and what is left of files that are gone.

use std::{
    collections::HashMap,
    io::Write,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{inbox::Progress, known::Stray};
use crate::record::{Checkpoint, FileId};

/// How far each file was read, by task; shared with the lanes, and with whoever asks how far behind reading is.
#[derive(Debug)]
pub(super) struct Table {
    files: Mutex<HashMap<FileId, Shared>>,
    /// Streams that lost their file and were not looked at by discovery since.
    strays: Mutex<Vec<Stray>>,
    /// Wakes discovery.
    wake: UnixStream,
}

/// A file's task, and how far it was read.
type Shared = (Arc<str>, Arc<Progress>);

impl Table {
    /// A table without files; a byte on `wake` wakes discovery.
    pub(super) fn new(wake: UnixStream) -> Self {
        Self { files: Mutex::default(), strays: Mutex::default(), wake }
    }

    /// For each task, how many files there are and how many of their bytes were not read yet.
    pub(super) fn unread(&self) -> HashMap<Arc<str>, (usize, u64)> {
        let mut unread = HashMap::new();
        for (task, progress) in lock(&self.files).values() {
            let sum: &mut (usize, u64) = unread.entry(Arc::clone(task)).or_default();
            *sum = (sum.0 + 1, sum.1 + progress.unread());
        }
        unread
    }

    pub(super) fn insert(&self, id: FileId, task: &Arc<str>, progress: &Arc<Progress>) {
        lock(&self.files).insert(id, (Arc::clone(task), Arc::clone(progress)));
    }

    pub(super) fn remove(&self, id: FileId) {
        lock(&self.files).remove(&id);
    }

    /// Hands over the stream of a file that lost its last name.
    pub(super) fn part(&self, checkpoint: Checkpoint) {
        self.hand_over(Stray::parted(checkpoint));
    }

    /// Hands over a stream that lost its file, after all that was read of it was sent and before what its file
    /// holds now is: who finds it gone on elsewhere may rely on that.
    pub(super) fn hand_over(&self, stray: Stray) {
        lock(&self.strays).push(stray);
        // Discovery looks again soon anyway, and a full socket will wake it.
        let _ = (&self.wake).write(&[0]);
    }

    /// Takes what was handed over since the last call.
    pub(super) fn take_strays(&self) -> Vec<Stray> {
        std::mem::take(&mut lock(&self.strays))
    }
}

/// A thread that panicked while it held the lock left whole values behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
