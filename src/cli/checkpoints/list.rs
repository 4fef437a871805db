//! Checkpoints for people and for scripts.

use std::io::{self, BufWriter, Write};

use bytesize::ByteSize;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    checkpoint,
    cli::table::{self, plain},
    reader::{self, Found},
    record::{Checkpoint, Stream},
};

/// A checkpoint, and what became of its file.
struct Row<'a> {
    known: &'a Checkpoint,
    state: &'static str,
    /// The file's size, where it says something.
    size: Option<u64>,
}

#[derive(Serialize)]
struct Json<'a> {
    state: &'static str,
    size: Option<u64>,
    behind: Option<u64>,
    checkpoint: &'a RawValue,
}

impl<'a> Row<'a> {
    fn of(known: &'a Checkpoint) -> Self {
        let (state, size) = match reader::examine(known) {
            Found::Same(size) if size == known.offset => ("ok", Some(size)),
            Found::Same(size) => ("behind", Some(size)),
            Found::Rewritten(size) => ("rewritten", Some(size)),
            Found::Packed => ("packed", None),
            Found::Gone => ("gone", None),
            Found::Unreadable(_) => ("unreadable", None),
        };
        Self { known, state, size }
    }

    /// How much of the file is not safe yet: all of it if it was rewritten.
    fn behind(&self) -> Option<u64> {
        self.size.map(|size| if self.state == "rewritten" { size } else { size.saturating_sub(self.known.offset) })
    }

    fn write_json(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let line = RawValue::from_string(checkpoint::write_line(self.known))?;
        let (state, size, behind) = (self.state, self.size, self.behind());
        serde_json::to_writer(&mut *out, &Json { state, size, behind, checkpoint: &line })?;
        Ok(writeln!(out)?)
    }

    fn cells(&self) -> [String; 6] {
        let behind = self.behind().map_or_else(|| "-".to_owned(), |bytes| ByteSize(bytes).to_string());
        [
            self.state.to_owned(),
            behind,
            self.known.offset.to_string(),
            short(self.known.stream),
            self.known.task.to_string(),
            plain(&self.known.path.to_string_lossy()),
        ]
    }
}

/// Prints all, by path.
pub(super) fn list(mut all: Vec<Checkpoint>, json: bool) -> anyhow::Result<()> {
    all.sort_by(|a, b| (&a.path, a.stream).cmp(&(&b.path, b.stream)));
    let rows: Vec<Row<'_>> = all.iter().map(Row::of).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    if json {
        rows.iter().try_for_each(|row| row.write_json(&mut out))?;
    } else {
        let head = ["STATE", "BEHIND", "OFFSET", "FILE", "TASK", "PATH"].map(str::to_owned);
        let table: Vec<[String; 6]> = [head].into_iter().chain(rows.iter().map(Row::cells)).collect();
        table::write(&table, &[1, 2], &mut out)?;
    }
    out.flush()?;
    let behind: u64 = rows.iter().filter_map(Row::behind).sum();
    eprintln!("{} checkpoints, {} behind", rows.len(), ByteSize(behind));
    Ok(())
}

/// Prints everything that is known of one.
pub(super) fn show(known: &Checkpoint, json: bool) -> anyhow::Result<()> {
    let row = Row::of(known);
    let mut out = io::stdout().lock();
    if json {
        return row.write_json(&mut out);
    }
    let time = |ms| Timestamp::from_millisecond(ms).map_or_else(|_| "-".to_owned(), |time| time.to_string());
    let cuts: Vec<String> = known.cuts.iter().map(u64::to_string).collect();
    let inside = if known.mark.in_line { ", inside a line" } else { "" };
    for (name, value) in [
        ("path", plain(&known.path.to_string_lossy())),
        ("state", row.state.to_owned()),
        ("size", row.size.map_or_else(|| "-".to_owned(), |size| size.to_string())),
        ("offset", format!("{}{inside}", known.offset)),
        ("behind", row.behind().map_or_else(|| "-".to_owned(), |bytes| bytes.to_string())),
        ("task", known.task.to_string()),
        ("file", known.stream.file.to_string()),
        ("generation", known.stream.generation.to_string()),
        ("place", format!("device {}, inode {}", known.place.device, known.place.inode)),
        ("head", format!("{:016x} of {} bytes", known.head.hash, known.head.bytes)),
        ("mark", format!("{:016x} of {} bytes", known.mark.hash, known.mark.bytes)),
        ("cuts", if cuts.is_empty() { "-".to_owned() } else { cuts.join(", ") }),
        ("updated", time(known.updated_ms)),
    ] {
        writeln!(out, "{name:<11}{value}")?;
    }
    Ok(())
}

/// Prints all in the form that can be imported.
pub(super) fn export(all: &[Checkpoint]) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for known in all {
        writeln!(out, "{}", checkpoint::write_line(known))?;
    }
    Ok(out.flush()?)
}

/// The first digits of a file's identity, and its generation if it is not the first.
pub(super) fn short(stream: Stream) -> String {
    let digits = &stream.file.to_string()[..8];
    if stream.generation == 0 { digits.to_owned() } else { format!("{digits}.{}", stream.generation) }
}
