//! `logdrive agent`: files to Kafka, as the configuration says, live.

use tokio::sync::watch;

use super::{
    reload::{Tasks::Live, Uses},
    serve, service,
};
use crate::{
    agent::{self, Control, Tasks},
    checkpoint::Window,
    config::{Config, Wanted},
};

/// What of a configuration an agent uses.
const USES: &[&str] = &["agent", "data_dir", "kafka", "metrics", "worker_threads"];

/// The generation of the tasks that a process starts with.
const FIRST: u64 = 1;

/// Collects until it is told to end.
pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    config.for_agent()?;
    let window = Window::default();
    let routes = serve::checkpoints(window.clone());
    let (wants, wanted) = watch::channel(Wanted { tasks: config.agent.tasks.clone().into(), generation: FIRST });
    let (tells, _) = watch::channel(Tasks::default());
    let control = Control { wanted, tasks: tells };
    let uses = Uses { tables: USES, tasks: Live(wants) };
    service::run_with(config, uses, routes, async |stop, health| {
        agent::run(config, control, stop, &health, &window).await
    })
}
