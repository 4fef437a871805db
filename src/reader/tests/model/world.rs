//! The directory that the model drives: real files, and what was ever written into them.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How many rotated files are kept: `app.log.1` to `app.log.4`.
pub(super) const KEPT: usize = 4;

/// A text that was written, from the making or the truncation of a file to the next one. It is told from others by
/// its lines, of which no two are the same, and lives as long as some file holds it.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// What was written, all of it.
    pub(super) text: Vec<u8>,
    /// The bytes that nobody could read any more when the last file that held them went.
    pub(super) lost: Vec<bool>,
    /// Its file is a copy, or was compressed. If it gets other names faster than anybody can look, nothing tells what
    /// it was made from, and it is read as a file of its own.
    pub(super) made_anew: bool,
}

/// How a rotated file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it was written.
    Plain,
    /// As `gzip` leaves it.
    Gzip,
    /// As `zstd` leaves it.
    Zstd,
}

/// A file that is there, and the run that it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) run: usize,
    pub(super) form: Form,
}

/// The directory.
pub(super) struct World {
    pub(super) dir: PathBuf,
    pub(super) runs: Vec<Run>,
    /// `app.log`, and behind it the rotated files.
    pub(super) slots: [Option<Held>; KEPT + 1],
    /// What the program that logs has open: the present file, and the one that was renamed last.
    writer: Option<File>,
    late: Option<(usize, File)>,
    /// With what each file begins, be it the same for all.
    banner: Vec<u8>,
    lines: u32,
    /// A line was begun and not ended: what it goes on with.
    begun: Option<usize>,
}

impl World {
    pub(super) fn new(dir: &Path, banner: bool) -> Self {
        let banner = if banner {
            "all files begin with this line, and with more of the like\n".repeat(20)
        } else {
            String::new()
        };
        Self {
            dir: dir.to_owned(),
            runs: Vec::new(),
            slots: [None; KEPT + 1],
            writer: None,
            late: None,
            banner: banner.into_bytes(),
            lines: 0,
            begun: None,
        }
    }

    /// Where the file of a slot is, in its form.
    pub(super) fn path(&self, slot: usize) -> PathBuf {
        let suffix = match self.slots[slot].map(|held| held.form) {
            Some(Form::Gzip) => ".gz",
            Some(Form::Zstd) => ".zst",
            Some(Form::Plain) | None => "",
        };
        self.dir.join(if slot == 0 { "app.log".to_owned() } else { format!("app.log.{slot}{suffix}") })
    }

    /// Appends whole lines to the present file, and makes one if there is none.
    pub(super) fn write(&mut self, lines: usize, bytes: usize) {
        let mut text = self.rest_of_line();
        for number in 0..lines {
            self.line(bytes + number % 7, &mut text);
            text.push(b'\n');
        }
        self.append(&text);
    }

    /// Appends the beginning of a line, long enough to be told from all others.
    pub(super) fn begin_line(&mut self, bytes: usize) {
        let mut text = self.rest_of_line();
        self.line(bytes, &mut text);
        self.append(&text);
        self.begun = Some(bytes);
    }

    /// Appends lines to the file that was renamed last, as a program does that nobody told yet.
    pub(super) fn write_late(&mut self, lines: usize) {
        let Some((run, mut file)) = self.late.take() else { return };
        let mut text = Vec::new();
        if self.runs[run].text.last().is_some_and(|last| *last != b'\n') {
            text.push(b'\n');
        }
        for _ in 0..lines {
            self.line(10, &mut text);
            text.push(b'\n');
        }
        self.note(run, &text);
        file.write_all(&text).expect("the directory can be written");
        self.late = Some((run, file));
    }

    fn rest_of_line(&mut self) -> Vec<u8> {
        self.begun.take().map_or_else(Vec::new, |bytes| [&vec![b'~'; bytes][..], b"\n"].concat())
    }

    fn line(&mut self, bytes: usize, text: &mut Vec<u8>) {
        self.lines += 1;
        text.extend_from_slice(format!("#{:06} ", self.lines).as_bytes());
        // Other bytes than a lone newline or letters have no place in this: what lines hold is tested elsewhere.
        text.extend((0..bytes).map(|at| b'a' + (at % 26) as u8));
    }

    fn append(&mut self, text: &[u8]) {
        let run = match self.slots[0] {
            Some(held) => held.run,
            None => self.make(),
        };
        let text = if self.runs[run].text.is_empty() { [&self.banner, text].concat() } else { text.to_vec() };
        self.note(run, &text);
        let path = self.path(0);
        let writer = self.writer.get_or_insert_with(|| open(&path));
        writer.write_all(&text).expect("the directory can be written");
    }

    fn make(&mut self) -> usize {
        self.runs.push(Run::default());
        let run = self.runs.len() - 1;
        self.slots[0] = Some(Held { run, form: Form::Plain });
        run
    }

