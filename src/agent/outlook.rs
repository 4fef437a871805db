//! How Kafka looks from here: whether every topic is there, and whether what is sent is being acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{kafka::KafkaError, metrics::Part};

/// How long nothing of what was sent may be acknowledged before the agent calls itself unready. Shorter outages,
/// such as a broker's restart, are nobody's business.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What is known of the topics, and the part of the health that tells of it.
pub(super) struct Outlook {
    part: Part,
    /// Topics that were not asked for with success yet, and why.
    unknown: BTreeMap<Arc<str>, KafkaError>,
    /// Topics of which nothing was heard at all.
    unheard: BTreeSet<Arc<str>>,
    topics: BTreeSet<Arc<str>>,
}

impl Outlook {
    pub(super) fn new(part: Part, topics: impl Iterator<Item = Arc<str>>) -> Self {
        let mut outlook = Self { part, unknown: BTreeMap::new(), unheard: BTreeSet::new(), topics: BTreeSet::new() };
        outlook.follow(topics);
        outlook
    }

    /// From now on these are the topics.
    pub(super) fn follow(&mut self, topics: impl Iterator<Item = Arc<str>>) {
        let topics: BTreeSet<Arc<str>> = topics.collect();
        self.unknown.retain(|topic, _| topics.contains(topic));
        self.unheard.extend(topics.difference(&self.topics).cloned());
        self.unheard.retain(|topic| topics.contains(topic));
        self.topics = topics;
    }

    /// Notes what came of asking for a topic.
    pub(super) fn heard(&mut self, topic: &Arc<str>, answer: Result<(), KafkaError>) {
        if !self.topics.contains(topic) {
            // It was asked for when there still was a task for it.
            return;
        }
        self.unheard.remove(topic);
        match answer {
            Ok(()) => drop(self.unknown.remove(topic)),
            Err(error) => drop(self.unknown.insert(Arc::clone(topic), error)),
        }
    }

    /// Says how it looks, given why nothing was acknowledged for [`SILENCE_MAX`], if so.
    pub(super) fn tell(&self, silence: Option<&KafkaError>) {
        let unknown = self.unknown.iter().next();
        match (unknown, silence) {
            (Some((topic, error)), _) => {
                self.part.failing(format!("topic {topic:?}: {error}; reading waits, and nothing is lost"));
            }
            (None, Some(error)) => self.part.failing(format!("{error}; reading waits, and nothing is lost")),
            (None, None) if self.unheard.is_empty() => self.part.ok(),
            (None, None) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{KafkaError, Outlook};
    use crate::metrics::{Health, State};

    #[test]
    fn kafka_is_well_when_every_topic_is_known_and_what_is_sent_is_acknowledged() {
        let health = Health::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut outlook = Outlook::new(health.part("kafka"), [Arc::clone(&a), Arc::clone(&b)].into_iter());
        let state = || health.report().remove("kafka").expect("registered");
        outlook.heard(&a, Ok(()));
        outlook.tell(None);
        assert_eq!(state(), State::Starting, "nothing was heard of b");
        outlook.heard(&b, Err(KafkaError::UnknownTopic { topic: "b".to_owned() }));
        outlook.tell(None);
        assert!(matches!(state(), State::Failing(why) if why.contains("\"b\"")));
        outlook.heard(&b, Ok(()));
        outlook.tell(None);
        assert_eq!(state(), State::Ok);
        let silence = KafkaError::Silent { topic: "a".to_owned(), seconds: 11 };
        outlook.tell(Some(&silence));
        assert!(matches!(state(), State::Failing(why) if why.contains("11 s")));
        outlook.tell(None);
        assert_eq!(state(), State::Ok, "nothing is under way any more, or receipts come");
    }
}
