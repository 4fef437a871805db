//! Orders to a reader that runs: tasks that begin, and tasks that end.
//!
//! A task ends in all lanes: each lets its files go where reading stands, and the last one says so. Whoever takes the
//! reader's events knows then that no block of the task comes any more, and may begin one of the same name.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::AcqRel},
};

use super::{matcher::Matcher, schedule::Rule};

/// Something that discovery is told.
pub(super) enum Order {
    /// Read this task's files, too.
    Begin(Matcher, Option<Rule>),
    /// Let this task's files go.
    Dismiss(Arc<str>),
}

/// A task that ends, in all lanes.
#[derive(Debug)]
pub(super) struct Dismissal {
    pub(super) task: Arc<str>,
    /// In how many lanes it has not ended.
    lanes: AtomicUsize,
}

impl Dismissal {
    /// The end of a task in so many lanes.
    pub(super) fn new(task: Arc<str>, lanes: usize) -> Arc<Self> {
        Arc::new(Self { task, lanes: AtomicUsize::new(lanes) })
    }

    /// Notes that the task has ended in one more lane, and everything of it was sent; whether this was the last one.
    pub(super) fn ended_here(&self) -> bool {
        self.lanes.fetch_sub(1, AcqRel) == 1
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Begin(matcher, _) => write!(formatter, "begin {:?}", matcher.name),
            Self::Dismiss(task) => write!(formatter, "dismiss {task:?}"),
        }
    }
}
