//! Which files there are: a walk now and then for the truth, the kernel's events in between for speed.
//!
//! One thread keeps the table of files and their names, gives each file to a lane, and wakes the lane when there
//! may be something new. A file is known by its identity; names only lead to it, so a file under two names is read
//! once, and a renamed file goes on where it was under whatever name it has now. Files are opened here only if one
//! that was never seen may be the copy of another (see `copies`); an idle file is looked at once a rescan.

mod copies;
mod fleet;
mod names;
mod search;

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::copies::Held;
use super::{
    Event, Settings, StartAt, identity,
    inbox::{Assignment, Command, Inbox, Skip},
    known::{Known, Stray},
    matcher::Matcher,
    own_log::OwnLog,
    pattern::Visit,
    progress::Progress,
    table::{Shared, Table},
    watch::{Change, Watch},
};
use crate::{
    metrics::{self, list},
    record::{FileId, Place},
};

/// How long events are gathered before they are looked at again, so that a busy file costs one look.
const GATHER: Duration = Duration::from_millis(2);

/// The rescan's interval where the kernel does not tell of changes.
const RESCAN_UNWATCHED: Duration = Duration::from_secs(5);

/// How often what waits for time to pass is looked at.
const SOON: Duration = Duration::from_millis(100);

/// A file that is followed, or held.
struct Tracked {
    task: Arc<str>,
    /// Where it can be found; the first one is what the lane knows.
    names: Vec<Arc<Path>>,
    place: Place,
    lane: usize,
    progress: Arc<Progress>,
    /// The walk in which the file was last seen.
    walk: u64,
    /// Nothing was known of the file when it was found.
    is_new: bool,
}

/// The thread's state.
pub(super) struct Discover {
    tasks: Vec<Arc<Matcher>>,
    /// Tasks that began since, in their first walk.
    beginning: Vec<Arc<str>>,
    /// Files of tasks that ended, until their lanes have let them go; another task may mean them then.
    leaving_tasks: HashMap<FileId, Arc<Progress>>,
    pub(super) lanes: Vec<Arc<Inbox>>,
    table: Arc<Table>,
    stop: CancellationToken,
    settings: Settings,
    own_log: OwnLog,
    events: mpsc::Sender<Event>,
    /// Events that wait for room on the channel; no more are made while there are any.
    outbox: VecDeque<Event>,
    known: Known,
    /// By the identity that a file's place gives it, whatever streams were read of it.
    tracked: HashMap<FileId, Box<Tracked>>,
    names: HashMap<Arc<Path>, FileId>,
    /// Files that lost their last names, by these, and that their lanes have not let go.
    parting: HashMap<Arc<Path>, Vec<(FileId, Arc<Progress>)>>,
    /// Files that may be copies of others, and are not read until that is known.
    held: HashMap<FileId, Held>,
    /// Files that the first walk came upon and that were never seen: the walk has to end before it can be said
    /// whether one is a copy.
    unseen: Vec<(usize, PathBuf)>,
    /// Devices on which inodes say nothing.
    remote: HashMap<u64, bool>,
    watch: Watch,
    /// Names that left, by the number of their move.
    leaving: HashMap<u32, (FileId, PathBuf, Instant)>,
    walk: u64,
    first_walk: bool,
    all_watched: bool,
    complained: HashMap<PathBuf, u64>,
}

/// What discovery needs of the reader.
pub(super) struct Means {
    pub(super) table: Arc<Table>,
    pub(super) stop: CancellationToken,
    pub(super) settings: Settings,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) watch: Watch,
}

/// A file that was come upon.
struct Found<'a> {
    id: FileId,
    task: &'a Arc<str>,
    path: &'a Path,
    place: Place,
    metadata: &'a Metadata,
}

/// How reading begins in a file.
struct Start {
    /// The stream that it goes on with.
    stray: Option<Stray>,
    /// What is passed over, if it goes on with none.
    skip: Option<Skip>,
    /// The file, if it was opened already.
    file: Option<File>,
}

