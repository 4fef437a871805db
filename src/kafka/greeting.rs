//! A broker that hangs up on our greeting: it says no word, so librdkafka reports no error, only a line in its log.
//!
//! Two mistakes look like that: plain text on a port that speaks TLS, and no user on a port that wants one. Where
//! nothing else explains why brokers don't answer, this guess is worth more than silence.

use super::{KafkaError, Settings};

/// A connection that was up and lived shorter than this was not wanted.
const SHORT_MS: u64 = 1_000;

/// How we greet brokers.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    servers: String,
    tls: bool,
    user: bool,
}

impl Greeting {
    pub(super) fn of(settings: &Settings) -> Self {
        let security = settings.settings.get("security.protocol").map_or("", String::as_str).to_lowercase();
        Self {
            servers: settings.bootstrap_servers.clone(),
            tls: settings.tls || security.contains("ssl"),
            user: settings.username.is_some() || settings.token_file.is_some() || security.contains("sasl"),
        }
    }

    /// What a line of librdkafka's log means, if it tells that a broker hung up on our greeting.
    pub(super) fn refused(&self, facility: &str, message: &str) -> Option<KafkaError> {
        if facility != "FAIL" {
            return None;
        }
        let (why, lived_ms, state) = life(message)?;
        let why = why.split_once("]: ").map_or(why, |(_, why)| why);
        let hint = match state {
            _ if !why.contains("Disconnected") => return None,
            "APIVERSION_QUERY" if !self.tls => {
                "the port may speak TLS only: set kafka.tls = true, or check kafka.bootstrap_servers"
            }
            "UP" if !self.user && lived_ms < SHORT_MS => {
                "the port may want a user: set kafka.username and kafka.password_file"
            }
            _ => return None,
        };
        Some(KafkaError::Handshake { servers: self.servers.clone(), why: why.to_owned(), hint })
    }
}

/// Whether librdkafka says of a connection that it was lost right after it was made.
pub(super) fn was_short(message: &str) -> bool {
    life(message).is_some_and(|(_, lived_ms, _)| lived_ms < SHORT_MS)
}

/// Why a connection was lost, after how many milliseconds in its last state, and which that was.
fn life(message: &str) -> Option<(&str, u64, &str)> {
    let (why, place) = message.rsplit_once(" (after ")?;
    let (lived_ms, state) = place.split_once("ms in state ")?;
    Some((why, lived_ms.parse().ok()?, state.split([',', ')']).next()?))
}

#[cfg(test)]
mod tests {
    use super::{Greeting, KafkaError, Settings};

    const PLAIN: &str = "[thrd:a:9092/bootstrap]: a:9092/bootstrap: Disconnected: connection closed by peer: receive 0 \
                         after POLLIN (after 5ms in state APIVERSION_QUERY, 1 identical error(s) suppressed)";
    const NO_USER: &str =
        "[thrd:ssl://a:9092/1]: ssl://a:9092/1: Disconnected: SSL connection closed by peer (after 10ms in state UP)";

    fn guess(tls: bool, message: &str) -> Option<String> {
        let greeting = Greeting::of(&Settings { tls, ..Settings::default() });
        greeting.refused("FAIL", message).map(|error| match error {
            KafkaError::Handshake { why, hint, .. } => format!("{why}; {hint}"),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_broker_that_hangs_up_at_once_wants_to_be_greeted_otherwise() {
        let said = guess(false, PLAIN).expect("a guess");
        assert!(said.starts_with("a:9092/bootstrap: Disconnected") && said.contains("kafka.tls = true"), "{said}");
        assert!(guess(true, NO_USER).expect("a guess").contains("kafka.username"));
    }

    #[test]
    fn a_connection_that_served_for_a_while_or_was_never_there_says_nothing() {
        assert_eq!(guess(true, PLAIN), None);
        assert_eq!(guess(false, "[thrd:x]: x: Disconnected (after 60000ms in state UP)"), None);
        assert_eq!(guess(false, "[thrd:x]: x: Connect to ipv4#1 failed: refused (after 1ms in state CONNECT)"), None);
        assert_eq!(guess(false, "something else"), None);
    }
}
