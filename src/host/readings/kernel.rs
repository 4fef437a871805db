//! `stat`, `loadavg`, `filefd`, `uname` and `time`: what the kernel says of itself in a few words.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use super::{
    files::{Files, numbers},
    page::{Page, Series},
};

/// By the words in `/proc/stat`.
static STAT: [(&str, Series); 6] = [
    ("intr", Series::counter("node_intr_total", &[], "Total number of interrupts serviced.")),
    ("ctxt", Series::counter("node_context_switches_total", &[], "Total number of context switches.")),
    ("processes", Series::counter("node_forks_total", &[], "Total number of forks.")),
    ("btime", Series::gauge("node_boot_time_seconds", &[], "Node boot time, in unixtime.")),
    ("procs_running", Series::gauge("node_procs_running", &[], "Number of processes in runnable state.")),
    (
        "procs_blocked",
        Series::gauge("node_procs_blocked", &[], "Number of processes blocked waiting for I/O to complete."),
    ),
];

static LOAD: [Series; 3] = [
    Series::gauge("node_load1", &[], "1m load average."),
    Series::gauge("node_load5", &[], "5m load average."),
    Series::gauge("node_load15", &[], "15m load average."),
];

static ALLOCATED: Series = Series::gauge("node_filefd_allocated", &[], "File descriptor statistics: allocated.");
static MAXIMUM: Series = Series::gauge("node_filefd_maximum", &[], "File descriptor statistics: maximum.");
static UNAME: Series = Series::gauge(
    "node_uname_info",
    &["sysname", "release", "version", "machine", "nodename", "domainname"],
    "Labeled system information as provided by the uname system call.",
);
static TIME: Series = Series::gauge("node_time_seconds", &[], "System time in seconds since epoch (1970).");

/// What is here.
pub(super) fn all() -> impl Iterator<Item = &'static Series> {
    STAT.iter().map(|(_, series)| series).chain(&LOAD).chain([&ALLOCATED, &MAXIMUM, &UNAME, &TIME])
}

/// Puts what `/proc/stat` says, beside the processors.
pub(super) fn stat(stat: &str, page: &mut Page) -> anyhow::Result<()> {
    for (word, series) in &STAT {
        let line = stat.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
        let value = line.and_then(|line| numbers(line).next());
        page.put(series, &[], value.with_context(|| format!("/proc/stat says nothing of {word}"))?);
    }
    Ok(())
}

pub(super) fn load(files: &Files, page: &mut Page) -> anyhow::Result<()> {
    let text = files.proc("loadavg")?;
    let averages: Vec<f64> = numbers(&text).take(LOAD.len()).collect();
    ensure!(averages.len() == LOAD.len(), "/proc/loadavg has fewer than three averages: {:?}", text.trim());
    for (series, average) in LOAD.iter().zip(averages) {
        page.put(series, &[], average);
    }
    Ok(())
}

pub(super) fn descriptors(files: &Files, page: &mut Page) -> anyhow::Result<()> {
    let text = files.proc("sys/fs/file-nr")?;
    // Between the two stands how many are allocated and not used, which has been 0 for long.
    let [allocated, _, maximum] = numbers(&text).collect::<Vec<f64>>()[..] else {
        anyhow::bail!("/proc/sys/fs/file-nr has other than three numbers: {:?}", text.trim());
    };
    page.put(&ALLOCATED, &[], allocated);
    page.put(&MAXIMUM, &[], maximum);
    Ok(())
}

pub(super) fn names(page: &mut Page) {
    let names = rustix::system::uname();
    let labels =
        [names.sysname(), names.release(), names.version(), names.machine(), names.nodename(), names.domainname()]
            .map(|name| name.to_string_lossy());
    page.put(&UNAME, &labels.each_ref().map(|label| &**label), 1.0);
}

pub(super) fn time(page: &mut Page) {
    // Before 1970 there was no Linux.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    page.put(&TIME, &[], since.as_secs_f64());
}
