//! What tasks would read if they began now: every file that a pattern means, and why it would be read or not.
//!
//! It is found with the patterns that the reader uses, and nothing is opened but to read a few bytes.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    ReaderError, Task, identity,
    inflate::Packing,
    matcher::Matcher,
    pattern::{Pattern, Visit},
};
use crate::record::Place;

/// What one task means now.
#[derive(Debug)]
pub struct Survey {
    /// The task.
    pub task: Arc<str>,
    /// Its files, by path.
    pub files: Vec<Sight>,
    /// What stands in the way of a pattern: a directory that is not there, or can't be looked into.
    pub faults: Vec<Fault>,
}

/// A file that a task means.
#[derive(Debug)]
pub struct Sight {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Where the kernel keeps it.
    pub place: Place,
    /// What would become of it.
    pub fate: Fate,
    /// Whether it is compressed.
    pub is_packed: bool,
    /// Whether it was last written longer ago than the task's `ignore_older`.
    pub is_old: bool,
}

/// What would become of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The task reads it.
    Read,
    /// A pattern of `exclude` means it.
    Excluded,
    /// Another task, which stands before this one, reads it.
    Of(Arc<str>),
    /// The task reads it already under another name.
    SameAs(PathBuf),
    /// It is no file that can be read, such as a socket.
    Special,
    /// It can't be opened, and why.
    Unreadable(String),
}

/// What stands in the way of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is about.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// Whether files may be there and can't be read; otherwise there are none yet.
    pub is_error: bool,
}

/// Looks after each task's files as the reader would: of several tasks that mean a file, the first one reads it.
///
/// # Errors
/// If a pattern can't be used, which is refused when a configuration is loaded.
pub fn survey(tasks: &[Task]) -> Result<Vec<Survey>, ReaderError> {
    let (now, mut taken) = (SystemTime::now(), HashMap::new());
    let one = |task| {
        let matcher = Matcher::of(task, usize::MAX)?;
        let mut looking =
            Looking { matcher: &matcher, now, taken: &mut taken, seen: HashSet::new(), survey: Survey::of(task) };
        matcher.paths.iter().zip(&task.paths).for_each(|(pattern, written)| looking.walk(pattern, written));
        let mut survey = looking.survey;
        survey.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(survey)
    };
    tasks.iter().map(one).collect()
}

/// Whether a task means the file at `path`, which need not be there.
///
/// # Errors
/// If a pattern can't be used, which is refused when a configuration is loaded.
pub fn means(task: &Task, path: &Path) -> Result<bool, ReaderError> {
    Ok(Matcher::of(task, usize::MAX)?.means(path))
}

impl Survey {
    fn of(task: &Task) -> Self {
        Self { task: Arc::clone(&task.name), files: Vec::new(), faults: Vec::new() }
    }
}

/// A task whose files are looked for.
struct Looking<'a> {
    matcher: &'a Matcher,
    now: SystemTime,
    /// The task that reads a file, and under which name, by device and inode.
    taken: &'a mut HashMap<(u64, u64), (Arc<str>, PathBuf)>,
    /// Paths that a pattern of the task meant already.
    seen: HashSet<PathBuf>,
    survey: Survey,
}

