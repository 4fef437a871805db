//! Topics that were deleted and made again under their names, and the way back to their beginnings.
//!
//! The offsets of such a topic count anew, so how far it was read says nothing any more. librdkafka notices that the
//! topic's id is another one, and goes on where it was: records that were written there meanwhile would be passed over,
//! unless so few were that the old offset doesn't exist. It tells of the id in its log for `debug=metadata`, and nowhere
//! else; so that is on, and this file listens.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
};
use tracing::warn;

use super::consumer::Client;

/// How long going back may take before it is tried again at the next poll.
const SEEK_MAX: Duration = Duration::from_secs(5);

/// The id that stands for none.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// What librdkafka said of topics' ids. It says it on its own thread, with locks in hand, so it is only written down.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The last one known of each topic.
    known: Mutex<HashMap<String, String>>,
    /// Topics that got another one, until they are read from their beginnings; those of which nothing is ours stay.
    changed: Mutex<BTreeSet<String>>,
    has_changed: AtomicBool,
}

/// Partitions of topics that were made anew and are not yet read from their beginnings.
#[derive(Debug, Default)]
pub(super) struct WayBack(Vec<(Arc<str>, i32)>);

/// Has librdkafka tell of topics' ids, beside what the user wants to hear.
pub(super) fn listen(config: &mut ClientConfig) {
    let debug = config.get("debug").filter(|wanted| !wanted.is_empty()).map(|wanted| format!("{wanted},metadata"));
    config.set("debug", debug.unwrap_or_else(|| "metadata".to_owned()));
}

impl Ids {
    /// Takes note of a line of librdkafka's log, if it tells that a topic's id is another one.
    pub(super) fn hear(&self, facility: &str, message: &str) {
        let Some((topic, before, now)) = change(facility, message) else { return };
        let known = lock(&self.known).insert(topic.to_owned(), now.to_owned());
        let before = known.as_deref().unwrap_or(before);
        if before != NO_ID && before != now {
            lock(&self.changed).insert(topic.to_owned());
            self.has_changed.store(true, Ordering::Release);
        }
    }

    /// Whether a topic was made anew and is not yet read from its beginning.
    pub(super) fn is_changed(&self, topic: &str) -> bool {
        self.has_changed.load(Ordering::Acquire) && lock(&self.changed).contains(topic)
    }

    /// Of partitions that are being assigned, has those be read from their beginnings whose topic was made anew.
    pub(super) fn apply<C: ConsumerContext>(&self, consumer: &BaseConsumer<C>, assigned: &TopicPartitionList) {
        let taken = self.take(|topic| assigned.elements().iter().any(|element| element.topic() == topic));
        let mut anew = Vec::new();
        for mut element in assigned.elements() {
            if taken.contains(element.topic()) {
                anew.push((Arc::from(element.topic()), element.partition()));
                if let Err(error) = element.set_offset(Offset::Beginning) {
                    warn!(%error, "a partition of a topic that was made anew is read from where its group was");
                }
            }
        }
        if !anew.is_empty() {
            forget_committed(consumer, &anew);
        }
    }

    /// Topics that were made anew and are wanted now.
    fn take(&self, is_wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
        if !self.has_changed.load(Ordering::Acquire) {
            return BTreeSet::new();
        }
        let mut changed = lock(&self.changed);
        let (taken, left) = std::mem::take(&mut *changed).into_iter().partition(|topic| is_wanted(topic));
        *changed = left;
        self.has_changed.store(!changed.is_empty(), Ordering::Release);
        taken
    }
}

