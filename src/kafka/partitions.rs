//! How many partitions a topic has: asked once, remembered, and asked again from time to time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{error::KafkaResult, metadata::Metadata, types::RDKafkaErrorCode as Code};

use super::KafkaError;

/// How long an answer is good. Partitions are added, rarely, and fewer only if the topic is made anew; a late look does
/// no harm.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// How long the brokers have to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What is known, by topic: as many entries as there are topics that are sent to.
#[derive(Debug, Default)]
pub(super) struct Partitions(Mutex<HashMap<String, (i32, Instant)>>);

impl Partitions {
    /// The partition to use for one that was chosen when the topic had more of them.
    pub(super) fn fold(&self, topic: &str, partition: i32) -> i32 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(topic).map_or(partition, |(count, _)| partition % (*count).max(1))
    }

    /// What is known of `topic`, or what `ask` answers (on a thread where it may block). An old answer is better
    /// than none, so a question that fails changes nothing.
    pub(super) async fn of<F>(&self, topic: &str, ask: F) -> Result<i32, KafkaError>
    where
        F: FnOnce(&str, Duration) -> Result<i32, KafkaError> + Send + 'static,
    {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied();
        if let Some((count, asked_at)) = known
            && asked_at.elapsed() < GOOD_FOR
        {
            return Ok(count);
        }
        let name = topic.to_owned();
        let answer = tokio::task::spawn_blocking(move || ask(&name, LIMIT)).await;
        let answer = answer.unwrap_or_else(|error| Err(KafkaError::Fatal { why: error.to_string() }));
        let count = match (answer, known) {
            (Ok(count), _) | (Err(_), Some((count, _))) => count,
            (Err(error), None) => return Err(error),
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(topic.to_owned(), (count, Instant::now()));
        Ok(count)
    }
}

/// Reads the number of partitions of `topic` out of what the brokers at `servers` answered.
pub(super) fn count(metadata: KafkaResult<Metadata>, topic: &str, servers: &str) -> Result<i32, KafkaError> {
    let metadata = metadata
        .map_err(|error| KafkaError::of_client(error.rdkafka_error_code(), &error.to_string(), servers, Some(topic)))?;
    let unknown = || KafkaError::UnknownTopic { topic: topic.to_owned() };
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(unknown)?;
    if let Some(error) = found.error() {
        let code = Code::from(error);
        return Err(KafkaError::of_client(Some(code), &code.to_string(), servers, Some(topic)));
    }
    match found.partitions().len() {
        0 => Err(unknown()),
        count => Ok(count as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::{KafkaError, Partitions};

    #[tokio::test]
    async fn a_topic_is_asked_for_once_and_an_error_is_not_remembered() {
        let (partitions, unknown) = (Partitions::default(), KafkaError::UnknownTopic { topic: "t".to_owned() });
        let error = unknown.clone();
        assert_eq!(partitions.of("t", |_, _| Err(error)).await, Err(unknown));
        assert_eq!(partitions.fold("t", 7), 7);
        assert_eq!(partitions.of("t", |_, _| Ok(3)).await, Ok(3));
        assert_eq!((partitions.fold("t", 2), partitions.fold("t", 3)), (2, 0));
        assert_eq!(partitions.of("t", |_, _| Ok(4)).await, Ok(3));
    }
}
