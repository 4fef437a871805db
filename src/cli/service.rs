//! What every long-running command has in common: threads, signals, metrics and health around a role.

use std::{thread, time::Duration};

use anyhow::Context;
use axum::Router;
use tokio::{runtime, time};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    logging,
    reload::{Reload, Uses},
    serve,
    signals::Signals,
};
use crate::{
    config::Config,
    host::Readings,
    metrics::{Exposition, Health},
};

/// More threads than this would only cost memory: what takes time is done by lanes, librdkafka and the store.
const THREADS_MAX: usize = 4;

/// Threads for what blocks, such as saving checkpoints; they come and go as needed.
const BLOCKING_THREADS_MAX: usize = 16;

/// How long threads that block may take when everything else has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs `role` until it ends by itself, or ends because it was asked to, or a second signal ends the process.
pub(super) fn run(
    config: &Config,
    uses: Uses,
    role: impl AsyncFnOnce(CancellationToken, Health) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    run_with(config, uses, Router::new(), role)
}

/// The same, with `routes` beside those of metrics and health.
pub(super) fn run_with(
    config: &Config,
    uses: Uses,
    routes: Router,
    role: impl AsyncFnOnce(CancellationToken, Health) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let exposition = Exposition::install()?;
    let runtime = threads(config)?;
    let ended = runtime.block_on(around(config, uses, exposition, routes, role));
    runtime.shutdown_timeout(LAST_WORDS);
    ended
}

/// The threads that run everything but the reading of files.
pub(super) fn threads(config: &Config) -> anyhow::Result<runtime::Runtime> {
    let cores = || thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    runtime::Builder::new_multi_thread()
        .worker_threads(config.worker_threads.map_or_else(cores, usize::from))
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("worker")
        .enable_all()
        .build()
        .context("can't start threads")
}

async fn around(
    config: &Config,
    uses: Uses,
    exposition: Exposition,
    routes: Router,
    role: impl AsyncFnOnce(CancellationToken, Health) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (health, stop) = (Health::default(), CancellationToken::new());
    let signals = Signals::take()?;
    let reload = Reload::new(config, uses)?;
    let listener = serve::open(&config.metrics.listen, "metrics.listen").await?;
    // Metrics are served to the end of the drain, so that one can watch it.
    let host = Readings::new(&config.host)?;
    let routes = routes.merge(serve::operations(exposition.clone(), host, health.clone()));
    serve::spawn(listener, routes, CancellationToken::new());
    tokio::spawn(upkeep(exposition));
    let file = config.file.as_ref().map(|file| file.display().to_string());
    info!(version = env!("CARGO_PKG_VERSION"), config = file.as_deref().unwrap_or("none"), "logdrive starts");
    let ended = tokio::select! {
        ended = role(stop.clone(), health.clone()) => ended,
        interrupted = signals.obey(&stop, &health) => Err(interrupted),
        never = reload.run() => match never {},
    };
    if ended.is_ok() {
        info!("stopped; everything that was begun is finished or will be read again");
    }
    ended
}

async fn upkeep(exposition: Exposition) {
    let mut due = time::interval(Exposition::UPKEEP);
    loop {
        due.tick().await;
        logging::upkeep();
        exposition.upkeep();
    }
}
