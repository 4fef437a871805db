//! Where the kernel tells of the machine: `/proc`, `/sys` and `/`, wherever a container has them.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The longest text that is read: ten times what a machine with thousands of mounts and hundreds of processors has.
const TEXT_MAX: u64 = 16 << 20;

/// The three places.
#[derive(Clone, Debug)]
pub(super) struct Files {
    proc: PathBuf,
    pub(super) sys: PathBuf,
    root: PathBuf,
}

impl Files {
    pub(super) fn new(proc: PathBuf, sys: PathBuf, root: PathBuf) -> Self {
        Self { proc, sys, root }
    }

    /// A text of `/proc`, by its path there.
    pub(super) fn proc(&self, path: &str) -> anyhow::Result<String> {
        Ok(text(&self.proc_bytes(path)?))
    }

    /// The same as it stands, for what need not be text.
    pub(super) fn proc_bytes(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.proc.join(path);
        read(&path).with_context(|| format!("can't read {}", path.display()))
    }

    /// A text of `/proc` that each process has its own of: the machine's, which is that of its first process.
    ///
    /// Without a machine's `/proc` of another place, or without the right to see that process, it is our own.
    pub(super) fn of_machine(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.proc_bytes(&format!("1/{path}")).or_else(|_| self.proc_bytes(&format!("self/{path}")))
    }

    /// Where what the machine has at `path` is for us.
    pub(super) fn under_root(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The machine's name for what is at `path` for us.
    pub(super) fn seen_from_root<'p>(&self, path: &'p str) -> &'p str {
        let root = self.root.to_str().unwrap_or_default().trim_end_matches('/');
        match path.strip_prefix(root) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

/// A short text of a file, without the blank at its end.
pub(super) fn word(path: &Path) -> io::Result<String> {
    Ok(text(&read(path)?).trim().to_owned())
}

/// The words of a line as numbers, up to the first that is none.
pub(super) fn numbers(line: &str) -> impl Iterator<Item = f64> {
    line.split_ascii_whitespace().map_while(number)
}

/// A number as the kernel writes it: digits, perhaps with a point or a sign, and nothing that only floats have words for.
pub(super) fn number(word: &str) -> Option<f64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    word.bytes().all(is_digit).then(|| word.parse().ok()).flatten()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = File::open(path)?.take(TEXT_MAX + 1).read_to_end(&mut bytes)?;
    if length as u64 > TEXT_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 16 MiB"));
    }
    Ok(bytes)
}
