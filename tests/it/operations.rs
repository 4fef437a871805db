//! What those who run it look at: `check`, metrics, health, exit codes.

use std::process::Output;

use crate::rig::{Site, ports, services};

#[tokio::test]
async fn check_says_that_all_is_well_or_which_server_is_away_and_what_to_do() {
    let site = Site::new("check").await;
    let (good, said) = check(&site);
    assert_eq!(good.status.code(), Some(0), "{said}");
    assert!(said.contains(&site.kafka) && said.contains(&site.elasticsearch), "a line for each server:\n{said}");

    let away = format!("127.0.0.1:{}", ports::free());
    let site = Site::without_topics("check-away", &away, services::elasticsearch());
    let (bad, said) = check(&site);
    assert_eq!(bad.status.code(), Some(1), "{said}");
    assert!(said.contains(&away) && said.contains("hint"), "what is away and what to do:\n{said}");
    assert!(said.contains(&site.elasticsearch), "the others are still looked at:\n{said}");
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_shown_where_it_is_with_the_nearest_right_name() {
    let mut site = Site::without_topics("mistake", "127.0.0.1:1", "http://127.0.0.1:1");
    site.set("agent.in_flight_byte_max", "32MiB");
    let (output, said) = check(&site);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("logdrive.toml:"), "the file and the line:\n{said}");
    assert!(said.contains("in_flight_bytes_max"), "the right name:\n{said}");

    let output = site.command("agnet").output().expect("the program was built");
    assert_eq!(output.status.code(), Some(2), "a wrong command is a mistake in usage");
}

#[tokio::test]
async fn metrics_and_health_are_served_by_every_long_running_command() {
    let site = Site::new("health").await;
    std::fs::write(site.logs().join("app.log"), "one line\n").expect("the site can be written");
    let up = {
        let mut other = Site::without_topics("health-up", "127.0.0.1:1", "http://127.0.0.1:1");
        other.set("data_dir", other.dir.join("up").display().to_string());
        other
    };
    let pattern = site.logs().join("*.log").display().to_string();
    for mut program in [site.agent(), site.transfer(), up.up(&[&pattern])] {
        program.ready().await;
        assert_eq!(program.get("/livez").await.0, 200);
        let (status, text) = program.get("/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("# HELP logdrive_build_info") && text.contains("# TYPE logdrive_build_info gauge"));
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            let named = ["logdrive_", "process_"].iter().any(|prefix| series.starts_with(prefix));
            assert!(named && value.parse::<f64>().is_ok(), "{line}");
        }
        program.stop_well().await;
    }
}

#[tokio::test]
async fn a_dry_run_lists_the_files_of_each_task_from_all_files_of_the_configuration_and_asks_no_server() {
    let site = Site::without_topics("dry-run", "127.0.0.1:1", "http://127.0.0.1:1");
    let logs = site.logs();
    std::fs::write(logs.join("app.log"), "one line\n").expect("the site can be written");
    std::fs::create_dir_all(site.dir.join("conf.d")).expect("the site can be written");
    let more = format!(
        "[[agent.tasks]]\nname = \"second\"\npaths = [\"{}/*\", \"/nowhere/*\"]\nexclude = [\"*.old\"]\ntopic = \"t\"\n",
        logs.display()
    );
    std::fs::write(site.dir.join("conf.d/more.toml"), more).expect("the site can be written");
    std::fs::write(logs.join("app.old"), "").expect("the site can be written");
    std::fs::write(logs.join("other"), "other\n").expect("the site can be written");
    let (output, said) = run(&site, &["--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("the column OFFSET is empty: there are no checkpoints in"), "{said}");
    let row = |what: &str, name: &str| {
        let is = |line: &&str| line.contains(what) && line.ends_with(&format!("/{name}"));
        assert!(said.lines().any(|line| is(&line)), "{what} {name}:\n{said}");
    };
    row(" read ", "app.log");
    row(", which stands first ", "app.log");
    row(" excluded ", "app.old");
    row(" read ", "other");
    assert!(said.contains("! /nowhere: the directory is not there"), "{said}");
    assert!(said.contains("task second reads 1 file, 6 B, into the topic t\n"), "{said}");

    let (output, schema) = run(&site, &["--print-schema"]);
    assert_eq!((output.status.code(), schema.as_str()), (Some(0), include_str!("../../docs/logdrive.schema.json")));
}

fn check(site: &Site) -> (Output, String) {
    run(site, &[])
}

/// `logdrive check` with these options.
fn run(site: &Site, options: &[&str]) -> (Output, String) {
    let output = site.command("check").args(options).output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output, String::from_utf8_lossy(&said).into_owned())
}
