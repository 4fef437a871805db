//! Finding the files again of which nothing is known but what was sent of them.
//!
//! A file is the one that a text was read of if its identity says so, or else if it stands where it stood, or under
//! a name made from that one, was there when the text was read, and holds that very text at that very offset.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, Metadata},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use super::{evidence, identity};
use crate::record::{Checkpoint, FileId, Head, Newline, Place, Stream, TailMark};

/// The last text of a stream that is known to be safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The stream.
    pub stream: Stream,
    /// The task that collected it.
    pub task: Arc<str>,
    /// The file's path when the text was read.
    pub path: PathBuf,
    /// Where the text begins in the stream, in bytes.
    pub start: u64,
    /// Where it ends; everything before is safe.
    pub end: u64,
    /// XXH3-64 of the text.
    pub hash: u64,
    /// The text's end.
    pub mark: TailMark,
    /// When it was read.
    pub read_at: Timestamp,
}

/// The checkpoints of those streams whose files are found. `seed` is the one that their identities were made with,
/// if that is known.
#[must_use]
pub fn find_again(traces: Vec<Trace>, seed: Option<u128>) -> Vec<Checkpoint> {
    let mut directories: BTreeMap<PathBuf, Vec<Trace>> = BTreeMap::new();
    for trace in traces {
        let directory = trace.path.parent().unwrap_or(Path::new("/")).to_owned();
        directories.entry(directory).or_default().push(trace);
    }
    let mut found = Vec::new();
    for (directory, traces) in directories {
        let files = files_in(&directory);
        let ids: HashMap<FileId, usize> = match seed {
            Some(seed) => (files.iter().enumerate())
                .map(|(at, (_, metadata))| (identity::first_id(seed, identity::place(metadata)), at))
                .collect(),
            None => HashMap::new(),
        };
        for trace in traces {
            let by_id = ids.get(&trace.stream.file).map(|at| &files[*at]);
            let found_again = by_id.or_else(|| files.iter().find(|(path, metadata)| trace.may_be(path, metadata)));
            found.extend(found_again.map(|(path, metadata)| trace.checkpoint(path, metadata)));
        }
    }
    found
}

/// The files of a directory; none where it can't be read.
fn files_in(directory: &Path) -> Vec<(PathBuf, Metadata)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| {
        let path = entry.path();
        let metadata = fs::metadata(&path).ok().filter(Metadata::is_file)?;
        Some((path, metadata))
    });
    files.collect()
}

impl Trace {
    /// Whether a file, of which nothing but its name is known, is the one that the text was read of.
    fn may_be(&self, path: &Path, metadata: &Metadata) -> bool {
        let (Some(name), Some(was)) = (path.file_name(), self.path.file_name()) else { return false };
        let is_named = name.as_encoded_bytes().starts_with(was.as_encoded_bytes());
        let birth_ns = i128::from(identity::place(metadata).birth_ns);
        let was_there = birth_ns == 0 || birth_ns <= self.read_at.as_nanosecond();
        is_named && was_there && metadata.len() >= self.end && self.holds(path).unwrap_or(false)
    }

    /// Whether the file holds the text.
    fn holds(&self, path: &Path) -> io::Result<bool> {
        let file = File::open(path)?;
        let (mut hash, mut chunk, mut at) = (Xxh3::new(), vec![0; 64 * 1024], self.start);
        while at < self.end {
            let bytes = (self.end - at).min(chunk.len() as u64) as usize;
            file.read_exact_at(&mut chunk[..bytes], at)?;
            hash.update(&chunk[..bytes]);
            at += bytes as u64;
        }
        Ok(self.end > self.start && hash.digest() == self.hash)
    }

    fn checkpoint(&self, path: &Path, metadata: &Metadata) -> Checkpoint {
        // A file that was rewritten since has another head; that it lacks the mark will show it.
        let head = if self.holds(path).unwrap_or(false) { head_of(path) } else { Head::default() };
        Checkpoint {
            stream: self.stream,
            task: Arc::clone(&self.task),
            offset: self.end,
            mark: self.mark,
            path: path.to_owned(),
            place: identity::place(metadata),
            head,
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: self.read_at.as_millisecond(),
        }
    }
}

fn head_of(path: &Path) -> Head {
    let mut text = [0; Head::BYTES_MAX];
    let read = File::open(path).and_then(|file| file.read_at(&mut text, 0));
    Head::of(&text[..read.unwrap_or(0)])
}

/// What became of the file that a checkpoint is of.
#[derive(Debug)]
pub enum Found {
    /// It is there, with so many bytes.
    Same(u64),
    /// It is there, and holds something else.
    Rewritten(u64),
    /// It is there, compressed: the offset counts its text, whose length is not known.
    Packed,
    /// Another file is at its path, or none.
    Gone,
    /// It can't be read.
    Unreadable(io::Error),
}

