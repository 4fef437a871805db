//! Files that may be copies: held back until it is known whose stream they go on with.
//!
//! `copytruncate` copies a file and then empties it; a compressor writes a second file and then deletes the first. In
//! both cases the new file holds what was read already, and maybe what was not. So a file that was never seen, and
//! that is named after another one, is held (open, so that it can't be lost, and not read):
//!
//! - as long as it holds nothing but what the original begins with, and the original stays as it is, for
//!   a while: then it is an ordinary copy, and a file of its own;
//! - until its original's stream has lost its file, because that was truncated, replaced or deleted. If the text of
//!   the new file agrees with what is known of the stream, it goes on with it where reading had come to;
//! - not any longer once it holds something else.
//!
//! Who is in doubt reads a file as one of its own: a line that comes twice is better than one that is lost.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, info};

use super::{Discover, Found, Start};
use crate::{
    reader::{
        evidence::{self, Answer},
        identity,
        inbox::{Command, Inbox, Skip},
        inflate::{self, Look},
        kin,
        known::Number,
        progress::Progress,
    },
    record::{FileId, Place},
};

/// How many files are held at most; more are read as files of their own.
const HELD_MAX: usize = 256;

/// How often a held file is looked at: at first, and at last.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// A file that may be a copy.
pub(super) struct Held {
    id: FileId,
    task: Arc<str>,
    path: PathBuf,
    place: Place,
    file: File,
    lane: usize,
    progress: Arc<Progress>,
    /// Whether a task means the file; if not, it is read only as far as it goes on with another one's stream.
    is_meant: bool,
    /// Where its original may have been.
    pub(super) originals: Vec<PathBuf>,
    /// Files that were there under such names.
    rivals: Vec<Rival>,
    /// What to pass over if it is a file of its own.
    skip: Option<Skip>,
    size: u64,
    grown: Instant,
    next: Instant,
    pause: Duration,
    /// When the file was made, if that is told, and when it was held: of two that agree, the older one goes first.
    order: (i64, Instant),
}

/// A file that a held one may be a copy of.
struct Rival {
    id: FileId,
    progress: Arc<Progress>,
    state: State,
}

/// What is known of a rival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It begins with what the copy holds, or that was not looked at yet.
    Open,
    /// It holds something else. It may have been truncated, which its lane was asked to find out at a look after
    /// the one with this number.
    Asked(u64),
    /// Its lane has looked, and handed over its stream if it was truncated.
    Answered,
    /// The held file is no copy of it.
    Cleared,
}

/// What becomes of a held file.
enum Verdict {
    /// It is not known yet.
    Hold,
    /// It is a file of its own.
    Own,
    /// It goes on with a stream that lost its file.
    GoesOn(Number),
}

impl Held {
    /// Has the file looked at soon.
    pub(super) fn hurry(&mut self) {
        (self.next, self.pause) = (Instant::now(), LOOK.0);
    }
}

impl Discover {
    /// Begins a file that was never seen, or holds it if it may be a copy.
    pub(super) fn meet(&mut self, found: &Found<'_>, is_meant: bool) {
        let originals = kin::originals(found.path);
        let rivals = self.rivals(found, &originals);
        let has_stray = originals.iter().any(|path| self.known.at_path(path).next().is_some());
        if rivals.is_empty() && !has_stray || self.held.len() >= HELD_MAX {
            if is_meant {
                self.begin(found, None);
            }
            return;
        }
        // As long as it is empty it says nothing, and has nothing to be read.
        if found.metadata.len() == 0 {
            return;
        }
        let file = match File::open(found.path) {
            Ok(file) => file,
            // It was renamed or deleted since it was looked at: it is met under its new name, if it has one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) if is_meant => return self.begin(found, None),
            Err(_) => return,
        };
        let is_there = file.metadata().is_ok_and(|metadata| {
            metadata.is_file() && (found.place == Place::default() || identity::place(&metadata) == found.place)
        });
        if !is_there {
            return;
        }
        self.track(found, true);
        let Some(tracked) = self.tracked.get(&found.id) else { return };
        let now = Instant::now();
        let held = Held {
            id: found.id,
            task: Arc::clone(found.task),
            path: found.path.to_owned(),
            place: found.place,
            file,
            lane: tracked.lane,
            progress: Arc::clone(&tracked.progress),
            is_meant,
            originals,
            rivals,
            skip: self.skip(found),
            size: 0,
            grown: now,
            next: now,
            pause: LOOK.0,
            order: (identity::place(found.metadata).birth_ns, now),
        };
        // It is looked at when all that was told by now has been followed: an older copy may have another name.
        self.held.insert(found.id, held);
    }

