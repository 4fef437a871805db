//! The text that Prometheus scrapes, series by series.
//!
//! It promises text of Prometheus' format whatever it is given: a family is opened once, and a name that none can have
//! is left out.

use std::collections::HashSet;

use crate::metrics::text;

/// What a series measures, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// What node_exporter doesn't say of: it exports what the kernel has, whatever that is.
    Untyped,
}

impl Kind {
    /// The word behind `# TYPE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

/// A family of series: everything that is to be known of it but its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its name. A `*` stands for the kernel's own name of a field.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// One sentence for a person; a `*` as in the name.
    pub help: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
}

impl Series {
    pub(super) const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, help, labels }
    }

    pub(super) const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, help, labels }
    }

    pub(super) const fn untyped(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Untyped, help, labels }
    }
}

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    /// The families that were opened; the last of them is `open`.
    families: HashSet<String>,
    open: String,
}

impl Page {
    /// Adds a value, with a value for each label. All of a family come one behind the other.
    pub(super) fn put(&mut self, series: &Series, labels: &[&str], value: f64) {
        debug_assert_eq!(series.labels.len(), labels.len(), "{} has other labels", series.name);
        if self.open(series.name, series.kind, series.help) {
            self.value(series.name, series.labels, labels, value);
        }
    }

    /// Adds the value of a field, of a series without labels whose name has a `*` for it.
    pub(super) fn put_field(&mut self, series: &Series, field: &str, value: f64) {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if field.is_empty() || !field.bytes().all(is_name) {
            return;
        }
        let name = series.name.replace('*', field);
        // Of a field that is said twice, the first counts.
        if !self.families.contains(&name) && self.open(&name, series.kind, &series.help.replace('*', field)) {
            self.value(&name, &[], &[], value);
        }
    }

    /// What was put.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Whether values can be added to this family now: it is the last one, or a new one.
    fn open(&mut self, name: &str, kind: Kind, help: &str) -> bool {
        if self.open == name {
            return true;
        }
        if !self.families.insert(name.to_owned()) {
            return false;
        }
        name.clone_into(&mut self.open);
        text::family(name, kind.name(), help, &mut self.text);
        true
    }

    fn value(&mut self, name: &str, labels: &[&str], values: &[&str], value: f64) {
        text::sample(name, labels, values.iter().copied(), value, &mut self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Series};

    const LOAD: Series = Series::gauge("node_load1", &[], "1m load average.");
    const FIELD: Series = Series::untyped("node_vmstat_*", &[], "/proc/vmstat information field *.");
    const READ: Series = Series::counter("node_disk_reads_completed_total", &["device"], "Reads.");

    #[test]
    fn a_family_is_opened_once_and_label_values_are_escaped() {
        let mut page = Page::default();
        page.put(&READ, &["sda"], 1.0);
        page.put(&READ, &["a\"b\\c\nd"], 2.5);
        page.put(&LOAD, &[], 0.25);
        page.put(&READ, &["late"], 3.0);
        let expected = "# HELP node_disk_reads_completed_total Reads.\n# TYPE node_disk_reads_completed_total counter\n\
            node_disk_reads_completed_total{device=\"sda\"} 1\n\
            node_disk_reads_completed_total{device=\"a\\\"b\\\\c\\nd\"} 2.5\n\
            # HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.25\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn a_field_that_is_no_name_or_comes_twice_is_left_out() {
        let mut page = Page::default();
        for field in ["oom_kill", "oom_kill", "a b", "", "é"] {
            page.put_field(&FIELD, field, 1.0);
        }
        let expected = "# HELP node_vmstat_oom_kill /proc/vmstat information field oom_kill.\n\
            # TYPE node_vmstat_oom_kill untyped\nnode_vmstat_oom_kill 1\n";
        assert_eq!(page.into_text(), expected);
    }
}
