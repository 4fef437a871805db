//! Prometheus' text format, version 0.0.4, for what is read when it is scraped and has no handle of its own.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>. Appending to a string can't fail.

use std::{borrow::Cow, fmt::Write};

/// Opens a family: all of its samples come behind it, before the next one. `kind` is its word in the format.
pub fn family(name: &str, kind: &str, help: &str, out: &mut String) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Appends a sample, whose labels have these values.
pub fn sample<'v>(
    name: &str,
    labels: &[&str],
    values: impl IntoIterator<Item = &'v str>,
    value: f64,
    out: &mut String,
) {
    out.push_str(name);
    for (number, (label, of)) in labels.iter().zip(values).enumerate() {
        let before = if number == 0 { '{' } else { ',' };
        let _ = write!(out, "{before}{label}=\"{}\"", escaped(of));
    }
    let after = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(out, "{after} {value}");
}

/// A label's value, as it stands between quotes: the format has these three escapes, and takes anything else that is UTF-8.
fn escaped(value: &str) -> Cow<'_, str> {
    if value.contains(['\\', '"', '\n']) {
        Cow::Owned(value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
    } else {
        Cow::Borrowed(value)
    }
}
