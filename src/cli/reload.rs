//! A configuration that changes while a command runs: on SIGHUP, and when its files change.
//!
//! It is read and validated as a whole. What changes live is handed on as data; whatever else differs is named, and
//! then nothing of it is applied. A refusal is told in the log and in metrics, and what ran goes on.

use anyhow::Context;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::{error, info};

use super::check;
use crate::{
    config::{Change, Config, Follower, Task, Wanted},
    metrics::{self, list},
};

/// What of a configuration a command uses, and what becomes of tasks that change.
pub(super) struct Uses {
    /// The tables, and the settings at the top.
    pub(super) tables: &'static [&'static str],
    pub(super) tasks: Tasks,
}

/// What becomes of tasks that change.
pub(super) enum Tasks {
    /// They change live: who is told.
    Live(watch::Sender<Wanted>),
    /// They hold until the command ends.
    Fixed,
    /// They are of no importance.
    Unused,
}

/// What becomes of a configuration that was read again.
enum Outcome {
    /// These tasks are wanted now.
    Changed(Vec<Task>),
    /// Nothing that matters here is other than before.
    Same,
}

/// The configuration that a command runs with, and who gets its tasks.
pub(super) struct Reload {
    config: Config,
    follower: Follower,
    hangup: Signal,
    uses: Uses,
}

impl Reload {
    /// Follows the files of `config`, of which so much is used, and takes SIGHUP over.
    pub(super) fn new(config: &Config, uses: Uses) -> anyhow::Result<Self> {
        let hangup = signal(SignalKind::hangup()).context("can't take over the signals")?;
        metrics::gauge(&list::CONFIG_RELOAD_SUCCESSFUL, &[]).set(1.0);
        Ok(Self { config: config.clone(), follower: Follower::new(config), hangup, uses })
    }

    /// Follows for ever.
    pub(super) async fn run(mut self) -> std::convert::Infallible {
        loop {
            let why = tokio::select! {
                _ = self.hangup.recv() => "SIGHUP",
                () = self.follower.changed() => "its files changed",
            };
            self.follower.look();
            let outcome = self.again();
            let name = match &outcome {
                Ok(Outcome::Changed(_)) => "applied",
                Ok(Outcome::Same) => "unchanged",
                Err(_) => "refused",
            };
            metrics::counter(&list::CONFIG_RELOADS, &[name]).increment(1);
            metrics::gauge(&list::CONFIG_RELOAD_SUCCESSFUL, &[]).set(if outcome.is_ok() { 1.0 } else { 0.0 });
            match outcome {
                Ok(Outcome::Changed(tasks)) => self.apply(tasks, why),
                Ok(Outcome::Same) => info!(why, "the configuration was read again, and nothing changes"),
                Err(error) => {
                    error!(why, "the configuration is refused as a whole, what ran goes on: {error:#}");
                }
            }
        }
    }

    /// Reads the configuration once more.
    fn again(&self) -> anyhow::Result<Outcome> {
        let new = Config::load(self.config.file.as_deref())?;
        let mut fixed = self.config.differing(&new);
        fixed.retain(|path| self.uses.tables.contains(&path.split('.').next().unwrap_or(path)));
        if !fixed.is_empty() {
            let (names, these) = (fixed.join(", "), if fixed.len() == 1 { "it" } else { "they" });
            anyhow::bail!("{names} can't change while this runs: restart it, or put {these} back");
        }
        let change = Change::between(&self.config.agent.tasks, &new.agent.tasks);
        match self.uses.tasks {
            _ if change.is_empty() => Ok(Outcome::Same),
            Tasks::Unused => Ok(Outcome::Same),
            Tasks::Fixed => anyhow::bail!("agent.tasks can't change while this runs ({change}): restart it"),
            Tasks::Live(_) => {
                new.for_agent()?;
                Ok(Outcome::Changed(new.agent.tasks))
            }
        }
    }

    fn apply(&mut self, tasks: Vec<Task>, why: &str) {
        let change = Change::between(&self.config.agent.tasks, &tasks);
        info!(why, "the configuration was read again: {change}");
        self.config.agent.tasks.clone_from(&tasks);
        check::warn_of_overlaps(&self.config);
        if let Tasks::Live(wanted) = &self.uses.tasks {
            wanted.send_modify(|wanted| {
                *wanted = Wanted { tasks: tasks.into(), generation: wanted.generation + 1 };
            });
        }
    }
}
