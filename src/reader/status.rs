//! How far reading is, task by task: what a person asks first.

use std::time::Duration;

use super::progress::Progress;
use crate::{
    inspect::{self, FileState},
    metrics::{self, list},
};

/// The files of a task, each in one state, and what of them was not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Files that are open and have all their names.
    pub open: usize,
    /// Files that were read to their ends and closed since.
    pub idle: usize,
    /// Files that were renamed or deleted and are not read to their ends yet.
    pub draining: usize,
    /// Files that could not be read when that was last tried.
    pub failed: usize,
    /// Files that wait for a descriptor.
    pub waiting: usize,
    /// Bytes that were not read.
    pub unread_bytes: u64,
    /// How long the oldest byte that was not read has been waiting, at least.
    pub oldest_unread: Option<Duration>,
}

impl Status {
    pub(super) fn add(&mut self, progress: &Progress, now_ms: i64) {
        let files = match progress.state() {
            FileState::Failed => &mut self.failed,
            FileState::Draining => &mut self.draining,
            FileState::Waiting => &mut self.waiting,
            FileState::Open => &mut self.open,
            FileState::Idle => &mut self.idle,
        };
        *files += 1;
        self.unread_bytes += progress.unread();
        self.oldest_unread = self.oldest_unread.max(progress.oldest_unread(now_ms));
    }

    /// The task as one that asks is told of it; what the reader doesn't know of it is left empty.
    #[must_use]
    pub fn told(&self, task: &str, in_flight_bytes: u64) -> inspect::Task {
        inspect::Task {
            name: task.to_owned(),
            files: self.open + self.idle + self.draining + self.failed + self.waiting,
            unread_bytes: self.unread_bytes,
            in_flight_bytes,
            oldest_unread_seconds: self.oldest_unread.map(|age| age.as_secs_f64()),
            ..inspect::Task::default()
        }
    }

    /// Sets the metrics of a task of which, beside what was not read, so many bytes were read and are not safe.
    pub fn report(&self, task: &str, in_flight_bytes: u64) {
        let states = [
            (FileState::Open, self.open),
            (FileState::Idle, self.idle),
            (FileState::Draining, self.draining),
            (FileState::Failed, self.failed),
            (FileState::Waiting, self.waiting),
        ];
        for (state, files) in states {
            metrics::gauge(&list::FILES, &[task, state.name()]).set(files as f64);
        }
        metrics::gauge(&list::UNREAD_BYTES, &[task]).set((self.unread_bytes + in_flight_bytes) as f64);
        let oldest = self.oldest_unread.unwrap_or_default();
        metrics::gauge(&list::OLDEST_UNREAD_SECONDS, &[task]).set(oldest.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, Status};
    use crate::reader::progress::Standing;

    #[test]
    fn each_file_is_in_one_state_and_the_oldest_byte_of_all_counts() {
        let mut status = Status::default();
        for standing in [Standing::Idle, Standing::Open, Standing::Waiting, Standing::Failed] {
            let progress = Progress::default();
            progress.stands(standing);
            status.add(&progress, 1000);
        }
        let leaving = Progress::default();
        leaving.stands(Standing::Open);
        leaving.saw_size(7);
        leaving.fell_behind(400);
        leaving.lost_a_name();
        status.add(&leaving, 1000);
        let oldest_unread = Some(Duration::from_millis(600));
        let expected = Status { open: 1, idle: 1, draining: 1, failed: 1, waiting: 1, unread_bytes: 7, oldest_unread };
        assert_eq!(status, expected);
    }
}
