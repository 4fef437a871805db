//! Every metric's name, help, unit and labels, in one list, and the text that Prometheus scrapes.
//!
//! A room takes its handles once, at start, and counts on them; taking a handle is slow, counting is an atomic
//! addition. A metric has a bounded number of series. Nothing outside this room names the `metrics` crate, so a metric that is not in [`list`] can't exist.

mod health;
pub mod list;
mod process;
#[cfg(test)]
mod reference;
mod rows;
mod series;
pub mod text;

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

pub use ::metrics::{Counter, Gauge, Histogram};
pub use health::{DRAINING, Health, Part, State};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
pub use rows::{Row, replace};
pub use series::OTHERS;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in the buckets given.
    Histogram(&'static [f64]),
}

/// A metric: everything that is to be known of it but its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The Prometheus name: `logdrive_` first, the base unit and `_total` last.
    pub name: &'static str,
    /// One sentence for a person.
    pub help: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// What OpenTelemetry's semantic conventions call it, if they have it.
    pub otel: Option<&'static str>,
}

impl Kind {
    /// Its name in Prometheus' text format.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

impl Metric {
    const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, labels, otel: None }
    }

    const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, labels, otel: None }
    }

    const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        buckets: &'static [f64],
        help: &'static str,
    ) -> Self {
        Self { name, help, kind: Kind::Histogram(buckets), labels, otel: None }
    }

    /// The same metric, for which OpenTelemetry's semantic conventions have this name.
    const fn otel(self, name: &'static str) -> Self {
        Self { otel: Some(name), ..self }
    }
}

/// The handle of a counter, with a value for each of its labels. Beyond 2000 sets of values a metric has one more series,
/// for all others together.
pub fn counter(metric: &'static Metric, labels: &[&str]) -> Counter {
    ::metrics::counter!(metric.name, series::labels(metric, labels))
}

/// The handle of a gauge, with a value for each of its labels.
pub fn gauge(metric: &'static Metric, labels: &[&str]) -> Gauge {
    ::metrics::gauge!(metric.name, series::labels(metric, labels))
}

/// The handle of a histogram, with a value for each of its labels.
pub fn histogram(metric: &'static Metric, labels: &[&str]) -> Histogram {
    ::metrics::histogram!(metric.name, series::labels(metric, labels))
}

/// Held for writing while metrics are set that belong together, and for reading while they are all read.
static TOGETHER: RwLock<()> = RwLock::new(());

/// Sets metrics that belong together: whoever scrapes sees all of what `set` does, or nothing of it. Not for what is
/// counted line by line, or anywhere that must not wait.
pub fn together<T>(set: impl FnOnce() -> T) -> T {
    let _held = TOGETHER.write().unwrap_or_else(PoisonError::into_inner);
    set()
}

/// The process's metrics, as text.
#[derive(Clone, Debug)]
pub struct Exposition(PrometheusHandle);

impl Exposition {
    /// Makes this the process's only recorder. To be called once, before any handle is taken.
    ///
    /// # Errors
    /// If a recorder is installed already.
    pub fn install() -> anyhow::Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in list::ALL {
            if let Kind::Histogram(buckets) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)?;
            }
        }
        let handle = builder.install_recorder()?;
        for metric in list::ALL {
            match metric.kind {
                Kind::Counter => ::metrics::describe_counter!(metric.name, metric.help),
                Kind::Gauge => ::metrics::describe_gauge!(metric.name, metric.help),
                Kind::Histogram(_) => ::metrics::describe_histogram!(metric.name, metric.help),
            }
        }
        gauge(&list::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(Self(handle))
    }

    /// The metrics, and those of the process itself, in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = {
            let _held = TOGETHER.read().unwrap_or_else(PoisonError::into_inner);
            self.0.render()
        };
        rows::render(&mut text);
        process::render(&mut text);
        text
    }

    /// Folds recorded histogram samples into their buckets; without it they pile up between scrapes.
    /// To be called every [`Exposition::UPKEEP`].
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }

    /// How often [`Exposition::upkeep`] is due.
    pub const UPKEEP: Duration = Duration::from_secs(5);
}
