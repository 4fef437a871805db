//! Prometheus' text format, as far as a process of ours writes it: names, labels and values of series.

use std::collections::HashMap;

/// The most series that are taken in; what comes behind them is left out.
const SERIES_MAX: usize = 200_000;

/// All series of one answer, by the metric's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scrape(HashMap<String, Vec<Series>>);

/// A series and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// In the order in which they are written.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Series {
    /// The value of a label; empty if it has none of that name.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }

    /// Whether it has all of these labels with these values.
    pub(super) fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == *value)
    }
}

impl Scrape {
    /// Reads an answer. Lines that are no series are passed over: a newer process may say more than is known here.
    pub(super) fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for (name, series) in text.lines().filter_map(line).take(SERIES_MAX) {
            scrape.0.entry(name).or_default().push(series);
        }
        scrape
    }

    /// The series of a metric.
    pub(super) fn of(&self, name: &str) -> &[Series] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// `name{label="value",…} value [timestamp]`
fn line(line: &str) -> Option<(String, Series)> {
    let line = line.trim();
    let end = line.find(['{', ' ', '\t'])?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    Some((name.to_owned(), Series { labels, value }))
}

/// The labels up to the closing brace, and what is behind it.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, behind) = rest.split_once("=\"")?;
        let (value, behind) = quoted(behind)?;
        labels.push((name.trim().to_owned(), value));
        rest = behind;
    }
}

/// The text up to the closing quote, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Scrape, Series};

    #[test]
    fn series_are_read_with_their_labels_and_what_is_none_is_passed_over() {
        let text = "# HELP a b\n# TYPE a gauge\na 1\nb{x=\"1\",y=\"a \\\"q\\\" \\\\ \\n}\"} 2.5 1234\nc{le=\"+Inf\"} +Inf\n\n{\nd{x=\"1\ne\nf{} NaN\n";
        let scrape = Scrape::parse(text);
        assert_eq!(scrape.of("a"), [Series { labels: vec![], value: 1.0 }]);
        assert_eq!(scrape.of("b")[0].label("y"), "a \"q\" \\ \n}");
        assert!(scrape.of("b")[0].has(&[("x", "1")]) && !scrape.of("b")[0].has(&[("x", "2")]));
        assert_eq!(scrape.of("c")[0].value, f64::INFINITY);
        assert!(scrape.of("d").is_empty() && scrape.of("e").is_empty() && scrape.of("f")[0].value.is_nan());
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_and_what_is_written_is_read(
            junk in ".{0,200}",
            labels in prop::collection::vec(("[a-z_]{1,8}", "[ -~äß…\n]{0,20}"), 0..4),
            value in -1e12..1e12_f64,
        ) {
            let _ = Scrape::parse(&junk);
            let written: Vec<String> = labels
                .iter()
                .map(|(name, value)| {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                    format!("{name}=\"{value}\"")
                })
                .collect();
            let scrape = Scrape::parse(&format!("m{{{}}} {value}\n", written.join(",")));
            prop_assert_eq!(scrape.of("m"), [Series { labels, value }]);
        }
    }
}
