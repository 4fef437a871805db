//! One key of tasks: what it holds, what of that is good, and what it means to this host.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{kept::KeptValue, read_tasks};
use crate::{
    config::{Agent, Task},
    etcd::Entry,
};

/// Beside a key: a value that some hosts take before the others do.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The hosts that take it.
    pub hosts: Vec<String>,
    /// What they take instead of the key's value.
    pub tasks: Box<RawValue>,
}

/// How a key stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyState {
    /// The key.
    pub key: String,
    /// The revision whose tasks are wanted; 0 for none.
    pub revision: i64,
    /// Whether they are a canary's.
    pub is_canary: bool,
    /// Those tasks.
    pub tasks: Arc<[Task]>,
    /// The newest revision, if it is refused, and why; older tasks run on.
    pub refused: Option<(i64, String)>,
}

/// A key, and what it was last.
pub(super) struct Slot {
    /// The key's newest value.
    pub(super) value: Option<Entry>,
    /// The newest canary beside it.
    pub(super) canary: Option<Entry>,
    /// Why they can't be read, if that is so.
    pub(super) unreadable: Option<String>,
    /// What is made of them.
    pub(super) state: KeyState,
    /// The text of the tasks that are wanted.
    text: String,
}

impl Slot {
    pub(super) fn new(key: &str) -> Self {
        let state = KeyState { key: key.to_owned(), ..KeyState::default() };
        Self { value: None, canary: None, unreadable: None, state, text: String::new() }
    }

    /// Takes what was kept for what is there.
    pub(super) fn restore(&mut self, kept: &KeptValue, agent: &Agent) -> Result<(), String> {
        let tasks = read_tasks(&kept.key, kept.value.as_bytes(), agent).map_err(|error| error.to_string())?;
        self.text.clone_from(&kept.value);
        self.state =
            KeyState { key: kept.key.clone(), revision: kept.revision, tasks: tasks.into(), ..KeyState::default() };
        Ok(())
    }

    /// What is to be kept; nothing of a key without tasks.
    pub(super) fn kept(&self) -> Option<KeptValue> {
        let KeyState { key, revision, .. } = &self.state;
        (*revision != 0).then(|| KeptValue { key: key.clone(), revision: *revision, value: self.text.clone() })
    }

    /// Makes the state of what is there now. A value that is refused leaves the last good one.
    pub(super) fn judge(&mut self, host: &str, agent: &Agent) {
        if let Some(why) = self.unreadable.clone() {
            self.state.refused = Some((0, why));
            return;
        }
        let (entry, is_canary, text) = match self.canary_for(host) {
            Ok(Some((entry, text))) => (entry, true, text.into_bytes()),
            Ok(None) => match self.value.clone() {
                Some(entry) => (entry.clone(), false, entry.value),
                // The key is gone: it was taken away, and its tasks with it.
                None => {
                    let key = std::mem::take(&mut self.state.key);
                    self.state = KeyState { key, ..KeyState::default() };
                    self.text.clear();
                    return;
                }
            },
            Err((revision, why)) => {
                self.state.refused = Some((revision, why));
                return;
            }
        };
        if self.state.refused.is_none() && (self.state.revision, self.state.is_canary) == (entry.revision, is_canary) {
            return;
        }
        match read_tasks(&entry.key, &text, agent) {
            Ok(tasks) => {
                self.text = String::from_utf8_lossy(&text).into_owned();
                let (key, tasks) = (std::mem::take(&mut self.state.key), tasks.into());
                self.state = KeyState { key, revision: entry.revision, is_canary, tasks, refused: None };
            }
            Err(error) => self.state.refused = Some((entry.revision, error.to_string())),
        }
    }

    /// The canary, if it is for this host.
    fn canary_for(&self, host: &str) -> Result<Option<(Entry, String)>, (i64, String)> {
        let Some(entry) = &self.canary else { return Ok(None) };
        match serde_json::from_slice::<Canary>(&entry.value) {
            Ok(canary) if canary.hosts.iter().any(|name| name == host) => {
                Ok(Some((entry.clone(), canary.tasks.get().to_owned())))
            }
            Ok(_) => Ok(None),
            Err(error) => Err((entry.revision, format!("{} is no canary: {error}", entry.key))),
        }
    }
}
