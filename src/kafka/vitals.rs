//! What librdkafka counts of itself, as metrics: its queue, and each broker's answers, delays and faults.
//!
//! Brokers are labelled by their number in the cluster, and only so many of them, so that the number of series is
//! bounded whatever a cluster does.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rdkafka::{
    Statistics,
    statistics::{Broker, Window},
};

use crate::metrics::{self, Counter, Gauge, list};

/// How many brokers have series of their own.
const BROKERS_MAX: usize = 64;

/// The metrics of one client.
pub(super) struct Vitals {
    client: &'static str,
    records: Gauge,
    bytes: Gauge,
    brokers: Mutex<HashMap<i32, Series>>,
}

/// The metrics of one broker.
struct Series {
    up: Gauge,
    waiting: Gauge,
    in_flight: Gauge,
    round_trip: [Gauge; 2],
    throttle: Gauge,
    retries: Growing,
    faults: [Growing; 3],
}

/// A number that librdkafka counts up from when a client was made; a rebuilt one begins anew.
struct Growing {
    counter: Counter,
    last: u64,
}

impl Vitals {
    /// For the client of this name, `producer` or `consumer`.
    pub(super) fn of(client: &'static str) -> Self {
        Self {
            client,
            records: metrics::gauge(&list::KAFKA_QUEUE_RECORDS, &[client]),
            bytes: metrics::gauge(&list::KAFKA_QUEUE_BYTES, &[client]),
            brokers: Mutex::default(),
        }
    }

    /// Shows what was counted.
    pub(super) fn show(&self, statistics: &Statistics) {
        self.records.set(statistics.msg_cnt as f64);
        self.bytes.set(statistics.msg_size as f64);
        let mut brokers = self.brokers.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = |id: &i32| statistics.brokers.values().any(|broker| broker.nodeid == *id);
        for (_, gone) in brokers.iter().filter(|(id, _)| !seen(id)) {
            gone.up.set(0.0);
        }
        // Those that were only asked first have no number; they are the same brokers once more.
        for broker in statistics.brokers.values().filter(|broker| broker.nodeid >= 0) {
            if brokers.len() < BROKERS_MAX || brokers.contains_key(&broker.nodeid) {
                let series = brokers.entry(broker.nodeid).or_insert_with(|| Series::of(self.client, broker.nodeid));
                series.show(broker);
            }
        }
    }
}

/// Whether any broker of the cluster is connected and answers.
pub(super) fn is_any_up(statistics: &Statistics) -> bool {
    statistics.brokers.values().any(|broker| broker.nodeid >= 0 && broker.state == "UP")
}

impl Series {
    fn of(client: &str, id: i32) -> Self {
        let id = id.to_string();
        let request = |state| metrics::gauge(&list::KAFKA_BROKER_REQUESTS, &[client, &id, state]);
        let fault = |kind| Growing::of(metrics::counter(&list::KAFKA_BROKER_FAULTS, &[client, &id, kind]));
        let round_trip =
            |percentile| metrics::gauge(&list::KAFKA_BROKER_ROUND_TRIP_SECONDS, &[client, &id, percentile]);
        Self {
            up: metrics::gauge(&list::KAFKA_BROKER_UP, &[client, &id]),
            waiting: request("waiting"),
            in_flight: request("in_flight"),
            round_trip: ["50", "99"].map(round_trip),
            throttle: metrics::gauge(&list::KAFKA_BROKER_THROTTLE_SECONDS, &[client, &id]),
            retries: Growing::of(metrics::counter(&list::KAFKA_BROKER_RETRIES, &[client, &id])),
            faults: ["send", "receive", "timeout"].map(fault),
        }
    }

    fn show(&mut self, broker: &Broker) {
        self.up.set(f64::from(u8::from(broker.state == "UP")));
        // -1 where librdkafka doesn't know.
        self.waiting.set(broker.outbuf_cnt.max(0) as f64);
        self.in_flight.set(broker.waitresp_cnt.max(0) as f64);
        let of = |window: &Option<Window>, value: fn(&Window) -> i64| window.as_ref().map_or(0, value) as f64;
        self.round_trip[0].set(of(&broker.rtt, |rtt| rtt.p50) / 1e6);
        self.round_trip[1].set(of(&broker.rtt, |rtt| rtt.p99) / 1e6);
        self.throttle.set(of(&broker.throttle, |throttle| throttle.max) / 1e3);
        self.retries.reach(broker.txretries);
        for (fault, count) in self.faults.iter_mut().zip([broker.txerrs, broker.rxerrs, broker.req_timeouts]) {
            fault.reach(count);
        }
    }
}

impl Growing {
    fn of(counter: Counter) -> Self {
        // A counter that was never counted should be there all the same.
        counter.increment(0);
        Self { counter, last: 0 }
    }

    fn reach(&mut self, count: u64) {
        self.counter.increment(if count < self.last { count } else { count - self.last });
        self.last = count;
    }
}
