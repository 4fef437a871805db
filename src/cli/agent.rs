//! `logdrive agent`: files to Kafka, as the configuration says, live.

use tokio::sync::watch;

use super::{serve, service};
use crate::{
    agent::{self, Control, Tasks},
    checkpoint::Window,
    config::{Config, Wanted},
};

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
    service::run_live(config, routes, Some(wants), async |stop, health| {
        agent::run(config, control, stop, &health, &window).await
    })
}