impl Discover {
    pub(super) fn new(tasks: Vec<Matcher>, known: Known, means: Means) -> Self {
        let Means { table, stop, settings, events, watch } = means;
        Self {
            tasks: tasks.into_iter().map(Arc::new).collect(),
            beginning: Vec::new(),
            leaving_tasks: HashMap::new(),
            lanes: Vec::new(),
            table,
            stop,
            own_log: if settings.own_log { OwnLog::default() } else { OwnLog::of_process() },
            settings,
            events,
            outbox: VecDeque::new(),
            known,
            tracked: HashMap::new(),
            names: HashMap::new(),
            parting: HashMap::new(),
            held: HashMap::new(),
            unseen: Vec::new(),
            remote: HashMap::new(),
            watch,
            leaving: HashMap::new(),
            walk: 0,
            first_walk: true,
            all_watched: true,
            complained: HashMap::new(),
        }
    }

    /// Looks for files until it is told to stop.
    pub(super) fn run(mut self) {
        self.look_at_everything();
        self.look_at_the_unseen();
        self.look_at_held();
        self.first_walk = false;
        self.known.shrink();
        let mut looked = Instant::now();
        while !self.stop.is_cancelled() {
            let rescan =
                if self.all_watched { self.settings.rescan } else { self.settings.rescan.min(RESCAN_UNWATCHED) };
            let left = rescan.saturating_sub(looked.elapsed());
            self.watch.wait(if self.waits_for_time() { left.min(SOON) } else { left });
            let mut again = self.follow_changes();
            self.forget_the_gone();
            self.forget_the_parted();
            again |= self.have_left();
            self.take_strays();
            again |= self.obey_orders();
            self.look_at_held();
            self.end_strays();
            if again || looked.elapsed() >= rescan {
                self.look_at_everything();
                self.forget_strays();
                self.beginning.clear();
                looked = Instant::now();
            }
            std::thread::park_timeout(GATHER);
        }
    }

    /// Whether something has to be done soon, though nothing may happen.
    fn waits_for_time(&self) -> bool {
        let is_idle =
            self.leaving.is_empty() && self.held.is_empty() && self.outbox.is_empty() && self.leaving_tasks.is_empty();
        !is_idle || self.known.has_ending()
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
                        self.lose_name(&path);
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
        match self.names.get(path).copied() {
            Some(id) => self.wake(id),
            None => self.consider_new_name(path),
        }
    }

    fn appeared(&mut self, path: PathBuf, cookie: u32) {
        let Some((id, ..)) = self.leaving.remove(&cookie).filter(|_| cookie != 0) else {
            // It may have been taken over by a rename, and lead to another file now. If the walk was here first, it
            // still leads to the same one.
            let named = self.names.get(path.as_path()).copied();
            let is_other = |id| !fs::metadata(&path).is_ok_and(|metadata| self.is_same(id, &metadata));
            if named.is_some_and(is_other) {
                self.lose_name(&path);
            }
            return self.consider_new_name(&path);
        };
        self.lose_name(&path);
        self.renamed(id, &path);
    }

    fn consider_new_name(&mut self, path: &Path) {
        if let Some(number) = self.tasks.iter().position(|task| task.means(path)) {
            self.consider(number, path);
        }
    }

