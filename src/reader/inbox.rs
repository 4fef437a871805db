//! What a lane is told, and the flag that keeps a busy file from being announced twice.

use std::{
    fs::{File, Metadata},
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use jiff::Timestamp;
use tokio::sync::{Notify, oneshot};

use super::{identity, order::Dismissal, progress::Progress, reading::Reading, schedule::Rule, succession::Succession};
use crate::{
    inspect,
    record::{Checkpoint, FileId, Place},
};

/// A file, handed to the lane that will read it.
#[derive(Debug)]
pub(super) struct Assignment {
    /// The file, by the identity that its place gives it; what is read of it may be another one's stream.
    pub(super) id: FileId,
    /// The streams that the file has still to begin.
    pub(super) succession: Succession,
    pub(super) task: Arc<str>,
    pub(super) path: Arc<Path>,
    /// Empty for a file that is known by its path and its content alone.
    pub(super) place: Place,
    /// When the file was made or last written before it was found, whichever is earlier; nanoseconds since 1970.
    pub(super) born_ns: i64,
    /// What was remembered of the file; none if it was never seen.
    pub(super) known: Option<Box<Checkpoint>>,
    /// What to pass over of a file that was never seen.
    pub(super) skip: Option<Box<Skip>>,
    /// The file, if it was opened already.
    pub(super) file: Option<File>,
    /// The path leads to another file, and discovery will say to which one; nothing is read before.
    pub(super) is_void: bool,
    /// Whether it is read as its text if it is compressed.
    pub(super) unpack: bool,
    /// How its text is taken apart.
    pub(super) reading: Arc<Reading>,
    pub(super) progress: Arc<Progress>,
}

impl Assignment {
    /// Whether the file is the one that `metadata` describes, as far as its place tells.
    pub(super) fn is_at(&self, metadata: &Metadata) -> bool {
        self.place == Place::default() || self.place == identity::place(metadata)
    }
}

/// Why a file that was never seen is begun at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skip {
    /// Reading begins with the last line that begins before this offset and does not end there.
    pub(super) end: u64,
    /// The setting that says so.
    pub(super) reason: &'static str,
}

/// A message to a lane.
#[derive(Debug)]
pub(super) enum Command {
    /// Read this file from now on.
    Add(Box<Assignment>),
    /// There may be something new in the file.
    Wake(FileId),
    /// The file has another name.
    Renamed(FileId, Arc<Path>),
    /// The file's last name is gone.
    Deleted(FileId),
    /// Files of this task come from now on, and they have a rule of their own.
    Begin(Arc<str>, Rule),
    /// Let all files of a task go.
    Dismiss(Arc<Dismissal>),
    /// Tell what the lane is doing.
    Describe(oneshot::Sender<inspect::Lane>),
}

/// What a lane was told of a file that is in its turn: the sum of it, so that it stays small however long the turn.
#[derive(Debug, Default)]
pub(super) struct Later {
    added: Option<Box<Assignment>>,
    renamed: Option<(FileId, Arc<Path>)>,
    woken: Option<FileId>,
    deleted: Option<FileId>,
}

impl Later {
    /// Adds to what was told.
    pub(super) fn note(&mut self, command: Command) {
        match command {
            // The file lost its last name before, and has one again.
            Command::Add(assignment) => *self = Self { added: Some(assignment), woken: self.woken, ..Self::default() },
            Command::Wake(id) => self.woken = Some(id),
            Command::Renamed(id, path) => self.renamed = Some((id, path)),
            Command::Deleted(id) => self.deleted = Some(id),
            // These are about no file.
            Command::Begin(..) | Command::Dismiss(_) | Command::Describe(_) => (),
        }
    }

    /// What the lane has to obey now.
    pub(super) fn commands(self) -> impl Iterator<Item = Command> {
        let added = self.added.map(Command::Add);
        let renamed = self.renamed.map(|(id, path)| Command::Renamed(id, path));
        let woken = self.woken.map(Command::Wake);
        added.into_iter().chain(renamed).chain(woken).chain(self.deleted.map(Command::Deleted))
    }
}

/// A lane's inbox. It is bounded by the files there are: each has at most one wake in it.
/// Questions are few.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    commands: Mutex<Vec<Command>>,
    notify: Notify,
}

impl Inbox {
    /// Tells the lane something.
    pub(super) fn push(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.notify.notify_one();
    }

    /// Tells the lane that there may be something new in a file, unless that is waiting there already.
    pub(super) fn wake(&self, id: FileId, progress: &Progress) {
        progress.fell_behind(Timestamp::now().as_millisecond());
        if !progress.announced.swap(true, Ordering::AcqRel) {
            self.push(Command::Wake(id));
        }
    }

    /// Allows the next wake; to be called before the file is read, so that what is written meanwhile is announced.
    pub(super) fn attend(progress: &Progress) {
        progress.announced.store(false, Ordering::Release);
    }

    /// Takes what is waiting.
    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there may be something to take.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }
}
