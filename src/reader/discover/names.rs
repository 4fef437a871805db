//! Names come and go; a file stays the same under whatever name it has.

use std::{
    fs::{self, Metadata},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tracing::debug;

use super::Discover;
use crate::{
    reader::{identity, inbox::Command},
    record::{FileId, Place},
};

/// After this long, a name that left without appearing elsewhere is taken for deleted.
const MOVE_GRACE: Duration = Duration::from_secs(1);

impl Discover {
    /// A file has another name than before.
    pub(super) fn renamed(&mut self, id: FileId, path: &Path) {
        debug!(path = %path.display(), "file was renamed");
        if let Some(tracked) = self.tracked.get(&id) {
            self.happened(&tracked.task, "renamed");
        }
        self.name(id, path);
    }

    /// The kernel tells of changes in the directory where a link leads, so that one is watched too.
    pub(super) fn follow_link(&mut self, id: FileId, link: &Path) {
        if let Ok(real) = fs::canonicalize(link) {
            if let Some(parent) = real.parent() {
                self.watch_directory(parent);
            }
            self.add_name(id, real.into());
        }
    }

    /// Gives a tracked file a further name, under which it is read from now on if its last one is gone.
    pub(super) fn name(&mut self, id: FileId, path: &Path) {
        let Some(tracked) = self.tracked.get(&id) else { return };
        let path: Arc<Path> = path.into();
        if tracked.names.is_empty() {
            self.table.renamed(id, &path);
            self.lanes[tracked.lane].push(Command::Renamed(id, Arc::clone(&path)));
        }
        self.add_name(id, path);
    }

    pub(super) fn add_name(&mut self, id: FileId, path: Arc<Path>) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.names.push(Arc::clone(&path));
            self.names.insert(path, id);
        }
    }

    /// Takes a name from its file; the file goes on under another of its names.
    pub(super) fn unname(&mut self, path: &Path) -> Option<FileId> {
        let id = self.names.remove(path)?;
        let tracked = self.tracked.get_mut(&id)?;
        let was_first = tracked.names.first().is_some_and(|first| **first == *path);
        tracked.names.retain(|name| **name != *path);
        if let Some(next) = tracked.names.first().filter(|_| was_first) {
            self.table.renamed(id, next);
            self.lanes[tracked.lane].push(Command::Renamed(id, Arc::clone(next)));
        }
        Some(id)
    }

    /// Takes a name from its file, which ends if that was the last one.
    pub(super) fn lose_name(&mut self, path: &Path) {
        if let Some(id) = self.unname(path) {
            self.told_deleted(id, path);
        }
    }

    /// Ends a file if it has no name left; `path` was the last one.
    pub(super) fn told_deleted(&mut self, id: FileId, path: &Path) {
        if let Some(tracked) = self.tracked.get(&id).filter(|tracked| tracked.names.is_empty()) {
            self.lanes[tracked.lane].push(Command::Deleted(id));
            self.known.let_go(tracked.place);
            self.parting.entry(path.into()).or_default().push((id, Arc::clone(&tracked.progress)));
            self.tracked.remove(&id);
        }
    }

    /// Forgets the names of files whose lanes have let them go: their streams were handed over before.
    pub(super) fn forget_the_parted(&mut self) {
        self.parting.retain(|_, files| {
            // One that came back goes on in its lane with what was known then, and is no longer parting.
            files.retain(|(id, progress)| !progress.is_gone() && !self.tracked.contains_key(id));
            !files.is_empty()
        });
    }

    pub(super) fn forget_the_gone(&mut self) {
        let due = self.leaving.iter().filter(|(_, (.., since))| since.elapsed() >= MOVE_GRACE);
        let due: Vec<u32> = due.map(|(cookie, _)| *cookie).collect();
        for cookie in due {
            if let Some((id, path, _)) = self.leaving.remove(&cookie) {
                self.find_elsewhere_or_end(id, &path);
            }
        }
    }

    /// Looks after the files that the walk did not come upon: renamed so that no pattern means them, or gone.
    pub(super) fn look_after_the_missed(&mut self) {
        let walk = self.walk;
        let missed = self.tracked.iter().filter(|(_, tracked)| tracked.walk != walk);
        let missed: Vec<(FileId, Vec<Arc<Path>>)> = missed.map(|(id, tracked)| (*id, tracked.names.clone())).collect();
        for (id, names) in missed {
            for path in names {
                let there = fs::metadata(&path)
                    .ok()
                    .filter(|metadata| self.tracked.contains_key(&id) && self.is_same(id, metadata));
                if let (Some(metadata), Some(tracked)) = (there, self.tracked.get(&id)) {
                    tracked.progress.saw_size(metadata.len());
                    if metadata.len() != tracked.progress.read() {
                        self.wake(id);
                    }
                } else {
                    self.unname(&path);
                    self.find_elsewhere_or_end(id, &path);
                }
            }
        }
    }

    /// Whether a path still leads to a file, as its metadata tell.
    pub(super) fn is_same(&self, id: FileId, metadata: &Metadata) -> bool {
        self.is_at(id, metadata) || self.tracked.get(&id).is_some_and(|tracked| tracked.place == Place::default())
    }

    /// Whether a file is where its metadata say.
    fn is_at(&self, id: FileId, metadata: &Metadata) -> bool {
        metadata.is_file() && self.known.file_at(identity::place(metadata)) == id
    }

    /// A file that lost its last name may have another one in the same directory.
    fn find_elsewhere_or_end(&mut self, id: FileId, path: &Path) {
        if self.tracked.get(&id).is_none_or(|tracked| !tracked.names.is_empty()) {
            return;
        }
        let entries = path.parent().and_then(|parent| fs::read_dir(parent).ok());
        let found = entries.into_iter().flatten().flatten().find(|entry| {
            let found = entry.metadata();
            found.is_ok_and(|metadata| metadata.is_file() && self.is_at(id, &metadata))
        });
        match found {
            Some(entry) => self.renamed(id, &entry.path()),
            None => self.told_deleted(id, path),
        }
    }
}
