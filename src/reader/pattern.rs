//! Which paths a task means: globs with `**`, excludes, and where in the tree to look for them.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;

/// One pattern of a task.
#[derive(Debug, Clone)]
pub struct Pattern {
    matcher: GlobMatcher,
    /// The directory below which everything that matches lies; it has no wildcard in it.
    pub(super) base: PathBuf,
    /// How many levels below `base` a match can lie; `None` with `**`.
    depth_max: Option<usize>,
}

/// A pattern that can't be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("the pattern {pattern:?} can't be used: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl Pattern {
    /// Reads a pattern. A path that exists as it is written means itself, whatever characters are in it.
    ///
    /// # Errors
    /// If it is none; the error says why.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let fault = |reason: String| PatternError { pattern: text.to_owned(), reason };
        if text.is_empty() {
            return Err(fault("it is empty; write a path such as /var/log/*.log".to_owned()));
        }
        let path = std::path::absolute(text).map_err(|error| fault(error.to_string()))?;
        let literal = !has_wildcard(text.as_bytes()) || path.is_file();
        let written = path.to_string_lossy();
        let glob = if literal { globset::escape(&written) } else { written.into_owned() };
        let mut builder = GlobBuilder::new(&glob);
        let matcher = builder.literal_separator(true).build().map_err(|error| fault(error.kind().to_string()))?;
        let base = if literal { path.parent().unwrap_or(&path).to_owned() } else { base_of(&path) };
        let below = path.strip_prefix(&base).unwrap_or(&path);
        let any_depth = !literal && below.components().any(|part| part.as_os_str() == "**");
        let depth_max = (!any_depth).then(|| below.components().count());
        Ok(Self { matcher: matcher.compile_matcher(), base, depth_max })
    }

    /// Whether the pattern means `path`, which is absolute.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }

    /// Visits the directories in which matches can lie, and the files that match, following links.
    /// A directory that can't be read is reported and passed over.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(Visit<'_>)) {
        let depth = self.depth_max.unwrap_or(usize::MAX);
        for entry in WalkDir::new(&self.base).follow_links(true).max_depth(depth) {
            match entry {
                Err(error) => {
                    let missing = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
                    if !missing && error.loop_ancestor().is_none() {
                        visit(Visit::Unreadable(error.path().unwrap_or(&self.base), error.to_string()));
                    }
                }
                Ok(entry) if entry.file_type().is_dir() => {
                    if entry.depth() < depth {
                        visit(Visit::Directory(entry.path()));
                    } else if self.matches(entry.path()) {
                        visit(Visit::DirectoryMatched(entry.path()));
                    }
                }
                Ok(entry) if self.matches(entry.path()) => visit(Visit::File(entry.path())),
                Ok(_) => (),
            }
        }
    }
}

/// What a walk comes upon.
pub(super) enum Visit<'a> {
    /// A directory in which matches can lie.
    Directory(&'a Path),
    /// A directory that a pattern for files names.
    DirectoryMatched(&'a Path),
    /// A file that matches; it may be anything that is not a directory.
    File(&'a Path),
    /// Something that can't be looked into, and why.
    Unreadable(&'a Path, String),
}

/// Whether a pattern can be used.
///
/// # Errors
/// If it can't; the error says why.
pub fn check_pattern(text: &str) -> Result<(), PatternError> {
    Pattern::parse(text).map(drop)
}

/// How many files a pattern means now.
///
/// # Errors
/// If the pattern can't be used.
pub fn count_matches(text: &str) -> Result<usize, PatternError> {
    let (pattern, mut files) = (Pattern::parse(text)?, 0);
    pattern.walk(&mut |visit| files += usize::from(matches!(visit, Visit::File(_))));
    Ok(files)
}

fn has_wildcard(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'{'))
}

/// The leading components without a wildcard.
fn base_of(path: &Path) -> PathBuf {
    path.components()
        .take_while(|part| !matches!(part, Component::Normal(name) if has_wildcard(name.as_encoded_bytes())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

    use super::{Pattern, Visit};

    #[test]
    fn a_star_stays_in_its_directory_and_two_stars_do_not() {
        let star = Pattern::parse("/var/log/*.log").expect("a pattern");
        assert!(star.matches(Path::new("/var/log/a.log")) && !star.matches(Path::new("/var/log/b/a.log")));
        assert_eq!((star.base.as_path(), star.depth_max), (Path::new("/var/log"), Some(1)));
        let deep = Pattern::parse("/var/log/**/*.log").expect("a pattern");
        assert!(deep.matches(Path::new("/var/log/a.log")) && deep.matches(Path::new("/var/log/b/c/a.log")));
        assert_eq!((deep.base.as_path(), deep.depth_max), (Path::new("/var/log"), None));
        let name = Path::new(OsStr::from_bytes(b"/var/log/\xff\xfe.log"));
        assert!(star.matches(name), "a name of any bytes matches");
    }

    #[test]
    fn a_path_that_exists_means_itself() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a[1].log");
        std::fs::write(&path, "x").expect("written");
        let pattern = Pattern::parse(&path.to_string_lossy()).expect("a pattern");
        let mut found = Vec::new();
        pattern.walk(&mut |visit| {
            if let Visit::File(path) = visit {
                found.push(path.to_owned());
            }
        });
        assert_eq!(found, [path]);
    }

    #[test]
    fn a_pattern_that_can_not_be_used_says_why() {
        let error = Pattern::parse("/var/log/[a").expect_err("an unclosed class");
        assert!(error.to_string().contains("/var/log/[a"), "{error}");
        assert!(Pattern::parse("").is_err());
    }
}
