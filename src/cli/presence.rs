//! That a role is there: it registers in etcd, if there is one in the configuration, for as long as it runs.

use std::time::Duration;

use jiff::Timestamp;
use tokio::{sync::watch, time::interval};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    etcd::Etcd,
    host,
    metrics::{Health, State},
    registry::{self, Registration, Role},
};

/// How often it is looked at what the role says of itself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The port of metrics that needs no mention in an id.
const USUAL_PORT: &str = "9717";

/// The way to the etcd of the configuration, if there is one in it.
pub(super) fn etcd(config: &Config) -> anyhow::Result<Option<Etcd>> {
    let is_named = !config.etcd.endpoints.is_empty();
    Ok(is_named.then(|| Etcd::new(&config.etcd)).transpose()?)
}

/// Runs `role` to its end, registered if there is an etcd. `tell` adds what only the role knows to what is told of it.
pub(super) async fn present<T>(
    config: &Config,
    etcd: Option<Etcd>,
    role: Role,
    health: Health,
    tell: impl Fn(&mut Registration),
    run: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let Some(etcd) = etcd else { return run.await };
    let plain = registration(config, role)?;
    let now = || {
        let mut now = plain.clone();
        now.failing = failing(&health);
        tell(&mut now);
        now
    };
    let (says, registrations) = watch::channel(now());
    let gone = CancellationToken::new();
    let registered = tokio::spawn(registry::register(etcd, registrations, gone.clone()));
    let look = async {
        let mut due = interval(LOOK_EVERY);
        loop {
            due.tick().await;
            let now = now();
            says.send_if_modified(|said| {
                let changes = *said != now;
                *said = now;
                changes
            });
        }
    };
    let ended = tokio::select! {
        ended = run => ended,
        never = look => match never {},
    };
    gone.cancel();
    // It takes itself out within 2 s, or its lease ends.
    let _ = registered.await;
    ended
}

/// What is known of the process from the start.
fn registration(config: &Config, role: Role) -> anyhow::Result<Registration> {
    let machine = host::machine_id(&config.data_dir)?;
    // Two on one machine have two ports for their metrics.
    let id = match config.metrics.listen.rsplit_once(':') {
        Some((_, port)) if port != USUAL_PORT => format!("{machine}-{port}"),
        _ => machine,
    };
    Ok(Registration {
        role,
        id,
        host: config.agent.host.clone().unwrap_or_else(host::name),
        addresses: address(config).into_iter().collect(),
        group: config.agent.group.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: Timestamp::now(),
        generation: 0,
        keys: Vec::new(),
        tasks_total: 0,
        tasks: Vec::new(),
        unread_bytes: 0,
        topics: Vec::new(),
        partitions: 0,
        lag_records: 0,
        metrics: config.metrics.listen.clone(),
        failing: Vec::new(),
    })
}

/// The address by which etcd knows this host, if there is a way to it now.
pub(super) fn address(config: &Config) -> Option<String> {
    config
        .etcd
        .endpoints
        .iter()
        .find_map(|server| host::address_towards(server).ok())
        .map(|address| address.to_string())
}

fn failing(health: &Health) -> Vec<String> {
    let report = health.report().into_iter();
    report
        .filter_map(|(part, state)| if let State::Failing(why) = state { Some(format!("{part}: {why}")) } else { None })
        .collect()
}
