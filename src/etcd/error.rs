//! What can go wrong with etcd: which server, what happened, and what to do.

use etcd_client::Error;
use thiserror::Error;

use crate::record::SecretError;

/// Why etcd did not do what was asked of it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EtcdError {
    /// A setting can't be used.
    #[error("etcd.{setting} {reason}")]
    Settings {
        /// Its name in `[etcd]`.
        setting: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// No server answers, or the one that did fell silent. Trying again later may help.
    #[error("etcd at {endpoint} does not answer: {reason}; is it up, and is etcd.endpoints right?")]
    Away {
        /// The server.
        endpoint: String,
        /// What was seen of it.
        reason: String,
    },
    /// It knows us not, or forbids it.
    #[error("etcd at {endpoint} refuses us: {reason}; see etcd.username, etcd.password and the user's roles")]
    Refused {
        /// The server.
        endpoint: String,
        /// Its words.
        reason: String,
    },
    /// Its quota is used up: it answers, and takes nothing more.
    #[error(
        "etcd at {endpoint} is full: {reason}; compact and defragment it, then disarm its alarm, or raise its quota"
    )]
    Full {
        /// The server.
        endpoint: String,
        /// Its words.
        reason: String,
    },
    /// A value or an answer is larger than what is taken.
    #[error(
        "etcd at {endpoint}: too large: {reason}; a value may have 1.5 MiB unless etcd was told to take more, and 4 MiB here"
    )]
    TooLarge {
        /// The server.
        endpoint: String,
        /// What is too large.
        reason: String,
    },
    /// What was asked for is too old: the server has compacted it away.
    #[error("etcd at {endpoint} has compacted what was asked for: {reason}")]
    Compacted {
        /// The server.
        endpoint: String,
        /// Its words.
        reason: String,
    },
    /// Anything else.
    #[error("etcd at {endpoint}: {reason}")]
    Failed {
        /// The server.
        endpoint: String,
        /// Its words.
        reason: String,
    },
}

/// Codes of gRPC.
const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const OUT_OF_RANGE: i32 = 11;
const UNAUTHENTICATED: i32 = 16;
/// Cancelled, unknown, deadline exceeded, aborted, internal, unavailable: the way there, not the question.
const OF_THE_WAY: [i32; 6] = [1, 2, 4, 10, 13, 14];

impl EtcdError {
    /// What a server, or the way to it, said.
    pub(super) fn of(endpoint: &str, error: &Error) -> Self {
        let endpoint = endpoint.to_owned();
        let Error::GRpcStatus(status) = error else {
            let reason = error.to_string();
            return match error {
                Error::InvalidArgs(_) | Error::InvalidUri(_) => Self::Settings {
                    setting: "endpoints",
                    reason: format!("has {endpoint:?}, which is no address: {reason}"),
                },
                _ => Self::Away { endpoint, reason: chain(error) },
            };
        };
        let reason = status.message().trim_start_matches("etcdserver: ").to_owned();
        match i32::from(status.code()) {
            RESOURCE_EXHAUSTED if reason.contains("space exceeded") => Self::Full { endpoint, reason },
            INVALID_ARGUMENT if reason.contains("too large") => Self::TooLarge { endpoint, reason },
            OUT_OF_RANGE if reason.contains("compacted") => Self::Compacted { endpoint, reason },
            OUT_OF_RANGE | RESOURCE_EXHAUSTED if reason.contains("message") => Self::TooLarge { endpoint, reason },
            UNAUTHENTICATED | PERMISSION_DENIED => Self::Refused { endpoint, reason },
            INVALID_ARGUMENT if ["auth", "user", "password"].iter().any(|word| reason.contains(word)) => {
                Self::Refused { endpoint, reason }
            }
            code if OF_THE_WAY.contains(&code) => Self::Away { endpoint, reason: with_causes(reason, status) },
            _ => Self::Failed { endpoint, reason },
        }
    }

    /// Whether another connection, to another server perhaps, may help.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Refused { .. })
    }

    /// One word, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "settings",
            Self::Away { .. } => "away",
            Self::Refused { .. } => "refused",
            Self::Full { .. } => "full",
            Self::TooLarge { .. } => "too_large",
            Self::Compacted { .. } => "compacted",
            Self::Failed { .. } => "failed",
        }
    }
}

impl From<SecretError> for EtcdError {
    fn from(error: SecretError) -> Self {
        Self::Settings { setting: error.setting, reason: error.reason }
    }
}

/// An error and its causes, each once.
fn chain(error: &Error) -> String {
    with_causes(error.to_string(), error)
}

fn with_causes(first: String, error: &dyn std::error::Error) -> String {
    let mut text = first;
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