    /// The files that are there under one of the names, or were until just now.
    fn rivals(&self, found: &Found<'_>, originals: &[PathBuf]) -> Vec<Rival> {
        let ids = originals.iter().filter_map(|path| self.names.get(path.as_path()));
        let others = ids.filter(|id| **id != found.id).filter_map(|id| Some((*id, self.tracked.get(id)?)));
        // What was there, as new as this one, when reading began, was not read and then copied.
        let read = others.filter(|(_, tracked)| !(self.first_walk && tracked.is_new));
        let read = read.map(|(id, tracked)| (id, &tracked.progress));
        let parting = originals.iter().filter_map(|path| self.parting.get(path.as_path())).flatten();
        let parting = parting.filter(|(id, progress)| *id != found.id && !progress.is_gone());
        let all = read.chain(parting.map(|(id, progress)| (*id, progress)));
        all.map(|(id, progress)| Rival { id, progress: Arc::clone(progress), state: State::Open }).collect()
    }

    /// Looks at the held files whose time has come, the oldest first.
    pub(super) fn look_at_held(&mut self) {
        let now = Instant::now();
        let mut due: Vec<((i64, Instant), FileId)> =
            self.held.values().filter(|held| held.next <= now).map(|held| (held.order, held.id)).collect();
        due.sort_unstable();
        for (_, id) in due {
            self.look_at(id);
        }
    }

    fn look_at(&mut self, id: FileId) {
        let Some(mut held) = self.held.remove(&id) else { return };
        match self.judge(&mut held) {
            Ok(Verdict::Hold) => {
                held.next = Instant::now() + held.pause;
                held.pause = (held.pause * 2).min(LOOK.1);
                self.held.insert(id, held);
            }
            Ok(Verdict::GoesOn(number)) => self.release(held, Some(number)),
            Ok(Verdict::Own) => self.release(held, None),
            // The lane will meet the error again, and tell of it.
            Err(_) => self.release(held, None),
        }
    }

    /// Decides whose text a held file holds.
    fn judge(&mut self, held: &mut Held) -> io::Result<Verdict> {
        let size = held.file.metadata()?.len();
        if size != held.size {
            (held.size, held.grown, held.pause) = (size, Instant::now(), LOOK.0);
        }
        let begin = inflate::look(&held.file, true)?;
        let mut may_grow = false;
        for path in &held.originals {
            // Streams that are still to end lost their files just now, one after the other, and so came their copies.
            let mut strays: Vec<_> = self.known.at_path(path).collect();
            strays.sort_by_key(|(number, stray)| stray.ends.map_or(Number::MAX, |_| *number));
            for (number, stray) in strays {
                match evidence::goes_on(&held.file, size, &begin, &stray.checkpoint)? {
                    Answer::Yes => return Ok(Verdict::GoesOn(number)),
                    Answer::NotYet => may_grow = true,
                    Answer::No => (),
                }
            }
        }
        let (mut is_waiting, mut is_alike) = (false, may_grow);
        let mut rivals = std::mem::take(&mut held.rivals);
        for rival in &mut rivals {
            if let Some(tracked) = self.tracked.get(&rival.id)
                && !Arc::ptr_eq(&tracked.progress, &rival.progress)
            {
                // It lost its last name and has one again.
                (rival.progress, rival.state) = (Arc::clone(&tracked.progress), State::Open);
            }
            rival.state = self.compare(held, &begin, rival);
            is_waiting |= matches!(rival.state, State::Asked(_) | State::Answered);
            is_alike |= rival.state == State::Open;
        }
        held.rivals = rivals;
        Ok(if is_waiting || is_alike && held.grown.elapsed() < self.settings.copy_wait {
            Verdict::Hold
        } else {
            Verdict::Own
        })
    }

    /// Compares a held file with one that may be its original.
    fn compare(&self, held: &Held, begin: &Look, rival: &Rival) -> State {
        match rival.state {
            State::Cleared | State::Answered => return State::Cleared,
            State::Asked(_) if rival.progress.is_gone() => return State::Answered,
            // It lost its last name since it was asked, and has text that was not read: as below.
            State::Asked(_) if !self.tracked.contains_key(&rival.id) => return State::Asked(u64::MAX),
            State::Asked(before) if rival.progress.has_looked_since(before) => return State::Answered,
            State::Asked(before) => return State::Asked(before),
            State::Open => (),
        }
        let Some(tracked) = self.tracked.get(&rival.id) else {
            // Its last name is gone. Its lane reads it to the end and then hands over its stream.
            return if rival.progress.is_gone() { State::Answered } else { State::Asked(u64::MAX) };
        };
        if self.held.contains_key(&rival.id) {
            return State::Open;
        }
        let original = match tracked.names.first().map(File::open) {
            // It was renamed or deleted a moment ago, and that is about to be told.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => return State::Open,
            original => original.and_then(Result::ok),
        };
        let is_alike = original.is_some_and(|original| {
            let raw = evidence::is_prefix(&held.file, held.size, &original);
            raw.is_ok_and(|raw| {
                raw || begin.packing.is_some() && evidence::begins_with(&original, &begin.text).unwrap_or(false)
            })
        });
        if is_alike {
            return State::Open;
        }
        let before = rival.progress.looks_begun();
        self.lanes[tracked.lane].wake(rival.id, &rival.progress);
        State::Asked(before)
    }

