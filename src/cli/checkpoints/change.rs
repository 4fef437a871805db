//! Changing checkpoints by hand.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context, bail};
use jiff::Timestamp;

use super::{super::arguments::SetCheckpoint, choose, list::short, to_change};
use crate::{
    checkpoint::{self, Store},
    cli::table::plain,
    config::Config,
    reader::{self, Found},
    record::{Checkpoint, Stream, TailMark},
};

/// Faults that are shown of a file; more would only hide the first ones.
const FAULTS_SHOWN: usize = 10;

/// Lets a file go on somewhere else, and says what that means.
pub(super) fn set(config: &Config, set: &SetCheckpoint) -> anyhow::Result<()> {
    let store = to_change(Store::open_existing(&config.data_dir))?;
    let all = store.load()?;
    let known = choose(&all, &set.which)?;
    let (offset, mark) = target(config, known, set)?;
    // Behind the new offset, cuts that were made before are made again.
    let cuts = known.cuts.iter().copied().filter(|cut| *cut > offset).collect();
    let changed = Checkpoint {
        offset,
        mark,
        cuts,
        unpacked: None,
        updated_ms: Timestamp::now().as_millisecond(),
        ..known.clone()
    };
    store.commit(std::slice::from_ref(&changed))?;
    println!("{} ({}, task {})", plain(&known.path.to_string_lossy()), short(known.stream), known.task);
    println!("  before: offset {}", known.offset);
    println!("  after:  offset {offset}{}", if mark.in_line { ", inside a line" } else { "" });
    println!("{}", meaning(known.offset, offset));
    Ok(())
}

/// Where the file shall go on.
fn target(config: &Config, known: &Checkpoint, set: &SetCheckpoint) -> anyhow::Result<(u64, TailMark)> {
    if set.beginning || set.offset == Some(0) {
        return Ok((0, TailMark::default()));
    }
    let path = plain(&known.path.to_string_lossy());
    match reader::examine(known) {
        Found::Same(_) => (),
        Found::Rewritten(_) => bail!(
            "{path} does not hold any more what was sent of it: the agent will read it from its beginning\n\
             hint: only --beginning can be set"
        ),
        Found::Packed => {
            bail!("{path} is compressed, and its offsets count its text\nhint: only --beginning can be set")
        }
        Found::Gone => bail!("the file that was at {path} is not there any more\nhint: only --beginning can be set"),
        Found::Unreadable(error) => bail!("can't read {path}: {error}"),
    }
    let wanted = set.offset.unwrap_or(u64::MAX);
    let task = config.agent.tasks.iter().find(|task| task.name == known.task);
    let newline = task.map(|task| task.reader().charset.newline()).unwrap_or_default();
    reader::position(&known.path, wanted, set.exact, newline).with_context(|| format!("can't read {path}"))
}

fn meaning(before: u64, after: u64) -> String {
    match after.cmp(&before) {
        std::cmp::Ordering::Less => format!(
            "{} bytes are sent again. Their lines are known by their identity: in the store they stay there once.",
            before - after
        ),
        std::cmp::Ordering::Equal => "nothing changes".to_owned(),
        std::cmp::Ordering::Greater => format!("{} bytes are passed over: they will not be sent.", after - before),
    }
}

/// Takes over exported checkpoints: all, or none if one of them is wrong.
pub(super) fn import(config: &Config, file: &Path) -> anyhow::Result<()> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("can't read standard input")?;
        text
    } else {
        fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?
    };
    let checkpoints = parse(&text).with_context(|| format!("nothing was changed; {} is refused", file.display()))?;
    let store = to_change(Store::open(&config.data_dir))?.store;
    let known: HashMap<Stream, Checkpoint> =
        store.load()?.into_iter().map(|checkpoint| (checkpoint.stream, checkpoint)).collect();
    store.commit(&checkpoints)?;
    let replaced = checkpoints.iter().filter(|checkpoint| known.contains_key(&checkpoint.stream)).count();
    println!(
        "{} checkpoints were taken over: {} new, {replaced} replaced",
        checkpoints.len(),
        checkpoints.len() - replaced
    );
    Ok(())
}

/// Reads every line, or says what is wrong with them.
fn parse(text: &str) -> anyhow::Result<Vec<Checkpoint>> {
    let (mut checkpoints, mut faults) = (Vec::new(), Vec::new());
    let mut lines: HashMap<Stream, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match checkpoint::read_line(line) {
            Ok(checkpoint) => match lines.insert(checkpoint.stream, number) {
                None => checkpoints.push(checkpoint),
                Some(first) => faults.push(format!("line {number}: it is about the same stream as line {first}")),
            },
            Err(error) => faults.push(format!("line {number}: {error}")),
        }
    }
    if !faults.is_empty() {
        let more = faults.len().saturating_sub(FAULTS_SHOWN);
        faults.truncate(FAULTS_SHOWN);
        let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
        bail!("{}{more}", faults.join("\n"));
    }
    if checkpoints.is_empty() {
        bail!("there is no checkpoint in it");
    }
    Ok(checkpoints)
}

#[cfg(test)]
mod tests {
    use super::{meaning, parse};
    use crate::{
        checkpoint::write_line,
        record::{Checkpoint, FileId, Head, Place, Stream, TailMark},
    };

    fn line(file: u128) -> String {
        write_line(&Checkpoint {
            stream: Stream { file: FileId(file), generation: 0 },
            task: "t".into(),
            offset: 0,
            mark: TailMark::default(),
            path: "/a".into(),
            place: Place::default(),
            head: Head::default(),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 0,
        })
    }

    #[test]
    fn every_line_has_to_be_a_checkpoint_of_another_stream() {
        assert_eq!(parse(&format!("{}\n\n{}\n", line(1), line(2))).expect("two").len(), 2);
        let refused = parse(&format!("{}\nno\n{}\n", line(1), line(1))).expect_err("two faults").to_string();
        assert!(refused.starts_with("line 2: ") && refused.ends_with("line 3: it is about the same stream as line 1"));
        let refused = parse(&"no\n".repeat(30)).expect_err("30 faults").to_string();
        assert!(refused.ends_with("and 20 more"), "{refused}");
        assert!(parse("\n").expect_err("nothing").to_string().contains("no checkpoint"));
    }

    #[test]
    fn what_a_change_means_is_said() {
        assert!(meaning(10, 4).starts_with("6 bytes are sent again"));
        assert!(meaning(4, 10).starts_with("6 bytes are passed over"));
        assert_eq!(meaning(4, 4), "nothing changes");
    }
}
