//! What can go wrong with Kafka, sorted by what a caller can do about it.

use rdkafka::types::RDKafkaErrorCode as Code;
use thiserror::Error;

use super::greeting;

/// Why Kafka did not do what it was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KafkaError {
    /// A setting that librdkafka doesn't know or accept, or one that would break the promise.
    #[error("the kafka setting {name:?} can't be used: {why}")]
    Setting {
        /// The setting's name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A setting of ours that can't be right.
    #[error("kafka.{setting} {why}")]
    Own {
        /// Its name under `[kafka]`.
        setting: &'static str,
        /// What is wrong with it; what to do about it stands behind the last semicolon.
        why: String,
    },
    /// A broker is there, and we can't agree on how to talk. It may be mended: what was sent stays under way.
    #[error("no connection to the kafka brokers at {servers}: {why}; {hint}")]
    Handshake {
        /// The brokers that were asked first.
        servers: String,
        /// What librdkafka says.
        why: String,
        /// What to look at.
        hint: &'static str,
    },
    /// No broker answers. It may come back: what was sent stays under way.
    #[error("the kafka brokers at {servers} don't answer: {why}; check that they run, and kafka.bootstrap_servers")]
    Away {
        /// The brokers that were asked first.
        servers: String,
        /// What librdkafka says.
        why: String,
    },
    /// The topic isn't there. It may be created later: what was sent stays under way.
    #[error("the kafka topic {topic:?} doesn't exist; create it, for example with `logdrive setup kafka`")]
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// The brokers refuse the user, or refuse the user this topic or group.
    #[error(
        "the kafka brokers refuse access to {what}: {why}; check kafka.username or kafka.token_file, the password and the rights"
    )]
    Unauthorized {
        /// A topic, a group or the cluster.
        what: String,
        /// What librdkafka says.
        why: String,
    },
    /// The brokers don't make a topic as it is wanted.
    #[error(
        "the kafka topic {topic:?} is not made: {why}; check its partitions, its replication and its settings, and \
         what the brokers' logs say"
    )]
    NotMade {
        /// Its name.
        topic: String,
        /// What librdkafka says.
        why: String,
    },
    /// The record is larger than the brokers allow; sending it again can't help.
    #[error(
        "a record of {bytes} bytes is too large for the kafka topic {topic:?}; raise the topic's max.message.bytes"
    )]
    TooLarge {
        /// The topic's name.
        topic: String,
        /// The length of the record's value.
        bytes: usize,
    },
    /// The brokers refuse the record for what it is; sending it again can't help.
    #[error("the kafka topic {topic:?} refuses a record: {why}")]
    Refused {
        /// The topic's name.
        topic: String,
        /// What librdkafka says.
        why: String,
    },
    /// The brokers did not take a record, and may take it later.
    #[error("the kafka topic {topic:?} doesn't take a record now: {why}; it is sent again")]
    NotNow {
        /// The topic's name.
        topic: String,
        /// What librdkafka says.
        why: String,
    },
    /// Nothing that was sent is acknowledged, and nothing says why.
    #[error(
        "kafka has acknowledged nothing for {seconds} s of what was sent to the topic {topic:?}; look at the brokers' \
         logs, and whether each partition has a leader and min.insync.replicas"
    )]
    Silent {
        /// The topic's name.
        topic: String,
        /// For how long.
        seconds: u64,
    },
    /// The offsets were not committed. They are still safe to commit.
    #[error("the kafka offsets could not be committed: {why}")]
    Commit {
        /// What librdkafka says.
        why: String,
    },
    /// The client can't go on.
    #[error("the kafka client can't go on: {why}")]
    Fatal {
        /// What librdkafka says.
        why: String,
    },
}

impl KafkaError {
    /// The error's name in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Setting { .. } | Self::Own { .. } => "setting",
            Self::Handshake { .. } => "handshake",
            Self::Away { .. } => "away",
            Self::UnknownTopic { .. } => "unknown_topic",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotMade { .. } => "not_made",
            Self::TooLarge { .. } => "too_large",
            Self::Refused { .. } => "refused",
            Self::NotNow { .. } => "not_now",
            Self::Silent { .. } => "silent",
            Self::Commit { .. } => "commit",
            Self::Fatal { .. } => "fatal",
        }
    }

    /// Whether sending the same record again can't help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }

    /// The error of one record that was to go to `topic` and whose value has `bytes` bytes.
    pub(super) fn of_record(code: Code, topic: &str, bytes: usize) -> Self {
        let (topic, why) = (topic.to_owned(), code.to_string());
        match code {
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
                Self::TooLarge { topic, bytes }
            }
            Code::InvalidRecord => Self::Refused { topic, why },
            // It is the clock's fault and not the record's: when it is sent again it gets another time.
            Code::InvalidTimestamp => {
                Self::NotNow { topic, why: format!("{why}; compare this host's clock with the brokers'") }
            }
            Code::Inconsistent => {
                Self::NotNow { topic, why: "librdkafka takes it for written, and no broker said so".to_owned() }
            }
            _ if is_unknown_topic(code) => Self::UnknownTopic { topic },
            _ if is_unauthorized(code) => Self::Unauthorized { what: format!("the topic {topic:?}"), why },
            _ => Self::NotNow { topic, why },
        }
    }

    /// The error of a client as a whole, or of a question about `topic`.
    pub(super) fn of_client(code: Option<Code>, why: &str, servers: &str, topic: Option<&str>) -> Self {
        let is_short = greeting::was_short(why);
        let (why, servers) = (gist(why).to_owned(), servers.to_owned());
        match (code, topic) {
            (Some(Code::Fatal | Code::Fenced), _) => Self::Fatal { why },
            (Some(code), Some(topic)) if is_unknown_topic(code) => Self::UnknownTopic { topic: topic.to_owned() },
            (Some(code), topic) if is_unauthorized(code) => {
                let what = topic.map_or_else(|| format!("the cluster at {servers}"), |topic| format!("{topic:?}"));
                Self::Unauthorized { what, why }
            }
            (Some(code), _) => match disagreement(code, &why, is_short) {
                Some(hint) => Self::Handshake { servers, why, hint },
                None => Self::Away { servers, why },
            },
            (None, _) => Self::Away { servers, why },
        }
    }
}

