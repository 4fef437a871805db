//! How the text of a task's files is taken apart.

use std::{sync::Arc, time::Duration};

use super::{
    Task,
    multiline::{Grouping, MultilineError},
};
use crate::record::{Form, Labels, Newline};

/// What is the same for all files of a task.
#[derive(Debug)]
pub(super) struct Reading {
    /// What the task says of all its lines.
    pub(super) labels: Labels,
    /// How the text is to be understood.
    pub(super) form: Form,
    /// Which lines make one message together; none if each is one.
    pub(super) grouping: Option<Grouping>,
}

impl Reading {
    pub(super) fn of(task: &Task, line_bytes_max: usize) -> Result<Arc<Self>, MultilineError> {
        let container = task.multiline.as_ref().and_then(|multiline| multiline.container());
        let form = Form { charset: task.charset, container };
        let grouping = task.multiline.as_ref().map(|multiline| Grouping::new(multiline, task.charset, line_bytes_max));
        Ok(Arc::new(Self { labels: task.labels.clone(), form, grouping: grouping.transpose()? }))
    }

    pub(super) fn newline(&self) -> Newline {
        self.form.charset.newline()
    }

    /// How long a message waits for its next line; none if it is a line.
    pub(super) fn message_timeout(&self) -> Option<Duration> {
        self.grouping.as_ref().map(|grouping| grouping.timeout)
    }
}