impl Looking<'_> {
    fn walk(&mut self, pattern: &Pattern, written: &str) {
        let (before, faults) = (self.seen.len(), self.survey.faults.len());
        let mut meant = false;
        pattern.walk(&mut |visit| match visit {
            Visit::Directory(_) => (),
            Visit::DirectoryMatched(path) => self.fault(path, "is a directory; write /** behind it", true),
            Visit::Unreadable(path, error) => self.fault(path, &error, true),
            Visit::File(path) => {
                meant = true;
                self.look_at(path);
            }
        });
        if meant || self.seen.len() > before || self.survey.faults.len() > faults {
            return;
        }
        match fs::metadata(&pattern.base) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fault(&pattern.base, "the directory is not there; files are read as soon as they are", false);
            }
            Err(error) => self.fault(&pattern.base, &error.to_string(), true),
            Ok(_) => {
                self.fault(Path::new(written), "no file is called so; files are read as soon as they are there", false)
            }
        }
    }

    fn fault(&mut self, path: &Path, what: &str, is_error: bool) {
        self.survey.faults.push(Fault { path: path.to_owned(), what: what.to_owned(), is_error });
    }

    fn look_at(&mut self, path: &Path) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // A link that leads nowhere, or a file that just went.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.fault(path, &error.to_string(), true),
        };
        let mut head = [0; 16];
        // To open anything else may mean to wait for its other end.
        let read =
            if metadata.is_file() { File::open(path).and_then(|file| file.read_at(&mut head, 0)) } else { Ok(0) };
        let fate = self.fate(path, &metadata, read.as_ref().err());
        let is_packed = self.matcher.unpack && read.is_ok_and(|bytes| Packing::of(&head[..bytes]).is_some());
        let age = metadata.modified().ok().and_then(|written| self.now.duration_since(written).ok());
        let is_old = self.matcher.ignore_older.zip(age).is_some_and(|(most, age)| age > most);
        let place = identity::place(&metadata);
        self.survey.files.push(Sight { path: path.to_owned(), size: metadata.len(), place, fate, is_packed, is_old });
    }

    fn fate(&mut self, path: &Path, metadata: &Metadata, unreadable: Option<&io::Error>) -> Fate {
        if self.matcher.is_excluded(path) {
            return Fate::Excluded;
        }
        if !metadata.is_file() {
            return Fate::Special;
        }
        if let Some(error) = unreadable {
            return Fate::Unreadable(error.to_string());
        }
        let task = &self.matcher.name;
        match self.taken.get(&(metadata.dev(), metadata.ino())) {
            Some((first, name)) if first == task => Fate::SameAs(name.clone()),
            Some((first, _)) => Fate::Of(Arc::clone(first)),
            None => {
                self.taken.insert((metadata.dev(), metadata.ino()), (Arc::clone(task), path.to_owned()));
                Fate::Read
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

    use super::{Fate, survey};
    use crate::{
        reader::{Compression, StartAt, Task},
        record::{Charset, Labels},
    };

    fn task(name: &str, paths: &[&Path], exclude: &[&str]) -> Task {
        Task {
            name: name.into(),
            paths: paths.iter().map(|path| path.display().to_string()).collect(),
            exclude: exclude.iter().map(|glob| (*glob).to_owned()).collect(),
            labels: Labels::default(),
            start_at: StartAt::Beginning,
            ignore_older: None,
            charset: Charset::default(),
            multiline: None,
            rate: None,
            oldest_first: false,
            compression: Compression::Auto,
        }
    }

    #[test]
    fn each_file_says_what_would_become_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["a.log", "b.log", "b.log.1"] {
            fs::write(at(name), "one line\n").expect("written");
        }
        fs::write(at("c.log"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]).expect("written");
        symlink(at("a.log"), at("link.log")).expect("linked");
        symlink(at("nowhere"), at("lost.log")).expect("linked");
        symlink(dir.path(), at("loop")).expect("linked");
        std::os::unix::net::UnixListener::bind(at("s.log")).expect("bound");
        let mut first = task("first", &[&at("a.*")], &[]);
        first.ignore_older = Some(Duration::ZERO);
        let second = task("second", &[&at("*.log"), &at("b*")], &["*.1"]);
        let found = survey(&[first, second]).expect("patterns");
        let fates = |number: usize| -> Vec<(String, Fate)> {
            let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            found[number].files.iter().map(|file| (name(&file.path), file.fate.clone())).collect()
        };
        assert_eq!(fates(0), [("a.log".to_owned(), Fate::Read)]);
        assert!(found[0].files[0].is_old && !found[1].files[0].is_old);
        let expected = [
            ("a.log", Fate::Of("first".into())),
            ("b.log", Fate::Read),
            ("b.log.1", Fate::Excluded),
            ("c.log", Fate::Read),
            ("link.log", Fate::Of("first".into())),
            ("s.log", Fate::Special),
        ];
        assert_eq!(fates(1), expected.map(|(name, fate)| (name.to_owned(), fate)));
        let packed: Vec<bool> = found[1].files.iter().map(|file| file.is_packed).collect();
        assert_eq!(packed, [false, false, false, true, false, false]);
        assert_eq!((found[1].files[1].size, found[1].faults.len()), (9, 0));
    }

    #[test]
    fn a_pattern_that_means_no_file_says_why() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let found = survey(&[task("t", &[&at("away/*.log"), &at("*.log"), dir.path()], &[])]).expect("patterns");
        let told: Vec<(&Path, &str, bool)> =
            found[0].faults.iter().map(|fault| (fault.path.as_path(), fault.what.as_str(), fault.is_error)).collect();
        let expected = [
            (at("away"), "the directory is not there; files are read as soon as they are", false),
            (at("*.log"), "no file is called so; files are read as soon as they are there", false),
            (dir.path().to_owned(), "is a directory; write /** behind it", true),
        ];
        assert_eq!(told, expected.each_ref().map(|(path, what, is_error)| (path.as_path(), *what, *is_error)));
    }
}
