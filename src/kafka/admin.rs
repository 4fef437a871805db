//! Topics that are made, and what they are set to. Nothing here changes or removes one that is there.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    types::RDKafkaErrorCode as Code,
};

use tracing::{info, warn};

use super::{KafkaError, Settings, describe, settings};

/// How long the brokers have to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 for the brokers' default.
    pub partitions: i32,
    /// How many brokers hold each partition; -1 for the brokers' default.
    pub replication: i32,
    /// Its settings by Kafka's names, such as `retention.ms`.
    pub settings: Vec<(String, String)>,
}

/// Whether the brokers are to make a topic, or only to say whether they would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To make it.
    Make,
    /// To say whether they would.
    Ask,
}

/// Makes a topic, or asks whether it would be made; says whether it was not there yet.
///
/// # Errors
/// [`KafkaError::NotMade`] if the brokers don't want it so, [`KafkaError::UnknownTopic`] where a token lets us in and
/// it isn't there, or what [`describe`] gives.
pub async fn create(settings: &Settings, wanted: &NewTopic, intent: Intent) -> Result<bool, KafkaError> {
    if settings.token_file.is_some() {
        return is_there(settings, wanted).await.map(|()| false);
    }
    let mut new =
        rdkafka::admin::NewTopic::new(&wanted.name, wanted.partitions, TopicReplication::Fixed(wanted.replication));
    for (name, value) in &wanted.settings {
        new = new.set(name, value);
    }
    let options = options().operation_timeout(Some(LIMIT)).validate_only(intent == Intent::Ask);
    let answer = client(settings)?.create_topics([&new], &options).await.map_err(|error| away(settings, &error))?;
    match answer.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        None | Some(Err((_, Code::TopicAlreadyExists))) => Ok(false),
        Some(Err((topic, code))) => {
            let why = code.to_string();
            let error = KafkaError::of_client(Some(code), &why, &settings.bootstrap_servers, Some(&topic));
            Err(if matches!(error, KafkaError::Away { .. }) { KafkaError::NotMade { topic, why } } else { error })
        }
    }
}

/// What a topic is set to, its defaults included, by Kafka's names.
///
/// # Errors
/// [`KafkaError::Away`], [`KafkaError::UnknownTopic`] or [`KafkaError::Unauthorized`].
pub async fn settings_of(settings: &Settings, topic: &str) -> Result<BTreeMap<String, String>, KafkaError> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let answer =
        client(settings)?.describe_configs(&asked, &options()).await.map_err(|error| away(settings, &error))?;
    let answer = answer.into_iter().next().unwrap_or(Err(Code::UnknownTopicOrPartition));
    let known = answer.map_err(|code| {
        KafkaError::of_client(Some(code), &code.to_string(), &settings.bootstrap_servers, Some(topic))
    })?;
    Ok(known.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

/// Stands in for [`create`] where a token lets us in: rdkafka's client for administration never asks for one.
/// Sees to it that a topic is there, made with the brokers' defaults if it wasn't, and says in the log what came of it;
/// `what` is what the topic is for people, such as "the dead-letter topic".
pub async fn see_to(settings: &Settings, topic: &str, what: &str) {
    let wanted = NewTopic { name: topic.to_owned(), partitions: -1, replication: -1, settings: Vec::new() };
    match create(settings, &wanted, Intent::Make).await {
        Ok(false) => (),
        Ok(true) => info!(topic, "{what} was created"),
        Err(error) => warn!(%error, topic, "{what} could not be created"),
    }
}

async fn is_there(settings: &Settings, wanted: &NewTopic) -> Result<(), KafkaError> {
    if describe(settings).await?.iter().any(|known| known.name == wanted.name) {
        return Ok(());
    }
    Err(KafkaError::UnknownTopic { topic: wanted.name.clone() })
}

fn client(settings: &Settings) -> Result<AdminClient<DefaultClientContext>, KafkaError> {
    settings.client()?.create().map_err(settings::refused)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT))
}

fn away(settings: &Settings, error: &rdkafka::error::KafkaError) -> KafkaError {
    KafkaError::of_client(error.rdkafka_error_code(), &error.to_string(), &settings.bootstrap_servers, None)
}

#[cfg(test)]
mod tests {
    use super::{Intent, KafkaError, NewTopic, Settings, create};

    #[tokio::test]
    async fn brokers_that_are_away_are_named_where_a_topic_is_to_be_made() {
        let settings = Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..Settings::default() };
        let wanted = NewTopic { name: "app".to_owned(), partitions: -1, replication: -1, settings: Vec::new() };
        let error = create(&settings, &wanted, Intent::Make).await.expect_err("nobody listens there");
        assert!(matches!(&error, KafkaError::Away { .. }), "{error:?}");
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
