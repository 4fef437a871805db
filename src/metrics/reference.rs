//! `docs/metrics.md`: what stands in the lists, for people. It is written by its test, which fails while it is out of date.

use std::{fmt::Write, fs};

use super::{Kind, Metric, list};

const PATH: &str = "docs/metrics.md";

const OPENING: &str = "\
# Metrics

Every long-running command serves them at `/metrics` of `metrics.listen`, in Prometheus' text format. Counters begin at 0 with
the process. A metric has at most 2000 series; what comes beyond that is counted in one more, whose labels are all `(others)`.

The machine's own figures (`[host]`), under node_exporter's names, are in [host.md](host.md); what a process is doing at this moment,
in [debugging.md](debugging.md).

**The account.** For each task, at every scrape:

```text
logdrive_read_lines_total = logdrive_acknowledged_lines_total + logdrive_dead_lettered_lines_total
                          + logdrive_given_up_lines_total + logdrive_in_flight_lines
```

A line that is read is one of these from then on, and none can leave without being counted. If the two sides differ, lines were
forgotten within the process: a defect, which the alert `LogdriveAccountDoesNotBalance` tells of.
";

#[test]
fn the_page_of_metrics_is_what_the_lists_say() {
    let page = page();
    if std::env::var_os("METRICS_PAGE").is_some_and(|wish| wish == "write") {
        fs::write(PATH, &page).expect("written");
    }
    let there = fs::read_to_string(PATH).unwrap_or_default();
    assert!(there == page, "{PATH} is out of date: run it with METRICS_PAGE=write in the environment");
}

fn page() -> String {
    let mut page = OPENING.to_owned();
    section(&mut page, "logdrive", "What logdrive counts itself.", list::ALL.iter().copied());
    section(
        &mut page,
        "The process",
        "What the kernel says of the process, read when it is scraped.",
        &list::OF_PROCESS,
    );
    page
}

fn section<'a>(page: &mut String, title: &str, opening: &str, metrics: impl IntoIterator<Item = &'a Metric>) {
    // Writing to a string can't fail.
    let _ = write!(
        page,
        "\n## {title}\n\n{opening}\n\n| name | type | unit | labels | | OpenTelemetry |\n|---|---|---|---|---|---|\n"
    );
    for metric in metrics {
        let Metric { name, help, kind, labels, otel } = metric;
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let otel = otel.map(|name| format!("`{name}`")).unwrap_or_default();
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} | {} | {help} | {otel} |",
            kind.name(),
            unit(metric),
            labels.join(" "),
        );
    }
}

/// The base unit, which the name says by Prometheus' conventions; of what is counted, what it is.
fn unit(metric: &Metric) -> &str {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    match name.rsplit('_').next() {
        Some(unit @ ("seconds" | "bytes")) => unit,
        _ if metric.kind == Kind::Counter || name.ends_with("_info") => "",
        Some(counted @ ("records" | "lines" | "files" | "requests" | "documents" | "indices" | "fds")) => counted,
        _ => "",
    }
}
