//! How the machine fares, in node_exporter's words: its names, helps, types, labels and units.
//!
//! All is read when it is asked for, at most once a second, by a thread that may block; nothing is kept up to date in
//! between. It promises that whoever asks gets an answer, whatever hangs and whatever the kernel writes: what can't be
//! read is left out, and `node_scrape_collector_success` says so. The tables of disks and interfaces, whose columns have no
//! names, are read by `procfs_core`; what has names stands under them.

mod disks;
mod file_systems;
mod files;
mod kernel;
mod memory;
mod network;
mod page;
mod pressure;
mod processor;
mod space;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use regex::Regex;
use tokio::{sync::Mutex, task::spawn_blocking};
use tracing::warn;

use self::{
    files::Files,
    page::Page,
    processor::Processors,
    space::{Ask, Asker},
};
use super::settings::{Collector, Settings};

pub use page::{Kind, Series};

/// Whoever asks again within this time gets the same.
const FRESH: Duration = Duration::from_secs(1);

static DURATION: Series = Series::gauge(
    "node_scrape_collector_duration_seconds",
    &["collector"],
    "node_exporter: Duration of a collector scrape.",
);
static SUCCESS: Series =
    Series::gauge("node_scrape_collector_success", &["collector"], "node_exporter: Whether a collector succeeded.");
static LEFT_OUT: Series = Series::gauge(
    "logdrive_host_devices_left_out",
    &["collector"],
    "File systems, block devices or interfaces beyond host.devices_max, which have no series.",
);

/// Every series that a machine may have, collector by collector.
pub fn series() -> impl Iterator<Item = &'static Series> {
    processor::ALL
        .into_iter()
        .chain(kernel::all())
        .chain(memory::ALL)
        .chain(disks::all())
        .chain(file_systems::all())
        .chain(network::all())
        .chain(pressure::all())
        .chain([&DURATION, &SUCCESS, &LEFT_OUT])
}

/// The machine's figures, for whoever asks. Clones share one reading.
#[derive(Clone)]
pub struct Readings(Arc<Mutex<Reader>>);

impl Readings {
    /// None if the settings don't want them.
    ///
    /// # Errors
    /// If a pattern is no regular expression.
    pub fn new(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let reader = || Reader::new(settings, Arc::new(space::of_kernel));
        settings.enabled.then(reader).transpose().map(|reader| reader.map(|reader| Self(Arc::new(Mutex::new(reader)))))
    }

    /// The figures in Prometheus' text format, not older than a second. Whoever comes while they are read waits for the
    /// same reading.
    pub async fn text(&self) -> Arc<str> {
        // The lock goes with the reading, so there is one at a time, also when nobody waits for it any more.
        let mut reader = Arc::clone(&self.0).lock_owned().await;
        if let Some((read, text)) = &reader.last
            && read.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        let read = spawn_blocking(move || {
            let text: Arc<str> = reader.read().into();
            reader.last = Some((Instant::now(), Arc::clone(&text)));
            text
        });
        read.await.unwrap_or_else(|_| "".into())
    }
}

/// What is left out, and how many may stay.
struct Chosen {
    mount_points: Exclude,
    fs_types: Exclude,
    disks: Exclude,
    interfaces: Exclude,
    devices_max: usize,
}

/// What a pattern means; an empty one means nothing.
struct Exclude(Option<Regex>);

impl Exclude {
    fn new(pattern: &str) -> anyhow::Result<Self> {
        let compiled = (!pattern.is_empty()).then(|| Regex::new(pattern)).transpose();
        compiled.map(Self).with_context(|| format!("{pattern} is no regular expression"))
    }

    fn excludes(&self, name: &str) -> bool {
        self.0.as_ref().is_some_and(|pattern| pattern.is_match(name))
    }
}

/// Who reads.
struct Reader {
    collectors: BTreeSet<Collector>,
    files: Files,
    chosen: Chosen,
    processors: Processors,
    asker: Asker,
    /// The collectors that failed when they were last asked: it is told once.
    failing: BTreeSet<Collector>,
    last: Option<(Instant, Arc<str>)>,
}

impl Reader {
    fn new(settings: &Settings, ask: Arc<Ask>) -> anyhow::Result<Self> {
        Ok(Self {
            collectors: settings.collectors.iter().copied().collect(),
            files: Files::new(settings.proc.clone(), settings.sys.clone(), settings.root.clone()),
            chosen: Chosen {
                mount_points: Exclude::new(&settings.mount_points_exclude)?,
                fs_types: Exclude::new(&settings.fs_types_exclude)?,
                disks: Exclude::new(&settings.disks_exclude)?,
                interfaces: Exclude::new(&settings.interfaces_exclude)?,
                devices_max: settings.devices_max,
            },
            processors: Processors::default(),
            asker: Asker::new(ask, settings.mount_timeout),
            failing: BTreeSet::new(),
            last: None,
        })
    }

    fn read(&mut self) -> String {
        let mut page = Page::default();
        // Two collectors read it, and it is the longest.
        let wants_stat = self.collectors.contains(&Collector::Cpu) || self.collectors.contains(&Collector::Stat);
        let stat = if wants_stat { self.files.proc("stat") } else { Ok(String::new()) };
        let mut outcomes = Vec::new();
        for collector in self.collectors.clone() {
            let begun = Instant::now();
            let outcome = self.collect(collector, stat.as_deref(), &mut page);
            let seconds = begun.elapsed().as_secs_f64();
            match &outcome {
                Ok(_) => _ = self.failing.remove(&collector),
                Err(error) if self.failing.insert(collector) => {
                    warn!(
                        collector = collector.name(),
                        error = format!("{error:#}"),
                        "figures of this host are missing"
                    );
                }
                Err(_) => (),
            }
            outcomes.push((collector.name(), seconds, outcome));
        }
        for (name, seconds, _) in &outcomes {
            page.put(&DURATION, &[name], *seconds);
        }
        for (name, _, outcome) in &outcomes {
            page.put(&SUCCESS, &[name], f64::from(u8::from(outcome.is_ok())));
        }
        for (name, _, outcome) in &outcomes {
            if let Ok(Some(left_out)) = outcome {
                page.put(&LEFT_OUT, &[name], *left_out as f64);
            }
        }
        page.into_text()
    }

    /// Puts what a collector has; says how many devices were too many, if there could be.
    fn collect(
        &mut self,
        collector: Collector,
        stat: Result<&str, &anyhow::Error>,
        page: &mut Page,
    ) -> anyhow::Result<Option<usize>> {
        let (files, chosen) = (&self.files, &self.chosen);
        let stat = || stat.map_err(|error| anyhow!("{error:#}"));
        match collector {
            Collector::Cpu => self.processors.put(stat()?, page)?,
            Collector::Stat => kernel::stat(stat()?, page)?,
            Collector::Loadavg => kernel::load(files, page)?,
            Collector::Filefd => kernel::descriptors(files, page)?,
            Collector::Uname => kernel::names(page),
            Collector::Time => kernel::time(page),
            Collector::Meminfo => memory::memory(files, page)?,
            Collector::Vmstat => memory::paging(files, page)?,
            Collector::Pressure => pressure::put(files, page)?,
            Collector::Diskstats => return disks::put(files, chosen, page).map(Some),
            Collector::Filesystem => return file_systems::put(files, chosen, &self.asker, page).map(Some),
            Collector::Netdev => return network::traffic(files, chosen, page).map(Some),
            Collector::Netclass => return network::properties(files, chosen, page).map(Some),
        }
        Ok(None)
    }
}
