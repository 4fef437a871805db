//! Which files there are: a walk now and then for the truth, the kernel's events in between for speed.
//!
//! One thread keeps the table of files and their names, gives each file to a lane, and wakes the lane when there
//! may be something new. It never opens a file. A file is known by its identity; names only lead to it, so a file
//! under two names is read once, and a renamed file goes on where it was under whatever name it has now.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    StartAt, identity,
    inbox::{Assignment, Command, Inbox, Skip},
    known::Known,
    matcher::Matcher,
    pattern::Visit,
    progress::Progress,
    table::Table,
    watch::{Change, Watch},
};
use crate::{
    metrics::{self, list},
    record::FileId,
};

/// After this long, a name that left without appearing elsewhere is taken for deleted.
const MOVE_GRACE: Duration = Duration::from_secs(1);

/// How long events are gathered before they are looked at again, so that a busy file costs one look.
const GATHER: Duration = Duration::from_millis(2);

/// The rescan's interval where the kernel does not tell of changes.
const RESCAN_UNWATCHED: Duration = Duration::from_secs(5);

struct Tracked {
    names: Vec<Arc<Path>>,
    lane: usize,
    progress: Arc<Progress>,
    /// The walk in which the file was last seen.
    walk: u64,
}

/// The thread's state.
pub(super) struct Discover {
    pub(super) tasks: Arc<[Matcher]>,
    pub(super) lanes: Vec<Arc<Inbox>>,
    pub(super) table: Arc<Table>,
    pub(super) stop: CancellationToken,
    pub(super) rescan: Duration,
    known: Known,
    /// By the identity that a file's place gives it, whatever streams were read of it.
    tracked: HashMap<FileId, Tracked>,
    names: HashMap<Arc<Path>, FileId>,
    watch: Watch,
    /// Names that left, by the number of their move.
    leaving: HashMap<u32, (FileId, PathBuf, Instant)>,
    walk: u64,
    first_walk: bool,
    /// When the reader started, in nanoseconds since 1970.
    started_ns: i128,
    all_watched: bool,
    complained: HashMap<PathBuf, u64>,
}

impl Discover {
    pub(super) fn new(tasks: Vec<Matcher>, known: Known, watch: Watch) -> Self {
        Self {
            tasks: tasks.into(),
            lanes: Vec::new(),
            table: Arc::default(),
            stop: CancellationToken::new(),
            rescan: Duration::from_secs(30),
            known,
            tracked: HashMap::new(),
            names: HashMap::new(),
            watch,
            leaving: HashMap::new(),
            walk: 0,
            first_walk: true,
            started_ns: jiff::Timestamp::now().as_nanosecond(),
            all_watched: true,
            complained: HashMap::new(),
        }
    }

    /// Looks for files until it is told to stop.
    pub(super) fn run(mut self) {
        self.look_at_everything();
        self.first_walk = false;
        let mut looked = Instant::now();
        while !self.stop.is_cancelled() {
            let rescan = if self.all_watched { self.rescan } else { self.rescan.min(RESCAN_UNWATCHED) };
            let left = rescan.saturating_sub(looked.elapsed());
            self.watch.wait(if self.leaving.is_empty() { left } else { left.min(MOVE_GRACE) });
            let again = self.follow_changes();
            self.forget_the_gone();
            if again || looked.elapsed() >= rescan {
                self.look_at_everything();
                looked = Instant::now();
            }
            std::thread::park_timeout(GATHER);
        }
    }

    /// Follows what the kernel told; whether only a walk can tell the rest.
    fn follow_changes(&mut self) -> bool {
        let mut again = false;
        loop {
            let changes = self.watch.changes();
            if changes.is_empty() {
                return again;
            }
            for change in changes {
                match change {
                    Change::Touched(path) => self.touched(&path),
                    Change::Appeared(path, cookie) => self.appeared(path, cookie),
                    Change::Left(path, cookie) => {
                        if let Some(id) = self.unname(&path) {
                            self.leaving.insert(cookie, (id, path, Instant::now()));
                        }
                    }
                    Change::Deleted(path) => {
                        if let Some(id) = self.unname(&path) {
                            self.told_deleted(id);
                        }
                    }
                    Change::Directories => {
                        self.watch.forget_paths();
                        again = true;
                    }
                    Change::Overflow => again = true,
                }
            }
        }
    }

    fn touched(&mut self, path: &Path) {
        match self.names.get(path).and_then(|id| self.tracked.get(id).map(|tracked| (*id, tracked))) {
            Some((id, tracked)) => self.lanes[tracked.lane].wake(id, &tracked.progress),
            None => self.consider_new_name(path),
        }
    }

