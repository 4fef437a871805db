//! A task's patterns, read.

use std::{path::Path, sync::Arc, time::Duration};

use xxhash_rust::xxh3::xxh3_64;

use super::{Compression, PatternError, ReaderError, StartAt, Task, pattern::Pattern, reading::Reading};
use crate::record::FileId;

/// Which paths a task means, and where to begin in a file of its that was never seen.
pub(super) struct Matcher {
    pub(super) name: Arc<str>,
    pub(super) paths: Vec<Pattern>,
    exclude: Vec<Pattern>,
    pub(super) start_at: StartAt,
    pub(super) ignore_older: Option<Duration>,
    pub(super) unpack: bool,
    oldest_first: bool,
    /// When the task began, in nanoseconds since 1970.
    pub(super) begun_ns: i128,
    pub(super) reading: Arc<Reading>,
}

impl Matcher {
    pub(super) fn of(task: &Task, line_bytes_max: usize) -> Result<Self, ReaderError> {
        let pattern = |error| ReaderError::Pattern { task: Arc::clone(&task.name), error };
        let multiline = |error| ReaderError::Multiline { task: Arc::clone(&task.name), error };
        let read = |patterns: &[String]| {
            patterns.iter().map(|text| Pattern::parse(text)).collect::<Result<Vec<_>, PatternError>>()
        };
        let exclude: Vec<String> = task.exclude.iter().map(|text| anywhere(text)).collect();
        Ok(Self {
            name: Arc::clone(&task.name),
            paths: read(&task.paths).map_err(pattern)?,
            exclude: read(&exclude).map_err(pattern)?,
            start_at: task.start_at,
            ignore_older: task.ignore_older,
            unpack: task.compression == Compression::Auto,
            oldest_first: task.oldest_first,
            begun_ns: jiff::Timestamp::now().as_nanosecond(),
            reading: Reading::of(task, line_bytes_max).map_err(multiline)?,
        })
    }

    /// Which of so many lanes reads a file; where the order of files matters, the same one all.
    pub(super) fn lane(&self, file: FileId, lanes: usize) -> usize {
        let number = if self.oldest_first { u128::from(xxh3_64(self.name.as_bytes())) } else { file.0 };
        (number % lanes as u128) as usize
    }

    pub(super) fn is_excluded(&self, path: &Path) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(path))
    }

    pub(super) fn means(&self, path: &Path) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(path)) && !self.is_excluded(path)
    }
}

/// An exclude without a slash, such as `*.gz`, holds in every directory.
fn anywhere(exclude: &str) -> String {
    if exclude.contains('/') { exclude.to_owned() } else { format!("/**/{exclude}") }
}
