//! `logdrive tasks`: what the fleet collects, as it stands in etcd. Nothing is written that an agent would refuse, and
//! nothing that somebody else changed meanwhile.

mod canary;
mod differ;
mod edit;
mod history;
mod list;
mod write;

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context, bail, ensure};

use self::write::Pen;
use super::{
    arguments::{PutTasks, Tasks, TasksAction},
    service,
};
use crate::{
    config::{Config, remote},
    etcd::{Entry, Etcd},
};

pub(super) fn run(config: &Config, asked: &Tasks) -> anyhow::Result<()> {
    let etcd = Etcd::new(&config.etcd)?;
    let pen = Pen { etcd: &etcd, agent: &config.agent };
    service::threads(config)?.block_on(async {
        match &asked.action {
            TasksAction::List { json } => list::list(&pen, *json).await,
            TasksAction::Get { key } => {
                let key = key_of(config, key)?;
                let entry = there(etcd.get(&key).await?, &key)?;
                io::stdout().write_all(&entry.value)?;
                if !entry.value.ends_with(b"\n") {
                    println!();
                }
                Ok(())
            }
            TasksAction::Put(put) => self::put(&pen, config, put).await,
            TasksAction::Remove { key } => {
                let key = key_of(config, key)?;
                let before = there(etcd.get(&key).await?, &key)?;
                pen.write(&key, Some(&before), None, "remove", false).await
            }
            TasksAction::Edit { key } => edit::edit(&pen, &key_of(config, key)?).await,
            TasksAction::History { key } => history::print(&etcd, &key_of(config, key)?).await,
            TasksAction::Rollback { key, number } => {
                let key = key_of(config, key)?;
                let value = history::value(&etcd, &key, *number).await?;
                let before = etcd.get(&key).await?;
                pen.write(&key, before.as_ref(), value.as_deref(), "rollback", false).await
            }
            TasksAction::Withdraw { key } => canary::withdraw(&etcd, &key_of(config, key)?).await,
            TasksAction::Watch { keys } => {
                let keys: Vec<String> = keys.iter().map(|key| key_of(config, key)).collect::<Result<_, _>>()?;
                list::watch(&pen, keys).await
            }
        }
    })
}

async fn put(pen: &Pen<'_>, config: &Config, put: &PutTasks) -> anyhow::Result<()> {
    let key = key_of(config, &put.key)?;
    let value = read(&put.file)?;
    let before = pen.etcd.get(&key).await?;
    if let Some(expected) = put.expect {
        let found = before.as_ref().map_or(0, |entry| entry.revision);
        ensure!(
            found == expected,
            "{key} is at revision {found}, not {expected}: somebody changed it; look at it first"
        );
    }
    match &put.canary {
        None => pen.write(&key, before.as_ref(), Some(&value), "put", put.dry_run).await,
        Some(who) => {
            pen.check(&key, &value)?;
            canary::put(pen, &key, before.as_ref(), &value, who, put.wait.unsigned_abs()).await
        }
    }
}

/// What is typed for a key: the key itself, or `all`, `group/NAME` or `host/NAME` for those of the configuration.
fn key_of(config: &Config, typed: &str) -> anyhow::Result<String> {
    if typed.starts_with('/') {
        return Ok(typed.to_owned());
    }
    let (placeholder, name) = match typed.split_once('/') {
        None if typed == "all" => ("", ""),
        Some(("group", name)) if !name.is_empty() => ("{group}", name),
        Some(("host", name)) if !name.is_empty() => ("{host}", name),
        _ => bail!("{typed:?} is no key; write one such as /logdrive/tasks/all, or all, group/NAME or host/NAME"),
    };
    let is_meant = |key: &&String| if placeholder.is_empty() { !key.contains('{') } else { key.contains(placeholder) };
    let template = config.agent.tasks_keys.iter().find(is_meant);
    let template = template.with_context(|| format!("agent.tasks_keys has no key for {typed}"))?;
    Ok(template.replace(placeholder, name))
}

fn there(entry: Option<Entry>, key: &str) -> anyhow::Result<Entry> {
    entry.with_context(|| format!("{key} is not there; `logdrive tasks list` shows those that are"))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut value = Vec::new();
    if file == Path::new("-") {
        // One byte more than is taken, so that too much is noticed.
        io::stdin()
            .take(remote::TASKS_BYTES_MAX as u64 + 1)
            .read_to_end(&mut value)
            .context("can't read what comes in")?;
        return Ok(value);
    }
    fs::read(file).with_context(|| format!("can't read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::key_of;
    use crate::config::Config;

    #[test]
    fn short_forms_mean_the_keys_of_the_configuration() {
        let config = Config::default();
        let key = |typed: &str| key_of(&config, typed).map_err(|error| error.to_string());
        assert_eq!(key("all").as_deref(), Ok("/logdrive/tasks/all"));
        assert_eq!(key("group/web").as_deref(), Ok("/logdrive/tasks/groups/web"));
        assert_eq!(key("host/web-1").as_deref(), Ok("/logdrive/agents/web-1/tasks"));
        assert_eq!(key("/any").as_deref(), Ok("/any"));
        assert!(key("web-1").expect_err("no key").contains("host/NAME"));
    }
}
