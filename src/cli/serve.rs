//! `/metrics`, `/livez` and `/readyz`, and the opening of ports.

use std::{collections::BTreeMap, io, sync::Arc};

use anyhow::anyhow;
use axum::{
    Json, Router,
    extract::State as Shared,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    checkpoint::{self, Window},
    host::Readings,
    metrics::{Exposition, Health, State},
};

/// Opens a port. `setting` is the one that says which, by its dotted path.
pub(super) async fn open(address: &str, setting: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| refused(address, setting, &error))?;
    if let Ok(address) = listener.local_addr() {
        info!(%address, setting, "listening");
    }
    Ok(listener)
}

fn refused(address: &str, setting: &str, error: &io::Error) -> anyhow::Error {
    let variable = format!("LOGDRIVE_{}", setting.replace('.', "__").to_uppercase());
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there, perhaps another logdrive".to_owned(),
        _ => error.to_string(),
    };
    anyhow!(
        "can't listen on {address}: {why}\nhint: set {setting} in the configuration, or {variable}, to another address and port"
    )
}

/// Answers requests until `stop` is cancelled and those under way are answered.
pub(super) fn spawn(listener: TcpListener, router: Router, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            error!(%error, "serving ended");
        }
    })
}

/// What a machine asks of every long-running command; with the host's own figures, if they are wanted.
pub(super) fn operations(exposition: Exposition, host: Option<Readings>, health: Health) -> Router {
    Router::new()
        .route("/livez", get(async || Json(Alive { alive: true })))
        .route("/metrics", get(metrics).with_state((exposition, host)))
        .route("/readyz", get(ready).with_state(health))
}

/// The checkpoints, as the store has them: one JSON object a line.
pub(super) fn checkpoints(window: Window) -> Router {
    Router::new().route("/checkpoints", get(known).with_state(window))
}

async fn known(Shared(window): Shared<Window>) -> Result<impl IntoResponse, (StatusCode, String)> {
    let away = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why);
    let store = window.store().ok_or_else(|| away("the checkpoint store is not open yet".to_owned()))?;
    // The store waits for the disk.
    let loaded = tokio::task::spawn_blocking(move || store.load()).await.map_err(|error| away(error.to_string()))?;
    let checkpoints = loaded.map_err(|error| away(error.to_string()))?;
    let lines: String = checkpoints.iter().map(|checkpoint| checkpoint::write_line(checkpoint) + "\n").collect();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines))
}

/// That this is answered is the answer.
#[derive(Serialize)]
struct Alive {
    alive: bool,
}

/// Whether the process can do its work, part by part.
#[derive(Serialize)]
struct Ready {
    ready: bool,
    parts: BTreeMap<Arc<str>, Part>,
}

#[derive(Serialize)]
struct Part {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

async fn metrics(Shared((exposition, host)): Shared<(Exposition, Option<Readings>)>) -> impl IntoResponse {
    let mut text = exposition.render();
    if let Some(host) = host {
        text.push_str(&host.text().await);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

async fn ready(Shared(health): Shared<Health>) -> impl IntoResponse {
    let part = |state| match state {
        State::Ok => Part { ready: true, why: None },
        State::Starting => Part { ready: false, why: Some("starting".to_owned()) },
        State::Failing(why) => Part { ready: false, why: Some(why) },
    };
    let ready = health.is_ready();
    let parts = health.report().into_iter().map(|(name, state)| (name, part(state))).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, parts }))
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use tokio_util::sync::CancellationToken;

    use super::{open, ready, spawn};
    use crate::metrics::Health;

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_the_setting_to_change() {
        let taken = open("127.0.0.1:0", "metrics.listen").await.expect("a free port");
        let address = taken.local_addr().expect("an address").to_string();
        let error = open(&address, "metrics.listen").await.expect_err("it is taken").to_string();
        assert!(error.starts_with(&format!("can't listen on {address}: another process listens there")), "{error}");
        assert!(error.contains("set metrics.listen") && error.contains("LOGDRIVE_METRICS__LISTEN"), "{error}");
    }

    #[tokio::test]
    async fn readiness_is_answered_with_the_reasons() {
        let (health, stop) = (Health::default(), CancellationToken::new());
        let listener = open("127.0.0.1:0", "metrics.listen").await.expect("a free port");
        let url = format!("http://{}/readyz", listener.local_addr().expect("an address"));
        let router = Router::new().route("/readyz", get(ready).with_state(health.clone()));
        let served = spawn(listener, router, stop.clone());
        let ask = async || {
            let answer = reqwest::get(&url).await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("text"))
        };
        let kafka = health.part("kafka");
        health.part("files").ok();
        let expected = r#"{"ready":false,"parts":{"files":{"ready":true},"kafka":{"ready":false,"why":"starting"}}}"#;
        assert_eq!(ask().await, (503, expected.to_owned()));
        kafka.ok();
        assert_eq!(ask().await.0, 200);
        kafka.failing("no broker answers");
        assert!(ask().await.1.contains(r#""why":"no broker answers""#));
        stop.cancel();
        served.await.expect("it ends");
    }
}
