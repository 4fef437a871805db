//! Tasks that come from etcd: begun, changed and ended while the agent runs, refused when they are no tasks, known when
//! etcd is away; and what `logdrive agents` says of it.

use std::{io::Write, path::Path, time::Duration};

use serde_json::Value;

use crate::rig::{Program, Site, etcd::EtcdServer, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(60);

/// The key of the plain form; tests reach etcd from this address.
const PLAIN: &str = "/logagent/127.0.0.1/collect_config";

/// A site whose tasks come from this etcd alone.
async fn site(name: &str, server: &EtcdServer) -> Site {
    let mut site = Site::without_topics(name, services::kafka(), "http://127.0.0.1:1");
    kafka::create(&site.kafka, &site.topic, 1).await;
    site.set("agent.tasks", Vec::<toml::Value>::new());
    site.set("agent.tasks_keys", vec!["/logdrive/tasks/all", "/logagent/{ip}/collect_config"]);
    site.set("agent.host", name);
    site.set("agent.rescan", "500ms");
    site.set("etcd.endpoints", vec![server.endpoint.clone()]);
    site.set("etcd.lease", "5s");
    site
}

fn append(file: &Path, lines: usize) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("the site can be written");
    for number in 0..lines {
        writeln!(file, "line {number}").expect("the site can be written");
    }
}

/// Waits until so many lines of a task were acknowledged in this life of the agent.
async fn acknowledged(agent: &Program, task: &str, lines: usize) {
    until(&format!("{lines} lines of {task}"), LIMIT, async || {
        agent.answers("/livez").await
            && agent.metric("logdrive_acknowledged_lines_total", &[("task", task)]).await >= lines as f64
    })
    .await;
    let seen = agent.metric("logdrive_acknowledged_lines_total", &[("task", task)]).await;
    assert_eq!(seen, lines as f64, "of {task}, and none twice");
}

/// What `logdrive agents` says of the one agent that there is; its earlier lives had other ports, and come first as silent.
fn agents(site: &Site) -> Value {
    let output = site.command("agents").arg("--json").output().expect("the program was built");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).expect("JSON"))
}

async fn until_agents(site: &Site, what: &str, met: impl Fn(&Value) -> bool) {
    until(what, LIMIT, async || met(&agents(site))).await;
}

