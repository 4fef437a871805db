//! Tasks that come from etcd, for one host, a group of hosts or all: which keys, what they hold, and what of it is wanted.
//!
//! It promises that a value which can't be used changes nothing but what is told of its key; that the last good values
//! are kept in the data directory, and run on when etcd is away, at the start too; and that an older value never replaces a
//! newer one. It must not know what is done with tasks.

mod json;
mod kept;
pub(super) mod keys;
mod merge;
mod slot;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

pub use keys::{canary_key, check as check_key, keys_of};
pub use merge::{LeftOut, Merged, merge};
pub use slot::{Canary, KeyState};
pub use value::{TASKS_BYTES_MAX, TASKS_MAX, read_tasks};

use self::{
    kept::{Kept, KeptValue},
    slot::Slot,
};
use super::{Agent, Config};
use crate::{
    etcd::{Etcd, EtcdError, Heard, Range, Snapshot, watch as watch_keys},
    host,
    metrics::{self, list},
};

/// How many changes wait to be looked at.
const HEARD_MAX: usize = 16;

/// What is known of the keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Each key, in the order of `agent.tasks_keys`.
    pub keys: Vec<KeyState>,
    /// Whether what they hold was heard of etcd since the start, and not only kept from an earlier one.
    pub is_heard: bool,
    /// Why nothing is heard now.
    pub away: Option<String>,
}

/// The keys of one host, and what they hold.
pub struct Remote {
    agent: Agent,
    host: String,
    data_dir: PathBuf,
    address: String,
    prefix: String,
    slots: Vec<Slot>,
    saved: Vec<KeptValue>,
    view: watch::Sender<View>,
}

impl Remote {
    /// The keys that the configuration means on this host, with what was kept of them. `address` is what `{ip}` stands
    /// for; none, if it can't be told now.
    #[must_use]
    pub fn open(config: &Config, address: Option<String>) -> Self {
        let agent = config.agent.clone();
        let host = agent.host.clone().unwrap_or_else(host::name);
        let kept = kept::load(&config.data_dir).unwrap_or_else(|error| {
            error!("{error:#}; the tasks of etcd are not known before it answers");
            metrics::counter(&list::ERRORS, &["tasks", "kept"]).increment(1);
            None
        });
        let Kept { address: known, values } = kept.unwrap_or_default();
        let address = address.unwrap_or(known);
        let keys = keys_of(&agent, &host, &address);
        let mut slots: Vec<Slot> = keys.iter().map(|key| Slot::new(key)).collect();
        for value in &values {
            let Some(slot) = slots.iter_mut().find(|slot| slot.state.key == value.key) else { continue };
            if let Err(why) = slot.restore(value, &agent) {
                error!(key = value.key, "what was kept of this key is refused now: {why}");
            }
        }
        let restored: usize = slots.iter().map(|slot| slot.state.tasks.len()).sum();
        if restored > 0 {
            info!(tasks = restored, "going on with the tasks that etcd had last, until it answers");
        }
        metrics::gauge(&list::ETCD_UP, &[]).set(0.0);
        let prefix = config.etcd.prefix.clone();
        let view = watch::Sender::default();
        let remote =
            Self { agent, host, data_dir: config.data_dir.clone(), address, prefix, slots, saved: values, view };
        remote.view.send_modify(|view| view.keys = remote.states());
        remote
    }

