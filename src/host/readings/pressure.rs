//! `pressure`: how long processes waited for want of something, since the machine was started.

use anyhow::Context;

use super::{
    files::{Files, number},
    page::{Page, Series},
};

/// A family of pressure, by the resource's name in `/proc/pressure` and the word at the beginning of its line.
static PRESSURE: [(&str, &str, Series); 6] = [
    (
        "cpu",
        "some ",
        Series::counter(
            "node_pressure_cpu_waiting_seconds_total",
            &[],
            "Total time in seconds that processes have waited for CPU time",
        ),
    ),
    (
        "io",
        "some ",
        Series::counter(
            "node_pressure_io_waiting_seconds_total",
            &[],
            "Total time in seconds that processes have waited due to IO congestion",
        ),
    ),
    (
        "io",
        "full ",
        Series::counter(
            "node_pressure_io_stalled_seconds_total",
            &[],
            "Total time in seconds no process could make progress due to IO congestion",
        ),
    ),
    (
        "memory",
        "some ",
        Series::counter(
            "node_pressure_memory_waiting_seconds_total",
            &[],
            "Total time in seconds that processes have waited for memory",
        ),
    ),
    (
        "memory",
        "full ",
        Series::counter(
            "node_pressure_memory_stalled_seconds_total",
            &[],
            "Total time in seconds no process could make progress due to memory congestion",
        ),
    ),
    (
        "irq",
        "full ",
        Series::counter(
            "node_pressure_irq_stalled_seconds_total",
            &[],
            "Total time in seconds no process could make progress due to IRQ congestion",
        ),
    ),
];

const MICROSECONDS_A_SECOND: f64 = 1e6;

/// What is here.
pub(super) fn all() -> impl Iterator<Item = &'static Series> {
    PRESSURE.iter().map(|(_, _, series)| series)
}

pub(super) fn put(files: &Files, page: &mut Page) -> anyhow::Result<()> {
    for (resource, line, series) in &PRESSURE {
        let text = match files.proc(&format!("pressure/{resource}")) {
            Ok(text) => text,
            // Only kernels that account for interrupts have it.
            Err(_) if *resource == "irq" => continue,
            Err(error) => return Err(error.context("this kernel tells no pressure")),
        };
        let line = text.lines().find_map(|text| text.strip_prefix(line));
        let total = line.and_then(|line| line.split_ascii_whitespace().find_map(|word| word.strip_prefix("total=")));
        let total = total.and_then(number).with_context(|| format!("/proc/pressure/{resource} reads otherwise now"))?;
        page.put(series, &[], total / MICROSECONDS_A_SECOND);
    }
    Ok(())
}
