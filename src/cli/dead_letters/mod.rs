//! `logdrive dead-letters`: what could not be indexed, to be seen and sent again.

mod json;
mod list;
mod replay;
mod show;

use clap::{Args, Subcommand};

use super::arguments;
use crate::{
    config::Config,
    kafka::KafkaError,
    letter::Position,
    store::End,
    transfer::dead_letter::{self, Filter, Shelf},
};

/// `logdrive dead-letters`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive dead-letters list --since 1d
  logdrive dead-letters show 0:4711
  logdrive dead-letters replay --reason document_parsing_exception

They lie in transfer.dead_letter_topic. What was replayed with success is not offered again.")]
pub(super) struct DeadLetters {
    #[command(subcommand)]
    action: Action,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
enum Action {
    /// List them, the newest first
    #[command(after_help = "\
Examples:
  logdrive dead-letters list
  logdrive dead-letters list --count
  logdrive dead-letters list --since 2h --task nginx --reason mapper_parsing_exception
  logdrive dead-letters list --json | jq -r .reason_type")]
    List(List),
    /// Show one, with the document or record that it is about
    #[command(after_help = "\
Examples:
  logdrive dead-letters show 0:4711
  logdrive dead-letters show 0:4711 --json | jq .document")]
    Show {
        /// Where it lies, as `list` shows it
        #[arg(value_name = "PARTITION:OFFSET")]
        position: Position,
        /// The letter as it lies in the topic, one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Send what they are about once more: documents to their index, records back to their topic
    #[command(arg_required_else_help = true)]
    #[command(after_help = "\
Examples:
  logdrive dead-letters replay --all --dry-run
  logdrive dead-letters replay --reason document_parsing_exception --since 1d
  logdrive dead-letters replay 0:4711 0:4712

Mend first what they were refused for: a mapping, a limit, a version. A document keeps its _id, so one that is
there already stays there once. What is refused again is told, and stays.")]
    Replay(Replay),
}

/// `logdrive dead-letters list`.
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Those that were replayed already, too
    #[arg(long)]
    replayed: bool,
    /// How many to show
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = count)]
    limit: usize,
    /// Only say how many there are, by reason
    #[arg(long)]
    count: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// `logdrive dead-letters replay`.
#[derive(Args, Debug)]
struct Replay {
    /// These, whether they were replayed before or not
    #[arg(value_name = "PARTITION:OFFSET", conflicts_with_all = ["all", "since", "task", "reason"])]
    positions: Vec<Position>,
    /// All that were not replayed yet
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
    /// Only say what would be sent where
    #[arg(long)]
    dry_run: bool,
}

/// Which letters are meant.
#[derive(Args, Debug)]
struct Which {
    /// Those written since then: 15m, 2d, today, 2026-11-20
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Those of this task
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Those with this name of a reason, or with this text in it
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

impl Which {
    fn is_any(&self) -> bool {
        self.since.is_some() || self.task.is_some() || self.reason.is_some()
    }

    fn filter(&self, replayed: bool) -> anyhow::Result<Filter> {
        let since = self.since.as_deref().map(|text| arguments::time("since", text, End::Since)).transpose()?;
        Ok(Filter { since, task: self.task.clone(), reason: self.reason.clone(), replayed })
    }
}

pub(super) fn run(config: &Config, asked: &DeadLetters) -> anyhow::Result<()> {
    match &asked.action {
        Action::List(asked) => list::run(config, asked),
        Action::Show { position, json } => show::run(config, *position, *json),
        Action::Replay(asked) => replay::run(config, asked),
    }
}

/// Looks through the letters; says so if none was ever written.
fn look(config: &Config, filter: &Filter, limit: usize) -> anyhow::Result<Shelf> {
    match dead_letter::list(&config.kafka, &config.transfer.dead_letter_topic, filter, limit) {
        Err(KafkaError::UnknownTopic { topic }) => {
            eprintln!(
                "the topic {topic:?} (transfer.dead_letter_topic) does not exist; it is made with the first letter"
            );
            Ok(Shelf { is_whole: true, ..Shelf::default() })
        }
        looked => Ok(looked?),
    }
}

/// The most letters that are kept at once.
const LIMIT_MAX: usize = 100_000;

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=LIMIT_MAX) => Ok(count),
        _ => Err(format!("it takes a number from 1 to {LIMIT_MAX}")),
    }
}
