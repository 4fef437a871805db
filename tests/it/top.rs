//! `logdrive top` on processes that are at work: as tables, as JSON, and on a terminal.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::rig::{Program, Site, etcd::EtcdServer, until};

/// Runs top on a process for two rounds; what it printed.
fn top(site: &Site, program: &Program, options: &[&str]) -> String {
    let mut command = site.command("top");
    command.args(["--url", &program.metrics.to_string(), "--interval", "2s"]).args(options).stdin(Stdio::null());
    let output = command.output().expect("the program was built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Writes lines until it is aborted.
async fn keep_writing(log: PathBuf) {
    let mut file = OpenOptions::new().create(true).append(true).open(log).expect("the site can be written");
    loop {
        file.write_all("a line that somebody wrote\n".repeat(50).as_bytes()).expect("the site can be written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_with_their_rates_files_and_documents_are_shown_in_tables_as_json_and_on_a_terminal() {
    let site = Site::new("top").await;
    let log = site.logs().join("app.log");
    let writing = tokio::spawn(keep_writing(log.clone()));
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    until("documents come", Duration::from_secs(60), async || {
        transfer.metric("logdrive_documents_total", &[("outcome", "created")]).await > 0.0
    })
    .await;

    let said = tokio::task::block_in_place(|| top(&site, &agent, &["--json", "--count", "1"]));
    let said: Value = serde_json::from_str(&said).expect("one object");
    let task = &said["tasks"][0];
    assert!(task["lines_per_second"].as_f64() > Some(0.0), "{said}");
    let file = &said["files"][0];
    assert!(file["path"].as_str() == log.to_str() && file["bytes_per_second"].as_f64() > Some(0.0), "{said}");
    assert!(said["kafka"][0]["produce_p99_seconds"].as_f64() > Some(0.0), "{said}");
    let stored = tokio::task::block_in_place(|| top(&site, &transfer, &["--json", "--count", "1"]));
    let stored: Value = serde_json::from_str(&stored).expect("one object");
    let store = stored["store"].as_array().expect("rows");
    let created = store.iter().find(|row| row["what"] == "documents created").expect("a row");
    assert!(created["per_second"].as_f64() > Some(0.0), "{stored}");
    assert!(stored["kafka"].as_array().is_some_and(|rows| rows.iter().any(|row| row["way"] == "in")), "{stored}");

    let tables = tokio::task::block_in_place(|| top(&site, &agent, &["--count", "2"]));
    assert_eq!(tables.matches("LINES/S").count(), 4, "two rounds of processes and tasks:\n{tables}");
    assert!(!tables.contains('\u{1b}'), "nothing for a terminal:\n{tables}");

    let name = task["task"].as_str().expect("a name").to_owned();
    on_a_terminal(&site, &agent, &name).await;
    writing.abort();
    agent.stop_well().await;
    transfer.stop_well().await;
}

#[tokio::test]
async fn all_that_are_registered_are_shown_with_what_they_are_behind_and_one_that_is_killed_stays() {
    let etcd = EtcdServer::start("top", &[]);
    let mut site = Site::new("top-all").await;
    site.set("etcd.endpoints", vec![etcd.endpoint.clone()]);
    site.set("etcd.lease", "5s");
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    transfer.ready().await;
    let processes = || {
        let options = ["--all", "--json", "--count", "1", "--interval", "1s"];
        let output = site.command("top").args(options).stdin(Stdio::null()).output().expect("the program was built");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        said["processes"].as_array().cloned().unwrap_or_default()
    };
    let has = |role: &str, field: &str, met: fn(&Value) -> bool| {
        processes().iter().any(|process| process["role"] == role && met(&process[field]))
    };
    until("the agent's metrics", Duration::from_secs(30), async || has("agent", "memory_bytes", Value::is_f64)).await;
    until("the transfer's lag", Duration::from_secs(30), async || has("transfer", "lag_records", Value::is_f64)).await;
    agent.kill();
    until("it is silent", Duration::from_secs(30), async || has("agent", "state", |state| *state == "silent")).await;
    assert!(has("transfer", "state", |state| *state == "running"), "{:?}", processes());
    transfer.stop_well().await;
}

/// On a terminal of its own: it shows the task, a key sorts, another one quits, and the terminal is as it was.
async fn on_a_terminal(site: &Site, agent: &Program, task: &str) {
    let plain = site.command("top");
    let program = plain.get_program().to_str().expect("text");
    let arguments: Vec<&str> = plain.get_args().map(|word| word.to_str().expect("text")).collect();
    // What the terminal is like is asked before and after, on the same terminal.
    let line = format!(
        "stty cols 100 rows 30; stty -a >before; {program} {} --url {} --interval 1s; echo code $?; stty -a >after",
        arguments.join(" "),
        agent.metrics
    );
    let mut script = Command::new("script")
        .args(["-qfec", &line, "typescript"])
        .current_dir(&site.dir)
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("util-linux has script");
    let shown = || String::from_utf8_lossy(&fs::read(site.dir.join("typescript")).unwrap_or_default()).into_owned();
    let wait_for = async |what: &str| until(what, Duration::from_secs(20), async || shown().contains(what)).await;
    let mut keys = script.stdin.take().expect("piped");
    wait_for(task).await;
    wait_for("by BEHIND").await;
    keys.write_all(b"sr").expect("it listens");
    wait_for("reversed").await;
    keys.write_all(b"q").expect("it listens");
    wait_for("code 0").await;
    drop(keys);
    script.wait().expect("it ends");
    let shown = shown();
    assert!(shown.contains("\u{1b}[?1049h") && shown.contains("\u{1b}[?1049l"), "the other screen, and back");
    assert!(shown.rfind("\u{1b}[?25h") > shown.rfind("\u{1b}[?25l"), "the cursor is shown again");
    let state = |name: &str| fs::read_to_string(site.dir.join(name)).expect("stty wrote it");
    assert_eq!(state("before"), state("after"), "the terminal is as it was");
}
