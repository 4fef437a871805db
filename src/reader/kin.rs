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

/// How far back a number in a name is counted: so many rotations may happen between two looks.
const NUMBERS_MAX: u64 = 8;

/// The paths of the files that the one at `path` may be a copy of: the part of its name before a `.`, `-` or `_`,
/// with and without its extension, and each with a lower number at its end, in its directory and the one above; and
/// its own name in the one above.
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
    let numbered = std::iter::once(name).chain(stems.iter().map(Vec::as_slice)).find_map(lower_numbers);
    stems.dedup();
    stems.truncate(NAMES_MAX - NUMBERS_MAX as usize);
    stems.extend(numbered.into_iter().flatten());
    stems
}

/// The names before one that ends in a number: `app.log.1` and `app.log.0` before `app.log.2`.
fn lower_numbers(name: &[u8]) -> Option<Vec<Vec<u8>>> {
    const DIGITS_MAX: usize = 9;
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (stem, number) = name.split_at(name.len() - digits);
    let number: u64 = std::str::from_utf8(number).ok().filter(|_| digits <= DIGITS_MAX)?.parse().ok()?;
    let lower = (number.saturating_sub(NUMBERS_MAX)..number).rev();
    let text = |number: u64| match stem.len() < name.len() && name[stem.len()] == b'0' {
        true => format!("{number:0digits$}"),
        false => number.to_string(),
    };
    Some(lower.map(|number| [stem, text(number).as_bytes()].concat()).collect())
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
            ("/l/app.log.2", "/l/app.log.1"),
            ("/l/app.log.10.gz", "/l/app.log.9"),
            ("/l/app.log.012", "/l/app.log.009"),
            ("/l/app.log.3.gz", "/l/app.log.1"),
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
