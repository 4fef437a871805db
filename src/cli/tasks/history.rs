//! What a key held before: the last 50 values, written together with each change.

use anyhow::{Context, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    cli::table::{self, plain},
    etcd::{Change, Entry, Etcd},
    host,
};

/// How many values of a key are remembered.
const HISTORY_MAX: usize = 50;

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    at: Timestamp,
    by: String,
    action: String,
    /// What it held from then on; nothing if it was removed.
    value: Option<String>,
}

fn place(etcd: &Etcd, key: &str) -> String {
    format!("{}/history{key}/", etcd.settings().prefix)
}

/// Everything that is remembered of a key, and nothing of keys below it; the oldest first.
async fn entries(etcd: &Etcd, key: &str) -> anyhow::Result<Vec<Entry>> {
    let place = place(etcd, key);
    let mut entries = etcd.list(&place).await?.entries;
    entries.retain(|entry| !entry.key[place.len().min(entry.key.len())..].contains('/'));
    Ok(entries)
}

/// The part of a change that remembers it, and forgets the oldest. A value that somebody wrote in another way is
/// remembered too, before it is replaced.
pub(super) async fn with(
    etcd: &Etcd,
    key: &str,
    before: Option<&Entry>,
    value: Option<&[u8]>,
    action: &str,
) -> anyhow::Result<Change> {
    let place = place(etcd, key);
    let entries = entries(etcd, key).await?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let at = Timestamp::now();
    let by = format!("{}@{}", std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()), host::name());
    let last = entries.last().and_then(read).and_then(|record| record.value);
    let before = before.map(|entry| text(&entry.value));
    let mut records = Vec::new();
    if before.is_some() && before != last {
        records.push(Record { at, by: "unknown".to_owned(), action: "found".to_owned(), value: before });
    }
    records.push(Record { at, by, action: action.to_owned(), value: value.map(text) });
    let mut change = Change::default();
    for (number, record) in (0..).zip(&records) {
        // In the order of time, and never the key of another: who writes at the same moment loses the comparison.
        let name = format!("{place}{:020}{number}", at.as_nanosecond());
        change.expected.push((name.clone(), 0));
        change.puts.push((name, serde_json::to_vec(record)?));
    }
    let too_many = (entries.len() + records.len()).saturating_sub(HISTORY_MAX);
    change.deletes = entries.into_iter().take(too_many).map(|entry| entry.key).collect();
    Ok(change)
}

fn read(entry: &Entry) -> Option<Record> {
    serde_json::from_slice(&entry.value).ok()
}

/// The newest first.
async fn records(etcd: &Etcd, key: &str) -> anyhow::Result<Vec<Record>> {
    let entries = entries(etcd, key).await?;
    Ok(entries.iter().rev().filter_map(read).collect())
}

/// Prints what is remembered of a key.
pub(super) async fn print(etcd: &Etcd, key: &str) -> anyhow::Result<()> {
    let mut rows = vec![["NUMBER", "WHEN", "WHO", "WHAT", "BYTES"].map(str::to_owned)];
    for (number, record) in records(etcd, key).await?.into_iter().enumerate() {
        let bytes = record.value.map_or("removed".to_owned(), |value| value.len().to_string());
        rows.push([number.to_string(), record.at.to_string(), plain(&record.by), plain(&record.action), bytes]);
    }
    ensure!(rows.len() > 1, "nothing is remembered of {key}");
    table::write(&rows, &[0], &mut std::io::stdout().lock())?;
    Ok(())
}

/// The value that the key had `number` changes ago; nothing if it was removed then.
pub(super) async fn value(etcd: &Etcd, key: &str, number: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let record = records(etcd, key).await?.into_iter().nth(number);
    let record = record.with_context(|| {
        format!("{key} has no value {number} changes ago; `logdrive tasks history {key}` shows those that it had")
    })?;
    Ok(record.value.map(String::into_bytes))
}