/// librdkafka's words without what differs each time, which would make old news look like new ones, and without its
/// advice, which speaks of its own settings.
fn gist(why: &str) -> &str {
    let ends = [" (after ", ": broker certificate could not be", ": client SSL authentication might"];
    let end = ends.iter().filter_map(|end| why.find(end)).min();
    &why[..end.unwrap_or(why.len())]
}

/// What to look at if a broker is there, and we don't understand each other; `is_short` if the connection was lost
/// right after it was made.
fn disagreement(code: Code, why: &str, is_short: bool) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    match code {
        Code::SSL if says(&["certificate verify failed", "verify broker certificate"]) => Some(
            "check that kafka.ca_file holds who signed the brokers' certificate, that the certificate names the host, \
             and that it has not expired",
        ),
        Code::SSL if says(&["wrong version number", "packet length too long", "unexpected eof"]) => {
            Some("the port seems to speak no TLS: check kafka.bootstrap_servers, or set kafka.tls = false")
        }
        // The broker's alerts about our certificate; they come when the connection already seems to be up.
        Code::SSL | Code::BrokerTransportFailure if says(&["SSL alert", "alert bad certificate"]) => Some(
            "check kafka.certificate_file and kafka.key_file: whom the brokers trust, and until when they are good",
        ),
        Code::SSL => Some("check kafka.tls, kafka.ca_file and kafka.certificate_file"),
        Code::BrokerTransportFailure if says(&["connecting to a PLAINTEXT broker"]) => {
            Some("the port seems to speak no TLS: check kafka.bootstrap_servers, or set kafka.tls = false")
        }
        // We were still sending when a broker hung up, and did not hear what it said before.
        Code::BrokerTransportFailure if is_short && says(&["SSL transport error"]) => Some(
            "the brokers hung up at once: if they want a certificate, check kafka.certificate_file and kafka.key_file; \
             if they want a user, set kafka.username and kafka.password_file",
        ),
        _ => None,
    }
}

fn is_unknown_topic(code: Code) -> bool {
    matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic)
}

fn is_unauthorized(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
    )
}

#[cfg(test)]
mod tests {
    use super::{Code, KafkaError};

    #[test]
    fn who_is_not_understood_is_told_what_to_look_at_and_the_same_trouble_is_no_news() {
        let of = |code, why: &str| KafkaError::of_client(Some(code), why, "a:9092", None).to_string();
        let refused = "ssl://a:9092/1: SSL handshake failed: certificate verify failed: broker certificate could not be \
                       verified, verify that ssl.ca.location is correctly configured (after 5ms in state SSL_HANDSHAKE)";
        let told = of(Code::SSL, refused);
        assert!(told.contains("certificate verify failed; check that kafka.ca_file"), "{told}");
        assert_eq!(told, of(Code::SSL, &refused.replace("5ms", "77ms")));
        let alert =
            of(Code::BrokerTransportFailure, "Receive failed: sslv3 alert bad certificate: SSL alert number 42");
        assert!(alert.contains("check kafka.certificate_file"), "{alert}");
        assert!(of(Code::Authentication, "invalid credentials").contains("check kafka.username"));
        assert!(of(Code::BrokerTransportFailure, "Connection refused").contains("check that they run"));
        let hung_up =
            |ms| format!("ssl://a:9092/1: Send failed: SSL transport error: Broken pipe (after {ms}ms in state UP)");
        assert!(of(Code::BrokerTransportFailure, &hung_up(3)).contains("if they want a certificate"));
        assert!(of(Code::BrokerTransportFailure, &hung_up(60_000)).contains("check that they run"));
    }

    #[test]
    fn only_what_can_never_be_taken_is_final() {
        let of = |code| KafkaError::of_record(code, "t", 7);
        assert_eq!(of(Code::MessageSizeTooLarge), KafkaError::TooLarge { topic: "t".into(), bytes: 7 });
        assert!(of(Code::MessageSizeTooLarge).is_final() && of(Code::InvalidRecord).is_final());
        for later in [
            Code::UnknownTopicOrPartition,
            Code::TopicAuthorizationFailed,
            Code::NotEnoughReplicas,
            Code::PurgeInflight,
            Code::PurgeQueue,
            Code::Fatal,
            Code::PolicyViolation,
            Code::InvalidTimestamp,
            Code::UnsupportedForMessageFormat,
            Code::MessageTimedOut,
        ] {
            assert!(!of(later).is_final(), "{later:?}");
        }
    }
}
