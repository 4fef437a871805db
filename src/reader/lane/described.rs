//! What a lane says of itself when it is asked. Nothing is kept for it.

use super::Lane;
use crate::{
    inspect::{self, Turn},
    reader::disk::Disk,
};

/// So many files in their turn are named; more are there only while many files are given up.
const TURNS_MAX: usize = 16;

impl<D: Disk> Lane<D> {
    /// What the lane is doing now; its number is whoever asks' to fill in.
    pub(super) fn describe(&self) -> inspect::Lane {
        let mut turns: Vec<_> = self.away.iter().collect();
        turns.sort_unstable_by_key(|(_, away)| away.since);
        let turn = |(id, away): (&crate::record::FileId, &super::Away)| Turn {
            file: id.to_string(),
            task: away.task.to_string(),
            seconds: away.since.elapsed().as_secs_f64(),
        };
        inspect::Lane {
            lane: 0,
            answered: true,
            files: self.tails.len() + self.away.len(),
            open: self.open,
            ready: self.ready.len(),
            waiting: self.waiting.len(),
            quiet: self.quiet.len(),
            leaving: self.leaving.len(),
            turns: turns.into_iter().take(TURNS_MAX).map(turn).collect(),
        }
    }
}
