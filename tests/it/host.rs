//! The machine's figures, side by side with those of the real node_exporter.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::rig::{Program, Site, ports, until};

const LIMIT: Duration = Duration::from_secs(30);

/// What node_exporter of Debian's 1.5 doesn't have, and why we do.
const OURS_ALONE: [&str; 2] = [
    // Newer ones have it, where the kernel accounts for interrupts.
    "node_pressure_irq_stalled_seconds_total",
    // It has no limit.
    "logdrive_host_devices_left_out",
];

/// What moves up and down between two looks, by more than a few parts in a hundred.
const RESTLESS: [&str; 5] =
    ["node_load", "node_procs_", "node_disk_io_now", "node_filefd_allocated", "node_scrape_collector_duration_seconds"];

/// Of memory, what is a limit or a size stays; the rest moves with what the machine does.
const MEMORY_THAT_STAYS: [&str; 7] = [
    "node_memory_MemTotal_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_CommitLimit_bytes",
    "node_memory_VmallocTotal_bytes",
    "node_memory_HugePages_Total",
    "node_memory_Hugepagesize_bytes",
    "node_memory_DirectMap",
];

#[tokio::test]
async fn every_figure_is_the_one_that_node_exporter_has() {
    let mut site = Site::without_topics("host", "127.0.0.1:1", "http://127.0.0.1:1");
    site.set("host.enabled", true);
    std::fs::write(site.logs().join("app.log"), "one line\n").expect("the site can be written");
    let pattern = site.logs().join("*.log").display().to_string();
    let mut program = site.up(&[&pattern]);
    program.ready().await;
    let exporter = Exporter::start().await;

    // Theirs stands between two of ours; ours is not older than a second.
    let before = figures(&own(&program).await);
    let theirs = figures(&exporter.page().await);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let after = figures(&own(&program).await);

    let mut faults = Vec::new();
    for (name, family) in &after {
        let Some(other) = theirs.get(name) else {
            if !OURS_ALONE.contains(&name.as_str()) {
                faults.push(format!("{name}: node_exporter has none"));
            }
            continue;
        };
        compare(name, &before[name], other, family, &mut faults);
    }
    let both = after.keys().filter(|name| theirs.contains_key(*name)).count();
    assert!(both > 80, "only {both} families are in both");
    assert!(faults.is_empty(), "{} of {both} differ:\n{}", faults.len(), faults.join("\n"));
    program.stop_well().await;
}

#[tokio::test]
async fn without_being_asked_the_machine_has_no_figures() {
    let site = Site::without_topics("host-off", "127.0.0.1:1", "http://127.0.0.1:1");
    let pattern = site.logs().join("*.log").display().to_string();
    let mut program = site.up(&[&pattern]);
    program.alive().await;
    let (_, text) = program.get("/metrics").await;
    assert!(!text.contains("node_"), "{text}");
    program.stop_well().await;
}

/// A family: its type, its help, and its series with their labels in the order of their names.
struct Family {
    kind: String,
    help: String,
    series: BTreeMap<String, f64>,
}

fn compare(name: &str, before: &Family, theirs: &Family, after: &Family, faults: &mut Vec<String>) {
    if (&after.kind, &after.help) != (&theirs.kind, &theirs.help) {
        faults.push(format!("{name}: {} {:?}, theirs {} {:?}", after.kind, after.help, theirs.kind, theirs.help));
    }
    let label_names = |family: &Family| -> BTreeSet<Vec<String>> {
        let name = |pair: &str| pair.split_once('=').map(|(name, _)| name.to_owned());
        family.series.keys().map(|series| series.split("\",").filter_map(name).collect()).collect()
    };
    if label_names(after) != label_names(theirs) {
        faults.push(format!("{name}: labels {:?}, theirs {:?}", label_names(after), label_names(theirs)));
    }
    for (labels, value) in &after.series {
        // It has a series for each of its collectors, and of some of ours that it has not.
        let (Some(first), Some(their)) = (before.series.get(labels), theirs.series.get(labels)) else {
            if !labels.contains("collector=") {
                faults.push(format!("{name}{labels}: not in all three"));
            }
            continue;
        };
        if !agree(name, &after.kind, *first, *their, *value) {
            faults.push(format!("{name}{labels}: {first} and then {value}, theirs in between {their}"));
        }
    }
}

