//! What a lane is told, and the flag that keeps a busy file from being announced twice.

use std::{
    fs::{File, Metadata},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use super::{identity, reading::Reading, succession::Succession};
use crate::record::{Checkpoint, FileId, Place};

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
    /// What was remembered of the file; none if it was never seen.
    pub(super) known: Option<Checkpoint>,
    /// What to pass over of a file that was never seen.
    pub(super) skip: Option<Skip>,
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

/// What discovery and a lane both know of a file.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// A wake is waiting in the inbox.
    announced: AtomicBool,
    /// Bytes of the file that were read, in its present generation.
    read: AtomicU64,
    /// The file's size when it was last seen.
    size: AtomicU64,
    /// How often the lane began to look at the file, and which of these looks is done.
    begun: AtomicU64,
    done: AtomicU64,
    /// The lane has let the file go.
    gone: AtomicBool,
    /// The file is compressed: `read` counts what of its bytes was unpacked, not text.
    packed: AtomicBool,
}

impl Progress {
    pub(super) fn saw_size(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// So many bytes of text were read; what a compressed file's text comes from is told by [`Self::unpacked`].
    pub(super) fn saw_read(&self, read: u64) {
        if self.packed.load(Ordering::Relaxed) {
            return;
        }
        self.read.store(read, Ordering::Relaxed);
        self.size.fetch_max(read, Ordering::Relaxed);
    }

    /// So many bytes of a compressed file became text, or never will; from now on only this counts.
    pub(super) fn unpacked(&self, read: u64) {
        self.packed.store(true, Ordering::Relaxed);
        self.read.store(read, Ordering::Relaxed);
    }

    /// So much was read before, of what is known.
    pub(super) fn resumed(&self, known: &Checkpoint) {
        match known.unpacked {
            Some(unpacked) if known.offset == unpacked.text => self.unpacked(unpacked.bytes),
            _ => self.saw_read(known.offset),
        }
    }

    /// The file's size when it was last seen.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn restarted(&self) {
        self.packed.store(false, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
        self.size.store(0, Ordering::Relaxed);
    }

    /// Notes that the lane looks at the file now.
    pub(super) fn looks(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that the lane has looked: if the file held something else, its old stream was handed over.
    pub(super) fn looked(&self) {
        self.done.store(self.begun.load(Ordering::Acquire), Ordering::Release);
    }

    /// Notes that the lane lets the file go; its stream was handed over.
    pub(super) fn let_go(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether the lane has let the file go.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// How often the lane has begun to look.
    pub(super) fn looks_begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the lane has looked since `before`, a number of looks begun.
    pub(super) fn has_looked_since(&self, before: u64) -> bool {
        self.done.load(Ordering::Acquire) > before
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(super) fn unread(&self) -> u64 {
        self.size.load(Ordering::Relaxed).saturating_sub(self.read())
    }
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
}

impl Command {
    /// The file that the message is about.
    pub(super) fn id(&self) -> FileId {
        match self {
            Self::Add(assignment) => assignment.id,
            Self::Wake(id) | Self::Renamed(id, _) | Self::Deleted(id) => *id,
        }
    }
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
