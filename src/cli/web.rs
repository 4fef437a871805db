//! `logdrive web`: the search page over Elasticsearch or OpenSearch.

use std::time::Duration;

use anyhow::Context;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    reload::{Tasks, Uses},
    serve, service, stores,
};
use crate::{
    config::Config,
    metrics::Part,
    search,
    store::{Expr, Query, Store},
};

/// How often the store is asked whether it answers.
const ASK_EVERY: Duration = Duration::from_secs(15);

pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    let uses = Uses { tables: &["elasticsearch", "host", "metrics", "web", "worker_threads"], tasks: Tasks::Unused };
    service::run(config, uses, async |stop, health| {
        let store = stores::elastic(config)?;
        let listener = serve::open(&config.web.listen, "web.listen").await?;
        info!("open http://{}", listener.local_addr().context("can't tell the page's address")?);
        let served = serve::spawn(listener, search::router(store.clone()), stop.clone());
        watch(&*store, &health.part("elasticsearch"), &stop).await;
        served.await.context("the page ended")
    })
}

/// Keeps the part up to date until `stop` is cancelled.
async fn watch(store: &dyn Store, part: &Part, stop: &CancellationToken) {
    let everything = Query { expr: Expr::All, ..Query::default() };
    let mut due = time::interval(ASK_EVERY);
    while stop.run_until_cancelled(due.tick()).await.is_some() {
        match stop.run_until_cancelled(store.count(&everything)).await {
            Some(Ok(_)) => part.ok(),
            Some(Err(error)) => part.failing(error.to_string()),
            None => break,
        }
    }
}
