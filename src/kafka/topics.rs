//! What a cluster has: its brokers and topics.

use std::{
    error::Error,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    metadata::Metadata,
    producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext},
    types::RDKafkaErrorCode as Code,
};

use super::{KafkaError, Settings, greeting::Greeting, settings, token::Tokens, voice};

/// How long the brokers have to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// How long one attempt lasts, after which the client is asked what keeps it.
const TURN: Duration = Duration::from_secs(2);

/// A topic that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many brokers hold each partition.
    pub replication: i32,
    /// How many of its partitions have no leader now, so that nothing can be written to them.
    pub leaderless: i32,
}

/// The topics of the cluster, by name; those that are Kafka's own (`__…`) are left out.
///
/// # Errors
/// [`KafkaError::Setting`], [`KafkaError::Away`] or [`KafkaError::Unauthorized`].
pub async fn describe(settings: &Settings) -> Result<Vec<Topic>, KafkaError> {
    ask(settings, |metadata, _| Ok(topics(metadata))).await
}

/// Asks the cluster who it is: a line each for its brokers, its identity and its topics.
///
/// # Errors
/// [`KafkaError::Setting`], [`KafkaError::Away`] or [`KafkaError::Unauthorized`], each with what to do.
pub async fn check(settings: &Settings) -> Result<Vec<String>, KafkaError> {
    ask(settings, |metadata, client| {
        let brokers: Vec<String> = metadata
            .brokers()
            .iter()
            .map(|broker| format!("{}:{} (id {})", broker.host(), broker.port(), broker.id()))
            .collect();
        let (topics, cluster) = (topics(metadata), client.client().fetch_cluster_id(LIMIT));
        let mut lines =
            vec![format!("{} of cluster {}", plural(brokers.len(), "broker"), cluster.as_deref().unwrap_or("?"))];
        lines.extend(brokers);
        let names: Vec<String> = topics
            .iter()
            .map(|topic| format!("{} ({})", topic.name, plural(topic.partitions as usize, "partition")))
            .collect();
        lines.push(format!("{}: {}", plural(topics.len(), "topic"), names.join(", ")));
        for topic in topics.iter().filter(|topic| topic.leaderless > 0) {
            lines.push(format!("{}: {} without a leader", topic.name, plural(topic.leaderless as usize, "partition")));
        }
        Ok(lines)
    })
    .await
}

/// A client for questions, which remembers the last thing that went wrong, for that is the reason to tell.
struct Asker {
    reason: Mutex<Option<(Option<Code>, String)>>,
    tokens: Tokens,
    greeting: Greeting,
    /// What the brokers seem to mean by hanging up; for want of a better reason.
    guess: Mutex<Option<KafkaError>>,
}

impl ClientContext for Asker {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.tokens.read()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(guess) = self.greeting.refused(facility, message) {
            *self.guess.lock().unwrap_or_else(PoisonError::into_inner) = Some(guess);
        }
        voice::log_question(level, facility, message);
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // "all brokers are down" follows each reason and is none itself.
        if code != Some(Code::AllBrokersDown) {
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.to_owned()));
        }
    }
}

impl ProducerContext for Asker {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

type Question<A> = fn(&Metadata, &BaseProducer<Asker>) -> Result<A, KafkaError>;

async fn ask<A: Send + 'static>(settings: &Settings, question: Question<A>) -> Result<A, KafkaError> {
    let config = settings.client()?;
    let (tokens, greeting) = (Tokens::of(settings), Greeting::of(settings));
    let asker = Asker { reason: Mutex::default(), tokens, greeting, guess: Mutex::default() };
    let client: BaseProducer<Asker> = config.create_with_context(asker).map_err(settings::refused)?;
    let servers = settings.bootstrap_servers.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let metadata = metadata(&client, &servers)?;
        question(&metadata, &client)
    });
    answer.await.unwrap_or_else(|error| Err(KafkaError::Fatal { why: error.to_string() }))
}

/// Asks until there is an answer, or a reason why there is none, or the limit.
fn metadata(client: &BaseProducer<Asker>, servers: &str) -> Result<Metadata, KafkaError> {
    let deadline = Instant::now() + LIMIT;
    // A token is asked for by an event.
    client.poll(Duration::ZERO);
    loop {
        let error = match client.client().fetch_metadata(None, TURN) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        // The reason waits in the client's queue, among other news.
        client.poll(Duration::from_millis(50));
        let reason = client.context().reason.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((code, why)) = reason {
            return Err(KafkaError::of_client(code, &why, servers, None));
        }
        if Instant::now() >= deadline {
            if let Some(guess) = client.context().guess.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(guess);
            }
            return Err(KafkaError::of_client(error.rdkafka_error_code(), &error.to_string(), servers, None));
        }
    }
}

fn topics(metadata: &Metadata) -> Vec<Topic> {
    let ours = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__") && topic.error().is_none());
    let mut topics: Vec<Topic> = ours
        .map(|topic| Topic {
            name: topic.name().to_owned(),
            partitions: topic.partitions().len() as i32,
            replication: topic.partitions().first().map_or(0, |partition| partition.replicas().len() as i32),
            leaderless: topic.partitions().iter().filter(|partition| partition.leader() < 0).count() as i32,
        })
        .collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    topics
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{KafkaError, Settings, check, describe};
    use rdkafka::mocking::MockCluster;

    #[tokio::test]
    async fn a_cluster_is_described_by_its_brokers_and_topics() {
        let cluster = MockCluster::new(2).expect("a mock cluster");
        cluster.create_topic("app", 3, 2).expect("a topic");
        let settings = Settings { bootstrap_servers: cluster.bootstrap_servers(), ..Settings::default() };
        let topics = describe(&settings).await.expect("an answer");
        assert_eq!((topics[0].name.as_str(), topics[0].partitions, topics[0].replication), ("app", 3, 2));
        let lines = check(&settings).await.expect("an answer");
        assert!(lines[0].starts_with("2 brokers of cluster "), "{lines:?}");
        assert_eq!(lines[3], "1 topic: app (3 partitions)");
    }

    #[tokio::test]
    async fn brokers_that_do_not_answer_are_named_with_the_reason() {
        let settings = Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..Settings::default() };
        let error = check(&settings).await.expect_err("nobody listens there");
        assert!(matches!(&error, KafkaError::Away { .. }), "{error:?}");
        assert!(error.to_string().contains("127.0.0.1:1") && error.to_string().contains("refused"), "{error}");
    }
}
