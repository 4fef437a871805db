//! The files that this process's own log goes to: each line that is collected of one could make another, without end.
//!
//! They are known by what the descriptors of output and of errors lead to, whatever the files' names are.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::{FileType, fstat};
use tracing::warn;

/// What is left out.
#[derive(Debug, Default)]
pub(super) struct OwnLog {
    /// Devices and inodes.
    places: Vec<(u64, u64)>,
    is_told: bool,
}

impl OwnLog {
    /// What this process writes to, of files.
    pub(super) fn of_process() -> Self {
        // A descriptor that is closed leads nowhere.
        let outputs = [fstat(io::stdout()), fstat(io::stderr())];
        let files = outputs.into_iter().flatten();
        let files = files.filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        Self { places: files.map(|stat| (stat.st_dev, stat.st_ino)).collect(), is_told: false }
    }

    /// Whether this file is one of them; says so of the first.
    pub(super) fn is(&mut self, path: &Path, metadata: &Metadata) -> bool {
        let is_own = self.places.contains(&(metadata.dev(), metadata.ino()));
        if is_own && !self.is_told {
            self.is_told = true;
            warn!(
                path = %path.display(),
                "a task means the file that this process writes its own log to; it is not collected, for it would grow by \
                 being read; agent.own_log = true collects it all the same"
            );
        }
        is_own
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::OwnLog;

    #[test]
    fn the_log_is_known_by_any_name_and_no_other_file_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let [log, link, other] = ["log", "link", "other"].map(|name| dir.path().join(name));
        fs::write(&log, "").expect("written");
        fs::write(&other, "").expect("written");
        fs::hard_link(&log, &link).expect("linked");
        let metadata = |path| fs::metadata(path).expect("it is there");
        let mut own = OwnLog { places: vec![(metadata(&log).dev(), metadata(&log).ino())], is_told: false };
        assert!(own.is(&link, &metadata(&link)) && own.is(&log, &metadata(&log)));
        assert!(!own.is(&other, &metadata(&other)));
        assert!(!OwnLog::default().is(&log, &metadata(&log)), "nothing is left out that was asked for");
    }
}
