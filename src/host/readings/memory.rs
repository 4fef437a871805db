//! `meminfo` and `vmstat`: memory, swap and paging, field by field under the kernel's own names.

use anyhow::ensure;

use super::{
    files::{Files, number},
    page::{Page, Series},
};

const KIB: f64 = 1024.0;

static BYTES: Series = Series::gauge("node_memory_*_bytes", &[], "Memory information field *_bytes.");
static COUNT: Series = Series::gauge("node_memory_*", &[], "Memory information field *.");
static PAGING: Series = Series::untyped("node_vmstat_*", &[], "/proc/vmstat information field *.");

/// What is here.
pub(super) static ALL: [&Series; 3] = [&BYTES, &COUNT, &PAGING];

pub(super) fn memory(files: &Files, page: &mut Page) -> anyhow::Result<()> {
    let text = files.proc("meminfo")?;
    let mut is_told = false;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let mut words = value.split_ascii_whitespace();
        let Some(value) = words.next().and_then(number) else { continue };
        // `Active(anon)` is `Active_anon`.
        let name = name.replace('(', "_").replace(')', "");
        match words.next() {
            Some("kB") => page.put_field(&BYTES, &name, value * KIB),
            _ => page.put_field(&COUNT, &name, value),
        }
        is_told = true;
    }
    ensure!(is_told, "/proc/meminfo reads otherwise now");
    Ok(())
}

pub(super) fn paging(files: &Files, page: &mut Page) -> anyhow::Result<()> {
    let text = files.proc("vmstat")?;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        let is_wanted = ["oom_kill", "pgpg", "pswp"].iter().any(|begin| name.starts_with(begin))
            || (name.starts_with("pg") && name.contains("fault"));
        if let Some(value) = number(value.trim()).filter(|_| is_wanted) {
            page.put_field(&PAGING, name, value);
        }
    }
    Ok(())
}
