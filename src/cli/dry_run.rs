//! `logdrive check --dry-run`: which files each task would read now, from where on, and which it would not, and why.

use std::{
    collections::HashMap,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use super::{
    checkpoints,
    failure::Told,
    table::{self, plain},
};
use crate::{
    config::Config,
    reader::{self, Fate, Sight, StartAt, Survey},
    record::{Checkpoint, Place},
};

pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    let tasks: Vec<_> = config.agent.tasks.iter().map(|task| task.reader()).collect();
    let surveys = reader::survey(&tasks)?;
    let known = match checkpoints::read(config) {
        Ok(checkpoints) => Known::of(checkpoints),
        Err(error) => {
            eprintln!("the column OFFSET is empty: {error:#}");
            Known::default()
        }
    };
    let topics = config.agent.topics()?;
    let mut out = BufWriter::new(io::stdout().lock());
    for ((survey, topic), task) in surveys.iter().zip(topics).zip(&tasks) {
        writeln!(out)?;
        write(survey, &topic, task.start_at, &known, &mut out)?;
    }
    out.flush()?;
    let is_well = |survey: &Survey| {
        let readable = |file: &Sight| !matches!(file.fate, Fate::Unreadable(_));
        survey.files.iter().all(readable) && !survey.faults.iter().any(|fault| fault.is_error)
    };
    if surveys.iter().all(is_well) { Ok(()) } else { Err(Told.into()) }
}

/// Prints what a task means.
fn write(survey: &Survey, topic: &str, start_at: StartAt, known: &Known, out: &mut impl Write) -> io::Result<()> {
    let read = || survey.files.iter().filter(|file| file.fate == Fate::Read);
    let bytes = ByteSize(read().map(|file| file.size).sum());
    let task = &survey.task;
    let files = match read().count() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    writeln!(out, "task {task} reads {files}, {bytes}, into the topic {topic}")?;
    if !survey.files.is_empty() {
        let head = ["SIZE", "OFFSET", "WHAT", "PATH"].map(str::to_owned);
        let rows = survey.files.iter().map(|file| row(file, start_at, known));
        let rows: Vec<[String; 4]> = [head].into_iter().chain(rows).collect();
        table::write(&rows, &[0, 1], out)?;
    }
    for fault in &survey.faults {
        let sign = if fault.is_error { '✗' } else { '!' };
        writeln!(out, "{sign} {}: {}", plain(&fault.path.to_string_lossy()), plain(&fault.what))?;
    }
    Ok(())
}

fn row(file: &Sight, start_at: StartAt, known: &Known) -> [String; 4] {
    let offset = known.offset(file);
    let mut what = match &file.fate {
        Fate::Read if offset.is_none() && (file.is_old || start_at == StartAt::End) => "new, from its end".to_owned(),
        Fate::Read if offset.is_none() && known.are_there => "new".to_owned(),
        Fate::Read => "read".to_owned(),
        Fate::Excluded => "excluded".to_owned(),
        Fate::Of(task) => format!("read by {task}, which stands first"),
        Fate::SameAs(path) => format!("the same as {}", plain(&path.to_string_lossy())),
        Fate::Special => "no file".to_owned(),
        Fate::Unreadable(error) => format!("unreadable: {error}"),
    };
    for (is_so, word) in [(file.is_packed, "compressed"), (file.is_old, "older than ignore_older")] {
        if is_so {
            what = format!("{what}, {word}");
        }
    }
    let offset = offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
    [file.size.to_string(), offset, what, plain(&file.path.to_string_lossy())]
}

/// How far files were sent.
#[derive(Default)]
struct Known {
    /// Whether there were checkpoints to look into.
    are_there: bool,
    by_place: HashMap<Place, Checkpoint>,
    /// Of files whose place says nothing.
    by_path: HashMap<PathBuf, Checkpoint>,
}

impl Known {
    fn of(checkpoints: Vec<Checkpoint>) -> Self {
        let mut known = Self { are_there: true, ..Self::default() };
        for one in checkpoints {
            let newest = |other: &Checkpoint| {
                (other.stream.generation, other.updated_ms) < (one.stream.generation, one.updated_ms)
            };
            if one.place == Place::default() {
                if known.by_path.get(&one.path).is_none_or(newest) {
                    known.by_path.insert(one.path.clone(), one);
                }
            } else if known.by_place.get(&one.place).is_none_or(newest) {
                known.by_place.insert(one.place, one);
            }
        }
        known
    }

    /// The offset up to which a file is safe; none if nothing is known of it.
    fn offset(&self, file: &Sight) -> Option<u64> {
        let at_path = |path: &Path| self.by_path.get(path);
        self.by_place.get(&file.place).or_else(|| at_path(&file.path)).map(|known| known.offset)
    }
}