    fn appeared(&mut self, path: PathBuf, cookie: u32) {
        let Some((id, ..)) = self.leaving.remove(&cookie).filter(|_| cookie != 0) else {
            // A name that is taken over by a rename leads to another file now.
            if let Some(id) = self.unname(&path) {
                self.told_deleted(id);
            }
            return self.consider_new_name(&path);
        };
        if let Some(old) = self.unname(&path) {
            self.told_deleted(old);
        }
        debug!(path = %path.display(), "file was renamed");
        self.name(id, &path);
    }

    fn consider_new_name(&mut self, path: &Path) {
        let tasks = Arc::clone(&self.tasks);
        if let Some(task) = tasks.iter().find(|task| task.means(path)) {
            self.consider(task, path);
        }
    }

    /// Walks all patterns, and looks after every file that was not come upon.
    fn look_at_everything(&mut self) {
        self.walk += 1;
        self.all_watched = true;
        let tasks = Arc::clone(&self.tasks);
        for task in tasks.iter() {
            for pattern in &task.paths {
                self.watch_nearest(&pattern.base);
                pattern.walk(&mut |visit| match visit {
                    Visit::Directory(path) => self.watch_directory(path),
                    Visit::DirectoryMatched(path) => {
                        self.complain(
                            path,
                            "is_directory",
                            "is a directory, and a pattern means files; write /** behind it to collect all below",
                        );
                    }
                    Visit::Unreadable(path, error) => self.complain(path, "walk", &error),
                    Visit::File(path) if task.is_excluded(path) => (),
                    Visit::File(path) => self.consider(task, path),
                });
            }
        }
        self.look_after_the_missed();
    }

