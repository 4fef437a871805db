//! The last values that were good, in the data directory: what runs when etcd is away at the start.
//!
//! Written whole or not at all, and sealed: one that is damaged is told and not used. There is no secret in it, for tasks
//! have none.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// The file's name in the data directory.
const NAME: &str = "tasks-from-etcd.json";

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The address that `{ip}` stood for.
    pub(super) address: String,
    /// Each key's last good value.
    pub(super) values: Vec<KeptValue>,
}

/// A key's last good value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptValue {
    pub(super) key: String,
    pub(super) revision: i64,
    pub(super) value: String,
}

/// What is kept in a data directory; none if there is nothing.
pub(super) fn load(data_dir: &Path) -> anyhow::Result<Option<Kept>> {
    let path = place(data_dir);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
    };
    open(&text).map(Some).with_context(|| format!("{} is damaged, and not used", path.display()))
}

/// Keeps it, synced to disk.
pub(super) fn save(data_dir: &Path, kept: &Kept) -> anyhow::Result<()> {
    let path = place(data_dir);
    write(&path, &seal(kept)?).with_context(|| format!("can't write {}", path.display()))
}

fn place(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// The checksum's line, then what it is of.
fn seal(kept: &Kept) -> anyhow::Result<String> {
    let body = serde_json::to_string_pretty(kept)?;
    Ok(format!("{{\"crc32\": \"{:08x}\"}}\n{body}\n", crc32fast::hash(body.as_bytes())))
}

fn open(text: &str) -> anyhow::Result<Kept> {
    #[derive(Deserialize)]
    struct Seal {
        crc32: String,
    }
    let (seal, body) = text.split_once('\n').context("it has no second line")?;
    let Seal { crc32 } = serde_json::from_str(seal).context("its first line is no checksum")?;
    let body = body.trim_end_matches('\n');
    let found = format!("{:08x}", crc32fast::hash(body.as_bytes()));
    ensure!(crc32 == found, "its checksum is {found}, and {crc32} was written");
    Ok(serde_json::from_str(body)?)
}

/// Under another name first, synced, then renamed.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Kept, KeptValue, load, place, save};

    fn kept() -> Kept {
        let value = KeptValue { key: "/a".to_owned(), revision: 7, value: "[]\n".to_owned() };
        Kept { address: "10.0.0.1".to_owned(), values: vec![value] }
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        assert_eq!(load(&data).expect("nothing is no error"), None);
        save(&data, &Kept::default()).expect("it can be written");
        save(&data, &kept()).expect("it can be written");
        assert_eq!(load(&data).expect("whole"), Some(kept()));
    }

    #[test]
    fn a_file_with_any_byte_changed_or_missing_is_not_used() {
        let dir = tempfile::tempdir().expect("a directory");
        save(dir.path(), &kept()).expect("it can be written");
        let whole = std::fs::read(place(dir.path())).expect("it is there");
        for at in 0..whole.len() - 1 {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x01;
            std::fs::write(place(dir.path()), &damaged).expect("written");
            assert!(load(dir.path()).is_err(), "byte {at}");
            std::fs::write(place(dir.path()), &whole[..at]).expect("written");
            assert!(load(dir.path()).is_err(), "cut at {at}");
        }
    }
}
