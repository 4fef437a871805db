//! A write: checked, shown, compared, and remembered in the history, all in one transaction.

use anyhow::bail;

use super::{differ, history};
use crate::{
    cli::table::plain,
    config::{Agent, Task, remote},
    etcd::{Change, Entry, Etcd, Written},
};

/// Who writes, and what an agent of this configuration would make of it.
pub(super) struct Pen<'a> {
    pub(super) etcd: &'a Etcd,
    pub(super) agent: &'a Agent,
}

impl Pen<'_> {
    /// The tasks of a value.
    pub(super) fn check(&self, key: &str, value: &[u8]) -> anyhow::Result<Vec<Task>> {
        Ok(remote::read_tasks(key, value, self.agent)?)
    }

    /// Puts a value in the place of the one that was read, or takes it away; nothing if somebody else was faster.
    pub(super) async fn write(
        &self,
        key: &str,
        before: Option<&Entry>,
        value: Option<&[u8]>,
        action: &str,
        dry_run: bool,
    ) -> anyhow::Result<()> {
        if let Some(value) = value {
            self.check(key, value)?;
        }
        let old = before.map(|entry| entry.value.as_slice());
        let lines = differ::differ(old.unwrap_or_default(), value.unwrap_or_default());
        lines.iter().for_each(|line| println!("{}", plain(line)));
        if before.is_some() == value.is_some() && lines.is_empty() {
            println!("{key}: nothing changes");
            return Ok(());
        }
        if dry_run {
            println!("{key}: not written");
            return Ok(());
        }
        let canary = remote::canary_key(&self.etcd.settings().prefix, key);
        if self.etcd.get(&canary).await?.is_some() {
            bail!("{key} has a canary under way; wait for it, or `logdrive tasks withdraw {key}`");
        }
        let change = self.change(key, before, value, action).await?;
        match self.etcd.write(change).await? {
            Written::Done(revision) => println!("{key}: written, revision {revision}"),
            Written::Conflict => bail!("{key} was changed by somebody else meanwhile; nothing was written: look again"),
        }
        Ok(())
    }

    /// The change of a key and its history.
    pub(super) async fn change(
        &self,
        key: &str,
        before: Option<&Entry>,
        value: Option<&[u8]>,
        action: &str,
    ) -> anyhow::Result<Change> {
        let mut change = history::with(self.etcd, key, before, value, action).await?;
        change.expected.push((key.to_owned(), before.map_or(0, |entry| entry.revision)));
        match value {
            Some(value) => change.puts.push((key.to_owned(), value.to_vec())),
            None => change.deletes.push(key.to_owned()),
        }
        Ok(change)
    }
}
