//! `logdrive audit`: what was sent is proven to be in the store, and what is not is listed, line by line.

use std::{io::Write, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::rig::{Dice, LogFile, Program, Site, corpus, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(120);

/// What an audit says: its exit code, what it says of each file, and all that it says besides.
struct Audit {
    code: Option<i32>,
    files: Vec<Value>,
    said: String,
}

impl Audit {
    fn of(site: &Site, arguments: &[&str]) -> Self {
        Self::by(site.command("audit"), arguments)
    }

    /// One that asks the agent that runs for its checkpoints.
    fn beside(agent: &Program, site: &Site, arguments: &[&str]) -> Self {
        let mut command = site.command("audit");
        command.env("LOGDRIVE_METRICS__LISTEN", agent.metrics.to_string());
        Self::by(command, arguments)
    }

    fn by(mut command: Command, arguments: &[&str]) -> Self {
        let output = command.arg("--json").args(arguments).output().expect("the program was built");
        let files = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Self {
            code: output.status.code(),
            files: files.map(|line| serde_json::from_slice(line).expect("JSON")).collect(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What is said of the file of this name.
    fn file(&self, name: &str) -> &Value {
        let is_it = |file: &&Value| file["path"].as_str().is_some_and(|path| path.ends_with(name));
        self.files.iter().find(is_it).unwrap_or_else(|| panic!("nothing of {name}: {:?} {}", self.files, self.said))
    }

    /// How many lines of the file of this name were written, and what became of them.
    fn counts(&self, name: &str) -> [u64; 6] {
        ["written", "indexed", "dead_lettered", "under_way", "missing", "doubled"]
            .map(|member| self.file(name)[member].as_u64().expect("a number"))
    }
}

/// Sends a request that has to succeed.
async fn post(url: String, body: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).json(body).send().await.expect("the server is up");
    let (status, answer) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
    assert!(status.is_success(), "{status}: {answer}");
    answer
}

/// Waits until so many documents are there and the transfer has committed everything.
async fn arrived(site: &Site, indices: &str, documents: usize) {
    index::wait_for(&site.elasticsearch, indices, documents).await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;
}

/// Deletes the documents of some lines of a file by hand.
async fn delete(site: &Site, indices: &str, file: &LogFile, offsets: &[u64]) {
    let name = file.path.file_name().and_then(|name| name.to_str()).expect("text");
    let mut documents = index::documents(&site.elasticsearch, indices).await;
    documents.retain(|document| {
        document.text("log.file.path").ends_with(&format!("/{name}"))
            && offsets.contains(&document.number("log.offset"))
    });
    assert_eq!(documents.len(), offsets.len(), "each has one document");
    for index::Document { index, id, .. } in documents {
        let url = format!("{}/{index}/_doc/{id}?refresh=true", site.elasticsearch);
        let answer = reqwest::Client::new().delete(url).send().await.expect("the server is up");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }
}

/// Where the line of this number begins, and where the next one does.
fn bounds(file: &LogFile, number: usize) -> (u64, u64) {
    let (start, line) = file.lines().nth(number).expect("there are so many");
    (start, start + line.len() as u64 + 1)
}

#[tokio::test]
async fn elasticsearch_is_proven_to_have_every_line_once_and_whatever_is_not_so_is_listed() {
    every_line("audit", services::elasticsearch()).await;
}

#[tokio::test]
async fn opensearch_is_proven_to_have_every_line_once_and_whatever_is_not_so_is_listed() {
    every_line("audit-os", services::opensearch()).await;
}

async fn every_line(name: &str, store: &str) {
    let mut site = Site::on(name, services::kafka(), store).await;
    let stream = format!("{}-stream", site.name);
    site.set("transfer.data_stream", stream.clone());
    let mut settings = site.clone_settings();
    settings["transfer"].as_table_mut().expect("a table").remove("index");
    site.restore_settings(settings);
    let files = corpus::files(&site.logs(), 5, 3, 4_000);
    corpus::write_whole(&files);
    let (agent, transfer) = (site.agent(), site.transfer());
    let lines = corpus::lines_in(&files);
    arrived(&site, &stream, lines).await;

    let clean = Audit::beside(&agent, &site, &["--task", "test", "--since", "1h"]);
    assert_eq!((clean.code, clean.files.len()), (Some(0), 3), "{}", clean.said);
    assert_eq!(clean.counts("app-01.log"), [4_000, 4_000, 0, 0, 0, 0]);
    assert_eq!(clean.file("app-01.log")["end"], files[1].text.len());
    assert_eq!(clean.file("app-01.log")["unsent_bytes"], 0);
    assert!(clean.said.contains("proven: 12000 lines of 3 files"), "{}", clean.said);
    let text = site.command("audit").output().expect("the program was built");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.starts_with("WRITTEN") && text.contains("\nproven: 12000 lines of 3 files"), "{text}");

    let dead = dead_letters(&site, &stream, lines).await;
    transfer.stop_well().await;
    deleted(&site, &stream, &files[0], dead).await;
    doubled(&site, &stream, &files).await;
    under_way(&site, agent).await;
}

/// A document that the store refuses is accounted for; gives how many documents there are now.
async fn dead_letters(site: &Site, stream: &str, before: usize) -> usize {
    let mapping = json!({ "properties": { "took_ms": { "type": "long", "ignore_malformed": false } } });
    let url = format!("{}/{stream}/_mapping", site.elasticsearch);
    let answer = reqwest::Client::new().put(url).json(&mapping).send().await.expect("the server is up");
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    let mut text = Vec::new();
    let mut bad = 0;
    for number in 0..200 {
        if number == 77 {
            bad = text.len();
        }
        let took = if number == 77 { "\"long\"" } else { "1" };
        writeln!(text, r#"{{"number":{number},"took_ms":{took}}}"#).expect("a Vec takes all");
    }
    std::fs::write(site.logs().join("dead.log"), text).expect("the site can be written");
    arrived(site, stream, before + 199).await;
    let audit = Audit::of(site, &["--task", "test"]);
    assert_eq!(audit.counts("dead.log"), [200, 199, 1, 0, 0, 0], "{}", audit.said);
    assert_eq!(audit.code, Some(0), "a dead letter is accounted for: {}", audit.said);
    let told = &audit.file("dead.log")["differences"];
    assert_eq!((&told[0]["kind"], &told[0]["offset"]), (&json!("dead_letter"), &json!(bad)), "{told}");
    assert!(told[0]["reason"].as_str().is_some_and(|reason| reason.contains("took_ms")), "{told}");
    before + 199
}

/// Documents that were deleted by hand are listed, exactly.
async fn deleted(site: &Site, stream: &str, file: &LogFile, documents: usize) {
    let (first, second, third) = (bounds(file, 10), bounds(file, 11), bounds(file, 3_999));
    delete(site, stream, file, &[first.0, second.0, third.0]).await;
    assert_eq!(index::count_of(&site.elasticsearch, stream).await, documents - 3);
    let audit = Audit::of(site, &["--task", "test", "--since", "1h"]);
    assert_eq!((audit.code, audit.counts("app-00.log")), (Some(1), [4_000, 3_997, 0, 0, 3, 0]), "{}", audit.said);
    let told: Vec<_> = audit.file("app-00.log")["differences"].as_array().expect("a list").iter().collect();
    let range = |told: &Value| (told["start"].as_u64(), told["end"].as_u64(), told["lines"].as_u64());
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(range(told[0]), (Some(first.0), Some(second.1), Some(2)), "{told:?}");
    assert_eq!(range(told[1]), (Some(third.0), Some(third.1), Some(1)), "{told:?}");
    let line = file.lines().nth(10).expect("a line").1;
    let shown = told[0]["text"].as_str().expect("text").trim_end_matches('…');
    assert!(!shown.is_empty() && String::from_utf8_lossy(line).starts_with(shown), "{told:?}");
    assert_eq!(audit.counts("app-01.log"), [4_000, 4_000, 0, 0, 0, 0], "the others are as they were");
}

/// Documents that came a second time behind a rollover are listed with their indices, also where as many are missing.
async fn doubled(site: &Site, stream: &str, files: &[LogFile]) {
    post(format!("{}/{stream}/_rollover", site.elasticsearch), &json!({})).await;
    let documents = index::documents(&site.elasticsearch, stream).await;
    let (twice, gone) = (bounds(&files[1], 7).0, bounds(&files[2], 9).0);
    for (file, offset) in [("app-01.log", twice), ("app-02.log", bounds(&files[2], 2_000).0)] {
        let is_it = |document: &&index::Document| {
            document.text("log.file.path").ends_with(file) && document.number("log.offset") == offset
        };
        let document = documents.iter().find(is_it).expect("it is there");
        let url = format!("{}/{stream}/_create/{}?refresh=true", site.elasticsearch, document.id);
        post(url, &Value::Object(document.fields.clone())).await;
    }
    delete(site, stream, &files[2], &[gone]).await;
    let audit = Audit::of(site, &["--task", "test"]);
    assert_eq!((audit.code, audit.counts("app-01.log")), (Some(1), [4_000, 4_000, 0, 0, 0, 1]), "{}", audit.said);
    let told = &audit.file("app-01.log")["differences"];
    assert_eq!(
        (&told[0]["kind"], &told[0]["offset"], told.as_array().map(Vec::len)),
        (&json!("doubled"), &json!(twice), Some(1))
    );
    assert_ne!(told[0]["indices"][0], told[0]["indices"][1], "{told}");
    assert_eq!(told[0]["ids"][0], told[0]["ids"][1], "{told}");
    // There are as many documents as lines, and yet one of each is not as it should be.
    assert_eq!(audit.counts("app-02.log"), [4_000, 3_999, 0, 0, 1, 1], "{}", audit.said);
}

/// What the transfer has not come to yet is said to be under way, and is no loss.
async fn under_way(site: &Site, agent: Program) {
    let late = LogFile { path: site.logs().join("late.log"), text: b"a late line\n".repeat(500) };
    let before = agent.metric("logdrive_acknowledged_lines_total", &[]).await;
    corpus::write_whole(std::slice::from_ref(&late));
    until("the late lines are in kafka", LIMIT, async || {
        agent.metric("logdrive_acknowledged_lines_total", &[]).await >= before + 500.0
    })
    .await;
    let pattern = site.logs().join("la*.log").display().to_string();
    let audit = Audit::of(site, &["--file", &pattern, "--since", "1h"]);
    assert_eq!((audit.code, audit.files.len()), (Some(0), 1), "{}", audit.said);
    assert_eq!(audit.counts("late.log"), [500, 0, 0, 500, 0, 0], "{}", audit.said);
    assert!(audit.said.contains("500 still under way"), "{}", audit.said);
    assert_eq!(Audit::of(site, &["--since", "1h"]).code, Some(1), "the other differences are still there");
    agent.stop_well().await;
}

/// A task that sends the file of its name.
fn task(site: &Site, name: &str, form: &[(&str, &str)]) -> toml::Value {
    let mut task = toml::Table::new();
    task.insert("name".to_owned(), name.into());
    task.insert("paths".to_owned(), vec![site.logs().join(format!("{name}.log")).display().to_string()].into());
    task.insert("topic".to_owned(), site.topic.clone().into());
    task.extend(form.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
    toml::Value::Table(task)
}

/// What the agent itself makes dead letters of never was in its topic.
#[tokio::test]
async fn lines_that_kafka_refuses_are_counted_as_the_agents_dead_letters_and_are_no_loss() {
    let mut site = Site::without_topics("audit-refused", services::kafka(), services::elasticsearch());
    kafka::create_limited(&site.kafka, &site.topic, 2, 30_000).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    let forms: [(&str, &[(&str, &str)]); 3] =
        [("packed", &[]), ("raw", &[("encoding", "lines")]), ("json", &[("encoding", "lines"), ("value", "json")])];
    site.set("agent.tasks", forms.map(|(name, form)| task(&site, name, form)).to_vec());
    let mut dice = Dice::new(61);
    let files = forms.map(|(name, _)| {
        // The line in the middle is too long for the topic, and too short to be cut. It can't be compressed.
        let long: String = (0..40_000).map(|_| char::from(dice.within(33..127) as u8)).collect();
        let line = |number| if number == 100 { format!("{long}\n") } else { format!("{name} {number}\n") };
        let text = (0..201).map(line).collect::<String>().into_bytes();
        LogFile { path: site.logs().join(format!("{name}.log")), text }
    });
    corpus::write_whole(&files);
    let (mut agent, transfer) = (site.agent(), site.transfer());
    agent.ready().await;
    until("the long lines are dead letters", LIMIT, async || {
        agent.metric("logdrive_dead_lettered_lines_total", &[]).await >= 3.0
    })
    .await;
    arrived(&site, &site.indices(), 600).await;
    let audit = Audit::beside(&agent, &site, &["--since", "1h"]);
    assert_eq!((audit.code, audit.files.len()), (Some(0), 3), "{}", audit.said);
    for (file, (name, _)) in files.iter().zip(forms) {
        let name = format!("{name}.log");
        assert_eq!(audit.counts(&name), [201, 200, 1, 0, 0, 0], "{name}: {}", audit.said);
        let (start, end) = bounds(file, 100);
        let told = json!([{ "kind": "dead_record", "start": start, "end": end, "lines": 1 }]);
        assert_eq!(audit.file(&name)["differences"], told, "{name}");
    }
    agent.stop_well().await;
    transfer.stop_well().await;
}

#[tokio::test]
async fn a_missing_line_is_found_whatever_the_encoding_and_a_transfer_that_goes_on_changes_nothing() {
    let mut site = Site::new("audit-lines").await;
    let tasks = vec![
        task(&site, "packed", &[]),
        task(&site, "raw", &[("encoding", "lines")]),
        task(&site, "json", &[("encoding", "lines"), ("value", "json")]),
    ];
    site.set("agent.tasks", tasks);
    let mut files = corpus::files(&site.logs(), 6, 3, 1_500);
    for (file, name) in files.iter_mut().zip(["packed", "raw", "json"]) {
        file.path = site.logs().join(format!("{name}.log"));
    }
    corpus::write_whole(&files);
    let (agent, transfer) = (site.agent(), site.transfer());
    arrived(&site, &site.indices(), corpus::lines_in(&files)).await;
    let clean = Audit::of(&site, &[]);
    assert_eq!((clean.code, clean.files.len()), (Some(0), 3), "{}", clean.said);
    for file in &files {
        delete(&site, &site.indices(), file, &[bounds(file, 1_234).0]).await;
    }
    for (file, name) in files.iter().zip(["packed", "raw", "json"]) {
        let audit = Audit::of(&site, &["--task", name]);
        assert_eq!((audit.code, audit.files.len()), (Some(1), 1), "{name}: {}", audit.said);
        assert_eq!(audit.counts(&format!("{name}.log")), [1_500, 1_499, 0, 0, 1, 0], "{name}: {}", audit.said);
        assert_eq!(audit.files[0]["differences"][0]["start"], bounds(file, 1_234).0, "{name}");
    }
    agent.stop_well().await;
    transfer.stop_well().await;
}

#[tokio::test]
async fn where_a_server_can_not_be_asked_nothing_is_proven() {
    let site = Site::on("audit-away", services::kafka(), "http://127.0.0.1:1").await;
    let audit = Audit::of(&site, &["--task", "test"]);
    assert_eq!((audit.code, audit.files.len()), (Some(0), 0), "nothing was sent: {}", audit.said);
    site.send(&{
        let files = corpus::files(&site.logs(), 7, 1, 10);
        corpus::write_whole(&files);
        files
    })
    .await;
    let audit = Audit::of(&site, &["--task", "test"]);
    assert!(audit.code == Some(2) && audit.said.contains("127.0.0.1:1"), "{}", audit.said);
    let audit = Audit::of(&site, &["--task", "test", "--since", "soon"]);
    assert!(audit.code == Some(2) && audit.said.contains("not a time"), "{}", audit.said);
}