/// Whether theirs is what ours can have been in between.
fn agree(name: &str, kind: &str, before: f64, theirs: f64, after: f64) -> bool {
    let grows = kind == "counter" || name.starts_with("node_vmstat_") || name == "node_time_seconds";
    if grows {
        // A sum of floating-point numbers may differ in its last digit, and the kernel's times of waiting go back by ticks.
        let slack = if name.starts_with("node_cpu_") { 0.1 } else { after.abs() * 1e-9 };
        return before - slack <= theirs && theirs <= after + slack;
    }
    let is_any = |begins: &[&str]| begins.iter().any(|begin| name.starts_with(begin));
    let moves = name.starts_with("node_memory_") && !is_any(&MEMORY_THAT_STAYS);
    let free = ["free_bytes", "avail_bytes", "files_free"].iter().any(|end| name.ends_with(end));
    if is_any(&RESTLESS) {
        // Of the same order: a wrong unit is off by more.
        return (theirs - after).abs() <= 20.0 + 4.0 * after.abs();
    }
    let (least, most) = (before.min(after), before.max(after));
    // Between two looks others may take a gigabyte and give it back.
    let slack = if moves || free { (most - least) * 4.0 + most * 0.05 + 1e9 } else { most.abs() * 1e-9 };
    least - slack <= theirs && theirs <= most + slack
}

async fn own(program: &Program) -> String {
    let (status, text) = program.get("/metrics").await;
    assert_eq!(status, 200);
    text
}

/// The families of the machine.
fn figures(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut help = String::new();
    for line in text.lines().filter(|line| line.contains("node_") || line.contains("logdrive_host_")) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            rest.split_once(' ').map_or("", |(_, help)| help).clone_into(&mut help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            let family = Family { kind: kind.to_owned(), help: help.clone(), series: BTreeMap::new() };
            families.insert(name.to_owned(), family);
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let mut labels: Vec<&str> = labels.trim_end_matches("\"}").split("\",").collect();
            labels.sort_unstable();
            let family = families.get_mut(name).expect("its type comes first");
            family.series.insert(labels.join("\","), value.parse().expect("a number"));
        }
    }
    families
}

/// A node_exporter with our patterns; killed when it is dropped.
struct Exporter {
    child: Child,
    url: String,
}

impl Exporter {
    async fn start() -> Self {
        let sample: toml::Table = include_str!("../../logdrive.sample.toml").parse().expect("it is TOML");
        let ours = |name: &str| sample["host"][name].as_str().expect("a pattern").to_owned();
        let address = format!("127.0.0.1:{}", ports::free());
        let child = Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--collector.filesystem.mount-points-exclude={}", ours("mount_points_exclude")))
            .arg(format!("--collector.filesystem.fs-types-exclude={}", ours("fs_types_exclude")))
            .arg(format!("--collector.diskstats.device-exclude={}", ours("disks_exclude")))
            .arg(format!("--collector.netdev.device-exclude={}", ours("interfaces_exclude")))
            .arg(format!("--collector.netclass.ignored-devices={}", ours("interfaces_exclude")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("node_exporter is installed");
        let exporter = Self { child, url: format!("http://{address}/metrics") };
        until("node_exporter", LIMIT, async || reqwest::get(&exporter.url).await.is_ok()).await;
        exporter
    }

    async fn page(&self) -> String {
        reqwest::get(&self.url).await.expect("an answer").text().await.expect("text")
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // It fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
