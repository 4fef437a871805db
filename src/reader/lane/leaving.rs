//! Tasks that end: their files are let go where reading stands, and the last lane says when all are.
//!
//! A file in its turn comes back first, so that all of what was read is sent. One that was deleted is read to its end,
//! since nobody could go on with it later.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Lane;
use crate::{
    reader::{Event, disk::Disk, order::Dismissal},
    record::{FileId, Stream},
};

/// A task that ends, and how many of its files are still here.
pub(super) struct Leaving {
    dismissal: Arc<Dismissal>,
    left: usize,
}

/// Something to tell when there is room for it.
pub(super) enum Told {
    /// A file was let go, and this stream of it rests.
    Rested(Stream),
    /// The task has ended here, and this is told behind all that was read of it.
    Ended(Arc<Dismissal>),
}

impl Leaving {
    pub(super) fn task(&self) -> Arc<str> {
        Arc::clone(&self.dismissal.task)
    }
}

impl<D: Disk> Lane<D> {
    /// Lets all files of a task go, those in their turn when they are back.
    pub(super) fn dismiss(&mut self, dismissal: Arc<Dismissal>) {
        let of_task = |task: &Arc<str>| *task == dismissal.task;
        let home: Vec<FileId> =
            self.tails.iter().filter(|(_, tail)| of_task(&tail.from.task)).map(|(id, _)| *id).collect();
        let away = self.away.values().filter(|away| of_task(&away.task)).count();
        self.leaving.push(Leaving { dismissal, left: home.len() + away });
        for id in home {
            self.let_leave(id);
        }
        self.end_leaving();
    }

    /// Whether a task is about to end.
    pub(super) fn is_leaving(&self, task: &str) -> bool {
        self.leaving.iter().any(|leaving| *leaving.dismissal.task == *task)
    }

    /// Lets go of a file at home whose task is about to end, unless something of it has to be read first.
    pub(super) fn let_leave(&mut self, id: FileId) {
        let Some(tail) = self.tails.get(&id) else { return };
        if tail.deleted.is_some() {
            // It is given up as soon as all of it was read.
            self.minded.insert(id);
            return;
        }
        self.minded.remove(&id);
        let Some(mut tail) = self.tails.remove(&id) else { return };
        if let Some(since) = tail.quiet.take() {
            self.quiet.remove(&(since, id));
        }
        self.close(&mut tail);
        self.context.table.remove(id, &tail.from.progress);
        tail.parting().into_iter().for_each(|parting| self.context.table.part(parting));
        tail.from.progress.let_go();
        self.resting.remove(&id);
        tail.queued = false;
        self.telling.extend(tail.rest().map(Told::Rested));
        self.left(&tail.from.task);
    }

    /// Notes that a file is gone for good; its task may be about to end.
    pub(super) fn left(&mut self, task: &str) {
        let leaving = self.leaving.iter_mut().find(|leaving| *leaving.dismissal.task == *task);
        if let Some(leaving) = leaving {
            leaving.left = leaving.left.saturating_sub(1);
        }
    }

    /// Ends the tasks of which no file is left.
    pub(super) fn end_leaving(&mut self) {
        for Leaving { dismissal, .. } in self.leaving.extract_if(.., |leaving| leaving.left == 0) {
            self.ready.end(&dismissal.task);
            self.context.forget(&dismissal.task);
            self.telling.push_back(Told::Ended(dismissal));
        }
    }

    /// Tells one thing for which there is room.
    pub(super) fn tell(&mut self, told: Told, room: mpsc::Permit<'_, Event>) {
        match told {
            Told::Rested(stream) => room.send(Event::Rested(stream)),
            // What other lanes read of the task was sent before they said so.
            Told::Ended(dismissal) => {
                if dismissal.ended_here() {
                    room.send(Event::Dismissed(Arc::clone(&dismissal.task)));
                }
            }
        }
    }
}