/// Looks at the file that a checkpoint is of, under its last name alone.
#[must_use]
pub fn examine(known: &Checkpoint) -> Found {
    let looked = File::open(&known.path).and_then(|file| {
        let metadata = file.metadata()?;
        if known.place != Place::default() && identity::place(&metadata) != known.place {
            return Ok(Found::Gone);
        }
        if is_packed(&file)? && !evidence::has_head(&file, known.head)? {
            return Ok(if known.is_end(metadata.len()) { Found::Same(known.offset) } else { Found::Packed });
        }
        let same = evidence::agrees(&file, known, metadata.len())?;
        Ok(if same { Found::Same(metadata.len()) } else { Found::Rewritten(metadata.len()) })
    });
    looked.unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Found::Gone,
        _ => Found::Unreadable(error),
    })
}

/// Whether a file begins as gzip or Zstandard does.
fn is_packed(file: &File) -> io::Result<bool> {
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0)?;
    Ok(magic[..read].starts_with(&[0x1f, 0x8b]) || magic == [0x28, 0xb5, 0x2f, 0xfd])
}

/// The position `wanted` in the file at `path`, in bytes, with its mark: at the beginning of the line that it is in,
/// unless it is to be `exact`; lines end as `newline` says. A position behind the file's end is its end.
///
/// # Errors
/// If the file can't be read.
pub fn position(path: &Path, wanted: u64, exact: bool, newline: Newline) -> io::Result<(u64, TailMark)> {
    let file = File::open(path)?;
    let wanted = wanted.min(file.metadata()?.len());
    let wanted = wanted - wanted % newline.width() as u64;
    let (begin, _) = evidence::line_begin(&file, wanted, u64::MAX, newline)?;
    let offset = if exact { wanted } else { begin };
    let mut before = vec![0; TailMark::BYTES_MAX.min(usize::try_from(offset).unwrap_or(usize::MAX))];
    let from = offset - before.len() as u64;
    file.read_exact_at(&mut before, from)?;
    Ok((offset, TailMark { in_line: begin != offset, ..TailMark::behind(&before) }))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use xxhash_rust::xxh3::xxh3_64;

    use super::{Found, Trace, examine, find_again, position};
    use crate::{
        reader::identity,
        record::{Checkpoint, FileId, Head, Newline, Stream, TailMark},
    };

    const TEXT: &str = "one\ntwo\nthree\n";

    fn trace(path: &Path, file: FileId) -> Trace {
        Trace {
            stream: Stream { file, generation: 0 },
            task: "t".into(),
            path: path.to_owned(),
            start: 4,
            end: 8,
            hash: xxh3_64(b"two\n"),
            mark: TailMark::behind(b"two\n"),
            read_at: jiff::Timestamp::now(),
        }
    }

    fn place(path: &Path) -> crate::record::Place {
        identity::place(&fs::metadata(path).expect("there"))
    }

    #[test]
    fn a_file_is_found_by_its_identity_whatever_its_name_and_else_by_the_text_that_was_sent() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, renamed) = (dir.path().join("app.log"), dir.path().join("app.log.1"));
        fs::write(&path, TEXT).expect("written");
        let id = identity::first_id(9, place(&path));
        fs::rename(&path, &renamed).expect("renamed");
        fs::write(&path, "two\nother\nand more\n").expect("written");
        for (id, seed) in [(id, Some(9)), (FileId(1), Some(9)), (FileId(1), None)] {
            let found = find_again(vec![trace(&path, id)], seed);
            let [found] = &found[..] else { panic!("{found:?}") };
            assert_eq!((&found.path, found.offset, found.stream.file), (&renamed, 8, id));
            assert_eq!((found.head, found.place), (Head::of(TEXT.as_bytes()), place(&renamed)));
            assert!(matches!(examine(found), Found::Same(14)));
        }
        let early = Trace { read_at: jiff::Timestamp::UNIX_EPOCH, ..trace(&path, FileId(1)) };
        assert_eq!(find_again(vec![early], None), [], "the file was made after the text was read");
        fs::remove_file(&renamed).expect("removed");
        assert_eq!(find_again(vec![trace(&path, FileId(1))], None), [], "another text stands there");
    }

    #[test]
    fn a_file_is_told_from_one_that_was_rewritten_replaced_compressed_or_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.log");
        fs::write(&path, TEXT).expect("written");
        let known = find_again(vec![trace(&path, FileId(1))], None).remove(0);
        fs::write(&path, "one\ntwx\nthree\n").expect("written");
        assert!(matches!(examine(&known), Found::Rewritten(14)));
        fs::write(&path, b"\x1f\x8b\x08 and so on").expect("written");
        assert!(matches!(examine(&known), Found::Packed));
        let other = Checkpoint { place: crate::record::Place { inode: 1, ..known.place }, ..known.clone() };
        assert!(matches!(examine(&other), Found::Gone));
        fs::remove_file(&path).expect("removed");
        assert!(matches!(examine(&known), Found::Gone));
    }

    #[test]
    fn a_position_is_the_beginning_of_its_line_unless_it_is_to_be_exact() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.log");
        fs::write(&path, TEXT).expect("written");
        let at = |wanted, exact| position(&path, wanted, exact, Newline::Byte).expect("readable");
        assert_eq!(at(6, false), (4, TailMark::behind(b"one\n")));
        assert_eq!(at(6, true), (6, TailMark::behind(b"one\ntw")));
        assert_eq!(at(99, false), (14, TailMark::behind(TEXT.as_bytes())));
        assert_eq!(at(0, false), (0, TailMark::behind(b"")));
    }
}
