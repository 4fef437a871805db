//! What discovery and the lanes share: how far each file was read, and what is left of files that are gone.

use std::{
    collections::HashMap,
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use super::{Status, known::Stray, order::Order, progress::Progress};
use crate::record::{Checkpoint, FileId};

/// How far each file was read, by task; shared with the lanes, and with whoever asks how far behind reading is.
#[derive(Debug)]
pub(super) struct Table {
    files: Mutex<HashMap<FileId, Shared>>,
    /// Streams that lost their file and were not looked at by discovery since.
    strays: Mutex<Vec<Stray>>,
    /// What discovery was told and has not done yet; as many as whoever gives orders gives at once.
    orders: Mutex<Vec<Order>>,
    /// Wakes discovery.
    wake: UnixStream,
}

/// A file, as discovery knows it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) task: Arc<str>,
    /// Its first name; the last one that it had if it has none.
    pub(super) path: Arc<Path>,
    /// The lane that reads it.
    pub(super) lane: usize,
    /// How far it was read.
    pub(super) progress: Arc<Progress>,
}

impl Table {
    /// A table without files; a byte on `wake` wakes discovery.
    pub(super) fn new(wake: UnixStream) -> Self {
        Self { files: Mutex::default(), strays: Mutex::default(), orders: Mutex::default(), wake }
    }

    /// How each task's files stand.
    pub(super) fn status(&self) -> HashMap<Arc<str>, Status> {
        let now_ms = Timestamp::now().as_millisecond();
        let mut all: HashMap<Arc<str>, Status> = HashMap::new();
        for Shared { task, progress, .. } in lock(&self.files).values() {
            match all.get_mut(task) {
                Some(status) => status.add(progress, now_ms),
                None => all.entry(Arc::clone(task)).or_default().add(progress, now_ms),
            }
        }
        all
    }

    pub(super) fn insert(&self, id: FileId, file: Shared) {
        lock(&self.files).insert(id, file);
    }

    /// The file has another first name.
    pub(super) fn renamed(&self, id: FileId, path: &Arc<Path>) {
        if let Some(file) = lock(&self.files).get_mut(&id) {
            file.path = Arc::clone(path);
        }
    }

    /// Looks at all files. Lanes and discovery wait meanwhile if a file comes or goes, so it has to be quick.
    pub(super) fn look<T>(&self, look: impl FnOnce(&HashMap<FileId, Shared>) -> T) -> T {
        look(&lock(&self.files))
    }

    /// Forgets a file of which nothing more will come, unless it has come back meanwhile.
    pub(super) fn remove(&self, id: FileId, progress: &Arc<Progress>) {
        let mut files = lock(&self.files);
        if files.get(&id).is_some_and(|known| Arc::ptr_eq(&known.progress, progress)) {
            files.remove(&id);
        }
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

    /// Tells discovery what is to be read from now on, or no more.
    pub(super) fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        // As above.
        let _ = (&self.wake).write(&[0]);
    }

    /// Takes the orders that were given since the last call, in their order.
    pub(super) fn take_orders(&self) -> Vec<Order> {
        std::mem::take(&mut lock(&self.orders))
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
