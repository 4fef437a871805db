//! Which files are open: what is woken is opened at once, within the limit, and what was read long ago is closed.

use tokio::sync::mpsc;
use tracing::debug;

use super::Lane;
use crate::{
    reader::{
        Event,
        disk::Disk,
        progress::Standing,
        tail::{Hold, Tail},
    },
    record::FileId,
};

impl<D: Disk> Lane<D> {
    /// Opens a file that may have something new, and puts it in line.
    pub(super) fn wake(&mut self, id: FileId) {
        let Some(tail) = self.tails.get_mut(&id).filter(|tail| !tail.queued) else { return };
        if let Some(since) = tail.quiet.take() {
            self.quiet.remove(&(since, id));
        }
        tail.queued = true;
        if tail.is_open() {
            self.ready.push(id, &tail.from.task, tail.from.born_ns);
        } else if !self.waiting.is_empty() || !self.has_room() || !self.hold(id) {
            self.wait(id);
        }
    }

    /// Puts a file aside until there is a descriptor for it.
    pub(super) fn wait(&mut self, id: FileId) {
        let Some(tail) = self.tails.get(&id) else { return };
        tail.from.progress.stands(Standing::Waiting);
        if self.waiting.is_empty() {
            debug!(path = %tail.from.path.display(), open = self.open, "files wait for a descriptor");
        }
        self.waiting.push_back(id);
    }

    /// Opens a file that is in line, for which there is room; false if the system has no descriptor for it.
    pub(super) fn hold(&mut self, id: FileId) -> bool {
        // A file that was given up, or opened otherwise, waits no more.
        let Some(tail) = self.tails.get_mut(&id).filter(|tail| tail.queued && !tail.is_open()) else { return true };
        match tail.hold() {
            Hold::Open => {
                self.open += 1;
                self.ready.push(id, &tail.from.task, tail.from.born_ns);
            }
            Hold::NoDescriptor => return false,
            Hold::Not(outcome) => {
                if let Some(tail) = self.tails.remove(&id) {
                    self.take_back(tail, outcome);
                }
            }
        }
        true
    }

    /// Whether one more file may be opened; the one that was quiet for longest is closed for it.
    pub(super) fn has_room(&mut self) -> bool {
        if self.open < self.context.open_max {
            return true;
        }
        match self.quiet.pop_first() {
            Some((_, id)) => self.close_quiet(id),
            None => return false,
        }
        true
    }

    /// Opens files that waited for a descriptor.
    pub(super) fn serve_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(id) = self.waiting.front().copied().filter(|_| self.has_room()) else { break };
            if !self.hold(id) {
                break;
            }
            self.waiting.pop_front();
        }
    }

    /// Closes a file that was just taken out of the quiet ones.
    pub(super) fn close_quiet(&mut self, id: FileId) {
        if let Some(tail) = self.tails.get_mut(&id) {
            tail.quiet = None;
            tail.close();
            self.open -= 1;
            self.resting.insert(id);
        }
    }

    pub(super) fn close(&mut self, tail: &mut Tail<D>) {
        if tail.is_open() {
            tail.close();
            self.open -= 1;
        }
    }

    /// Tells of one file that it rests.
    pub(super) fn tell_resting(&mut self, room: Option<mpsc::Permit<'_, Event>>) {
        let Some(room) = room else {
            self.closed = true;
            return;
        };
        if let Some(told) = self.telling.pop_front() {
            return self.tell(told, room);
        }
        while let Some(id) = self.resting.pop_first() {
            if let Some(stream) = self.tails.get_mut(&id).and_then(|tail| tail.rest()) {
                room.send(Event::Rested(stream));
                break;
            }
        }
    }
}
