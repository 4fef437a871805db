//! Series that come and go together, such as those of the files that are most behind: they are set as a whole, so that what
//! is not among them any more is not scraped any more.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{Metric, text};

/// The value of a series, and those of its labels, in the order of the metric's.
pub type Row = (Vec<String>, f64);

/// What was set last, by metric.
static ROWS: Mutex<BTreeMap<&'static str, (&'static Metric, Vec<Row>)>> = Mutex::new(BTreeMap::new());

/// From now on the metric has these series, and no others. How many there may be is for the caller to see to.
pub fn replace(metric: &'static Metric, rows: Vec<Row>) {
    ROWS.lock().unwrap_or_else(PoisonError::into_inner).insert(metric.name, (metric, rows));
}

/// Appends them in Prometheus' text format.
pub(super) fn render(out: &mut String) {
    for (metric, rows) in ROWS.lock().unwrap_or_else(PoisonError::into_inner).values() {
        if !rows.is_empty() {
            write(metric, rows, out);
        }
    }
}

/// Appends a metric that has these series.
pub(super) fn write(metric: &Metric, rows: &[Row], out: &mut String) {
    text::family(metric.name, metric.kind.name(), metric.help, out);
    for (values, value) in rows {
        text::sample(metric.name, metric.labels, values.iter().map(String::as_str), *value, out);
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::{super::list, write};

    #[test]
    fn any_name_of_a_file_is_a_label() {
        let mut text = String::new();
        let row = |path: &str, bytes| (vec!["app".to_owned(), path.to_owned()], bytes);
        write(&list::FILE_UNREAD_BYTES, &[row("/a\\\"b\"\n.log", 7.0), row("(others)", 0.0)], &mut text);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "# TYPE logdrive_file_unread_bytes gauge",
                r#"logdrive_file_unread_bytes{task="app",path="/a\\\"b\"\n.log"} 7"#,
                r#"logdrive_file_unread_bytes{task="app",path="(others)"} 0"#,
                ""
            ]
        );
    }
}
