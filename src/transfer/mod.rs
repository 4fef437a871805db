//! The role Kafka → Elasticsearch: records in, documents out, offsets committed only behind both.
//!
//! ```text
//! Consumer ─▶ Desk ─jobs─▶ Worker (threads: decode, build) ─parcels─▶ Delivery (requests, retries, dead letters)
//!    ▲          ▲  ledger                                                │
//!    └─commits──┴──────────── settled, given back ◀──────────────────────┘
//! ```
//!
//! What the role promises: an offset is committed only when every line of every record before it is in the store,
//! was there already, or lies in the dead-letter topic with its reason. What the store turns away for now is tried
//! again for as long as it takes, and only that; meanwhile consuming slows down and then pauses, without leaving
//! the group. An index that takes no documents for a reason of its own stops only itself, and the partitions that
//! have much for it. Partitions that go are settled first, or abandoned: whoever gets them reads again from the last
//! commit, and a line's `_id` makes that harmless.
//!
//! Bounded: bodies being written, waiting and under way share one budget (`transfer.in_flight_bytes_max`); before
//! them wait at most what the consumer has fetched ahead and one set of records a worker.

pub mod dead_letter;
mod delivery;
mod desk;
mod foreign;
mod inquiry;
mod parcel;
mod retry;
mod returns;
mod stopped;
mod upgrade;
mod window;
mod worker;

use std::{
    collections::BTreeSet,
    num::NonZero,
    sync::{Arc, Mutex},
};

use anyhow::{Context, Result, ensure};
use bytesize::ByteSize;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{Config, Target},
    document::{Builder, IndexName},
    elastic::{self, ElasticError, bulk},
    inspect::Questions,
    kafka::{Consumer, Membership},
    metrics::{self, Health, Part, list},
    record::Budget,
};
use dead_letter::DeadLetters;
use delivery::Delivery;
use desk::{Desk, Outside};
use retry::Backoff;
use returns::Returns;
use stopped::Stopped;
use upgrade::Upgrade;
use worker::Worker;

/// Settled stretches that wait for the desk, which takes them at once.
const SETTLED: usize = 1024;
/// This part of the budget may be held for indices that take no documents; the rest is for the others.
const HELD_SHARE: usize = 4;
/// At least so many full bodies fit into the budget, so that what is held leaves room for others.
const BODIES_MIN: u64 = 4;

/// Who is told how the transfer fares.
#[derive(Debug)]
pub struct Told {
    /// Who asks what is being done now.
    pub questions: Questions,
    /// Who wants to know how far behind it is.
    pub tells: watch::Sender<Standing>,
}

/// How far behind a transfer is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The topics of its partitions.
    pub topics: BTreeSet<Arc<str>>,
    /// How many partitions it has.
    pub partitions: usize,
    /// Records behind the ends of all of them.
    pub lag_records: u64,
}

