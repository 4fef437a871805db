//! The store's directory: made, opened, locked, or set aside.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use tantivy::{
    Index, TantivyError,
    directory::error::{OpenDirectoryError, OpenReadError},
};
use thiserror::Error;
use tracing::{info, warn};

use super::{
    positions::Positions,
    schema::{FORMAT, register_tokenizers, schema},
};

/// Why a store can't be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is being written by another process; stop that one, or choose another data directory", dir.display()
    )]
    Busy {
        /// The store.
        dir: PathBuf,
    },
    /// There is none.
    #[error("there is no store in {}; `logdrive up FILE` makes one", dir.display())]
    Missing {
        /// The store.
        dir: PathBuf,
    },
    /// It is there, but can't be read. A process that writes sets such a store aside.
    #[error("the store in {} can't be used: {why}", dir.display())]
    Damaged {
        /// The store.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system refused something.
    #[error("can't {what} {}: {source}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// Of what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What was found when a store was opened to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The store, as it was left.
    Resumed,
    /// No store, so one was made.
    Made,
    /// A store that could not be used; it is kept under another name, and an empty one was made.
    SetAside {
        /// Where it is now.
        kept: PathBuf,
        /// What was wrong with it.
        why: String,
    },
}

/// The right to write into a store, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "what counts is that it is open")] File);

/// Where the store of a data directory is. What else belongs to the store may be kept there too, and shares its fate.
#[must_use]
pub fn store_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("store")
}

const FORMAT_FILE: &str = "logdrive-format";

/// Opens the store to be written: makes it if there is none, sets it aside if it can't be used.
pub(super) fn open_to_write(data_dir: &Path) -> Result<(Index, Positions, Start, Lock), OpenError> {
    fs::create_dir_all(data_dir).map_err(system("make the directory", data_dir))?;
    let dir = store_dir(data_dir);
    let lock = lock(&data_dir.join("store.lock"), &dir)?;
    let start = match open(&dir) {
        Ok((index, positions)) => return Ok((index, positions, Start::Resumed, lock)),
        Err(OpenError::Missing { .. }) => {
            info!(path = %dir.display(), "made a new store");
            Start::Made
        }
        Err(OpenError::Damaged { why, .. }) => {
            let kept = set_aside(data_dir, &dir)?;
            warn!(
                path = %dir.display(), kept = %kept.display(), reason = %why,
                "the store can't be used; it is kept under another name, and an empty one takes its place"
            );
            Start::SetAside { kept, why }
        }
        Err(error) => return Err(error),
    };
    make(data_dir, &dir)?;
    let (index, positions) = open(&dir)?;
    Ok((index, positions, start, lock))
}

/// Opens the store, changing nothing.
pub(super) fn open(dir: &Path) -> Result<(Index, Positions), OpenError> {
    let damaged = |why: String| OpenError::Damaged { dir: dir.to_owned(), why };
    if !dir.try_exists().map_err(system("look at", dir))? {
        return Err(OpenError::Missing { dir: dir.to_owned() });
    }
    let format_file = dir.join(FORMAT_FILE);
    match fs::read_to_string(&format_file) {
        Ok(format) if format.trim() == FORMAT.to_string() => (),
        Ok(format) => {
            let format = format.trim();
            return Err(damaged(format!("its format is {format:.20?}, and this version of logdrive writes {FORMAT}")));
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            return Err(damaged(format!("it has no readable file {FORMAT_FILE}")));
        }
        Err(error) => return Err(system("read", &format_file)(error)),
    }
    // Damage can make tantivy panic instead of returning an error.
    let opened = catch_unwind(AssertUnwindSafe(|| open_index(dir)));
    match opened {
        Ok(Ok((index, payload))) => {
            let positions = Positions::read(payload.as_deref());
            Ok((index, positions.map_err(|why| damaged(format!("its commit can't be read: {why}")))?))
        }
        Ok(Err(error)) => Err(match system_error(&error) {
            Some(source) => OpenError::System { what: "open the store", path: dir.to_owned(), source },
            None => damaged(error.to_string()),
        }),
        Err(_) => Err(damaged("its files make no sense".to_owned())),
    }
}

fn open_index(dir: &Path) -> tantivy::Result<(Index, Option<String>)> {
    let index = Index::open_in_dir(dir)?;
    if index.schema() != schema().0 {
        return Err(TantivyError::SchemaError("it has other fields than this version of logdrive".to_owned()));
    }
    register_tokenizers(&index);
    // Opens each segment, and so finds what is missing.
    index.reader_builder().reload_policy(tantivy::ReloadPolicy::Manual).try_into()?;
    let payload = index.load_metas()?.payload;
    Ok((index, payload))
}

/// Makes a store that is there whole or not at all.
fn make(data_dir: &Path, dir: &Path) -> Result<(), OpenError> {
    let unfinished = data_dir.join("store.new");
    if unfinished.try_exists().map_err(system("look at", &unfinished))? {
        // Left by a crash on these lines; nothing was ever written into it.
        fs::remove_dir_all(&unfinished).map_err(system("remove the unfinished store", &unfinished))?;
    }
    fs::create_dir(&unfinished).map_err(system("make the directory", &unfinished))?;
    Index::create_in_dir(&unfinished, schema().0).map_err(|error| OpenError::System {
        what: "make a store in",
        path: unfinished.clone(),
        source: system_error(&error).unwrap_or_else(|| io::Error::other(error)),
    })?;
    let format_file = unfinished.join(FORMAT_FILE);
    fs::write(&format_file, format!("{FORMAT}\n")).map_err(system("write", &format_file))?;
    sync(&format_file)?;
    sync(&unfinished)?;
    fs::rename(&unfinished, dir).map_err(system("rename to its place the store", &unfinished))?;
    sync(data_dir)
}

fn set_aside(data_dir: &Path, dir: &Path) -> Result<PathBuf, OpenError> {
    let name = format!("store-set-aside-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S.%fZ"));
    let kept = data_dir.join(name);
    fs::rename(dir, &kept).map_err(system("set aside", dir))?;
    sync(data_dir)?;
    Ok(kept)
}

fn lock(path: &Path, dir: &Path) -> Result<Lock, OpenError> {
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(system("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Busy { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(system("lock", path)(error)),
    }
}

/// Makes what was written, or the names in a directory, survive a power cut.
pub(super) fn sync(path: &Path) -> Result<(), OpenError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(system("sync", path))
}

fn system<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> OpenError + 'a {
    move |source| OpenError::System { what, path: path.to_owned(), source }
}

/// What the system said, if it is the system and not the store that is in the way.
pub(super) fn system_error(error: &TantivyError) -> Option<io::Error> {
    let source = match error {
        TantivyError::IoError(source) => source,
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => io_error,
        TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => io_error,
        TantivyError::OpenWriteError(tantivy::directory::error::OpenWriteError::IoError { io_error, .. }) => io_error,
        _ => return None,
    };
    let of_the_store = matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData);
    // Anything without a number was made up by a library, from what it read.
    let number = source.raw_os_error().filter(|_| !of_the_store)?;
    Some(io::Error::from_raw_os_error(number))
}