    fn note(&mut self, run: usize, text: &[u8]) {
        let run = &mut self.runs[run];
        run.text.extend_from_slice(text);
        run.lost.resize(run.text.len(), false);
    }

    /// Moves every rotated file on by one and makes room behind `app.log`; the last slot has to be free.
    pub(super) fn shift(&mut self) {
        assert!(self.slots[KEPT].is_none(), "the oldest file was deleted before");
        for slot in (1..KEPT).rev().filter(|slot| self.slots[*slot].is_some()).collect::<Vec<_>>() {
            let from = self.path(slot);
            self.slots[slot + 1] = self.slots[slot].take();
            fs::rename(from, self.path(slot + 1)).expect("it is there");
        }
    }

    /// Renames `app.log` to `app.log.1`, which has to be free.
    pub(super) fn rename(&mut self) {
        let Some(held) = self.slots[0].take() else { return };
        fs::rename(self.path(0), self.path(1)).expect("it is there");
        self.slots[1] = Some(held);
        self.late = self.writer.take().map(|file| (held.run, file));
        self.begun = None;
    }

    /// Copies `app.log` to `app.log.1`, which has to be free, and truncates it.
    pub(super) fn copy_and_truncate(&mut self) {
        let Some(held) = self.slots[0] else { return };
        self.late = None;
        fs::copy(self.path(0), self.path(1)).expect("it is there");
        self.slots[1] = Some(held);
        self.runs[held.run].made_anew = true;
        self.truncate();
    }

    /// Makes `app.log` empty; what it held before is not there any more.
    pub(super) fn truncate(&mut self) {
        if self.slots[0].is_none() {
            return;
        }
        // The next text is another one, though in the same file.
        self.make();
        self.begun = None;
        let path = self.path(0);
        self.writer.get_or_insert_with(|| open(&path)).set_len(0).expect("it can be truncated");
    }

    /// Deletes a slot's file; the program that logs makes a new one when it writes again.
    pub(super) fn delete(&mut self, slot: usize) {
        let Some(held) = self.slots[slot] else { return };
        fs::remove_file(self.path(slot)).expect("it is there");
        self.slots[slot] = None;
        if slot == 0 {
            (self.writer, self.begun) = (None, None);
        }
        self.late.take_if(|(run, _)| *run == held.run);
    }

    /// Compresses a rotated file with the program that people use for it.
    pub(super) fn compress(&mut self, slot: usize, form: Form) {
        let path = self.path(slot);
        let Some(held) = self.slots[slot].as_mut().filter(|held| held.form == Form::Plain) else { return };
        held.form = form;
        self.runs[held.run].made_anew = true;
        self.late.take_if(|(run, _)| *run == held.run);
        let (program, arguments): (_, &[&str]) = match form {
            Form::Gzip => ("gzip", &["-f"]),
            Form::Zstd => ("zstd", &["-q", "-f", "--rm"]),
            Form::Plain => return,
        };
        let done = Command::new(program).args(arguments).arg(&path).stdin(Stdio::null()).status();
        assert!(done.is_ok_and(|status| status.success()), "{program} compresses {}", path.display());
    }

    /// Whether somebody else in this process has the file of this inode open, be it deleted.
    pub(super) fn is_open(&self, inode: u64) -> bool {
        let ours = [self.writer.as_ref(), self.late.as_ref().map(|(_, file)| file)];
        let ours: Vec<String> = ours.into_iter().flatten().map(|file| file.as_raw_fd().to_string()).collect();
        let open = fs::read_dir("/proc/self/fd").expect("Linux has it").flatten();
        let mut others = open.filter(|entry| !ours.iter().any(|own| entry.file_name() == own.as_str()));
        others.any(|entry| fs::metadata(entry.path()).is_ok_and(|open| open.is_file() && open.ino() == inode))
    }

    /// The inode of a slot's file.
    pub(super) fn inode(&self, slot: usize) -> Option<u64> {
        fs::metadata(self.path(slot)).ok().filter(|_| self.slots[slot].is_some()).map(|metadata| metadata.ino())
    }

    /// Whether some file holds the run.
    pub(super) fn holds(&self, run: usize) -> bool {
        self.slots.iter().flatten().any(|held| held.run == run)
    }

    /// The runs by the text that they have at an offset.
    pub(super) fn runs_with<'a>(&'a self, offset: u64, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let fits = move |run: &Run| run.text.get(offset as usize..).is_some_and(|rest| rest.starts_with(text));
        self.runs.iter().enumerate().filter(move |(_, run)| fits(run)).map(|(number, _)| number)
    }

    /// What is in the directory, for a report.
    pub(super) fn listing(&self) -> BTreeMap<String, u64> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                let size = entry.metadata().map_or(0, |metadata| metadata.len());
                (entry.file_name().to_string_lossy().into_owned(), size)
            })
            .collect()
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the directory can be written")
}
