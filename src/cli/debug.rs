//! `/debug/state`: what a process is doing now, as JSON; `/debug/profile`: what it spends its processor time on.

use axum::{
    Json, Router,
    extract::{Query, State as Shared},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use serde::Deserialize;

use crate::{
    config::Metrics,
    host::profile::{self, Profile, ProfileError},
    inspect::{self, Asker, State, Unanswered},
};

/// What can be asked of a process that is at work, as far as the configuration allows it.
pub(super) fn routes(metrics: &Metrics, asker: Asker) -> Router {
    let state = if metrics.serves_debug() {
        get(state).with_state(asker)
    } else {
        forbidden("it would tell other hosts of files, topics and indices; set metrics.debug = true to allow it\n")
    };
    let profile = if metrics.profile {
        get(profile)
    } else {
        forbidden("taking a profile costs the process time; set metrics.profile = true to allow it\n")
    };
    Router::new().route("/debug/state", state).route("/debug/profile", profile)
}

fn forbidden(hint: &'static str) -> MethodRouter {
    get(async move || (StatusCode::FORBIDDEN, hint))
}

/// Which profile is wanted.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    seconds: u64,
    frequency: u32,
    format: Format,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Pprof,
    Svg,
}

impl Default for Wanted {
    fn default() -> Self {
        // Not 100, so that it doesn't beat in time with what is done so many times a second.
        Self { seconds: 10, frequency: 99, format: Format::Pprof }
    }
}

async fn profile(Query(wanted): Query<Wanted>) -> Result<Response, (StatusCode, String)> {
    let Wanted { seconds, frequency, format } = wanted;
    let (seconds_max, frequency_max) = (profile::SECONDS_MAX, profile::FREQUENCY_MAX);
    if !(1..=seconds_max).contains(&seconds) || !(1..=frequency_max).contains(&frequency) {
        let why = format!("write seconds from 1 to {seconds_max} and a frequency from 1 to {frequency_max}\n");
        return Err((StatusCode::BAD_REQUEST, why));
    }
    let taken = Profile::take(seconds, frequency).await.map_err(|error| {
        let status = match error {
            ProfileError::Busy => StatusCode::CONFLICT,
            ProfileError::Refused(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{error}\n"))
    })?;
    Ok(match format {
        Format::Pprof => ([(header::CONTENT_TYPE, "application/octet-stream")], taken.to_pprof()).into_response(),
        Format::Svg => ([(header::CONTENT_TYPE, "image/svg+xml")], taken.to_svg()).into_response(),
    })
}

/// How much is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "files")]
    files: usize,
}

fn files() -> usize {
    inspect::FILES
}

async fn state(
    Query(Asked { files }): Query<Asked>,
    Shared(asker): Shared<Asker>,
) -> Result<Json<State>, (StatusCode, String)> {
    if files > inspect::FILES_MAX {
        let why = format!("files is {files}, and {} is the most\n", inspect::FILES_MAX);
        return Err((StatusCode::BAD_REQUEST, why));
    }
    let state = asker.ask(files).await.map_err(|why| {
        let status = match why {
            Unanswered::Busy => StatusCode::TOO_MANY_REQUESTS,
            Unanswered::Late | Unanswered::Over => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{why}\n"))
    })?;
    Ok(Json(state))
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::{Metrics, inspect, routes};
    use crate::cli::serve;

    async fn ask(metrics: &Metrics, query: &str) -> (u16, String) {
        let (asker, mut questions) = inspect::channel();
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                let state = inspect::State::of("agent", question.files, 1);
                question.answer(state);
            }
        });
        let listener = serve::open("127.0.0.1:0", "metrics.listen").await.expect("a free port");
        let url = format!("http://{}/debug/state{query}", listener.local_addr().expect("an address"));
        let served = serve::spawn(listener, routes(metrics, asker), CancellationToken::new());
        let answer = reqwest::get(&url).await.expect("an answer");
        let told = (answer.status().as_u16(), answer.text().await.expect("text"));
        served.abort();
        told
    }

    #[tokio::test]
    async fn it_is_served_where_no_other_host_reaches_it_and_elsewhere_only_if_that_is_said() {
        let metrics = |listen: &str, debug| Metrics { listen: listen.to_owned(), debug, ..Metrics::default() };
        let here = ask(&metrics("127.0.0.1:9717", None), "").await;
        assert!(here.0 == 200 && here.1.contains(r#""in_flight_bytes":100,"#), "{here:?}");
        assert_eq!(ask(&metrics("0.0.0.0:9717", None), "").await.0, 403);
        assert_eq!(ask(&metrics("0.0.0.0:9717", Some(true)), "").await.0, 200);
        assert_eq!(ask(&metrics("127.0.0.1:9717", Some(false)), "").await.0, 403);
        assert!(metrics("[::1]:1", None).is_local() && metrics("localhost:1", None).is_local());
        assert!(!metrics("web-1:1", None).is_local());
    }

    #[tokio::test]
    async fn a_wish_beyond_the_limit_is_refused_and_a_word_that_is_not_known_too() {
        let metrics = Metrics::default();
        assert!(ask(&metrics, "?files=7").await.1.contains(r#""in_flight_bytes":7,"#));
        assert_eq!(ask(&metrics, "?files=10001").await.0, 400);
        assert_eq!(ask(&metrics, "?file=1").await.0, 400);
    }
}
