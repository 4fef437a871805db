//! The HTTP API and the page, on one router.
//!
//! ```text
//! GET /                the page; what it needs is under page/
//! GET api/search       hits, newest first          q since until tz limit cursor cut
//! GET api/histogram    counts over time by level   q since until tz buckets
//! GET api/count        how many documents match    q since until tz
//! GET api/parse        how a question is understood
//! ```
//!
//! All addresses are relative, so the router works below any path. Hits, histogram and count are requests of their
//! own: a slow one doesn't hold up the others.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{FromRequestParts, Query, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};
use tower_http::{compression::CompressionLayer, set_header::SetResponseHeaderLayer};

use super::{
    answer::{self, Code, Problem},
    assets,
    question::{Asked, Parameters},
};
use crate::{
    metrics::{self, list},
    store::{Histogram, Store, StoreError, Total},
};

/// How long a question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How many questions are put to the store at once; more wait their turn within their limit.
const QUESTIONS_MAX: usize = 16;

/// The page and the API over `store`.
pub fn router(store: Arc<dyn Store>) -> Router {
    let api = Arc::new(Api { store, turns: Semaphore::new(QUESTIONS_MAX) });
    let questions = Router::new()
        .route("/api/search", get(search))
        .route("/api/histogram", get(histogram))
        .route("/api/count", get(count))
        .route("/api/parse", get(parse))
        .layer(set(header::CACHE_CONTROL, "no-store"))
        .with_state(api);
    questions
        .merge(assets::router())
        .layer(CompressionLayer::new())
        .layer(set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::REFERRER_POLICY, "no-referrer"))
        .layer(set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
}

/// Nothing from elsewhere, nothing inline, no frame around it: log text can't become a program.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

struct Api {
    store: Arc<dyn Store>,
    turns: Semaphore,
}

type Answer<T> = Result<Json<T>, Problem>;

impl Api {
    /// Puts one question to the store, within the limits, and counts it.
    async fn ask<T>(
        &self,
        kind: &'static str,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<(T, f64), Problem> {
        let begin = Instant::now();
        let in_turn = async {
            // The semaphore is never closed; were it, the question is asked all the same.
            let _turn = self.turns.acquire().await.ok();
            answer.await.map_err(Problem::from)
        };
        let too_slow = |_| {
            Problem::new(
                Code::TooSlow,
                format!("no answer within {ANSWER_LIMIT:?}; a window (since:1h) makes it faster"),
            )
        };
        let answer = tokio::time::timeout(ANSWER_LIMIT, in_turn).await.unwrap_or_else(|elapsed| Err(too_slow(elapsed)));
        let took = begin.elapsed();
        metrics::histogram(&list::SEARCH_SECONDS, &[kind]).record(took.as_secs_f64());
        let outcome = answer.as_ref().map_or_else(|problem| problem.code.name(), |_| "answered");
        metrics::counter(&list::SEARCHES, &[kind, outcome]).increment(1);
        answer.map(|answer| (answer, took.as_secs_f64() * 1e3))
    }
}

async fn search(State(api): State<Arc<Api>>, parameters: Parameters) -> Answer<answer::Page> {
    let Asked { query, question } = refused("search", parameters.question())?;
    let page = refused("search", parameters.page())?;
    let cut_bytes = refused("search", parameters.cut_bytes())?;
    let (found, took_ms) = api.ask("search", api.store.find(&query, &page)).await?;
    Ok(Json(answer::Page::new(found, &query, cut_bytes, question, took_ms)))
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let read = Query::try_from_uri(&parts.uri).map(|Query(parameters)| parameters);
        read.map_err(|rejection| Problem::new(Code::BadRequest, rejection.body_text()))
    }
}

/// A store's answer and how long it took.
#[derive(Serialize)]
struct Timed<T> {
    #[serde(flatten)]
    answer: T,
    took_ms: f64,
}

async fn histogram(State(api): State<Arc<Api>>, parameters: Parameters) -> Answer<Timed<Histogram>> {
    let asked = refused("histogram", parameters.question())?;
    let buckets = refused("histogram", parameters.buckets())?;
    let (answer, took_ms) = api.ask("histogram", api.store.histogram(&asked.query, buckets)).await?;
    Ok(Json(Timed { answer, took_ms }))
}

async fn count(State(api): State<Arc<Api>>, parameters: Parameters) -> Answer<Timed<Total>> {
    let asked = refused("count", parameters.question())?;
    let (answer, took_ms) = api.ask("count", api.store.count(&asked.query)).await?;
    Ok(Json(Timed { answer, took_ms }))
}

async fn parse(parameters: Parameters) -> Answer<answer::Question> {
    Ok(Json(parameters.question()?.question))
}

/// Counts a question that is refused before it is asked.
fn refused<T>(kind: &'static str, read: Result<T, Problem>) -> Result<T, Problem> {
    read.inspect_err(|problem| metrics::counter(&list::SEARCHES, &[kind, problem.code.name()]).increment(1))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match self.code {
            Code::BadQuery | Code::BadRequest => StatusCode::BAD_REQUEST,
            Code::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
            Code::Away => StatusCode::SERVICE_UNAVAILABLE,
            Code::TooSlow => StatusCode::GATEWAY_TIMEOUT,
            Code::Failed => StatusCode::BAD_GATEWAY,
        };
        (status, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests;
