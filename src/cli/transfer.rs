//! `logdrive transfer`: Kafka to the store, registered in etcd if there is one.

use tokio::sync::watch;

use super::{
    debug, presence,
    reload::{Tasks, Uses},
    service,
};
use crate::{
    config::Config,
    inspect,
    registry::{Registration, Role},
    transfer::{self, Standing, Told},
};

/// What of a configuration a transfer uses.
const USES: &[&str] =
    &["data_dir", "document", "elasticsearch", "etcd", "host", "kafka", "metrics", "transfer", "worker_threads"];

/// Carries until it is told to end.
pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    config.for_transfer()?;
    let (asker, questions) = inspect::channel();
    let routes = debug::routes(&config.metrics, asker);
    let (tells, told) = watch::channel(Standing::default());
    service::run_with(config, Uses { tables: USES, tasks: Tasks::Unused }, routes, async |stop, health| {
        let run = transfer::run(config, stop, &health, Told { questions, tells });
        let tell = |registration: &mut Registration| tell(registration, &told.borrow());
        presence::present(config, presence::etcd(config)?, Role::Transfer, health.clone(), tell, run).await
    })
}

/// Adds to a registration how far behind the transfer is.
fn tell(registration: &mut Registration, standing: &Standing) {
    registration.topics = standing.topics.iter().map(ToString::to_string).collect();
    registration.partitions = standing.partitions;
    registration.lag_records = standing.lag_records;
}