/// Runs until `stop` is cancelled and what was fetched is finished, or `transfer.drain_timeout` has passed.
///
/// # Errors
/// If the configuration can't be used, or Kafka's client can't go on. Servers that are away are waited for.
pub async fn run(
    config: &Config,
    stop: CancellationToken,
    health: &Health,
    Told { questions, tells }: Told,
) -> Result<()> {
    let settings = &config.transfer;
    ensure!(!settings.topics.is_empty(), "transfer.topics is empty: name the topics to read, such as [\"^app-\"]");
    config.kafka.validate().context("kafka.settings")?;
    let (is_data_stream, template) = match settings.target() {
        Target::Index(template) => (false, template),
        Target::DataStream(template) => (true, template),
    };
    let index = IndexName::with_routes(&template, settings.routes_max)?;
    let (kafka_health, store_health) = (health.part("kafka"), health.part("elasticsearch"));
    let client = elastic::Client::new(&config.elasticsearch)?;
    let pattern = config.elasticsearch.manage_template.then(|| index.pattern());
    let server = tokio::select! {
        server = prepare(&client, pattern.as_deref(), is_data_stream, &store_health) => server,
        () = stop.cancelled() => return Ok(()),
    };
    let mut elasticsearch = config.elasticsearch.clone();
    let bytes_max = ByteSize::b(settings.in_flight_bytes_max.as_u64() / BODIES_MIN);
    elasticsearch.bulk_bytes_max = elasticsearch.bulk_bytes_max.min(bytes_max);
    let sender = Arc::new(bulk::Sender::new(client.clone(), &server, &elasticsearch, is_data_stream));
    let letters = Arc::new(DeadLetters::open(&config.kafka, &settings.dead_letter_topic)?);
    let (member, start_from) = (settings.member.as_deref(), settings.start_from);
    let membership = Membership { group: &settings.group, member, start_from };
    let consumer = Consumer::new(&config.kafka, &membership, &settings.topics)?;

    let workers = settings.workers.map_or_else(cores, usize::from);
    let requests = config.elasticsearch.bulk_requests_max.max(1);
    let (jobs, jobs_out) = mpsc::channel(workers);
    let (parcels, parcels_out) = mpsc::channel(requests);
    let (settled, settled_out) = mpsc::channel(SETTLED);
    let budget = Budget::new(usize::try_from(settings.in_flight_bytes_max.as_u64()).unwrap_or(usize::MAX));
    metrics::gauge(&list::IN_FLIGHT_LIMIT_BYTES, &[]).set(budget.bytes_max() as f64);
    let jobs_out = Arc::new(Mutex::new(jobs_out));
    for number in 0..workers {
        let outlets = worker::Outlets { parcels: parcels.clone(), settled: settled.clone() };
        let builder = Builder::new(&config.document);
        let target = worker::Naming { index: index.clone(), ids: settings.ids };
        let worker = Worker::new(builder, target, Arc::clone(&sender), budget.clone(), outlets);
        worker.start(number, Arc::clone(&jobs_out)).context("a worker's thread can't be started")?;
    }
    drop((parcels, jobs_out));
    let returns = Arc::new(Returns::default());
    let stopped = Stopped::new(budget.bytes_max() / HELD_SHARE, Arc::clone(&returns));
    let back = Arc::new(Notify::new());
    let upgrade = Upgrade { client, sender: Arc::clone(&sender), pattern, is_data_stream, server };
    let (ask_desk, desk_asked) = inquiry::part();
    let (ask_delivery, delivery_asked) = inquiry::part();
    let delivery =
        Delivery::new(sender, Arc::clone(&letters), settled, store_health, stopped, Arc::clone(&back), requests);
    // What it still has when this returns is abandoned with it, and not committed.
    let mut deliveries = JoinSet::new();
    deliveries.spawn(delivery.run(parcels_out, delivery_asked));
    deliveries.spawn(inquiry::answer(questions, ask_desk, ask_delivery, budget.clone()));
    deliveries.spawn(upgrade.watch(back));
    info!(topics = ?settings.topics, group = settings.group, target = template, %server, "transfer started");
    let desk = Desk::new(consumer, jobs, settled_out, returns, budget);
    let outside = Outside { health: &kafka_health, letters: &letters, asked: desk_asked, tells };
    desk.run(stop, settings.drain_timeout, outside).await
}

/// Asks the store who it is, and sees to the index template, until both are done. No document may come before the
/// template, for the index that it makes would keep the wrong mappings.
async fn prepare(
    client: &elastic::Client,
    pattern: Option<&str>,
    is_data_stream: bool,
    health: &Part,
) -> elastic::Server {
    let mut backoff = Backoff::default();
    loop {
        match prepare_once(client, pattern, is_data_stream).await {
            Ok(server) => {
                health.ok();
                return server;
            }
            Err(error) => {
                let (wait, mut why) = (backoff.next(None), error.to_string());
                if pattern.is_some() && matches!(error.status(), Some(400 | 403)) {
                    why += "; to do without our index template, set elasticsearch.manage_template = false";
                }
                warn!(why, ?wait, "the store is not ready");
                health.failing(why);
                tokio::time::sleep(wait).await;
            }
        }
    }
}

async fn prepare_once(
    client: &elastic::Client,
    pattern: Option<&str>,
    is_data_stream: bool,
) -> Result<elastic::Server, ElasticError> {
    let server = client.server().await?;
    if let Some(pattern) = pattern {
        let done = elastic::template::install(client, &server, pattern, is_data_stream).await?;
        info!(template = elastic::template::name(pattern), ?done, "index template");
    }
    Ok(server)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
