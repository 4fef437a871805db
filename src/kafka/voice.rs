//! What librdkafka says, into the program's own log.
//!
//! librdkafka repeats itself while brokers are away (it counts what it leaves out), and warns of every setting
//! that is meant for the other kind of client; the levels here make of that what an operator wants to see.

use rdkafka::config::RDKafkaLogLevel as Level;
use tracing::{debug, info, trace, warn};

/// One line of librdkafka's log.
pub(super) fn log(client: &'static str, level: Level, facility: &str, message: &str) {
    match level {
        // A producer's setting in a consumer, and the reverse: both get the user's settings, so it means nothing.
        _ if facility == "CONFWARN" => trace!(client, facility, message, "librdkafka"),
        // It is asked again at once; if it is refused for good, that comes as an error of its own.
        _ if facility == "GETPID" => debug!(client, facility, message, "librdkafka"),
        Level::Emerg | Level::Alert | Level::Critical | Level::Error | Level::Warning => {
            warn!(client, facility, message, "librdkafka");
        }
        Level::Notice => info!(client, facility, message, "librdkafka"),
        Level::Info => debug!(client, facility, message, "librdkafka"),
        Level::Debug => trace!(client, facility, message, "librdkafka"),
    }
}

/// One line of the log of a client that only asks: what goes wrong is in the answer, so it is no news.
pub(super) fn log_question(level: Level, facility: &str, message: &str) {
    let level = if matches!(level, Level::Debug) { level } else { Level::Info };
    log("question", level, facility, message);
}
