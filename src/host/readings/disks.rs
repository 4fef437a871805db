//! `diskstats`: what was read from and written to block devices.

use std::collections::BTreeMap;

use procfs_core::DiskStat;

use super::{
    Chosen,
    files::Files,
    page::{Page, Series},
};

/// A sector in `/proc/diskstats`, whatever the device's own are.
const SECTOR_BYTES: f64 = 512.0;

const MILLISECONDS: f64 = 1e-3;

type Column = fn(&DiskStat) -> Option<f64>;

const fn counter(name: &'static str, help: &'static str) -> Series {
    Series::counter(name, &["device"], help)
}

#[rustfmt::skip]
static COLUMNS: [(Series, Column); 17] = [
    (counter("node_disk_reads_completed_total", "The total number of reads completed successfully."), |disk| Some(disk.reads as f64)),
    (counter("node_disk_reads_merged_total", "The total number of reads merged."), |disk| Some(disk.merged as f64)),
    (counter("node_disk_read_bytes_total", "The total number of bytes read successfully."), |disk| Some(disk.sectors_read as f64 * SECTOR_BYTES)),
    (counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."), |disk| Some(disk.time_reading as f64 * MILLISECONDS)),
    (counter("node_disk_writes_completed_total", "The total number of writes completed successfully."), |disk| Some(disk.writes as f64)),
    (counter("node_disk_writes_merged_total", "The number of writes merged."), |disk| Some(disk.writes_merged as f64)),
    (counter("node_disk_written_bytes_total", "The total number of bytes written successfully."), |disk| Some(disk.sectors_written as f64 * SECTOR_BYTES)),
    (counter("node_disk_write_time_seconds_total", "This is the total number of seconds spent by all writes."), |disk| Some(disk.time_writing as f64 * MILLISECONDS)),
    (Series::gauge("node_disk_io_now", &["device"], "The number of I/Os currently in progress."), |disk| Some(disk.in_progress as f64)),
    (counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."), |disk| Some(disk.time_in_progress as f64 * MILLISECONDS)),
    (counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."), |disk| Some(disk.weighted_time_in_progress as f64 * MILLISECONDS)),
    (counter("node_disk_discards_completed_total", "The total number of discards completed successfully."), |disk| disk.discards.map(|count| count as f64)),
    (counter("node_disk_discards_merged_total", "The total number of discards merged."), |disk| disk.discards_merged.map(|count| count as f64)),
    (counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully."), |disk| disk.sectors_discarded.map(|count| count as f64)),
    (counter("node_disk_discard_time_seconds_total", "This is the total number of seconds spent by all discards."), |disk| disk.time_discarding.map(|time| time as f64 * MILLISECONDS)),
    (counter("node_disk_flush_requests_total", "The total number of flush requests completed successfully"), |disk| disk.flushes.map(|count| count as f64)),
    (counter("node_disk_flush_requests_time_seconds_total", "This is the total number of seconds spent by all flush requests."), |disk| disk.time_flushing.map(|time| time as f64 * MILLISECONDS)),
];

/// What is here.
pub(super) fn all() -> impl Iterator<Item = &'static Series> {
    COLUMNS.iter().map(|(series, _)| series)
}

/// Puts the devices that are wanted; says how many were too many.
pub(super) fn put(files: &Files, chosen: &Chosen, page: &mut Page) -> anyhow::Result<usize> {
    let text = files.proc("diskstats")?;
    // A line that reads otherwise makes this fail, but only after the others were put.
    let (disks, faults): (Vec<_>, Vec<_>) = text.lines().map(DiskStat::from_line).partition(Result::is_ok);
    let disks = disks.into_iter().flatten().filter(|disk| !chosen.disks.excludes(&disk.name));
    let disks: BTreeMap<String, DiskStat> = disks.map(|disk| (disk.name.clone(), disk)).collect();
    let left_out = disks.len().saturating_sub(chosen.devices_max);
    for (series, column) in &COLUMNS {
        for (name, disk) in disks.iter().take(chosen.devices_max) {
            if let Some(value) = column(disk) {
                page.put(series, &[name], value);
            }
        }
    }
    match faults.into_iter().find_map(Result::err) {
        Some(error) => Err(anyhow::Error::new(error).context("/proc/diskstats reads otherwise now")),
        None => Ok(left_out),
    }
}
