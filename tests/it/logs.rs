//! The log that the program writes of itself: it never stops it, never floods, and is never collected by mistake.

use std::{
    fs::{self, File},
    io::Write,
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::rig::{Program, Site, ports, until};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_agent_does_not_collect_its_own_log_unless_it_is_asked_to() {
    for own_log in [false, true] {
        let mut site = Site::new(if own_log { "own-log-asked" } else { "own-log" }).await;
        site.set("agent.own_log", own_log);
        // Where the agent's log goes; the task means it by another name.
        let log = site.dir.join("agent.log");
        fs::write(&log, "").expect("the site can be written");
        fs::hard_link(&log, site.logs().join("own.log")).expect("one file system");
        fs::write(site.logs().join("app.log"), "one\ntwo\nthree\n").expect("the site can be written");
        let mut agent = site.agent();
        agent.ready().await;
        let (least, most) = if own_log { (4.0, f64::MAX) } else { (3.0, 3.0) };
        until("lines", LIMIT, async || acknowledged(&agent).await >= least).await;
        // What it says now stands there before the next line of the application.
        hang_up(&agent, 1).await;
        let mut app = File::options().append(true).open(site.logs().join("app.log")).expect("it is there");
        app.write_all(b"four\n").expect("the site can be written");
        until("lines", LIMIT, async || acknowledged(&agent).await > least).await;
        assert!(acknowledged(&agent).await <= most + 1.0, "{}", agent.output());
        assert_eq!(agent.output().contains("it is not collected"), !own_log, "{}", agent.output());
        agent.stop_well().await;
    }
}

#[tokio::test]
async fn what_is_logged_again_and_again_is_held_back_and_counted() {
    let site = Site::without_topics("log-repeats", "127.0.0.1:1", "http://127.0.0.1:1");
    let mut program = Program::start_with(&site, "up", "LOGDRIVE_LOG_FORMAT", Some("json"));
    program.alive().await;
    for count in 1..=30 {
        hang_up(&program, count).await;
    }
    until("held back", LIMIT, async || program.metric("logdrive_log_suppressed_total", &[]).await >= 20.0).await;
    assert!(program.metric("logdrive_log_events_total", &[("level", "info")]).await >= 30.0);
    program.terminate();
    assert!(program.ended().await.success(), "{}", program.output());
    let events: Vec<Value> = program.output().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let nothing_changes = "the configuration was read again, and nothing changes";
    let count = |name: &str, text: &str| events.iter().filter(|event| event[name] == text).count();
    assert_eq!((count("message", nothing_changes), count("event", nothing_changes)), (10, 1), "{}", program.output());
    let told = events.iter().find(|event| event["event"] == nothing_changes).expect("it was counted");
    assert_eq!(told["count"], 20, "{told}");
}

#[tokio::test]
async fn a_log_that_cant_be_written_stops_nothing() {
    let site = Site::without_topics("log-full", "127.0.0.1:1", "http://127.0.0.1:1");
    fs::write(site.logs().join("app.log"), "one\n").expect("the site can be written");
    let address = format!("127.0.0.1:{}", ports::free());
    let mut child = site
        .command("up")
        .arg(site.logs().join("*.log"))
        .env("LOGDRIVE_METRICS__LISTEN", &address)
        .env("LOGDRIVE_WEB__LISTEN", format!("127.0.0.1:{}", ports::free()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Whatever is written there is answered with: no space is left.
        .stderr(File::options().write(true).open("/dev/full").expect("Linux has it"))
        .spawn()
        .expect("the program was built");
    let indexed = async || {
        let page = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
        let is_it = |line: &str| line.starts_with("logdrive_acknowledged_lines_total{") && line.ends_with("} 1");
        page.lines().any(is_it).then_some(())
    };
    until("a line indexed", LIMIT, async || {
        assert!(child.try_wait().expect("it is our child").is_none(), "it ended");
        indexed().await.is_some()
    })
    .await;
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    until("ended", LIMIT, async || child.try_wait().expect("it is our child").is_some()).await;
    assert!(child.wait().expect("it is our child").success());
}

/// Has it read its configuration again, and waits until it has.
async fn hang_up(program: &Program, count: u32) {
    let pid = i32::try_from(program.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::HUP).expect("it runs");
    until("read again", LIMIT, async || program.metric("logdrive_config_reloads_total", &[]).await >= f64::from(count))
        .await;
}

async fn acknowledged(program: &Program) -> f64 {
    program.metric("logdrive_acknowledged_lines_total", &[]).await
}
