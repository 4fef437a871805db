//! What is known of files at the start: the checkpoints, or, if they were lost, what Kafka knows.

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::rebuild::rebuild;
use crate::{
    checkpoint::{Lost, Note, Opened, Store},
    config::{self, Config},
    metrics::Part,
    reader::{self, StartAt},
    record::Checkpoint,
};

/// The open store, and what it holds.
pub(super) struct Known {
    pub(super) store: Store,
    pub(super) checkpoints: Vec<Checkpoint>,
    /// Whether checkpoints were lost, so that what is not known may well have been sent.
    is_lost: bool,
}

impl Known {
    /// Opens the store. If checkpoints were lost, waits until Kafka has told what it knows; none if that was given
    /// up because the agent is to stop.
    pub(super) async fn open(
        config: &Config,
        machine: &str,
        health: &Part,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        let Opened { store, note, lost } = Store::open(&config.data_dir)?;
        if let Some(note) = note {
            warn!("{note}; {}", meaning(&note));
        }
        let is_lost = lost.is_some();
        if let Some(lost) = lost
            && make_good(config, machine, &store, &lost, (health, stop)).await?.is_none()
        {
            return Ok(None);
        }
        let checkpoints = store.load().context("can't read the checkpoints")?;
        Ok(Some(Self { store, checkpoints, is_lost }))
    }

    /// The configuration's tasks for the reader.
    pub(super) fn tasks(&self, config: &Config) -> Vec<reader::Task> {
        let tasks = config.agent.tasks.iter().map(config::Task::reader);
        let to_the_end = self.is_lost && config.agent.checkpoints_lost == StartAt::End;
        tasks.map(|task| if to_the_end { reader::Task { start_at: StartAt::End, ..task } } else { task }).collect()
    }
}

/// Puts what Kafka knows in the place of what was lost.
async fn make_good(
    config: &Config,
    machine: &str,
    store: &Store,
    lost: &Lost,
    (health, stop): (&Part, &CancellationToken),
) -> anyhow::Result<Option<()>> {
    let seed = lost.epoch.map(|epoch| reader::seed(machine, epoch));
    let Some(rebuilt) = rebuild(config, machine, seed, health, stop).await else { return Ok(None) };
    store.made_good(&rebuilt.checkpoints)?;
    let others = match config.agent.checkpoints_lost {
        StartAt::Beginning => {
            "every other file is read from its beginning (agent.checkpoints_lost), and lines of it that were sent before \
             come a second time"
        }
        StartAt::End => {
            "every other file is read from its end (agent.checkpoints_lost), and lines of it that were not sent before \
             never will be"
        }
    };
    warn!(
        found_again = rebuilt.checkpoints.len(),
        told_of = rebuilt.streams,
        records = rebuilt.records,
        "files that kafka told of go on where it has them; {others}"
    );
    Ok(Some(()))
}

/// What it means for the lines that the checkpoint store was not found as it was left.
fn meaning(note: &Note) -> &'static str {
    match note {
        Note::SetAside { .. } | Note::Removed => {
            "a new one begins, and kafka is asked how far each file was sent, before anything is read"
        }
        Note::Stale { .. } => "what was sent since is sent again, and the store knows those lines by their identity",
        Note::Unnumbered => "if the store was not put back from a copy, nothing is amiss",
    }
}