    /// What is known of the keys, now and from now on.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// Follows the keys for ever.
    pub async fn follow(mut self, etcd: Etcd) {
        let keys = self.slots.iter().map(|slot| slot.state.key.clone());
        let canaries = self.slots.iter().map(|slot| canary_key(&self.prefix, &slot.state.key));
        let keys: Vec<String> = keys.chain(canaries).collect();
        if keys.is_empty() {
            return std::future::pending().await;
        }
        let (teller, mut heard) = mpsc::channel(HEARD_MAX);
        let watching = tokio::spawn(watch_keys(etcd, Range::Keys(keys), teller));
        while let Some(first) = heard.recv().await {
            self.hear(first);
            // What was written together is looked at together.
            while let Ok(next) = heard.try_recv() {
                self.hear(next);
            }
            self.judge().await;
        }
        // The watch ends only with its listener.
        watching.abort();
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::All(snapshot) => self.hear_all(snapshot),
            Heard::Put(entry) => {
                let (prefix, key) = (&self.prefix, entry.key.clone());
                for slot in &mut self.slots {
                    if slot.state.key == key {
                        slot.value = Some(entry.clone());
                    } else if canary_key(prefix, &slot.state.key) == key {
                        slot.canary = Some(entry.clone());
                    }
                }
            }
            Heard::Deleted { key, .. } => {
                for slot in &mut self.slots {
                    if slot.state.key == key {
                        slot.value = None;
                    } else if canary_key(&self.prefix, &slot.state.key) == key {
                        slot.canary = None;
                    }
                }
            }
            Heard::Lost(error) => self.lost(&error),
            Heard::Back => {
                metrics::gauge(&list::ETCD_UP, &[]).set(1.0);
                info!("etcd is heard again");
                self.view.send_modify(|view| view.away = None);
            }
        }
    }

    fn hear_all(&mut self, snapshot: Snapshot) {
        metrics::gauge(&list::ETCD_UP, &[]).set(1.0);
        let find = |key: &str| snapshot.entries.iter().find(|entry| entry.key == key).cloned();
        for slot in &mut self.slots {
            let canary = canary_key(&self.prefix, &slot.state.key);
            // Who may not read canaries takes part in none.
            let refusal = snapshot.refused.iter().find(|(key, error)| {
                *key == slot.state.key || *key == canary && !matches!(error, EtcdError::Refused { .. })
            });
            match refusal {
                // What can't be read is not gone.
                Some((_, error)) => slot.unreadable = Some(error.to_string()),
                None => {
                    slot.unreadable = None;
                    (slot.value, slot.canary) = (find(&slot.state.key), find(&canary));
                }
            }
        }
        self.view.send_modify(|view| view.is_heard = true);
    }

    fn lost(&self, error: &EtcdError) {
        metrics::gauge(&list::ETCD_UP, &[]).set(0.0);
        metrics::counter(&list::ERRORS, &["etcd", error.kind()]).increment(1);
        warn!(%error, "the tasks that are known run on");
        self.view.send_modify(|view| view.away = Some(error.to_string()));
    }

    /// Makes of what was heard what is wanted, tells it, and keeps it.
    async fn judge(&mut self) {
        if !self.view.borrow().is_heard {
            return;
        }
        for slot in &mut self.slots {
            let before = (slot.state.revision, slot.state.refused.clone());
            slot.judge(&self.host, &self.agent);
            let KeyState { key, revision, tasks, refused, is_canary } = &slot.state;
            if before == (*revision, refused.clone()) {
                continue;
            }
            match refused {
                Some((revision, why)) => {
                    metrics::counter(&list::REMOTE_VALUES, &["refused"]).increment(1);
                    error!(key, revision, "what etcd has is refused, and what ran goes on: {why}");
                }
                None => {
                    metrics::counter(&list::REMOTE_VALUES, &["applied"]).increment(1);
                    info!(key, revision, tasks = tasks.len(), canary = is_canary, "tasks of etcd");
                }
            }
        }
        let refused = self.slots.iter().filter(|slot| slot.state.refused.is_some()).count();
        metrics::gauge(&list::REMOTE_KEYS_REFUSED, &[]).set(refused as f64);
        let states = self.states();
        self.view.send_if_modified(|view| {
            let changes = view.keys != states;
            view.keys = states;
            changes
        });
        self.keep().await;
    }

    fn states(&self) -> Vec<KeyState> {
        self.slots.iter().map(|slot| slot.state.clone()).collect()
    }

    async fn keep(&mut self) {
        let values: Vec<KeptValue> = self.slots.iter().filter_map(Slot::kept).collect();
        if values == self.saved {
            return;
        }
        self.saved.clone_from(&values);
        let (data_dir, kept) = (self.data_dir.clone(), Kept { address: self.address.clone(), values });
        let saved = tokio::task::spawn_blocking(move || kept::save(&data_dir, &kept)).await;
        if let Err(error) = saved.map_err(anyhow::Error::from).and_then(|saved| saved) {
            metrics::counter(&list::ERRORS, &["tasks", "keep"]).increment(1);
            warn!("the tasks of etcd can't be kept for a start without it: {error:#}");
            // Tried again with the next change.
            self.saved.clear();
        }
    }
}
