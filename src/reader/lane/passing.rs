//! What becomes of files as time passes: quiet ones are closed, late lines go out, deleted files are let go.

use std::{rc::Rc, sync::Arc, time::Instant};

use futures::FutureExt;
use tracing::warn;

use super::{Lane, TICK, leaving::Leaving};
use crate::{
    reader::{
        disk::Disk,
        farewell::{self, Held},
    },
    record::FileId,
};

impl<D: Disk> Lane<D> {
    pub(super) fn deleted(&mut self, id: FileId) {
        let Some(tail) = self.tails.get_mut(&id) else { return };
        tail.deleted = Some(Instant::now());
        tail.from.progress.lost_a_name();
        if tail.is_open() {
            self.minded.insert(id);
            self.wake(id);
        } else {
            self.give_up(id);
        }
    }

    /// Looks after files that something becomes of as time passes.
    pub(super) fn tick(&mut self) {
        let context = Rc::clone(&self.context);
        let settings = &context.settings;
        let now = Instant::now();
        while let Some((since, id)) = self.quiet.first().copied() {
            if now.duration_since(since) < settings.close_after {
                break;
            }
            self.quiet.pop_first();
            self.close_quiet(id);
        }
        let (mut woken, mut over) = (Vec::new(), Vec::new());
        let leaving: Vec<Arc<str>> = self.leaving.iter().map(Leaving::task).collect();
        self.minded.retain(|id| {
            let Some(tail) = self.tails.get_mut(id) else { return self.away.contains_key(id) };
            let idle = tail.active.elapsed();
            if tail.is_overdue(settings.idle_flush) || tail.waits_to_unpack() {
                woken.push(*id);
            } else if tail.deleted.is_some() && !tail.queued {
                // Names are gone, so nobody tells of what is still written: look, until it was quiet for long enough.
                let is_leaving = !tail.unended && leaving.contains(&tail.from.task);
                let quiet = if is_leaving { settings.deleted_quiet.min(2 * TICK) } else { settings.deleted_quiet };
                let list = if idle >= quiet { &mut over } else { &mut woken };
                list.push(*id);
            }
            tail.needs_minding()
        });
        for id in woken {
            self.wake(id);
        }
        for id in over {
            self.give_up(id);
        }
        self.let_go();
        self.end_leaving();
        self.serve_waiting();
    }

    /// Lets go of deleted files that may be held no longer, whatever of them was not read.
    pub(super) fn let_go(&mut self) {
        let settings = &self.context.settings;
        let deleted = self.minded.iter().filter_map(|id| match (self.tails.get(id), self.away.get(id)) {
            (Some(tail), _) => Some((*id, tail.deleted?, tail.queued || tail.unended, tail.held())),
            (None, Some(away)) => Some((*id, away.deleted?, away.since.elapsed() >= TICK, away.held)),
            (None, None) => None,
        });
        let mut over: Vec<FileId> = Vec::new();
        let mut held: Vec<(FileId, Held)> = Vec::new();
        for (id, since, is_behind, holds) in deleted {
            if is_behind && since.elapsed() >= settings.deleted_grace {
                over.push(id);
            } else {
                held.extend(holds.map(|holds| (id, holds)));
            }
        }
        over.extend(farewell::crowded_out(&held, settings.free_space_min, farewell::look));
        for id in over {
            match self.away.get(&id) {
                Some(away) => away.halt.notify_one(),
                None => self.give_up(id),
            }
        }
    }

    /// Ends a file whose last name is gone and counts what of it will never be read.
    pub(super) fn give_up(&mut self, id: FileId) {
        self.minded.remove(&id);
        let Some(mut tail) = self.tails.remove(&id) else { return };
        if let Some(since) = tail.quiet.take() {
            self.quiet.remove(&(since, id));
        }
        tail.see_size();
        self.close(&mut tail);
        self.context.table.remove(id, &tail.from.progress);
        let counters = self.context.counters(&tail.from.task);
        if !tail.from.is_void {
            counters.happened("deleted");
        }
        let unread = tail.from.progress.unread();
        if unread > 0 {
            counters.abandoned.increment(unread);
            warn!(path = %tail.from.path.display(), bytes = unread, "file was deleted before all of it was read");
        }
        tail.parting().into_iter().for_each(|parting| self.context.table.part(parting));
        tail.from.progress.let_go();
        // Of what was not opened nobody was told.
        if tail.stream().is_none() {
            return self.left(&tail.from.task);
        }
        self.leave(&tail, None);
        let context = Rc::clone(&self.context);
        self.turns.push(async move { tail.end(&context).await }.boxed_local());
    }
}
