//! The kernel's word that a directory changed: inotify on directories, so that idle files cost nothing.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Something that happened to a name in a watched directory.
#[derive(Debug)]
pub(super) enum Change {
    /// A file of this name was written, or its attributes changed.
    Touched(PathBuf),
    /// The name appeared. With a number, it is the other half of a `Left` with the same number.
    Appeared(PathBuf, u32),
    /// The name was moved away.
    Left(PathBuf, u32),
    /// The name was deleted.
    Deleted(PathBuf),
    /// A directory appeared, was moved or vanished.
    Directories,
    /// Events were lost; only a look at everything tells what happened.
    Overflow,
}

/// Watches directories, and waits.
pub(super) struct Watch {
    inotify: Inotify,
    directories: HashMap<WatchDescriptor, PathBuf>,
    watched: HashMap<PathBuf, WatchDescriptor>,
    buffer: Vec<u8>,
    /// Readable when the thread is to look up.
    wake: UnixStream,
}

impl Watch {
    /// # Errors
    /// If the kernel gives no inotify instance (`fs.inotify.max_user_instances`).
    pub(super) fn new(wake: UnixStream) -> io::Result<Self> {
        wake.set_nonblocking(true)?;
        let (directories, watched) = (HashMap::new(), HashMap::new());
        Ok(Self { inotify: Inotify::init()?, directories, watched, buffer: vec![0; 64 * 1024], wake })
    }

    /// Watches a directory, if it is not watched yet; whether it was not.
    ///
    /// # Errors
    /// If the kernel refuses, for one because of `fs.inotify.max_user_watches`.
    pub(super) fn add(&mut self, directory: &Path) -> io::Result<bool> {
        if self.watched.contains_key(directory) {
            return Ok(false);
        }
        let mask = WatchMask::CREATE
            | WatchMask::MODIFY
            | WatchMask::ATTRIB
            | WatchMask::MOVE
            | WatchMask::DELETE
            | WatchMask::ONLYDIR;
        let descriptor = self.inotify.watches().add(directory, mask)?;
        self.directories.insert(descriptor.clone(), directory.to_owned());
        self.watched.insert(directory.to_owned(), descriptor);
        Ok(true)
    }

    /// Waits until something happens, or `limit` has passed.
    pub(super) fn wait(&self, limit: Duration) {
        let limit = Timespec { tv_sec: limit.as_secs().min(1 << 30) as i64, tv_nsec: limit.subsec_nanos().into() };
        let inotify = PollFd::from_borrowed_fd(self.inotify.as_fd(), PollFlags::IN);
        let wake = PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN);
        // An interrupted or failed wait ends early, and the caller looks again.
        let _ = poll(&mut [inotify, wake], Some(&limit));
        // One look answers all who woke it. Closed, it stays readable: that is the end.
        let _ = io::Read::read(&mut &self.wake, &mut [0; 256]);
    }

    /// What happened since the last call, as far as one read of the kernel's queue goes.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut gone = Vec::new();
        let events = match self.inotify.read_events(&mut self.buffer) {
            Ok(events) => events,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return changes,
            Err(_) => return vec![Change::Overflow],
        };
        for event in events {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                changes.push(Change::Overflow);
                continue;
            }
            let Some(directory) = self.directories.get(&event.wd) else { continue };
            if event.mask.contains(EventMask::IGNORED) {
                gone.push(event.wd.clone());
                changes.push(Change::Directories);
                continue;
            }
            let Some(name) = event.name else { continue };
            changes.extend(change(event.mask, event.cookie, directory, &name.to_owned()));
        }
        for descriptor in gone {
            if let Some(directory) = self.directories.remove(&descriptor) {
                self.watched.remove(&directory);
            }
        }
        changes
    }

    /// Forgets watches whose path may lead elsewhere now, so that the next walk makes them anew.
    pub(super) fn forget_paths(&mut self) {
        self.watched.clear();
    }
}

fn change(mask: EventMask, cookie: u32, directory: &Path, name: &OsString) -> Option<Change> {
    if mask.contains(EventMask::ISDIR) {
        let moved = EventMask::CREATE | EventMask::MOVED_FROM | EventMask::MOVED_TO | EventMask::DELETE;
        return mask.intersects(moved).then_some(Change::Directories);
    }
    let path = directory.join(name);
    Some(match mask {
        mask if mask.contains(EventMask::MOVED_TO) => Change::Appeared(path, cookie),
        mask if mask.contains(EventMask::CREATE) => Change::Appeared(path, 0),
        mask if mask.contains(EventMask::MOVED_FROM) => Change::Left(path, cookie),
        mask if mask.contains(EventMask::DELETE) => Change::Deleted(path),
        mask if mask.intersects(EventMask::MODIFY | EventMask::ATTRIB) => Change::Touched(path),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixStream, time::Duration};

    use super::{Change, Watch};

    #[test]
    fn a_queue_that_overflows_says_so_and_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let (_wake, woken) = UnixStream::pair().expect("a pair");
        let mut watch = Watch::new(woken).expect("an inotify instance");
        watch.add(dir.path()).expect("watched");
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("readable");
        let limit: usize = limit.trim().parse().expect("a number");
        let path = dir.path().join("a");
        for _ in 0..=limit / 2 {
            fs::write(&path, "").expect("written");
            fs::remove_file(&path).expect("removed");
        }
        let mut has_overflown = false;
        loop {
            let changes = watch.changes();
            if changes.is_empty() {
                break;
            }
            has_overflown |= changes.iter().any(|change| matches!(change, Change::Overflow));
        }
        assert!(has_overflown);
        fs::write(dir.path().join("b"), "").expect("written");
        watch.wait(Duration::from_secs(10));
        let changes = watch.changes();
        assert!(matches!(&changes[0], Change::Appeared(path, 0) if path.ends_with("b")), "{changes:?}");
    }

    #[test]
    fn a_byte_wakes_once_and_does_not_keep_awake() {
        let (mut wake, woken) = UnixStream::pair().expect("a pair");
        let watch = Watch::new(woken).expect("an inotify instance");
        std::io::Write::write_all(&mut wake, &[0; 3]).expect("written");
        watch.wait(Duration::from_secs(600));
        assert!(std::io::Read::read(&mut &watch.wake, &mut [0; 1]).is_err(), "all bytes were taken");
    }
}
