//! What can go wrong between us and the servers, each with what to do about it.

use std::{error::Error, io, time::Duration};

use thiserror::Error;

use crate::record::SecretError;

/// Reasons are cut to this many bytes, wherever they come from.
pub(super) const REASON_BYTES_MAX: usize = 1024;

/// Why a request has no answer that could be used.
#[derive(Debug, Error)]
pub enum ElasticError {
    /// A setting can't be right.
    #[error("elasticsearch.{setting} {reason}")]
    Settings {
        /// Its name under `[elasticsearch]`.
        setting: &'static str,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// No connection, or it broke before the answer was complete. The request may have been carried out.
    #[error("can't reach {url}: {reason}; {hint}")]
    Unreachable {
        /// The server that was tried last.
        url: String,
        /// The innermost cause.
        reason: String,
        /// What to look at.
        hint: &'static str,
    },
    /// No answer in time. The request may have been carried out.
    #[error("{url} did not answer within {seconds} s; if it is only slow, raise elasticsearch.request_timeout")]
    Timeout {
        /// The server.
        url: String,
        /// `request_timeout`.
        seconds: u64,
    },
    /// The server answered that it won't.
    #[error("{url} answered {status} to {path}{}; {}", said(.kind, .reason), status_hint(*.status))]
    Status {
        /// The server.
        url: String,
        /// The request's path, without its parameters.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The server's name for the error, empty if it gave none.
        kind: String,
        /// The server's reason, empty if it gave none.
        reason: String,
    },
    /// The answer is not what such a server says.
    #[error("the answer of {url} to {path} can't be read: {reason}; is it an Elasticsearch or OpenSearch server?")]
    Garbled {
        /// The server.
        url: String,
        /// The request's path, without its parameters.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Documents would not be taken.
    #[error("{index} takes no documents: {reason}; {hint}")]
    Unwritable {
        /// The index, or a pattern of names.
        index: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// Something else has the place of what was to be installed.
    #[error(
        "{what} is there already, and {why}; nothing was changed: look at what --dry-run prints, and replace it with --force"
    )]
    Taken {
        /// What has the place.
        what: String,
        /// Why it is not replaced.
        why: String,
    },
    /// The servers don't have a feature.
    #[error("the servers have no lifecycle policies: {error}; set elasticsearch.setup.lifecycle = false to do without")]
    Lacking {
        /// What they said.
        error: String,
    },
    /// The server is of a kind that is not supported.
    #[error("{url} runs {what}; supported are Elasticsearch 8 and later and OpenSearch 2 and later")]
    Unsupported {
        /// The server.
        url: String,
        /// Its name and version.
        what: String,
    },
}

impl From<SecretError> for ElasticError {
    fn from(SecretError { setting, reason }: SecretError) -> Self {
        Self::Settings { setting, reason }
    }
}

impl ElasticError {
    /// Whether asking again later may help without anyone doing anything about it here.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => is_temporary(*status),
            Self::Settings { .. }
            | Self::Garbled { .. }
            | Self::Unwritable { .. }
            | Self::Taken { .. }
            | Self::Lacking { .. }
            | Self::Unsupported { .. } => false,
        }
    }

    /// Whether it says only that the servers have too much to do now.
    #[must_use]
    pub fn is_too_busy(&self) -> bool {
        self.status() == Some(429)
    }

    /// The HTTP status that the server answered with, if that is the error.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::Status { status, .. } = self { Some(*status) } else { None }
    }

    /// No connection.
    pub(super) fn unreachable(url: &str, error: &io::Error) -> Self {
        let reason = error.to_string();
        let hint = transport_hint(Some(error.kind()), &reason);
        Self::Unreachable { url: url.to_owned(), reason: cut(&reason).to_owned(), hint }
    }

    /// No connection, and no word about it.
    pub(super) fn silent(url: &str, limit: Duration) -> Self {
        let reason = format!("no connection within {limit:?}");
        let hint = "is the address in elasticsearch.urls right, and does a firewall let it through?";
        Self::Unreachable { url: url.to_owned(), reason, hint }
    }

    /// What the transport met, told by its innermost cause.
    pub(super) fn from_transport(url: &str, seconds: u64, error: &elasticsearch::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout { url: url.to_owned(), seconds };
        }
        let mut innermost: &(dyn Error + 'static) = error;
        let mut io_kind = None;
        while let Some(source) = innermost.source() {
            innermost = source;
            io_kind = innermost.downcast_ref::<io::Error>().map(io::Error::kind).or(io_kind);
        }
        let reason = innermost.to_string();
        let hint = transport_hint(io_kind, &reason);
        Self::Unreachable { url: url.to_owned(), reason: cut(&reason).to_owned(), hint }
    }
}

/// Whether a status says "not now" rather than "not this".
pub(super) fn is_temporary(status: u16) -> bool {
    status == 408 || status == 429 || status >= 500
}

/// `text`, or as much of its beginning as is short enough to carry along.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON_BYTES_MAX)]
}

fn said(kind: &str, reason: &str) -> String {
    match (kind.is_empty(), reason.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(" ({kind})"),
        (true, false) => format!(": {reason}"),
        (false, false) => format!(" ({kind}): {reason}"),
    }
}

fn transport_hint(kind: Option<io::ErrorKind>, reason: &str) -> &'static str {
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => "is it running, and is the port in elasticsearch.urls right?",
        _ if reason.contains("certificate") => {
            "if it is signed by your own authority, name that authority's certificate in elasticsearch.ca_file"
        }
        _ if reason.contains("corrupt message") => "does the server expect http:// instead of https://?",
        _ if reason.contains("lookup") => "is the host's name in elasticsearch.urls right?",
        _ => "is it up, and does it expect https:// instead of http://?",
    }
}

pub(super) fn status_hint(status: u16) -> &'static str {
    match status {
        401 => "check elasticsearch.username and its password, elasticsearch.api_key or elasticsearch.bearer_token",
        403 => "the user or key lacks a privilege for this, or the index is blocked, for example by a full disk",
        404 => "check the path in elasticsearch.urls, and whether the index exists",
        413 => "lower elasticsearch.bulk_bytes_max, or raise the limit of the server or of the proxy before it",
        429 => "the servers are overloaded: it will be tried again",
        500.. => "see the server's own log",
        _ => "see the reason",
    }
}

#[cfg(test)]
mod tests {
    use super::{ElasticError, cut, is_temporary};

    #[test]
    fn a_refusal_says_what_to_look_at() {
        let error = ElasticError::Status {
            url: "http://127.0.0.1:9200".to_owned(),
            path: "_bulk".to_owned(),
            status: 401,
            kind: "security_exception".to_owned(),
            reason: String::new(),
        };
        assert_eq!(
            error.to_string(),
            "http://127.0.0.1:9200 answered 401 to _bulk (security_exception); \
             check elasticsearch.username and its password, elasticsearch.api_key or elasticsearch.bearer_token"
        );
        assert!(!error.is_temporary());
    }

    #[test]
    fn only_not_now_is_temporary() {
        let temporary = [408, 429, 500, 502, 503, 504];
        let final_ones = [400, 401, 403, 404, 409, 413];
        assert!(temporary.into_iter().all(is_temporary));
        assert!(!final_ones.into_iter().any(is_temporary));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "ö".repeat(1000);
        assert_eq!(cut(&long).len(), 1024);
        let odd = format!("x{long}");
        assert_eq!(cut(&odd).len(), 1023);
        assert_eq!(cut("short"), "short");
    }
}