impl WayBack {
    /// Goes back to the beginnings of topics that were made anew: their partitions are taken from the role, which
    /// settles what it has of them, and given to it as new ones.
    pub(super) fn walk(&mut self, client: &Client) {
        let context = client.context();
        for topic in context.ids.take(|topic| context.has(topic)) {
            let ours = context.made_anew(&topic);
            warn!(%topic, partitions = ours.len(), "the topic was deleted and made anew; it is read from its beginning");
            forget_committed(client, &ours);
            self.0.extend(ours);
        }
        if !self.0.is_empty() {
            let Ok(assignment) = client.assignment() else { return };
            // What was assigned anew meanwhile, or went, is no longer ours to move.
            self.0.retain(|(topic, partition)| {
                assignment.find_partition(topic, *partition).is_some()
                    && context.assignment(topic, *partition).is_none()
                    && !go_back(client, topic, *partition)
            });
        }
    }
}

/// Commits the beginnings, so that the group does not go on elsewhere if we die. Their answers are not waited for: what is
/// committed next says the same.
fn forget_committed<C: ConsumerContext>(client: &BaseConsumer<C>, partitions: &[(Arc<str>, i32)]) {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        if let Err(error) = list.add_partition_offset(topic, *partition, Offset::Offset(0)) {
            warn!(%error, %topic, partition, "the group's old offset stays for now");
        }
    }
    if let Err(error) = client.commit(&list, CommitMode::Async) {
        warn!(%error, "the group's old offsets stay for now");
    }
}

/// Returns whether the partition is read from its beginning now.
fn go_back(client: &Client, topic: &Arc<str>, partition: i32) -> bool {
    if let Err(error) = client.seek(topic, partition, Offset::Beginning, SEEK_MAX) {
        warn!(%error, %topic, partition, "a partition could not be read from its beginning yet");
        return false;
    }
    client.context().begin_anew(topic, partition);
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    // The role may have set it aside.
    if !client.context().paused.load(Ordering::Acquire)
        && let Err(error) = client.resume(&list)
    {
        warn!(%error, %topic, partition, "a partition could not be resumed");
    }
    true
}

/// A topic, the id that it had and the one that it has.
fn change<'m>(facility: &str, message: &'m str) -> Option<(&'m str, &'m str, &'m str)> {
    if facility != "METADATA" {
        return None;
    }
    let (topic, ids) = message.split_once("Topic ")?.1.split_once(" changed id from ")?;
    let (before, now) = ids.split_once(" to ")?;
    Some((topic, before, now))
}

fn lock<V>(mutex: &Mutex<V>) -> std::sync::MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{ClientConfig, Ids, NO_ID, listen};

    fn said(topic: &str, before: &str, now: &str) -> String {
        format!("[thrd:main]: Topic {topic} changed id from {before} to {now}")
    }

    #[test]
    fn a_topic_is_anew_when_its_id_is_another_one_and_not_when_it_is_first_seen() {
        let ids = Ids::default();
        ids.hear("METADATA", &said("app", NO_ID, "one"));
        ids.hear("METADATA", "[thrd:main]: Topic app [0] Leader 1 Epoch 0");
        ids.hear("STATE", &said("other", "one", "two"));
        let take = || ids.take(|_| true).into_iter().collect::<Vec<_>>();
        assert!(take().is_empty() && !ids.is_changed("app"));
        ids.hear("METADATA", &said("app", "one", "two"));
        assert!(ids.is_changed("app") && ids.take(|topic| topic == "other").is_empty());
        assert!(take() == ["app"] && take().is_empty() && !ids.is_changed("app"));
        // librdkafka forgets a topic that is gone for a while; we don't.
        ids.hear("METADATA", &said("app", NO_ID, "two"));
        assert!(take().is_empty());
        ids.hear("METADATA", &said("app", NO_ID, "three"));
        assert_eq!(take(), ["app"]);
    }

    #[test]
    fn what_the_user_wants_to_hear_is_heard_too() {
        let mut config = ClientConfig::new();
        listen(&mut config);
        assert_eq!(config.get("debug"), Some("metadata"));
        config.set("debug", "cgrp,fetch");
        listen(&mut config);
        assert_eq!(config.get("debug"), Some("cgrp,fetch,metadata"));
    }
}
