//! The token that lets us in (OAUTHBEARER), read from its file whenever librdkafka asks for a fresh one.
//!
//! Whoever issues tokens keeps the file up to date, as Kubernetes does with those of its service accounts. What the
//! token is for is the brokers' business; here it is only looked at to see when it ends.

use std::{
    error::Error,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rdkafka::{
    ClientContext, client::OAuthToken, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
};
use serde::Deserialize;
use tracing::trace;

use super::{Settings, voice};

/// How long a token is good that doesn't say it; then its file is read again.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// Where tokens come from; nowhere, unless a file is configured.
#[derive(Clone, Debug)]
pub(super) struct Tokens(Option<PathBuf>);

/// The context of a client that reads or asks and tells what goes wrong in its answers; it needs no other.
#[derive(Debug)]
pub(super) struct Bearer(pub(super) Tokens);

impl ClientContext for Bearer {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.0.read()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        voice::log_question(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition comes here too, and each of them is what a poll answers next.
        trace!(%error, reason, "a client for questions was told");
    }
}

impl ConsumerContext for Bearer {}

/// What a token that is a JWT says of itself.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970.
    exp: Option<f64>,
    sub: Option<String>,
}

impl Tokens {
    pub(super) fn of(settings: &Settings) -> Self {
        Self(settings.token_file.clone())
    }

    /// The token of now. librdkafka asks again when four fifths of its life are over, or soon if there is none.
    pub(super) fn read(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let file = self.0.as_ref().ok_or("set kafka.token_file to the file with the token")?;
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("the token in kafka.token_file, {}, can't be read: {error}", file.display()))?;
        Ok(token(text.trim(), SystemTime::now()))
    }
}

fn token(text: &str, now: SystemTime) -> OAuthToken {
    let claims: Option<Claims> = text.split('.').nth(1).and_then(|part| {
        let json = BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&json).ok()
    });
    let (exp, sub) = claims.map_or((None, None), |claims| (claims.exp, claims.sub));
    let otherwise = now.duration_since(UNIX_EPOCH).unwrap_or_default() + GOOD_FOR;
    OAuthToken {
        token: text.to_owned(),
        principal_name: sub.unwrap_or_default(),
        lifetime_ms: exp.map_or(otherwise.as_millis() as i64, |seconds| (seconds * 1000.0) as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::{BASE64_URL_SAFE_NO_PAD, Duration, Engine, Tokens, UNIX_EPOCH, token};

    #[test]
    fn a_token_is_good_for_as_long_as_it_says_or_for_a_while() {
        let part = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"agent","exp":2000.5}"#);
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let said = token(&format!("head.{part}.sign"), now);
        assert_eq!((said.lifetime_ms, said.principal_name.as_str()), (2_000_500, "agent"));
        for other in ["", "opaque", "a.b.c", "a.!!.c"] {
            let said = token(other, now);
            assert_eq!((said.token.as_str(), said.lifetime_ms), (other, 1_300_000));
        }
    }

    #[test]
    fn a_token_that_can_not_be_read_is_told_with_its_file() {
        let error = Tokens(Some("/no/such".into())).read().map(|_| ()).expect_err("no file").to_string();
        assert!(error.contains("kafka.token_file, /no/such"), "{error}");
    }
}
