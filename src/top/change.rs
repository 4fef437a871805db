//! What changed between two scrapes: rates of counters, quantiles of histograms. A process that started again began to
//! count anew, and nothing is negative for it.

use std::collections::BTreeSet;

use super::text::{Scrape, Series};

/// Two scrapes of one process, so many seconds apart; the first scrape has none before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) before: Option<(&'a Scrape, f64)>,
    pub(super) now: &'a Scrape,
}

impl Change<'_> {
    /// The sum of a metric's series with these labels; none if there is none.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut values = self.now.of(name).iter().filter(|series| series.has(labels)).map(|series| series.value);
        values.next().map(|first| first + values.sum::<f64>())
    }

    /// How fast the series with these labels grow together, a second; none if that can't be known yet.
    pub(super) fn rate(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let (_, seconds) = self.before.filter(|(_, seconds)| *seconds > 0.0)?;
        let mut grown = self.now.of(name).iter().filter(|series| series.has(labels)).map(|now| self.grown(name, now));
        grown.next().map(|first| (first + grown.sum::<f64>()) / seconds)
    }

    /// The quantile of what was observed between the scrapes; none if nothing was. It is exact to a bucket.
    pub(super) fn quantile(&self, name: &str, labels: &[(&str, &str)], quantile: f64) -> Option<f64> {
        self.before?;
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for series in self.now.of(&name).iter().filter(|series| series.has(labels)) {
            let le = match series.label("le") {
                "+Inf" => f64::INFINITY,
                number => number.parse().ok()?,
            };
            let grown = self.grown(&name, series);
            match buckets.iter_mut().find(|(other, _)| *other == le) {
                Some((_, count)) => *count += grown,
                None => buckets.push((le, grown)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let wanted = buckets.last().map(|(_, all)| all * quantile).filter(|wanted| *wanted > 0.0)?;
        let (mut from, mut below) = (0.0, 0.0);
        for (to, count) in buckets {
            if count >= wanted {
                // Beyond the last bucket's end nothing is known.
                let share = (wanted - below) / (count - below);
                return Some(if to.is_finite() { from + (to - from) * share } else { from });
            }
            (from, below) = (to, count);
        }
        None
    }

    /// The values that a label of a metric has, in order.
    pub(super) fn values(&self, name: &str, label: &str) -> BTreeSet<String> {
        self.now
            .of(name)
            .iter()
            .map(|series| series.label(label).to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// By how much a series grew. One that was not there before, or counts less than before, began at 0.
    fn grown(&self, name: &str, now: &Series) -> f64 {
        let before = self.before.and_then(|(before, _)| before.of(name).iter().find(|one| one.labels == now.labels));
        match before {
            Some(before) if before.value <= now.value => now.value - before.value,
            _ => now.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Scrape};

    #[test]
    fn rates_are_of_what_was_counted_between_and_never_negative() {
        let before = Scrape::parse("lines{task=\"a\"} 100\nlines{task=\"b\"} 900\n");
        let now = Scrape::parse("lines{task=\"a\"} 160\nlines{task=\"b\"} 40\nlines{task=\"c\"} 20\n");
        let change = Change { before: Some((&before, 2.0)), now: &now };
        let rate = |task| change.rate("lines", &[("task", task)]);
        assert_eq!((rate("a"), rate("b"), rate("c"), rate("d")), (Some(30.0), Some(20.0), Some(10.0), None));
        assert_eq!(change.rate("lines", &[]), Some(60.0));
        assert_eq!(change.sum("lines", &[]), Some(220.0));
        assert_eq!(Change { before: None, now: &now }.rate("lines", &[]), None, "one scrape tells no rate");
        assert_eq!(change.values("lines", "task").into_iter().collect::<String>(), "abc");
    }

    #[test]
    fn quantiles_are_of_what_was_observed_between() {
        let scrape = |counts: [u32; 3]| {
            let [a, b, c] = counts;
            Scrape::parse(&format!("s_bucket{{le=\"1\"}} {a}\ns_bucket{{le=\"2\"}} {b}\ns_bucket{{le=\"+Inf\"}} {c}\n"))
        };
        let (before, now) = (scrape([1000, 1000, 1000]), scrape([1000, 1010, 1010]));
        let change = Change { before: Some((&before, 1.0)), now: &now };
        assert_eq!(change.quantile("s", &[], 0.5), Some(1.5));
        let late = scrape([1000, 1000, 1010]);
        assert_eq!(Change { now: &late, ..change }.quantile("s", &[], 0.5), Some(2.0), "beyond the last bucket");
        assert_eq!(Change { now: &before, ..change }.quantile("s", &[], 0.5), None, "nothing was observed");
    }
}
