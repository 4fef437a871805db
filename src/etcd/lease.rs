//! A key that is there as long as we are: under a lease, which is kept alive, and made again when it was lost.

use std::time::Duration;

use etcd_client::{Client, Error, LeaseKeepAliveStream, LeaseKeeper};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Change, Etcd, EtcdError,
    client::{Connection, silent},
    pace::Pace,
};

/// The shortest time between two writes of one value, however often it changes.
const SPACING: Duration = Duration::from_secs(5);

/// Where a value is kept.
#[derive(Clone, Debug)]
pub struct Place {
    /// The key that goes when we do.
    pub key: String,
    /// A key that stays, for others to see that we were there; written when the lease begins and when it ends.
    pub memory: String,
}

/// Keeps the value in its place until `stop` is cancelled, then takes it away. A change is written at once, or 5 s after
/// the one before. Trouble is told in the log, once an outage, and tried again for as long as it takes.
pub async fn hold(etcd: Etcd, place: Place, mut value: watch::Receiver<Vec<u8>>, stop: CancellationToken) {
    let mut pace = Pace::default();
    let mut is_lost = false;
    while !stop.is_cancelled() {
        let held = tokio::select! {
            held = hold_once(&etcd, &place, &mut value, &mut pace, &mut is_lost, &stop) => held,
            () = stop.cancelled() => Ok(()),
        };
        let Err(error) = held else { continue };
        if !std::mem::replace(&mut is_lost, true) {
            warn!(%error, "not registered in etcd; trying on");
        }
        tokio::select! {
            () = sleep(pace.next()) => (),
            () = stop.cancelled() => (),
        }
    }
    // Whoever leaves in order is not waited for. If that can't be said, the lease ends by itself.
    let change = Change {
        puts: vec![(place.memory.clone(), value.borrow().clone())],
        deletes: vec![place.key.clone()],
        ..Change::default()
    };
    let _ = timeout(Duration::from_secs(2), etcd.write(change)).await;
}

/// A lease's life, until the connection or the lease is lost, or the one who makes the values is gone.
async fn hold_once(
    etcd: &Etcd,
    place: &Place,
    value: &mut watch::Receiver<Vec<u8>>,
    pace: &mut Pace,
    is_lost: &mut bool,
    stop: &CancellationToken,
) -> Result<(), EtcdError> {
    let seconds = i64::try_from(etcd.settings().lease.as_secs()).unwrap_or(i64::MAX).max(2);
    let lease = etcd.call(async |mut client: Client| Ok(client.lease_grant(seconds, None).await?.id())).await?;
    let connection = etcd.connection().await?;
    let limit = etcd.settings().request_timeout.min(etcd.settings().lease / 2);
    let begin = async |mut client: Client| client.lease_keep_alive(lease).await;
    let (mut keeper, mut answers) = match timeout(limit, begin(connection.client.clone())).await {
        Ok(Ok(pair)) => pair,
        Ok(Err(error)) => return Err(left(etcd, &connection, EtcdError::of(&connection.endpoint, &error)).await),
        Err(_) => return Err(left(etcd, &connection, silent(&connection.endpoint, limit)).await),
    };
    let first = value.borrow_and_update().clone();
    let memory = Change { puts: vec![(place.memory.clone(), first.clone())], ..Change::default() };
    etcd.write(memory).await?;
    etcd.put(Change { puts: vec![(place.key.clone(), first)], ..Change::default() }, lease).await?;
    pace.reset();
    if std::mem::take(is_lost) {
        info!(endpoint = %connection.endpoint, "registered in etcd again");
    }
    let mut written = Instant::now();
    let mut beat = interval(etcd.settings().lease / 3);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Whether the value in etcd is an old one, and whether there will be no other.
    let (mut is_stale, mut is_last) = (false, false);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = beat.tick() => match timeout(limit, renew(&mut keeper, &mut answers)).await {
                Ok(Ok(true)) => (),
                Ok(Ok(false)) => {
                    let reason = "our lease ended".to_owned();
                    return Err(EtcdError::Failed { endpoint: connection.endpoint.to_string(), reason });
                }
                Ok(Err(error)) => {
                    return Err(left(etcd, &connection, EtcdError::of(&connection.endpoint, &error)).await);
                }
                Err(_) => return Err(left(etcd, &connection, silent(&connection.endpoint, limit)).await),
            },
            changed = value.changed(), if !is_stale && !is_last => {
                is_stale = changed.is_ok();
                is_last = changed.is_err();
            }
            () = sleep_until(written + SPACING), if is_stale => {
                let puts = vec![(place.key.clone(), value.borrow_and_update().clone())];
                etcd.put(Change { puts, ..Change::default() }, lease).await?;
                (written, is_stale) = (Instant::now(), false);
            }
        }
    }
}

/// Whether the lease still is.
async fn renew(keeper: &mut LeaseKeeper, answers: &mut LeaseKeepAliveStream) -> Result<bool, Error> {
    keeper.keep_alive().await?;
    Ok(answers.message().await?.is_some_and(|answer| answer.ttl() > 0))
}

async fn left(etcd: &Etcd, connection: &Connection, error: EtcdError) -> EtcdError {
    if error.is_of_connection() {
        etcd.leave(connection).await;
    }
    error
}
