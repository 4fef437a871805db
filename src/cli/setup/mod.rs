//! `logdrive setup`: makes what the servers need before the first line comes, as the configuration names it.
//!
//! One file a server. Each part promises: what is there already is left as it is, what differs from what is wanted is
//! said, nothing is ever removed, and a dry run changes nothing. So it can be run as often as one likes.

mod kafka;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::{failure::Told, service};
use crate::config::Config;

/// `logdrive setup`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  logdrive setup --dry-run
  logdrive setup
  logdrive setup kafka --partitions 12 --replication-factor 3

Without a name, all servers that the configuration needs are set up, with their own defaults.
What is there already stays as it is; what differs is said. It can be run again at any time.")]
pub(super) struct Setup {
    #[command(subcommand)]
    part: Option<Part>,
    /// Only say what would be made; nothing is changed
    #[arg(long, global = true)]
    dry_run: bool,
}

/// What to set up.
#[derive(Debug, Subcommand)]
enum Part {
    /// Make the missing topics: those of tasks, those that are transferred, and the one for dead letters
    Kafka(kafka::Options),
}

pub(super) fn run(config: &Config, asked: &Setup) -> anyhow::Result<()> {
    let dry = asked.dry_run;
    let all_well = service::threads(config)?.block_on(async {
        match &asked.part {
            Some(Part::Kafka(options)) => kafka::run(config, options, dry).await,
            None => everything(config, dry).await,
        }
    })?;
    if all_well { Ok(()) } else { Err(Told.into()) }
}

/// Sets up every server that the configuration's tasks and topics need.
async fn everything(config: &Config, dry: bool) -> anyhow::Result<bool> {
    if config.agent.tasks.is_empty() && config.transfer.topics.is_empty() {
        bail!(
            "the configuration needs nothing to be set up: it has no task and no topic to transfer\n\
             hint: add [[agent.tasks]] or transfer.topics, or name the file with --config"
        );
    }
    kafka::run(config, &kafka::Options::default(), dry).await
}
