//! A note beside the store that its checkpoints were lost, until they were made good. A crash in between must not
//! leave a new, empty store that looks like any other.
//!
//! The file has three lines: the lost store's epoch in hexadecimal or `-`, where it is now or `-`, and why.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// What is known of a store that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its random number, from which identities of files were made, where that is known.
    pub epoch: Option<u128>,
    /// Where it is now; none if it is nowhere.
    pub path: Option<PathBuf>,
    /// Why it could not be read.
    pub reason: String,
}

/// Writes the note, synced.
pub(super) fn write(path: &Path, lost: &Lost) -> io::Result<()> {
    let none = || "-".to_owned();
    let epoch = lost.epoch.map_or_else(none, |epoch| format!("{epoch:032x}"));
    let kept = lost.path.as_ref().map_or_else(none, |path| path.display().to_string());
    let mut file = File::create(path)?;
    write!(file, "{epoch}\n{kept}\n{}\n", lost.reason.replace('\n', " "))?;
    file.sync_all()?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the note, if there is one. One that was cut short says that checkpoints were lost and no more.
pub(super) fn read(path: &Path) -> io::Result<Option<Lost>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let epoch = lines.next().filter(|epoch| epoch.len() == 32).and_then(|epoch| u128::from_str_radix(epoch, 16).ok());
    let kept = lines.next().filter(|path| *path != "-").map(PathBuf::from);
    let reason = lines.next().unwrap_or("it could not be read").to_owned();
    Ok(Some(Lost { epoch, path: kept, reason }))
}

/// Removes the note.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Lost, read, remove, write};

    #[test]
    fn the_note_reads_back_until_it_is_removed_and_says_what_it_can_if_it_was_cut_short() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lost");
        assert_eq!(read(&path).expect("readable"), None);
        for (epoch, kept) in [(Some(7), Some("/data/checkpoints.damaged".into())), (None, None)] {
            let lost = Lost { epoch, path: kept, reason: "a checksum is wrong".to_owned() };
            write(&path, &lost).expect("written");
            assert_eq!(read(&path).expect("readable"), Some(lost));
        }
        std::fs::write(&path, b"00ff").expect("written");
        let lost = read(&path).expect("readable").expect("lost");
        assert_eq!((lost.epoch, lost.path), (None, None));
        remove(&path).expect("removed");
        remove(&path).expect("nothing to do");
        assert_eq!(read(&path).expect("readable"), None);
    }
}
