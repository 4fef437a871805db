//! `logdrive test`: sample lines and what is to become of them, shown and compared.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{arguments::Test, failure::Told, service};
use crate::{
    config::{Config, Example, Examples, Task},
    reader,
    trial::{self, Difference, Outcome},
};

pub(super) fn run(config: &Config, asked: &Test) -> anyhow::Result<()> {
    let examples = Examples::load(asked.file.as_deref(), config.file.as_deref())?;
    let runtime = service::threads(config)?;
    let mut out = Page { out: io::stdout().lock(), is_coloured: io::stdout().is_terminal() };
    let mut failed = 0;
    for example in &examples.tests {
        let is_well = match runtime.block_on(try_out(config, example)) {
            Ok((outcome, path)) => {
                let differences = trial::differences(&example.expect, &outcome);
                out.show(example, &path, &outcome, &differences, asked.quiet)?;
                differences.is_empty()
            }
            Err(error) => {
                out.head(false, &example.name, &format!("{error:#}"))?;
                false
            }
        };
        failed += usize::from(!is_well);
    }
    writeln!(out.out, "{} passed, {failed} failed", examples.tests.len() - failed)?;
    if failed == 0 { Ok(()) } else { Err(Told.into()) }
}

/// What becomes of a test's lines, and the path under which they were read.
async fn try_out(config: &Config, example: &Example) -> anyhow::Result<(Outcome, PathBuf)> {
    let task = config.agent.tasks.iter().find(|task| *task.name == *example.task);
    let task = task.with_context(|| format!("there is no task {:?} in the configuration", example.task))?;
    let path = path(task, example.path.as_deref())?;
    let input = match (&example.input, &example.input_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(file)) => fs::read(file).with_context(|| format!("can't read {}", file.display()))?,
        (None, None) => Vec::new(),
    };
    Ok((trial::run(config, task, &path, &input).await?, path))
}

/// The path that the lines are said to stand in; the task has to mean it.
fn path(task: &Task, path: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(path) = path else { return Ok(task.paths.first().map(PathBuf::from).unwrap_or_default()) };
    if !reader::means(&task.reader(), path)? {
        anyhow::bail!("the task {:?} does not read {}: see its paths and exclude", task.name, path.display());
    }
    Ok(path.to_owned())
}

/// Where results are shown.
struct Page<W> {
    out: W,
    is_coloured: bool,
}

impl<W: Write> Page<W> {
    fn show(
        &mut self,
        example: &Example,
        path: &Path,
        outcome: &Outcome,
        differences: &[Difference],
        is_quiet: bool,
    ) -> io::Result<()> {
        let count = outcome.documents.len();
        let key = outcome.key.as_ref().map(|key| format!(", key {key}")).unwrap_or_default();
        let what = format!(
            "task {} reads {} and sends {count} messages to {}{key}",
            example.task,
            path.display(),
            outcome.topic
        );
        self.head(differences.is_empty(), &example.name, &what)?;
        if !is_quiet {
            for document in &outcome.documents {
                writeln!(self.out, "    {document}")?;
            }
        }
        for Difference { what, expected, got } in differences {
            writeln!(self.out, "  {what}")?;
            self.side('-', 31, "expected", expected.as_deref())?;
            self.side('+', 32, "got", got.as_deref())?;
        }
        Ok(())
    }

    fn head(&mut self, is_well: bool, name: &str, what: &str) -> io::Result<()> {
        let (sign, colour) = if is_well { ('✓', 32) } else { ('✗', 31) };
        let sign = self.coloured(&sign.to_string(), colour);
        writeln!(self.out, "{sign} {name}: {what}")
    }

    fn side(&mut self, sign: char, colour: u8, side: &str, value: Option<&str>) -> io::Result<()> {
        let line = self.coloured(&format!("{sign} {side}: {}", value.unwrap_or("nothing")), colour);
        writeln!(self.out, "    {line}")
    }

    fn coloured(&self, text: &str, colour: u8) -> String {
        if self.is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
