//! `logdrive audit`: what was sent is in the store, once, or it is said what is not.
//!
//! Exit codes: 0 proven, 1 a difference, 2 it could not be done.

mod print;
mod progress;

use std::io::{self, BufWriter, Write};

use super::{
    arguments, checkpoints,
    failure::{Told, Undone, Unsure, Usage},
    service, stores,
};
use crate::{
    audit::{self, Question, Report, Verdict},
    config::Config,
    reader::Pattern,
    record::Checkpoint,
    store::End,
};
use clap::Args;

/// `logdrive audit`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive audit --task nginx --since 1h
  logdrive audit --task nginx --since yesterday --until today --file '/var/log/nginx/*.log'
  logdrive audit --since 1d --json | jq 'select(.missing + .doubled > 0) | .path'

It reads the records that Kafka took in that time, counts the documents of each stretch of each file that they tell of,
and where these are not the same, looks for every line. It changes nothing.

Exit codes: 0 proven, 1 a difference, 2 it could not be done, 78 configuration")]
pub(super) struct Audit {
    /// Lines of this task [default: of all]
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// What was sent since then: 15m, 2d, today, 2026-11-20 [default: all that Kafka has]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// What was sent before then [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// These files, by path or by glob in quotes; a rotated file is meant by each name that it had
    #[arg(long, value_name = "FILE|GLOB", num_args = 1..)]
    file: Vec<String>,
    /// The topics to read [default: those of the task, or else those that are transferred]
    #[arg(long, value_name = "TOPIC", num_args = 1..)]
    topic: Vec<String>,
    /// The indices to look into, as a pattern [default: all that the transfer may write into]
    #[arg(long, value_name = "PATTERN")]
    index: Option<String>,
    /// How many differences of a file to list
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    limit: u32,
    /// One JSON object a file
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, asked: &Audit) -> anyhow::Result<()> {
    let question = question(config, asked)?;
    let known = known(config, asked);
    let mut progress = progress::Line::new();
    let runtime = service::threads(config)?;
    // On a thread of the runtime, which may be blocked there.
    let answer = runtime.block_on(async {
        let mut show = |step| progress.show(step);
        audit::run(config, &question, &known, &mut show).await
    });
    progress.end();
    let report = answer.map_err(|error| Undone(error.to_string()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if asked.json {
        for file in &report.files {
            serde_json::to_writer(&mut out, file)?;
            writeln!(out)?;
        }
        // What is to be known besides is for a person.
        print::end(&report, &question, &mut io::stderr())?;
    } else {
        print::files(&report, &mut out)?;
        print::end(&report, &question, &mut out)?;
    }
    out.flush()?;
    ended(&report)
}

fn ended(report: &Report) -> anyhow::Result<()> {
    match report.verdict() {
        Verdict::Proven => Ok(()),
        Verdict::Different => Err(Told.into()),
        Verdict::Unprovable => Err(Unsure.into()),
    }
}

fn question(config: &Config, asked: &Audit) -> anyhow::Result<Question> {
    let time = |name: &str, text: &Option<String>, end| {
        text.as_deref().map(|text| arguments::time(name, text, end)).transpose()
    };
    let files = asked.file.iter().map(|text| Pattern::parse(text).map_err(|error| Usage(error.to_string())));
    Ok(Question {
        task: asked.task.clone(),
        topics: asked.topic.clone(),
        indices: asked.index.clone().unwrap_or_else(|| stores::indices(&config.transfer.target())),
        since: time("since", &asked.since, End::Since)?,
        until: time("until", &asked.until, End::Until)?,
        files: files.collect::<Result<_, _>>()?,
        limit: asked.limit as usize,
    })
}

/// The checkpoints of this host, if the configuration has an agent of the lines in question. They are read before
/// anything else, so that whatever they call safe is in Kafka.
fn known(config: &Config, asked: &Audit) -> Vec<Checkpoint> {
    let is_here =
        config.agent.tasks.iter().any(|task| asked.task.as_deref().is_none_or(|wanted| wanted == &*task.name));
    if !is_here {
        return Vec::new();
    }
    checkpoints::read(config).unwrap_or_else(|error| {
        eprintln!("without the checkpoints of this host, so that what was not sent yet is not known: {error:#}");
        Vec::new()
    })
}
