//! How many series a metric may have: label values come from configurations, from etcd and from Kafka, and whoever scrapes
//! pays for each.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
};

use super::Metric;

/// The most sets of label values that a metric has; those beyond share one series. Twenty times the tasks of a large host.
pub(super) const SERIES_MAX: usize = 2000;

/// The value of every label of the series that stands for all beyond the limit.
pub const OTHERS: &str = "(others)";

/// The sets of label values that metrics have.
#[derive(Default)]
pub(super) struct Series(HashMap<&'static str, HashSet<Box<str>>>);

/// Those of the process.
static KNOWN: LazyLock<Mutex<Series>> = LazyLock::new(Mutex::default);

/// The labels of the series for these values, one for each label of the metric.
pub(super) fn labels(metric: &'static Metric, values: &[&str]) -> Vec<::metrics::Label> {
    debug_assert_eq!(metric.labels.len(), values.len(), "{} has other labels", metric.name);
    let has_room =
        values.is_empty() || KNOWN.lock().unwrap_or_else(PoisonError::into_inner).has_room(metric.name, values);
    let value = |value: &str| if has_room { value.to_owned() } else { OTHERS.to_owned() };
    metric.labels.iter().zip(values).map(|(name, of)| ::metrics::Label::new(*name, value(of))).collect()
}

impl Series {
    /// Whether these values are a series of the metric's own, which they are from now on.
    fn has_room(&mut self, metric: &'static str, values: &[&str]) -> bool {
        let known = self.0.entry(metric).or_default();
        // No name of a task or topic has such a byte.
        let key = values.join("\u{1f}");
        if known.contains(&*key) {
            return true;
        }
        let has_room = known.len() < SERIES_MAX;
        if has_room {
            known.insert(key.into());
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::{SERIES_MAX, Series};

    #[test]
    fn what_comes_beyond_the_limit_shares_a_series_and_what_was_there_keeps_its_own() {
        let mut series = Series::default();
        for task in 0..SERIES_MAX {
            assert!(series.has_room("a", &[&task.to_string(), "x"]));
        }
        assert!(!series.has_room("a", &["one more", "x"]));
        assert!(series.has_room("a", &["7", "x"]) && !series.has_room("a", &["7", "y"]));
        assert!(series.has_room("b", &["one more"]), "each metric has its own");
    }
}
