//! A directory with one file in it, which goes when it is dropped.

use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    io,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
};

/// The directory, which nobody else can look into.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A directory whose file holds `input`.
    pub(super) fn with(input: &[u8]) -> io::Result<Self> {
        // Random, so that nobody can be there first.
        let name = format!("logdrive-test-{:016x}", RandomState::new().hash_one(std::process::id()));
        let scratch = Self(env::temp_dir().join(name));
        fs::DirBuilder::new().mode(0o700).create(&scratch.0)?;
        fs::write(scratch.file(), input)?;
        Ok(scratch)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("sample.log")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed is the temporary directory's to clean up.
        let _ = fs::remove_dir_all(&self.0);
    }
}