#[tokio::test]
async fn tasks_in_the_plain_form_begin_change_and_end_and_run_on_when_etcd_is_away_or_has_junk() {
    let server = EtcdServer::start("etcd-plain", &[]);
    let site = site("etcd-plain", &server).await;
    let (one, other) = (site.logs().join("one.log"), site.logs().join("other.log"));
    let plain = |file: &Path| format!(r#"{{"path": "{}", "topic": "{}"}}"#, file.display(), site.topic);
    let name = |file: &Path| format!("{}:{}", site.topic, file.display());
    append(&one, 10);

    let mut agent = site.agent();
    agent.alive().await;
    server.ctl(&["put", PLAIN, &format!("[{}]", plain(&one))]);
    acknowledged(&agent, &name(&one), 10).await;

    // One ends and the other begins; what is written meanwhile is read when it is wanted again, from where it was.
    append(&other, 5);
    server.ctl(&["put", PLAIN, &format!("[{}]", plain(&other))]);
    acknowledged(&agent, &name(&other), 5).await;
    until_agents(&site, "one task is left", |agent| {
        agent["standing"] == "running" && agent["tasks_total"] == 1 && agent["tasks"][0]["state"] == "running"
    })
    .await;
    append(&one, 10);
    server.ctl(&["put", PLAIN, &format!("[{}, {}]", plain(&one), plain(&other))]);
    acknowledged(&agent, &name(&one), 20).await;

    // Junk changes nothing, and shows.
    server.ctl(&["put", PLAIN, "[{\"path\": \"/a\", \"tpoic\": \"b\"}]"]);
    until_agents(&site, "the refusal", |agent| agent["standing"] == "refusing").await;
    let said = agents(&site)["keys"][1]["reason"].to_string();
    assert!(said.contains(&format!("{PLAIN}:1:18: there is no setting")) && said.contains("did you mean"), "{said}");
    assert_eq!(agent.metric("logdrive_remote_keys_refused", &[]).await, 1.0);
    append(&other, 5);
    acknowledged(&agent, &name(&other), 10).await;

    // A start without etcd goes on with what was good.
    server.kill();
    append(&other, 5);
    acknowledged(&agent, &name(&other), 15).await;
    agent.stop_well().await;
    append(&one, 10);
    let mut agent = site.agent();
    acknowledged(&agent, &name(&one), 10).await;
    assert_eq!(agent.metric("logdrive_etcd_up", &[]).await, 0.0);
    agent.ready().await;

    // It is back, and the key goes: so do its tasks.
    server.start_again();
    server.ctl(&["del", PLAIN]);
    until_agents(&site, "no task is left", |agent| agent["standing"] == "running" && agent["tasks_total"] == 0).await;
    assert_eq!(agent.metric("logdrive_etcd_up", &[]).await, 1.0);
    agent.stop_well().await;
    // The lease of the life that ended without etcd has to end by itself.
    until_agents(&site, "silent, and not forgotten", |agent| agent["standing"] == "silent").await;
    let forgotten = site.command("agents").args(["--forget", "etcd-plain"]).output().expect("the program was built");
    assert!(forgotten.status.success());
    assert_eq!(agents(&site), Value::Null);
}

/// Runs `logdrive tasks`; gives whether it succeeded, and what it said.
fn tasks(site: &Site, arguments: &[&str]) -> (bool, String) {
    let output = site.command("tasks").args(arguments).output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn operators_write_what_agents_take_one_at_a_time_and_can_go_back() {
    let server = EtcdServer::start("etcd-operators", &[]);
    let mut site = Site::without_topics("etcd-operators", "127.0.0.1:1", "http://127.0.0.1:1");
    site.set("etcd.endpoints", vec![server.endpoint.clone()]);
    let file = |name: &str, text: &str| {
        let path = site.dir.join(name);
        std::fs::write(&path, text).expect("the site can be written");
        path.display().to_string()
    };
    let one = file("one.json", r#"[{"name": "a", "paths": ["/a"], "topic": "t"}]"#);
    let two = file("two.json", r#"[{"name": "a", "paths": ["/a"], "topic": "u"}, {"path": "/b", "topic": "t"}]"#);
    let bad = file("bad.json", r#"[{"name": "a", "path": ["/a"], "topic": "t"}]"#);
    let does = |arguments: &[&str]| {
        let (good, said) = tasks(&site, arguments);
        assert!(good, "{arguments:?}: {said}");
        said
    };
    let fails = |arguments: &[&str]| {
        let (good, said) = tasks(&site, arguments);
        assert!(!good, "{arguments:?}: {said}");
        said
    };
    assert!(fails(&["put", "all", &bad]).contains("there is no setting \"path\""));
    assert!(does(&["put", "all", &one, "--dry-run"]).contains("not written"));
    assert!(does(&["put", "all", &one, "--expect", "0"]).contains("+ a: "));
    let listed: Value = serde_json::from_str(&does(&["list", "--json"])).expect("one line of JSON");
    let revision = listed["revision"].to_string();

    // Both saw the same revision; the second is told, and what the first wrote stays.
    assert!(does(&["put", "all", &two, "--expect", &revision]).contains("~ a: topic was \"t\", is \"u\""));
    assert!(fails(&["put", "all", &one, "--expect", &revision]).contains("somebody changed it"));
    assert!(does(&["put", "all", &two]).contains("nothing changes"));

    assert!(does(&["rollback", "all"]).contains("~ a: topic was \"u\", is \"t\""));
    assert!(does(&["remove", "all"]).contains("- a"));
    assert!(fails(&["get", "all"]).contains("is not there"));
    does(&["rollback", "all", "2"]);
    assert!(does(&["get", "all"]).contains("\"/b\""));
    let history = does(&["history", "all"]);
    let actions: Vec<_> = history.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3)).collect();
    assert_eq!(actions, ["rollback", "remove", "rollback", "put", "put"], "{history}");

    for number in 0..60 {
        std::fs::write(&one, format!(r#"[{{"path": "/{number}", "topic": "t"}}]"#)).expect("the site can be written");
        does(&["put", "host/web-1", &one]);
    }
    assert_eq!(does(&["history", "host/web-1"]).lines().count(), 51, "the last 50");
}

#[tokio::test]
async fn a_canary_that_is_refused_is_taken_back_and_one_that_fares_well_is_given_to_all() {
    let server = EtcdServer::start("etcd-canary", &[]);
    let mut strict = site("etcd-strict", &server).await;
    strict.set("agent.topics_max", 1);
    let easy = site("etcd-easy", &server).await;
    let [strict_agent, easy_agent] = [strict.agent(), easy.agent()];
    let each = |what: &str| {
        let output = easy.command("agents").arg("--json").output().expect("the program was built");
        let text = String::from_utf8(output.stdout).expect("text");
        let value = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")[what].clone();
        text.lines().map(value).collect::<Vec<_>>()
    };
    until("both are there", LIMIT, async || each("host").len() == 2).await;

    for label in ["a", "b"] {
        kafka::create(&easy.kafka, &format!("{}-{label}", easy.topic), 1).await;
    }
    let file = easy.dir.join("tasks.json");
    let path = file.display().to_string();
    let task = |label: &str| {
        let topic = format!("{}-{{n}}", easy.topic);
        format!(r#"{{"name": "{label}", "paths": ["/no/{label}"], "topic": "{topic}", "labels": {{"n": "{label}"}}}}"#)
    };
    std::fs::write(&file, format!("[{}, {}]", task("a"), task("b"))).expect("the site can be written");
    let (good, said) = tasks(&easy, &["put", "all", &path, "--canary", "etcd-strict", "--wait", "1s"]);
    assert!(!good && said.contains("etcd-strict refuses it") && said.contains("taken back"), "{said}");
    assert!(!tasks(&easy, &["get", "all"]).0, "nobody else has it");
    until("nobody refuses anything", LIMIT, async || each("standing") == ["running", "running"]).await;

    std::fs::write(&file, format!("[{}]", task("a"))).expect("the site can be written");
    let (good, said) = tasks(&easy, &["put", "all", &path, "--canary", "1%", "--wait", "1s"]);
    assert!(good && said.contains("written for all"), "{said}");
    until("both have it", LIMIT, async || each("tasks_total") == [1, 1]).await;
    for agent in [strict_agent, easy_agent] {
        agent.stop_well().await;
    }
}
