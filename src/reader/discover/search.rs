//! Looking for the files of streams that lost theirs, also under names that no task means.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Discover, Found};
use crate::{reader::kin, record::Place};

/// How many names are looked at in one search.
const NAMES_MAX: usize = 100_000;

/// Into how many directories below that of the lost file a search goes; rotated files may be kept in one.
const BELOW_MAX: usize = 16;

impl Discover {
    /// Looks for everything that the first walk did not find, where it was last seen.
    pub(super) fn search_for_all(&mut self) {
        let paths = self.known.strays().filter_map(|(_, stray)| stray.checkpoint.path.parent().map(Path::to_owned));
        let directories: BTreeSet<PathBuf> = paths.collect();
        for directory in directories {
            self.search(&directory);
        }
    }

    /// Looks for the copy of a file that lost its stream.
    pub(super) fn search_for(&mut self, path: &Path) {
        if let Some(directory) = path.parent() {
            self.search(directory);
        }
    }

    fn search(&mut self, directory: &Path) {
        let (mut below, mut seen) = (Vec::new(), 0);
        self.search_in(directory, &mut seen, Some(&mut below));
        for directory in below {
            self.search_in(&directory, &mut seen, None);
        }
    }

    fn search_in(&mut self, directory: &Path, seen: &mut usize, mut below: Option<&mut Vec<PathBuf>>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        let mut unknown = Vec::new();
        for entry in entries.flatten() {
            *seen += 1;
            if *seen > NAMES_MAX {
                return self.complain(
                    directory,
                    "search",
                    "holds too many files to look for rotated ones in all of them",
                );
            }
            let path = entry.path();
            if self.names.contains_key(path.as_path()) {
                continue;
            }
            match (entry.file_type(), &mut below) {
                (Ok(kind), Some(below)) if kind.is_dir() && below.len() < BELOW_MAX => below.push(path),
                (Ok(kind), _) if kind.is_file() => unknown.push(path),
                _ => (),
            }
        }
        for path in unknown {
            if let Ok(metadata) = fs::metadata(&path) {
                self.consider_stranger(&path, &metadata);
            }
        }
    }

    /// Looks at a file that is not followed: it may be one that was lost, under another name, or its copy.
    fn consider_stranger(&mut self, path: &Path, metadata: &Metadata) {
        if self.own_log.is(path, metadata) {
            return;
        }
        let (id, place) = self.identify(path, metadata);
        if self.tracked.contains_key(&id) {
            return;
        }
        let task_of = |task: &Arc<str>, tasks: &[Arc<super::Matcher>]| {
            tasks.iter().map(|known| &known.name).find(|known| *known == task).map(Arc::clone)
        };
        // Found by its place, and renamed so that no task means it any more. One that was read is left alone.
        if place != Place::default()
            && let Some(stray) = self.known.by_file(id)
        {
            let has_more = !stray.checkpoint.is_end(metadata.len());
            if let Some(task) = task_of(&stray.checkpoint.task, &self.tasks).filter(|_| has_more) {
                let stray = self.known.take(id);
                self.begin(&Found { id, task: &task, path, place, metadata }, stray);
            }
            return;
        }
        let meant = self.tasks.iter().find(|task| task.means(path)).map(|task| Arc::clone(&task.name));
        let originals = kin::originals(path);
        let stray = originals.iter().find_map(|path| self.known.at_path(path).next());
        let task = stray.and_then(|(_, stray)| task_of(&stray.checkpoint.task, &self.tasks));
        if let Some(task) = meant.clone().or(task) {
            self.meet(&Found { id, task: &task, path, place, metadata }, meant.is_some());
        }
    }
}
