//! The alerts: Prometheus' own tool proves that each fires under its fault and not before, and each tells where to read on.

use std::{collections::BTreeSet, fs, process::Command};

const RULES: &str = "grafana/alerts/logdrive.rules.yml";
const RECORDS: &str = "grafana/alerts/logdrive.records.yml";
const TESTS: &str = "grafana/alerts/logdrive.tests.yml";

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).output().expect("scripts/needs brings promtool");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands behind `key` in a line of its own.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key)).collect()
}

#[test]
fn each_alert_fires_under_its_fault_and_not_before_and_none_while_all_is_well() {
    promtool(&["check", "rules", RULES, RECORDS]);
    promtool(&["test", "rules", TESTS]);
    let (rules, tests) = (read(RULES), read(TESTS));
    let tested: BTreeSet<&str> = values(&tests, "name: ").into_iter().collect();
    let alerts = values(&rules, "alert: ");
    assert!(alerts.len() >= 20, "{alerts:?}");
    let untested: Vec<&&str> = alerts.iter().filter(|alert| !tested.contains(**alert)).collect();
    assert!(untested.is_empty(), "without a test: {untested:?}");
}

#[test]
fn each_alert_has_a_page_that_says_what_it_means_what_to_look_at_and_what_to_do() {
    let rules = read(RULES);
    let alerts: BTreeSet<String> = values(&rules, "alert: ").into_iter().map(str::to_owned).collect();
    let linked: BTreeSet<&str> = values(&rules, "runbook_url: ").into_iter().collect();
    for alert in &alerts {
        let path = format!("docs/runbooks/{alert}.md");
        assert!(linked.contains(path.as_str()), "{alert} has no link to {path}");
        let page = read(&path);
        assert!(page.starts_with(&format!("# {alert}\n\n")), "{path}");
        assert!(page.contains("\n## Look at\n\n- ") && page.contains("\n## Do\n\n"), "{path}");
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(fs::exists(format!("docs/runbooks/{link}")).is_ok_and(|is| is), "{path}: there is no {link}");
        }
    }
    let pages = fs::read_dir("docs/runbooks").expect("they are there").flatten();
    let pages: BTreeSet<String> =
        pages.map(|page| page.file_name().to_string_lossy().trim_end_matches(".md").to_owned()).collect();
    assert_eq!(pages, alerts, "a page without an alert, or the reverse");
}
