//! Whose copy a file may be, as far as names tell.
//!
//! A file that takes the place of another one, because it is its copy or its compressed form, is named after it:
//! `app.log` becomes `app.log.1`, `app.log-20261121.gz`, `app.1.log` or `old/app.log`. Such a name is a hint and no
//! more; content decides.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The most names that are thought of for one file.
const NAMES_MAX: usize = 32;

/// The paths of the files that the one at `path` may be a copy of: the part of its name before a `.`, `-` or `_`,
/// with and without its extension, in its directory and the one above; and its own name in the one above.
pub(super) fn originals(path: &Path) -> Vec<PathBuf> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return Vec::new() };
    let mut names = stems(name.as_bytes());
    let mut paths: Vec<PathBuf> = names.iter().map(|name| parent.join(OsStr::from_bytes(name))).collect();
    if let Some(above) = parent.parent() {
        names.insert(0, name.as_bytes().to_vec());
        paths.extend(names.iter().map(|name| above.join(OsStr::from_bytes(name))));
    }
    paths
}

fn stems(name: &[u8]) -> Vec<Vec<u8>> {
    let ends = name.iter().enumerate().skip(1).filter(|(_, byte)| b".-_".contains(byte)).map(|(at, _)| at);
    let mut stems: Vec<Vec<u8>> = Vec::new();
    // The longest first: what is most alike is most likely.
    for end in ends.collect::<Vec<_>>().into_iter().rev() {
        let stem = &name[..end];
        stems.push(stem.to_vec());
        for extension in extensions(name).into_iter().flatten().filter(|extension| extension.start > end) {
            stems.push([stem, &name[extension]].concat());
        }
    }
    stems.dedup();
    stems.truncate(NAMES_MAX);
    stems
}

/// Where the last two extensions of a name stand; the last one may only say how the file is compressed.
fn extensions(name: &[u8]) -> [Option<std::ops::Range<usize>>; 2] {
    let dot = |name: &[u8]| name.iter().rposition(|byte| *byte == b'.');
    let last = dot(name);
    let before = last.and_then(|last| Some(dot(&name[..last])?..last));
    [last.map(|last| last..name.len()), before]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::originals;

    #[test]
    fn a_rotated_name_leads_to_the_name_that_it_was_made_from() {
        for (copy, original) in [
            ("/l/app.log.1", "/l/app.log"),
            ("/l/app.log.2.gz", "/l/app.log.2"),
            ("/l/app.log.1.gz", "/l/app.log"),
            ("/l/app.log-20261121", "/l/app.log"),
            ("/l/app-20261121.log", "/l/app.log"),
            ("/l/app-2026-11-21.log.gz", "/l/app.log"),
            ("/l/app.1.log", "/l/app.log"),
            ("/l/my_app.log_old", "/l/my_app.log"),
            ("/l/old/app.log.1", "/l/app.log"),
            ("/l/old/app.log", "/l/app.log"),
            ("/l/messages-1", "/l/messages"),
        ] {
            let found = originals(Path::new(copy));
            assert!(found.iter().any(|path| path == Path::new(original)), "{copy}: {found:?}");
            assert!(!found.iter().any(|path| path == Path::new(copy)), "{copy}: {found:?}");
        }
    }

    #[test]
    fn a_plain_name_leads_to_nothing_beside_it() {
        assert_eq!(originals(Path::new("/l/messages")), [Path::new("/messages")]);
        assert!(originals(Path::new("/")).is_empty());
        let dots = format!("/l/{}", ".".repeat(200));
        assert!(originals(Path::new(&dots)).len() <= 2 * super::NAMES_MAX + 1);
    }
}
