//! What the kernel says of this process, under the names that Prometheus' client libraries use for it.
//!
//! Read when it is asked for: nothing has to be kept up to date. What can't be read is left out.

use std::{collections::BTreeMap, fs};

use jiff::Timestamp;

use super::{
    list::OF_PROCESS,
    rows::{self, Row},
};

/// Ticks a second in `/proc`, the same on every architecture that Linux still runs on but Alpha.
const TICKS_PER_SECOND: f64 = 100.0;

/// How the names of threads begin that live as long as the process works; librdkafka's have `rdk:` first.
const THREADS: [&str; 5] = ["lane-", "discover", "transfer-", "indexing", "rdk:"];

/// Appends the process's metrics in Prometheus' text format.
pub(super) fn render(out: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
    let status = fs::read_to_string("/proc/self/status").ok();
    let kernel = fs::read_to_string("/proc/stat").ok();
    let limits = fs::read_to_string("/proc/self/limits").ok();
    let boot = kernel.as_deref().and_then(|text| field(text, "btime ", 0));
    // The directory that is being listed is a descriptor too, while it is listed.
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64);
    let resident = status.as_deref().and_then(|text| field(text, "VmRSS:", 0)).map(|kib| kib * 1024.0);
    let max = limits.as_deref().and_then(|text| field(text, "Max open files", 0));
    let started = stat.as_ref().zip(boot).map(|(stat, boot)| boot + stat.start_ticks / TICKS_PER_SECOND);
    let cpu = stat.map(|stat| stat.cpu_ticks / TICKS_PER_SECOND);
    threads(out);
    let now = Timestamp::now().as_nanosecond() as f64 / 1e9;
    for (metric, value) in OF_PROCESS.iter().zip([cpu, resident, open, max, started, Some(now)]) {
        if let Some(value) = value {
            rows::write(metric, &[(Vec::new(), value)], out);
        }
    }
}

/// Appends the processor time of threads; those of one name together.
fn threads(out: &mut String) {
    let Some(metric) = OF_PROCESS.last() else { return };
    let mut each: BTreeMap<String, f64> = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        // One that has just ended has none.
        let Ok(text) = fs::read_to_string(thread.path().join("stat")) else { continue };
        let Some((thread, stat)) = name_of(&text).zip(Stat::parse(&text)) else { continue };
        if THREADS.iter().any(|first| thread.starts_with(first)) {
            *each.entry(thread.to_owned()).or_default() += stat.cpu_ticks / TICKS_PER_SECOND;
        }
    }
    let rows: Vec<Row> = each.into_iter().map(|(thread, seconds)| (vec![thread], seconds)).collect();
    if !rows.is_empty() {
        rows::write(metric, &rows, out);
    }
}

/// The name in `/proc/…/stat`, which stands in parentheses.
fn name_of(stat: &str) -> Option<&str> {
    Some(stat.split_once('(')?.1.rsplit_once(')')?.0)
}

/// What is needed of `/proc/self/stat`; proc_pid_stat(5) numbers its fields.
#[derive(Debug, PartialEq)]
struct Stat {
    /// Fields 14 and 15, together.
    cpu_ticks: f64,
    /// Field 22, since boot.
    start_ticks: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // Field 2 is the program's name in parentheses; it may hold anything, parentheses and spaces too.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self { cpu_ticks: number(14)? + number(15)?, start_ticks: number(22)? })
    }
}

/// The word at `index` behind `name` at the beginning of a line, as a number.
fn field(text: &str, name: &str, index: usize) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Stat, render};

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 12345 1 1 1";
        assert_eq!(Stat::parse(text), Some(Stat { cpu_ticks: 300.0, start_ticks: 12345.0 }));
        assert_eq!(Stat::parse("7 (a) S"), None);
    }

    #[test]
    fn this_process_has_every_metric_with_a_value_that_can_be() {
        let mut text = String::new();
        render(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            line.rsplit_once(' ').expect("a value").1.parse().expect("a number")
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!((3.0..=value("process_max_fds")).contains(&value("process_open_fds")));
        let now = jiff::Timestamp::now().as_second() as f64;
        assert!((now - 86_400.0..=now + 1.0).contains(&value("process_start_time_seconds")));
    }
}