    /// Gives a held file to its lane, as one that goes on with a stray, or as one of its own.
    fn release(&mut self, held: Held, number: Option<Number>) {
        let stray = number.and_then(|number| self.known.take_stray(number));
        if stray.is_none() && !held.is_meant {
            return self.drop_held(&held);
        }
        let Ok(metadata) = held.file.metadata() else { return self.drop_held(&held) };
        let is_deleted = !self.tracked.contains_key(&held.id);
        let task = stray.as_ref().map_or(&held.task, |stray| &stray.checkpoint.task);
        let task =
            Arc::clone(self.tasks.iter().map(|known| &known.name).find(|known| *known == task).unwrap_or(&held.task));
        let path = self.tracked.get(&held.id).and_then(|tracked| tracked.names.first()).map(Arc::clone);
        let path = path.unwrap_or_else(|| held.path.as_path().into());
        let found = Found { id: held.id, task: &task, path: &path, place: held.place, metadata: &metadata };
        let stray = stray.map(|mut stray| {
            let checkpoint = &mut stray.checkpoint;
            info!(
                path = %path.display(), original = %checkpoint.path.display(), offset = checkpoint.offset,
                "file is a copy of one that was read before, going on in it"
            );
            (checkpoint.path, checkpoint.place) = (path.to_path_buf(), held.place);
            // What is known of it now is not saved yet.
            (checkpoint.unpacked, checkpoint.updated_ms) = (None, 0);
            self.happened(&task, "copied");
            stray
        });
        if stray.is_none() {
            debug!(path = %path.display(), "file is named after another one and not its copy");
        }
        Inbox::attend(&held.progress);
        let skip = held.skip.filter(|_| stray.is_none());
        self.assign(&found, (held.lane, &held.progress), Start { stray, skip, file: Some(held.file) });
        if is_deleted {
            self.lanes[held.lane].push(Command::Deleted(held.id));
        }
    }

    /// Follows a file no longer that no task means and that goes on with nothing.
    pub(super) fn drop_held(&mut self, held: &Held) {
        if let Some(tracked) = self.tracked.remove(&held.id) {
            for name in tracked.names {
                self.names.remove(&name);
            }
            self.table.remove(held.id, &held.progress);
        }
    }

    /// The held files that a task means.
    pub(super) fn held_of(&self, task: &str) -> Vec<FileId> {
        self.held.values().filter(|held| *held.task == *task).map(|held| held.id).collect()
    }

    /// Whether a held file waits for the stream of a file that was last seen at `path`.
    pub(super) fn is_awaited(held: &[&Held], path: &Path) -> bool {
        held.iter().any(|held| held.originals.iter().any(|original| original == path))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixStream, path::Path, sync::Arc};

    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use crate::reader::{
        Settings, Task,
        discover::{Discover, Found, Means},
        inbox::Inbox,
        known::Known,
        matcher::Matcher,
        table::Table,
        watch::Watch,
    };

    /// A discovery of all files in `dir`, whose lane nobody runs.
    fn discover(dir: &Path) -> Discover {
        let (wake, woken) = UnixStream::pair().expect("a socket");
        let (events, _) = mpsc::channel(8);
        let means = Means {
            table: Arc::new(Table::new(wake)),
            stop: CancellationToken::new(),
            settings: Settings::default(),
            events,
            watch: Watch::new(woken).expect("inotify"),
        };
        let task = Task::new("t", vec![dir.join("*").display().to_string()]);
        let mut discover =
            Discover::new(vec![Matcher::of(&task, 1 << 20).expect("a pattern")], Known::new(1, Vec::new()), means);
        discover.lanes.push(Arc::new(Inbox::default()));
        discover.first_walk = false;
        discover
    }

    #[test]
    fn a_copy_that_is_renamed_while_it_is_looked_at_is_held_under_its_new_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let (log, before, after) =
            (dir.path().join("app.log"), dir.path().join("app.log.1"), dir.path().join("app.log.2"));
        let mut discover = discover(dir.path());
        fs::write(&log, "one\ntwo\n").expect("written");
        discover.consider(0, &log);
        fs::copy(&log, &before).expect("copied");
        let metadata = before.metadata().expect("there");
        let (id, place) = discover.identify(&before, &metadata);
        fs::rename(&before, &after).expect("renamed");

        let found = Found { id, task: &"t".into(), path: &before, place, metadata: &metadata };
        discover.meet(&found, true);
        assert!(!discover.tracked.contains_key(&id), "it is read as a file of its own");
        discover.consider(0, &after);
        assert!(discover.held.contains_key(&id), "it is not held back");
    }
}
