//! `cpu`: the seconds of each processor, by mode.

use std::collections::BTreeMap;

use anyhow::ensure;

use super::{
    files::numbers,
    page::{Page, Series},
};

/// Ticks a second in `/proc`, the same on every architecture that Linux still runs on but Alpha.
const TICKS_PER_SECOND: f64 = 100.0;

/// The columns of a processor's line; proc_stat(5). Two more follow: guests, and guests that are nice.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// Where `idle` stands.
const IDLE: usize = 3;

/// A processor that was idle so much shorter than before was taken out and put in again: it begins anew.
const BEGINS_ANEW_SECONDS: f64 = 3.0;

const COLUMNS: usize = MODES.len() + 2;

type Seconds = [f64; COLUMNS];

static SECONDS: Series =
    Series::counter("node_cpu_seconds_total", &["cpu", "mode"], "Seconds the CPUs spent in each mode.");
static GUEST: Series = Series::counter(
    "node_cpu_guest_seconds_total",
    &["cpu", "mode"],
    "Seconds the CPUs spent in guests (VMs) for each mode.",
);

/// What is here.
pub(super) static ALL: [&Series; 2] = [&SECONDS, &GUEST];

/// What each processor had when it was last looked at.
///
/// The kernel's times of idling go back at times, by a tick or two; to Prometheus that would be a restart, and a rate of
/// thousands of seconds a second. So a time stays where it was until it is passed again.
#[derive(Debug, Default)]
pub(super) struct Processors(BTreeMap<u32, Seconds>);

impl Processors {
    /// Puts what `/proc/stat` says.
    pub(super) fn put(&mut self, stat: &str, page: &mut Page) -> anyhow::Result<()> {
        let now: BTreeMap<u32, Seconds> = stat.lines().filter_map(processor).collect();
        ensure!(!now.is_empty(), "/proc/stat says nothing of processors");
        let before = std::mem::take(&mut self.0);
        self.0 = now.into_iter().map(|(number, now)| (number, steady(before.get(&number), now))).collect();
        for (number, seconds) in &self.0 {
            for (mode, seconds) in MODES.iter().zip(seconds) {
                page.put(&SECONDS, &[&number.to_string(), mode], *seconds);
            }
        }
        for (number, seconds) in &self.0 {
            for (mode, seconds) in ["user", "nice"].iter().zip(&seconds[MODES.len()..]) {
                page.put(&GUEST, &[&number.to_string(), mode], *seconds);
            }
        }
        Ok(())
    }
}

/// A processor's number and seconds, of its line.
fn processor(line: &str) -> Option<(u32, Seconds)> {
    let (number, ticks) = line.strip_prefix("cpu")?.split_once(' ')?;
    let mut seconds = [0.0; COLUMNS];
    let mut count = 0;
    for (seconds, ticks) in seconds.iter_mut().zip(numbers(ticks)) {
        *seconds = ticks / TICKS_PER_SECOND;
        count += 1;
    }
    // Kernels of long ago have fewer columns, but these.
    (count > IDLE).then_some((number.parse().ok()?, seconds))
}

fn steady(before: Option<&Seconds>, now: Seconds) -> Seconds {
    match before {
        Some(before) if before[IDLE] - now[IDLE] < BEGINS_ANEW_SECONDS => {
            std::array::from_fn(|column| now[column].max(before[column]))
        }
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Processors};

    fn put(processors: &mut Processors, stat: &str) -> String {
        let mut page = Page::default();
        processors.put(stat, &mut page).expect("there are processors");
        page.into_text()
    }

    #[test]
    fn processors_keep_their_numbers_when_one_of_them_is_off() {
        let text = put(&mut Processors::default(), "cpu  9 9 9 9\ncpu0 100 0 0 50\ncpu2 1 2 3 4 5 6 7 8 9 10\n");
        assert!(text.contains("node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n"), "{text}");
        assert!(text.contains("node_cpu_seconds_total{cpu=\"2\",mode=\"steal\"} 0.08\n"), "{text}");
        assert!(text.contains("node_cpu_guest_seconds_total{cpu=\"2\",mode=\"nice\"} 0.1\n"), "{text}");
        assert!(!text.contains("cpu=\"1\"") && !text.contains("cpu=\"\""), "{text}");
    }

    #[test]
    fn a_time_that_goes_back_a_little_stays_and_one_that_begins_anew_begins_anew() {
        let mut processors = Processors::default();
        put(&mut processors, "cpu0 100 0 0 5000 300\n");
        let text = put(&mut processors, "cpu0 110 0 0 4990 299\n");
        for line in ["mode=\"user\"} 1.1", "mode=\"idle\"} 50\n", "mode=\"iowait\"} 3\n"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let text = put(&mut processors, "cpu0 5 0 0 2 0\n");
        assert!(text.contains("mode=\"idle\"} 0.02\n") && text.contains("mode=\"user\"} 0.05\n"), "{text}");
    }
}
