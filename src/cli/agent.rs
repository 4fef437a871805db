//! `logdrive agent`: files to Kafka, as the configuration says, live.

use tokio::sync::watch;

use super::{
    check, debug,
    fleet::{self, Fleet},
    presence,
    reload::{Tasks::Live, Uses},
    serve, service,
};
use crate::{
    agent::{self, Control, Tasks},
    checkpoint::Window,
    config::{Config, Wanted},
    inspect,
    registry::{Registration, Role},
};

/// What of a configuration an agent uses.
const USES: &[&str] = &["agent", "data_dir", "etcd", "host", "kafka", "metrics", "worker_threads"];

/// The generation of the tasks that a process starts with.
const FIRST: u64 = 1;

/// Collects until it is told to end.
pub(super) fn run(config: &Config) -> anyhow::Result<()> {
    config.for_agent()?;
    check::warn_of_overlaps(config);
    let window = Window::default();
    let (asker, questions) = inspect::channel();
    let routes = serve::checkpoints(window.clone()).merge(debug::routes(&config.metrics, asker));
    let first = Wanted { tasks: config.agent.tasks.clone().into(), generation: FIRST };
    let (local, locals) = watch::channel(first.clone());
    let fleet = Fleet::open(config)?;
    let (wants, wanted) = watch::channel(fleet.as_ref().map_or(first.clone(), |fleet| fleet.first(&first)));
    let (tells, tasks) = watch::channel(Tasks::default());
    let control = Control { wanted, tasks: tells, questions };
    let uses = Uses { tables: USES, tasks: Live(local) };
    service::run_with(config, uses, routes, async |stop, health| {
        let (etcd, view) = (fleet.as_ref().map(Fleet::etcd), fleet.as_ref().map(Fleet::view));
        let joining = match fleet {
            Some(fleet) => fleet.follow(locals, wants),
            None => tokio::spawn(pass_on(locals, wants)),
        };
        let tell = |registration: &mut Registration| {
            let view = view.as_ref().map(|view| view.borrow().clone());
            fleet::tell(registration, &tasks.borrow(), view.as_ref());
        };
        let run = agent::run(config, control, stop, &health, &window);
        let ended = presence::present(config, etcd, Role::Agent, health.clone(), tell, run).await;
        joining.abort();
        ended
    })
}

/// Without etcd, what is wanted is what the file says.
async fn pass_on(mut local: watch::Receiver<Wanted>, wants: watch::Sender<Wanted>) {
    while local.changed().await.is_ok() {
        wants.send_replace(local.borrow_and_update().clone());
    }
}
