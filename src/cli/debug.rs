//! `/debug/state`: what a process is doing now, as JSON.

use axum::{
    Json, Router,
    extract::{Query, State as Shared},
    http::StatusCode,
    routing::get,
};
use serde::Deserialize;

use crate::{
    config::Metrics,
    inspect::{self, Asker, State, Unanswered},
};

/// What can be asked of a process that is at work, as far as the configuration allows it.
pub(super) fn routes(metrics: &Metrics, asker: Asker) -> Router {
    if metrics.serves_debug() {
        return Router::new().route("/debug/state", get(state).with_state(asker));
    }
    let hint = "it would tell other hosts of files, topics and indices; set metrics.debug = true to allow it\n";
    Router::new().route("/debug/state", get(async move || (StatusCode::FORBIDDEN, hint)))
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
        let metrics = |listen: &str, debug| Metrics { listen: listen.to_owned(), debug };
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
