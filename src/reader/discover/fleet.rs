//! Tasks that begin and end while files are read.
//!
//! A task that ends leaves its files to the lanes, which let them go where reading stands; their streams come back as
//! those of files that are not there. Only then may another task, or the same one anew, go on with them.

use std::{path::Path, sync::Arc};

use tracing::debug;

use super::Discover;
use crate::{
    reader::{
        inbox::Command,
        matcher::Matcher,
        order::{Dismissal, Order},
        schedule::Rule,
    },
    record::FileId,
};

impl Discover {
    /// Does what was ordered; whether everything is to be looked at again.
    pub(super) fn obey_orders(&mut self) -> bool {
        let orders = self.table.take_orders();
        let has_any = !orders.is_empty();
        for order in orders {
            match order {
                Order::Begin(matcher, rule) => self.begin_task(matcher, rule),
                Order::Dismiss(task) => self.dismiss_task(task),
            }
        }
        has_any
    }

    /// Whether files of tasks that ended have been let go since, so that other tasks may mean them. Their streams were
    /// handed over before.
    pub(super) fn have_left(&mut self) -> bool {
        let before = self.leaving_tasks.len();
        self.leaving_tasks.retain(|_, progress| !progress.is_gone());
        self.leaving_tasks.len() < before
    }

    fn begin_task(&mut self, matcher: Matcher, rule: Option<Rule>) {
        debug!(task = %matcher.name, "task begins");
        if let Some(rule) = rule {
            for lane in &self.lanes {
                lane.push(Command::Begin(Arc::clone(&matcher.name), rule.clone()));
            }
        }
        self.beginning.push(Arc::clone(&matcher.name));
        self.tasks.push(Arc::new(matcher));
    }

    fn dismiss_task(&mut self, name: Arc<str>) {
        debug!(task = %name, "task ends");
        self.tasks.retain(|task| task.name != name);
        self.beginning.retain(|task| *task != name);
        let held: Vec<FileId> = self.held_of(&name);
        for id in held {
            if let Some(held) = self.held.remove(&id) {
                self.drop_held(&held);
            }
        }
        let files: Vec<FileId> =
            self.tracked.iter().filter(|(_, tracked)| tracked.task == name).map(|(id, _)| *id).collect();
        for id in files {
            let Some(tracked) = self.tracked.remove(&id) else { continue };
            for path in &tracked.names {
                self.names.remove::<Path>(path);
            }
            self.leaving_tasks.insert(id, tracked.progress);
        }
        let dismissal = Dismissal::new(name, self.lanes.len());
        for lane in &self.lanes {
            lane.push(Command::Dismiss(Arc::clone(&dismissal)));
        }
    }
}
