//! Whether the files of a configuration are what they were: a look at them now and then.
//!
//! A look costs a few `stat` calls and sees what the kernel's events don't: a file behind a symbolic link that leads
//! elsewhere now, as a Kubernetes ConfigMap changes, or one on a network file system. A file that is being written is
//! left alone until it stays the same for one look.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use super::{Config, files};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The files of a configuration, and how they were when they were last read.
#[derive(Debug)]
pub struct Follower {
    file: Option<PathBuf>,
    seen: Vec<Stamp>,
}

/// What of a file tells that it is another one, or was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    /// Device, inode, size and the times of its last writing and change; none if it isn't there.
    is: Option<(u64, u64, u64, i128, i128)>,
}

impl Follower {
    /// Follows the files that `config` was just read from.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let file = config.file.clone();
        let seen = stamps(file.as_deref());
        Self { file, seen }
    }

    /// Waits until the files are others than when this last returned, and stay as they are for a moment.
    pub async fn changed(&mut self) {
        let mut last = self.seen.clone();
        loop {
            sleep(LOOK_EVERY).await;
            let now = stamps(self.file.as_deref());
            if now != self.seen && now == last {
                self.seen = now;
                return;
            }
            last = now;
        }
    }

    /// Takes the files as they are now for known: they are about to be read.
    pub fn look(&mut self) {
        self.seen = stamps(self.file.as_deref());
    }
}

fn stamps(file: Option<&Path>) -> Vec<Stamp> {
    let Some(file) = file else { return Vec::new() };
    let directory = files::directory(file);
    let mut paths = vec![file.to_owned()];
    // One that can't be read is told when the configuration is.
    paths.extend(files::names(&directory).unwrap_or_default());
    paths.into_iter().map(stamp).collect()
}

fn stamp(path: PathBuf) -> Stamp {
    let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let is = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|metadata| {
        let written = time(metadata.mtime(), metadata.mtime_nsec());
        let changed = time(metadata.ctime(), metadata.ctime_nsec());
        (metadata.dev(), metadata.ino(), metadata.len(), written, changed)
    });
    Stamp { path, is }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::stamps;

    #[test]
    fn files_that_are_written_replaced_added_or_linked_elsewhere_are_seen_and_others_are_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a")).expect("made");
        fs::create_dir_all(at("b")).expect("made");
        for version in ["a", "b"] {
            fs::write(at(version).join("logdrive.toml"), "x = 1").expect("written");
        }
        // As a ConfigMap is mounted: the file leads to a directory that is replaced as a whole.
        symlink("a", at("data")).expect("linked");
        symlink("data/logdrive.toml", at("logdrive.toml")).expect("linked");
        let file = at("logdrive.toml");
        let mut seen = stamps(Some(&file));
        let mut is_other = |what: &str, expected: bool| {
            let now = stamps(Some(&file));
            assert_eq!(now != seen, expected, "{what}");
            seen = now;
        };
        is_other("nothing", false);
        symlink("b", at("new")).expect("linked");
        fs::rename(at("new"), at("data")).expect("renamed");
        is_other("the link leads elsewhere", true);
        fs::write(at("b").join("logdrive.toml"), "x = 22").expect("written");
        is_other("it was written", true);
        fs::write(at("unrelated.toml"), "").expect("written");
        is_other("a file beside it", false);
        fs::create_dir_all(at("conf.d")).expect("made");
        is_other("an empty directory", false);
        fs::write(at("conf.d/10.toml"), "").expect("written");
        is_other("a file in the directory", true);
        fs::write(at("conf.d/10.toml~"), "").expect("written");
        is_other("an editor's leftover", false);
        fs::remove_file(at("conf.d/10.toml")).expect("removed");
        is_other("a file left the directory", true);
        fs::rename(at("unrelated.toml"), at("logdrive.toml")).expect("renamed");
        is_other("it was replaced", true);
        assert!(stamps(None).is_empty());
    }
}
