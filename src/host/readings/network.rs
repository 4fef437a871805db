//! `netdev` and `netclass`: what went through network interfaces, and what they are.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use procfs_core::{
    FromRead,
    net::{DeviceStatus, InterfaceDeviceStatus},
};

use super::{
    Chosen,
    files::{Files, number, word},
    page::{Page, Series},
};

/// A megabit, in bytes.
const MEGABIT: f64 = 1e6 / 8.0;

type Column = fn(&DeviceStatus) -> u64;

const fn counter(name: &'static str, help: &'static str) -> Series {
    Series::counter(name, &["device"], help)
}

const fn gauge(name: &'static str, help: &'static str) -> Series {
    Series::gauge(name, &["device"], help)
}

#[rustfmt::skip]
static COLUMNS: [(Series, Column); 16] = [
    (counter("node_network_receive_bytes_total", "Network device statistic receive_bytes."), |device| device.recv_bytes),
    (counter("node_network_receive_packets_total", "Network device statistic receive_packets."), |device| device.recv_packets),
    (counter("node_network_receive_errs_total", "Network device statistic receive_errs."), |device| device.recv_errs),
    (counter("node_network_receive_drop_total", "Network device statistic receive_drop."), |device| device.recv_drop),
    (counter("node_network_receive_fifo_total", "Network device statistic receive_fifo."), |device| device.recv_fifo),
    (counter("node_network_receive_frame_total", "Network device statistic receive_frame."), |device| device.recv_frame),
    (counter("node_network_receive_compressed_total", "Network device statistic receive_compressed."), |device| device.recv_compressed),
    (counter("node_network_receive_multicast_total", "Network device statistic receive_multicast."), |device| device.recv_multicast),
    (counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."), |device| device.sent_bytes),
    (counter("node_network_transmit_packets_total", "Network device statistic transmit_packets."), |device| device.sent_packets),
    (counter("node_network_transmit_errs_total", "Network device statistic transmit_errs."), |device| device.sent_errs),
    (counter("node_network_transmit_drop_total", "Network device statistic transmit_drop."), |device| device.sent_drop),
    (counter("node_network_transmit_fifo_total", "Network device statistic transmit_fifo."), |device| device.sent_fifo),
    (counter("node_network_transmit_colls_total", "Network device statistic transmit_colls."), |device| device.sent_colls),
    (counter("node_network_transmit_carrier_total", "Network device statistic transmit_carrier."), |device| device.sent_carrier),
    (counter("node_network_transmit_compressed_total", "Network device statistic transmit_compressed."), |device| device.sent_compressed),
];

static UP: Series = gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");

/// By the file's name in `/sys/class/net/INTERFACE/`, with what a number there is worth.
static PROPERTIES: [(&str, Series, f64); 5] = [
    ("carrier", gauge("node_network_carrier", "Network device property: carrier"), 1.0),
    (
        "carrier_changes",
        counter("node_network_carrier_changes_total", "Network device property: carrier_changes_total"),
        1.0,
    ),
    ("mtu", gauge("node_network_mtu_bytes", "Network device property: mtu_bytes"), 1.0),
    ("speed", gauge("node_network_speed_bytes", "Network device property: speed_bytes"), MEGABIT),
    (
        "tx_queue_len",
        gauge("node_network_transmit_queue_length", "Network device property: transmit_queue_length"),
        1.0,
    ),
];

/// What is here.
pub(super) fn all() -> impl Iterator<Item = &'static Series> {
    let properties = PROPERTIES.iter().map(|(_, series, _)| series);
    COLUMNS.iter().map(|(series, _)| series).chain([&UP]).chain(properties)
}

/// Puts what went through the interfaces that are wanted; says how many were too many.
pub(super) fn traffic(files: &Files, chosen: &Chosen, page: &mut Page) -> anyhow::Result<usize> {
    let text = files.of_machine("net/dev")?;
    let all = InterfaceDeviceStatus::from_read(&text[..]).context("/proc/net/dev reads otherwise now")?;
    let all = all.0.into_iter().filter(|(name, _)| !chosen.interfaces.excludes(name));
    let interfaces: BTreeMap<String, DeviceStatus> = all.collect();
    for (series, column) in &COLUMNS {
        for (name, device) in interfaces.iter().take(chosen.devices_max) {
            page.put(series, &[name], column(device) as f64);
        }
    }
    Ok(interfaces.len().saturating_sub(chosen.devices_max))
}

/// Puts what the interfaces that are wanted are; says how many were too many.
pub(super) fn properties(files: &Files, chosen: &Chosen, page: &mut Page) -> anyhow::Result<usize> {
    let class = files.sys.join("class/net");
    let entries = fs::read_dir(&class).with_context(|| format!("can't list {}", class.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !chosen.interfaces.excludes(name)).collect();
    names.sort_unstable();
    let left_out = names.len().saturating_sub(chosen.devices_max);
    names.truncate(chosen.devices_max);
    for name in &names {
        // What is no interface is a file of its own, such as `bonding_masters`.
        if let Ok(state) = word(&class.join(name).join("operstate")) {
            page.put(&UP, &[name], f64::from(u8::from(state == "up")));
        }
    }
    for (file, series, worth) in &PROPERTIES {
        for name in &names {
            // An interface that is down tells no speed, and one without a cable -1.
            if let Some(value) = property(&class.join(name).join(file)).filter(|value| *value >= 0.0) {
                page.put(series, &[name], value * worth);
            }
        }
    }
    Ok(left_out)
}

fn property(path: &Path) -> Option<f64> {
    number(&word(path).ok()?)
}