    /// Looks at a path that a task means: a new file, a new name of a known one, or one that may have grown.
    fn consider(&mut self, task: &Matcher, path: &Path) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.complain(path, "stat", &error.to_string()),
        };
        let place = identity::place(&metadata);
        let id = self.known.file_at(place);
        match self.names.get(path) {
            Some(named) if *named != id => {
                if let Some(old) = self.unname(path) {
                    self.told_deleted(old);
                }
            }
            _ => (),
        }
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.walk = self.walk;
            tracked.progress.saw_size(metadata.len());
            if metadata.len() != tracked.progress.read() {
                self.lanes[tracked.lane].wake(id, &tracked.progress);
            }
            if !self.names.contains_key(path) {
                self.name(id, path);
            }
            return;
        }
        debug!(path = %path.display(), task = %task.name, "file appeared");
        self.begin(id, task, path, &metadata);
    }

    /// Gives a file that was not tracked yet to a lane.
    fn begin(&mut self, id: FileId, task: &Matcher, path: &Path, metadata: &Metadata) {
        self.table.take_parted().into_iter().for_each(|parted| self.known.remember(parted));
        let known = self.known.take(id);
        let succession = self.known.succession(id, identity::place(metadata), known.as_ref());
        let skip = if known.is_none() { self.skip(task, metadata) } else { None };
        let progress = Arc::new(Progress::default());
        let read = skip.map_or(0, |skip| skip.end);
        progress.saw_read(read);
        known.as_ref().inspect(|known| progress.resumed(known));
        progress.saw_size(metadata.len());
        // Untouched since its checkpoint and read to its end: nothing to open it for.
        let modified_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
        let idle = known.as_ref().is_some_and(|known| known.is_end(metadata.len()) && modified_ms < known.updated_ms);
        let lane = task.lane(id, self.lanes.len());
        self.table.insert(id, &task.name, &progress);
        self.tracked.insert(id, Tracked { names: Vec::new(), lane, progress: Arc::clone(&progress), walk: self.walk });
        let name: Arc<Path> = path.into();
        let assignment = Assignment {
            id,
            succession,
            task: Arc::clone(&task.name),
            path: Arc::clone(&name),
            place: identity::place(metadata),
            born_ns: identity::born_ns(metadata),
            known: known.map(Box::new),
            skip,
            unpack: task.unpack,
            reading: Arc::clone(&task.reading),
            progress: Arc::clone(&progress),
        };
        self.lanes[lane].push(Command::Add(Box::new(assignment)));
        self.add_name(id, name);
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
            self.follow_link(id, path);
        }
        if !idle && metadata.len() > 0 {
            // What was not read of it is as old as that at least.
            progress.fell_behind(modified_ms);
            self.lanes[lane].wake(id, &progress);
        }
        metrics::counter(&list::ROTATIONS, &[&task.name, "appeared"]).increment(1);
    }

    /// What to pass over of a file that was never seen.
    fn skip(&self, task: &Matcher, metadata: &Metadata) -> Option<Skip> {
        let end = metadata.len();
        if task.start_at == StartAt::End && self.was_there(metadata) {
            return Some(Skip { end, reason: "start_at" });
        }
        let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
        let is_older = task.ignore_older.is_some_and(|limit| age.is_some_and(|age| age > limit));
        is_older.then_some(Skip { end, reason: "ignore_older" })
    }

    /// Whether a file that was just found was there before the reader: found by the first walk, and not made since.
    fn was_there(&self, metadata: &Metadata) -> bool {
        self.first_walk && i128::from(identity::place(metadata).birth_ns) < self.started_ns
    }

    /// The kernel tells of changes in the directory where a link leads, so that one is watched too.
    fn follow_link(&mut self, id: FileId, link: &Path) {
        if let Ok(real) = fs::canonicalize(link) {
            if let Some(parent) = real.parent() {
                self.watch_directory(parent);
            }
            self.add_name(id, real.into());
        }
    }

    /// Gives a tracked file a further name, under which it is read from now on if its last one is gone.
    fn name(&mut self, id: FileId, path: &Path) {
        let Some(tracked) = self.tracked.get(&id) else { return };
        let path: Arc<Path> = path.into();
        if tracked.names.is_empty() {
            self.lanes[tracked.lane].push(Command::Renamed(id, Arc::clone(&path)));
        }
        self.add_name(id, path);
    }

    fn add_name(&mut self, id: FileId, path: Arc<Path>) {
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.names.push(Arc::clone(&path));
            self.names.insert(path, id);
        }
    }

    /// Takes a name from its file; the file goes on under another of its names.
    fn unname(&mut self, path: &Path) -> Option<FileId> {
        let id = self.names.remove(path)?;
        let tracked = self.tracked.get_mut(&id)?;
        let was_first = tracked.names.first().is_some_and(|first| **first == *path);
        tracked.names.retain(|name| **name != *path);
        if let Some(next) = tracked.names.first().filter(|_| was_first) {
            self.lanes[tracked.lane].push(Command::Renamed(id, Arc::clone(next)));
        }
        Some(id)
    }

    /// Ends a file if it has no name left.
    fn told_deleted(&mut self, id: FileId) {
        if let Some(tracked) = self.tracked.get(&id).filter(|tracked| tracked.names.is_empty()) {
            self.lanes[tracked.lane].push(Command::Deleted(id));
            self.tracked.remove(&id);
        }
    }

    fn forget_the_gone(&mut self) {
        let due = self.leaving.iter().filter(|(_, (.., since))| since.elapsed() >= MOVE_GRACE);
        let due: Vec<u32> = due.map(|(cookie, _)| *cookie).collect();
        for cookie in due {
            if let Some((id, path, _)) = self.leaving.remove(&cookie) {
                self.find_elsewhere_or_end(id, &path);
            }
        }
    }

    /// Looks after the files that the walk did not come upon: renamed so that no pattern means them, or gone.
    fn look_after_the_missed(&mut self) {
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
                        self.lanes[tracked.lane].wake(id, &tracked.progress);
                    }
                } else {
                    self.unname(&path);
                    self.find_elsewhere_or_end(id, &path);
                }
            }
        }
    }

    fn is_same(&self, id: FileId, metadata: &Metadata) -> bool {
        self.known.file_at(identity::place(metadata)) == id
    }

    /// A file that lost its last name may have another one in the same directory.
    fn find_elsewhere_or_end(&mut self, id: FileId, path: &Path) {
        if self.tracked.get(&id).is_none_or(|tracked| !tracked.names.is_empty()) {
            return;
        }
        let entries = path.parent().and_then(|parent| fs::read_dir(parent).ok());
        let found = entries.into_iter().flatten().flatten().find(|entry| {
            entry.ino() != 0 && entry.metadata().is_ok_and(|metadata| metadata.is_file() && self.is_same(id, &metadata))
        });
        match found {
            Some(entry) => self.name(id, &entry.path()),
            None => self.told_deleted(id),
        }
    }

    fn watch_directory(&mut self, path: &Path) {
        if let Err(error) = self.watch.add(path) {
            self.all_watched = false;
            let hint = "changes in it are found by rescanning only; raise fs.inotify.max_user_watches";
            self.complain(path, "watch", &format!("can't watch the directory ({error}): {hint}"));
        }
    }

    /// Watches the nearest directory above a base that is not there yet.
    fn watch_nearest(&mut self, base: &Path) {
        if let Some(there) = base.ancestors().find(|path| path.is_dir()) {
            self.watch_directory(there);
        }
    }

    /// Says what is wrong with a path once, and counts it each time.
    fn complain(&mut self, path: &Path, kind: &str, what: &str) {
        metrics::counter(&list::ERRORS, &["reader", kind]).increment(1);
        let walk = self.walk;
        // Bounded: what has not been complained of in the last walk is forgotten.
        if self.complained.len() > 1000 {
            self.complained.retain(|_, last| *last + 1 >= walk);
        }
        if self.complained.insert(path.to_owned(), walk).is_none() {
            warn!(path = %path.display(), "{what}");
        }
    }
}
