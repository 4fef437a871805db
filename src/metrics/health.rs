//! Whether the process can do its work now, part by part, each with a reason when it can't.
//!
//! A part is something outside that the process depends on (Kafka, the store, a lane of files) and that may come
//! and go. Being unready is no reason to restart: whoever asks gets the reasons, and the process goes on trying.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{info, warn};

/// The part that fails when the process is about to end, and no other part is to be named so.
pub const DRAINING: &str = "draining";

/// The health of the process. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<Arc<str>, State>>>,
}

/// The handle by which the owner of a part says how it is. Clones speak for the same part.
#[derive(Clone, Debug)]
pub struct Part {
    health: Health,
    name: Arc<str>,
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Registered, and nothing was said of it yet.
    Starting,
    /// It works.
    Ok,
    /// It doesn't, for this reason, in words for a person.
    Failing(String),
}

impl Health {
    /// Registers a part, or finds the one of this name. A new part is [`State::Starting`].
    pub fn part(&self, name: &str) -> Part {
        let name: Arc<str> = name.into();
        self.lock().entry(Arc::clone(&name)).or_insert(State::Starting);
        Part { health: self.clone(), name }
    }

    /// Says that the process is about to end: from now on it is not ready, whatever its parts say. `why` is told as the
    /// reason of a part of its own, [`DRAINING`].
    pub fn drain(&self, why: impl Into<String>) {
        self.lock().insert(DRAINING.into(), State::Failing(why.into()));
    }

    /// Whether at least one part is registered and all of them are [`State::Ok`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.lock();
        !parts.is_empty() && parts.values().all(|state| *state == State::Ok)
    }

    /// Every part and how it is, by name.
    #[must_use]
    pub fn report(&self) -> BTreeMap<Arc<str>, State> {
        self.lock().clone()
    }

    /// The map is whole between any two statements, so a panic elsewhere does not make it wrong.
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, State>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// The part works. Cheap when it is said again.
    pub fn ok(&self) {
        let before = self.replace(State::Ok);
        if matches!(before, Some(State::Failing(_))) {
            info!(part = %self.name, "works again");
        }
    }

    /// The part doesn't work; `why` says what happened and what would help. Logged when it begins.
    pub fn failing(&self, why: impl Into<String>) {
        let why = why.into();
        let before = self.replace(State::Failing(why.clone()));
        if !matches!(before, Some(State::Failing(_))) {
            warn!(part = %self.name, why, "not ready");
        }
    }

    fn replace(&self, state: State) -> Option<State> {
        self.health.lock().insert(Arc::clone(&self.name), state)
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAINING, Health, State};

    #[test]
    fn the_process_is_ready_when_every_part_said_that_it_works() {
        let health = Health::default();
        assert!(!health.is_ready(), "nothing was started");
        let (kafka, files) = (health.part("kafka"), health.part("files"));
        kafka.ok();
        assert!(!health.is_ready(), "files have not said anything");
        files.ok();
        assert!(health.is_ready());
    }

    #[test]
    fn a_process_that_drains_is_not_ready_whatever_its_parts_say() {
        let health = Health::default();
        let kafka = health.part("kafka");
        kafka.ok();
        health.drain("SIGTERM");
        kafka.ok();
        assert!(!health.is_ready());
        assert_eq!(health.report().get(DRAINING), Some(&State::Failing("SIGTERM".to_owned())));
        assert_eq!(health.report().get("kafka"), Some(&State::Ok), "what works is not blamed");
    }

    #[test]
    fn a_failing_part_makes_the_process_unready_until_it_works_again() {
        let health = Health::default();
        let kafka = health.part("kafka");
        kafka.failing("no broker answers");
        assert_eq!(health.report().get("kafka"), Some(&State::Failing("no broker answers".to_owned())));
        assert!(!health.is_ready());
        health.part("kafka").ok();
        assert!(health.is_ready(), "two handles of one name speak for one part");
    }
}