    /// Walks all patterns, and looks after every file that was not come upon.
    fn look_at_everything(&mut self) {
        self.walk += 1;
        self.all_watched = true;
        let tasks = self.tasks.clone();
        for (number, task) in tasks.iter().enumerate() {
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
                    Visit::File(path) => self.consider(number, path),
                });
            }
        }
        self.look_after_the_missed();
    }

    /// Looks at a path that a task means: a new file, a new name of a known one, or one that may have grown.
    fn consider(&mut self, task: usize, path: &Path) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.complain(path, "stat", &error.to_string()),
        };
        if self.own_log.is(path, &metadata) {
            return;
        }
        let (id, place) = self.identify(path, &metadata);
        if self.leaving_tasks.contains_key(&id) {
            return;
        }
        if self.names.get(path).is_some_and(|named| *named != id) {
            self.lose_name(path);
        }
        if let Some(tracked) = self.tracked.get_mut(&id) {
            tracked.walk = self.walk;
            tracked.progress.saw_size(metadata.len());
            let has_changed = metadata.len() != tracked.progress.read();
            if !self.names.contains_key(path) {
                self.name(id, path);
            }
            if has_changed {
                self.wake(id);
            }
            return;
        }
        let name = Arc::clone(&self.tasks[task].name);
        let found = Found { id, task: &name, path, place, metadata: &metadata };
        match self.known.take(id).or_else(|| self.take_placeless(path)) {
            Some(stray) => self.begin(&found, Some(stray)),
            None if self.first_walk && !self.known.is_empty() => self.unseen.push((task, path.to_owned())),
            None => self.meet(&found, true),
        }
    }

    /// Looks again at what the first walk came upon, now that all known files that are there were found.
    fn look_at_the_unseen(&mut self) {
        let born = |path: &Path| fs::metadata(path).map(|metadata| identity::place(&metadata).birth_ns).ok();
        let mut unseen: Vec<_> =
            std::mem::take(&mut self.unseen).into_iter().map(|(task, path)| (born(&path), task, path)).collect();
        unseen.sort();
        for (_, task, path) in unseen {
            self.consider_unseen(task, &path);
        }
        self.search_for_all();
    }

    fn consider_unseen(&mut self, task: usize, path: &Path) {
        let Some(metadata) = fs::metadata(path).ok().filter(Metadata::is_file) else { return };
        let (id, place) = self.identify(path, &metadata);
        if self.tracked.contains_key(&id) {
            return self.consider(task, path);
        }
        let name = Arc::clone(&self.tasks[task].name);
        self.meet(&Found { id, task: &name, path, place, metadata: &metadata }, true);
    }

    /// Under which identity a file is followed, and where the kernel keeps it; where that says nothing, the place
    /// is empty and the name decides.
    fn identify(&mut self, path: &Path, metadata: &Metadata) -> (FileId, Place) {
        let identity = self.settings.identity;
        let by_content = *self.remote.entry(metadata.dev()).or_insert_with(|| identity::is_by_content(identity, path));
        if !by_content {
            let place = identity::place(metadata);
            return (self.known.file_at(place), place);
        }
        self.all_watched = false;
        let known = self.names.get(path).copied();
        let linked = || fs::canonicalize(path).ok().and_then(|real| self.names.get(real.as_path()).copied());
        (known.or_else(linked).unwrap_or_else(identity::random_id), Place::default())
    }

    /// Whether files in a directory are known by their content alone.
    fn is_by_content(&mut self, directory: &Path) -> bool {
        let identity = self.settings.identity;
        let Ok(metadata) = fs::metadata(directory) else { return false };
        *self.remote.entry(metadata.dev()).or_insert_with(|| identity::is_by_content(identity, directory))
    }

    /// What is remembered of the file at a path, if it was remembered without a place.
    fn take_placeless(&mut self, path: &Path) -> Option<Stray> {
        let is_placeless = |stray: &Stray| stray.in_place && stray.checkpoint.place == Place::default();
        let number = self.known.at_path(path).find(|(_, stray)| is_placeless(stray)).map(|(number, _)| number);
        self.known.take_stray(number?)
    }

    /// Begins to follow a file that was not tracked, with the stream that it goes on with.
    fn begin(&mut self, found: &Found<'_>, stray: Option<Stray>) {
        debug!(path = %found.path.display(), task = %found.task, known = stray.is_some(), "file appeared");
        self.track(found, stray.is_none());
        let skip = if stray.is_none() { self.skip(found) } else { None };
        if let Some((lane, progress)) = self.tracked.get(&found.id).map(|at| (at.lane, Arc::clone(&at.progress))) {
            self.assign(found, (lane, &progress), Start { stray, skip, file: None });
        }
    }

    /// Notes a file and its name.
    fn track(&mut self, found: &Found<'_>, is_new: bool) {
        let progress = Arc::new(Progress::default());
        progress.saw_size(found.metadata.len());
        let task = self.tasks.iter().find(|task| task.name == *found.task);
        let (lane, path) = (task.map_or(0, |task| task.lane(found.id, self.lanes.len())), Arc::from(found.path));
        let (task, shared) = (Arc::clone(found.task), Arc::clone(&progress));
        self.table.insert(found.id, Shared { task, path: Arc::clone(&path), lane, progress: shared });
        let tracked = Tracked {
            task: Arc::clone(found.task),
            // Most files have one name.
            names: Vec::with_capacity(1),
            place: found.place,
            lane,
            progress,
            walk: self.walk,
            is_new,
        };
        self.tracked.insert(found.id, Box::new(tracked));
        self.add_name(found.id, path);
        if fs::symlink_metadata(found.path).is_ok_and(|metadata| metadata.is_symlink()) {
            self.follow_link(found.id, found.path);
        }
        if self.known.is_reused(found.place) {
            self.happened(found.task, "reused");
        }
        self.happened(found.task, "appeared");
    }

    /// Gives a file to its lane.
    fn assign(&mut self, found: &Found<'_>, (lane, progress): (usize, &Arc<Progress>), start: Start) {
        let (Start { stray, skip, file }, metadata) = (start, found.metadata);
        // Every file is found for a task that the reader was started with.
        let Some(task) = self.tasks.iter().find(|task| task.name == *found.task) else { return };
        let known = stray.map(|stray| stray.checkpoint);
        progress.saw_read(skip.map_or(0, |skip| skip.end));
        known.as_ref().inspect(|known| progress.resumed(known));
        progress.saw_size(metadata.len());
        // Untouched since its checkpoint and read to its end: nothing to open it for.
        let modified_ms = metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000;
        let idle = known.as_ref().is_some_and(|known| known.is_end(metadata.len()) && modified_ms < known.updated_ms);
        let path =
            self.tracked.get(&found.id).and_then(|tracked| tracked.names.first()).filter(|path| ***path == *found.path);
        let assignment = Assignment {
            id: found.id,
            succession: self.known.succession(found.id, found.place, known.as_ref()),
            task: Arc::clone(found.task),
            path: path.map_or_else(|| found.path.into(), Arc::clone),
            place: found.place,
            born_ns: identity::born_ns(metadata),
            known: known.map(Box::new),
            skip: skip.map(Box::new),
            unpack: task.unpack,
            reading: Arc::clone(&task.reading),
            file,
            is_void: false,
            progress: Arc::clone(progress),
        };
        self.lanes[lane].push(Command::Add(Box::new(assignment)));
        if !idle && metadata.len() > 0 {
            // What was not read of it is as old as that at least.
            progress.fell_behind(modified_ms);
            self.lanes[lane].wake(found.id, progress);
        }
    }

    /// Tells the lane of a file, or whoever holds it, that there may be something new in it.
    fn wake(&mut self, id: FileId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.hurry();
        } else if let Some(tracked) = self.tracked.get(&id) {
            self.lanes[tracked.lane].wake(id, &tracked.progress);
        }
    }

    /// What to pass over of a file that was never seen.
    fn skip(&self, found: &Found<'_>) -> Option<Skip> {
        let task = self.tasks.iter().find(|task| task.name == *found.task)?;
        let end = found.metadata.len();
        if task.start_at == StartAt::End && self.was_there(found) {
            return Some(Skip { end, reason: "start_at" });
        }
        let age = found.metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
        let is_older = task.ignore_older.is_some_and(|limit| age.is_some_and(|age| age > limit));
        is_older.then_some(Skip { end, reason: "ignore_older" })
    }

    /// Whether a file that was just found was there before its task: found by the first walk, and not made since.
    fn was_there(&self, found: &Found<'_>) -> bool {
        let Some(task) = self.tasks.iter().find(|task| task.name == *found.task) else { return false };
        let is_first = self.first_walk || self.beginning.contains(&task.name);
        is_first && i128::from(identity::place(found.metadata).birth_ns) < task.begun_ns
    }

    /// Takes over the streams that the lanes found without a file, and looks for their copies.
    fn take_strays(&mut self) {
        for path in self.receive_strays() {
            // What a name leads to now, where names are all there is, and where else the old file may be.
            if !self.names.contains_key(path.as_path()) {
                self.consider_new_name(&path);
            }
            self.search_for(&path);
        }
    }

    /// Takes over the streams that the lanes found without a file; returns the paths of those that were replaced.
    fn receive_strays(&mut self) -> Vec<PathBuf> {
        let mut replaced = Vec::new();
        for stray in self.table.take_strays() {
            let file = self.known.file_at(stray.checkpoint.place);
            // A file that came back before its lane had let it go is followed on.
            if stray.in_place && self.tracked.contains_key(&file) {
                continue;
            }
            if !stray.in_place {
                replaced.push(stray.checkpoint.path.clone());
                self.unfollow_by_content(&stray.checkpoint.path);
            }
            self.known.remember(stray);
            self.held.values_mut().for_each(Held::hurry);
        }
        replaced
    }

    /// Where only names and content tell files apart: the name leads to something else now, which is looked at as if
    /// it had never been seen.
    fn unfollow_by_content(&mut self, path: &Path) {
        let by_content = |id: &FileId| self.tracked.get(id).is_some_and(|tracked| tracked.place == Place::default());
        let Some(id) = self.names.get(path).copied().filter(by_content) else {
            return;
        };
        while let Some(name) = self.tracked.get(&id).and_then(|tracked| tracked.names.first().map(Arc::clone)) {
            self.unname(&name);
        }
        self.told_deleted(id, path);
    }

    /// Ends streams whose copies did not turn up in time, and counts what of them is lost.
    fn end_strays(&mut self) {
        if self.send_events() {
            let held: Vec<&Held> = self.held.values().collect();
            for stray in self.known.end_due(Instant::now(), |path| Self::is_awaited(&held, path)) {
                let checkpoint = &stray.checkpoint;
                if stray.unread > 0 {
                    metrics::counter(&list::ABANDONED_BYTES, &[&checkpoint.task]).increment(stray.unread);
                    warn!(
                        path = %checkpoint.path.display(), bytes = stray.unread,
                        "file was truncated or replaced before all of it was read, and no copy of it was found"
                    );
                }
                self.outbox.push_back(Event::Ended(checkpoint.stream));
            }
            self.send_events();
        }
    }

    /// Forgets streams whose files are gone for good.
    fn forget_strays(&mut self) {
        if self.send_events() {
            let now_ms = jiff::Timestamp::now().as_millisecond();
            for checkpoint in self.known.forget(now_ms, self.settings.forget_after) {
                debug!(path = %checkpoint.path.display(), "the file is gone for long, its checkpoint is dropped");
                self.happened(&checkpoint.task, "forgotten");
                self.outbox.push_back(Event::Forgotten(checkpoint.stream));
            }
            self.send_events();
        }
    }

    /// Sends what waits; whether all of it went.
    fn send_events(&mut self) -> bool {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => (),
                Err(TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return false;
                }
                // Nobody takes events any more: the reader is about to end.
                Err(TrySendError::Closed(_)) => self.outbox.clear(),
            }
        }
        true
    }

    /// Counts what happened to a file.
    fn happened(&self, task: &str, event: &str) {
        metrics::counter(&list::ROTATIONS, &[task, event]).increment(1);
    }

    fn watch_directory(&mut self, path: &Path) {
        if self.is_by_content(path) {
            // What other machines do there is not told of.
            self.all_watched = false;
            return;
        }
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
