//! Which keys hold tasks, and what becomes of them.

use std::io::Write;

use anyhow::ensure;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{differ, write::Pen};
use crate::{
    cli::table::{self, plain},
    config::remote,
    etcd::{self, Entry, Heard, Range},
};

/// A key of tasks.
#[derive(Serialize)]
struct Row {
    key: String,
    revision: i64,
    tasks: Vec<String>,
    /// Why agents refuse it.
    refused: Option<String>,
    /// Whether some hosts have another value now.
    canary: bool,
}

/// The keys below those that the configuration names.
async fn rows(pen: &Pen<'_>) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for template in &pen.agent.tasks_keys {
        let start = template.split('{').next().unwrap_or_default();
        let end = template.rsplit('}').next().filter(|_| template.contains('}')).unwrap_or_default();
        let is_open = template.contains('{');
        for entry in pen.etcd.list(start).await?.entries {
            let fits = if is_open { entry.key.ends_with(end) } else { entry.key == *template };
            if fits && !rows.iter().any(|row| row.key == entry.key) {
                rows.push(row(pen, entry).await?);
            }
        }
    }
    Ok(rows)
}

async fn row(pen: &Pen<'_>, entry: Entry) -> anyhow::Result<Row> {
    let (tasks, refused) = match remote::read_tasks(&entry.key, &entry.value, pen.agent) {
        Ok(tasks) => (tasks.iter().map(|task| task.name.to_string()).collect(), None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let canary = remote::canary_key(&pen.etcd.settings().prefix, &entry.key);
    let canary = pen.etcd.get(&canary).await?.is_some();
    Ok(Row { key: entry.key, revision: entry.revision, tasks, refused, canary })
}

/// Prints the keys.
pub(super) async fn list(pen: &Pen<'_>, json: bool) -> anyhow::Result<()> {
    let rows = rows(pen).await?;
    let mut out = std::io::stdout().lock();
    if json {
        for row in &rows {
            serde_json::to_writer(&mut out, row)?;
            writeln!(out)?;
        }
        return Ok(());
    }
    let mut table = vec![["KEY", "REVISION", "TASKS", "NAMES"].map(str::to_owned)];
    for row in rows {
        let mut names = match &row.refused {
            Some(why) => format!("refused: {}", plain(why.lines().next().unwrap_or_default())),
            None => plain(&row.tasks.join(", ")),
        };
        if row.canary {
            names = format!("(a canary is under way) {names}");
        }
        table.push([plain(&row.key), row.revision.to_string(), row.tasks.len().to_string(), names]);
    }
    table::write(&table, &[1, 2], &mut out)?;
    Ok(())
}

/// Prints what changes, until it is stopped.
pub(super) async fn watch(pen: &Pen<'_>, keys: Vec<String>) -> anyhow::Result<()> {
    let keys = if keys.is_empty() { rows(pen).await?.into_iter().map(|row| row.key).collect() } else { keys };
    ensure!(!keys.is_empty(), "there is no key of tasks yet; name the one to watch");
    let (teller, mut heard) = mpsc::channel(16);
    tokio::spawn(etcd::watch(pen.etcd.clone(), Range::Keys(keys), teller));
    let mut known: std::collections::HashMap<String, Vec<u8>> = std::collections::HashMap::new();
    let mut see = |key: &str, revision: i64, value: Vec<u8>| {
        let before = known.insert(key.to_owned(), value.clone()).unwrap_or_default();
        println!("{} at revision {revision}", plain(key));
        differ::differ(&before, &value).iter().for_each(|line| println!("  {}", plain(line)));
        if let Err(error) = remote::read_tasks(key, &value, pen.agent) {
            println!("  agents refuse it: {}", plain(error.to_string().lines().next().unwrap_or_default()));
        }
    };
    while let Some(heard) = heard.recv().await {
        match heard {
            Heard::All(snapshot) => snapshot.entries.into_iter().for_each(|e| see(&e.key, e.revision, e.value)),
            Heard::Put(entry) => see(&entry.key, entry.revision, entry.value),
            Heard::Deleted { key, revision } => see(&key, revision, Vec::new()),
            Heard::Lost(error) => eprintln!("{error}"),
            Heard::Back => eprintln!("etcd is heard again"),
        }
    }
    Ok(())
}
