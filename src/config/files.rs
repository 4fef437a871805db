//! Which files make a configuration: `logdrive.toml`, and what `conf.d/` beside it adds.
//!
//! Of the directory, everything named `*.toml` counts, in the byte order of the names; hidden files don't, which are
//! what editors and Kubernetes put there for themselves. What counts and can't be read is an error, never passed over.

use std::{
    ffi::OsStr,
    fs, io,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::ConfigError;

/// Where a configuration is looked for when none is named; the first that exists is taken.
pub(super) const PLACES: [&str; 2] = ["logdrive.toml", "/etc/logdrive/logdrive.toml"];

/// All files together may have so many bytes: some hundred thousand tasks.
const BYTES_MAX: u64 = 64 << 20;

/// One file of a configuration.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The file at `path`, or else the first of [`PLACES`] that exists, and behind it those of its directory. None if
/// there is no file; a directory without one is nobody's.
pub(super) fn read(path: Option<&Path>) -> Result<Vec<File>, ConfigError> {
    let found = path.or_else(|| PLACES.iter().map(Path::new).find(|path| path.is_file()));
    let Some(main) = found else { return Ok(Vec::new()) };
    let mut left = BYTES_MAX;
    let mut files = vec![read_one(main.to_owned(), &mut left)?];
    for path in names(&directory(main))? {
        files.push(read_one(path, &mut left)?);
    }
    Ok(files)
}

/// Where the other files of the configuration stand that `main` is the first of.
pub(super) fn directory(main: &Path) -> PathBuf {
    main.with_file_name("conf.d")
}

/// The files of the directory that count, in their order.
pub(super) fn names(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(directory, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unread(directory, &error))?.path();
        if counts(path.file_name().unwrap_or_default()) && !path.is_dir() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn counts(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(b".toml") && !name.starts_with(b".")
}

/// One file for itself.
pub(super) fn read_alone(path: PathBuf) -> Result<File, ConfigError> {
    read_one(path, &mut { BYTES_MAX })
}

/// Reads a file, which takes from the bytes that are left.
fn read_one(path: PathBuf, left: &mut u64) -> Result<File, ConfigError> {
    let mut text = String::new();
    // One more than there may be, which shows that it is too much.
    let read = fs::File::open(&path).and_then(|file| file.take(*left + 1).read_to_string(&mut text));
    let bytes = read.map_err(|error| unread(&path, &error))? as u64;
    *left = left.checked_sub(bytes).ok_or_else(|| {
        let mib = BYTES_MAX >> 20;
        ConfigError::plain(format!("the configuration is longer than {mib} MiB with {}", path.display()))
    })?;
    Ok(File { path, text })
}

fn unread(path: &Path, error: &io::Error) -> ConfigError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound if path.is_symlink() => "\nhint: it is a link that leads nowhere",
        io::ErrorKind::NotFound => "\nhint: logdrive.sample.toml shows what to write",
        io::ErrorKind::InvalidData => "\nhint: save it as UTF-8",
        io::ErrorKind::IsADirectory => "\nhint: name the file in it; a conf.d beside the file is read as well",
        _ => "",
    };
    ConfigError::plain(format!("can't read the configuration {}: {error}{hint}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::read;

    fn names(main: &Path) -> Vec<String> {
        let files = read(Some(main)).expect("readable");
        files
            .iter()
            .map(|file| file.path.strip_prefix(main.parent().expect("one")).expect("in it"))
            .map(shown)
            .collect()
    }

    fn shown(path: &Path) -> String {
        path.display().to_string()
    }

    #[test]
    fn a_directory_beside_the_file_adds_its_files_in_order_and_leftovers_do_not_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let main = dir.path().join("logdrive.toml");
        fs::write(&main, "").expect("written");
        assert_eq!(names(&main), ["logdrive.toml"]);
        let conf = dir.path().join("conf.d");
        fs::create_dir_all(conf.join("x.toml")).expect("made");
        fs::create_dir_all(conf.join("..2026_01")).expect("made");
        for name in
            ["b.toml", "a.toml", "B.toml", "10.toml", "9.toml", "a.toml~", ".a.toml.swp", ".#a.toml", "#a.toml#"]
        {
            fs::write(conf.join(name), "").expect("written");
        }
        for name in [".hidden.toml", "README", "a.toml.dpkg-old", "..2026_01/z.toml"] {
            fs::write(conf.join(name), "").expect("written");
        }
        symlink("..2026_01/z.toml", conf.join("z.toml")).expect("linked");
        let expected =
            ["10.toml", "9.toml", "B.toml", "a.toml", "b.toml", "z.toml"].map(|name| format!("conf.d/{name}"));
        assert_eq!(names(&main)[1..], expected);
    }

    #[test]
    fn a_file_that_counts_and_can_not_be_read_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let main = dir.path().join("logdrive.toml");
        let told = || read(Some(&main)).expect_err("not readable").to_string();
        assert!(told().ends_with("logdrive.sample.toml shows what to write"), "{}", told());
        fs::write(&main, "").expect("written");
        let conf = dir.path().join("conf.d");
        fs::write(&conf, "").expect("written");
        assert!(told().contains("conf.d: Not a directory"), "{}", told());
        fs::remove_file(&conf).expect("removed");
        fs::create_dir(&conf).expect("made");
        symlink("nowhere", conf.join("a.toml")).expect("linked");
        assert!(told().ends_with("hint: it is a link that leads nowhere"), "{}", told());
        fs::remove_file(conf.join("a.toml")).expect("removed");
        fs::write(conf.join("a.toml"), b"# \xff").expect("written");
        assert!(told().contains("conf.d/a.toml: ") && told().ends_with("hint: save it as UTF-8"), "{}", told());
        fs::write(conf.join("a.toml"), vec![b'\n'; (super::BYTES_MAX + 1) as usize]).expect("written");
        assert!(told().contains("longer than 64 MiB with "), "{}", told());
    }
}
