//! What a task says of its lines stands in every document of them, on each way there.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::rig::{LogFile, Site, api, corpus, index, kafka, services, until};

/// A task that sends the files of `glob`, with labels.
fn task(site: &Site, name: &str, glob: &str, form: &[(&str, &str)], labels: &[(&str, &str)]) -> toml::Value {
    let mut task = toml::Table::new();
    task.insert("name".to_owned(), name.into());
    task.insert("paths".to_owned(), vec![site.logs().join(glob).display().to_string()].into());
    task.insert("topic".to_owned(), site.topic.clone().into());
    task.extend(form.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())));
    let labels: toml::Table = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    task.insert("labels".to_owned(), labels.into());
    toml::Value::Table(task)
}

fn tasks(site: &Site) -> Vec<toml::Value> {
    vec![
        task(site, "packed", "app-00*", &[], &[("service", "api"), ("env", "prod")]),
        task(site, "raw", "app-01*", &[("encoding", "lines")], &[("service", "raw")]),
        task(site, "json", "app-02*", &[("encoding", "lines"), ("value", "json")], &[("service", "json")]),
        task(site, "none", "app-03*", &[], &[]),
    ]
}

/// The labels that a document has.
fn labels(document: &index::Document) -> String {
    let labels = document.fields.iter().filter(|(name, _)| name.starts_with("labels"));
    labels.map(|(name, value)| format!("{name}={value} ")).collect()
}

/// Each task with the labels that its documents have.
const EXPECTED: [(&str, &str); 4] = [
    ("json", "labels.service=\"json\" "),
    ("none", ""),
    ("packed", "labels.env=\"prod\" labels.service=\"api\" "),
    ("raw", "labels.service=\"raw\" "),
];

/// Has an agent and a transfer bring the files' lines into the store, each exactly once.
async fn arrive(site: &Site, files: &[LogFile]) {
    corpus::write_whole(files);
    let (agent, transfer) = (site.agent(), site.transfer());
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(files)).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(files).await;
}

#[tokio::test]
async fn labels_come_from_files_through_kafka_into_documents_whatever_the_encoding() {
    whatever_the_encoding("labels", services::elasticsearch()).await;
}

#[tokio::test]
async fn labels_come_from_files_through_kafka_into_documents_of_opensearch_whatever_the_encoding() {
    whatever_the_encoding("labels-os", services::opensearch()).await;
}

async fn whatever_the_encoding(name: &str, store: &str) {
    let mut site = Site::on(name, services::kafka(), store).await;
    site.set("agent.tasks", tasks(&site));
    let files = corpus::files(&site.logs(), 41, 4, 500);
    arrive(&site, &files).await;
    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    let found: BTreeSet<_> =
        documents.iter().map(|document| (document.text("logdrive.task").to_owned(), labels(document))).collect();
    assert_eq!(found, EXPECTED.map(|(task, labels)| (task.to_owned(), labels.to_owned())).into());
}

#[tokio::test]
async fn topics_are_made_of_labels_and_one_pattern_transfers_all_of_them() {
    let mut site = Site::without_topics("templates", services::kafka(), services::elasticsearch());
    let mut tasks = tasks(&site);
    for task in &mut tasks[..3] {
        task["topic"] = format!("{}-{{service}}", site.topic).into();
    }
    site.set("agent.tasks", tasks);
    site.set("transfer.topics", vec![format!("^{}.*", site.topic)]);
    let run = |command: &str, arguments: &[&str]| {
        let output = site.command(command).args(arguments).output().expect("the program was built");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = run("check", &[]);
    assert!(said.contains(&format!("! task packed: sends to {}-api, which is not there", site.topic)), "{said}");
    run("setup", &["kafka", "--partitions", "2"]);
    let said = run("check", &[]);
    assert!(said.contains(&format!("✓ task packed: sends to {}-api", site.topic)), "{said}");

    let files = corpus::files(&site.logs(), 43, 4, 300);
    arrive(&site, &files).await;
    for (suffix, lines) in [("-api", 0), ("-raw", 300), ("-json", 300)] {
        let records = kafka::records(&site.kafka, &format!("{}{suffix}", site.topic)).len();
        assert!(records == lines || (lines == 0 && records > 0), "{suffix} has {records} records");
    }
}

#[tokio::test]
async fn labels_are_there_without_kafka_too_and_can_be_asked_for() {
    let mut site = Site::without_topics("labels-up", "127.0.0.1:1", "http://127.0.0.1:1");
    site.set("agent.tasks", tasks(&site));
    let files = corpus::files(&site.logs(), 42, 4, 300);
    corpus::write_whole(&files);
    let mut up = site.up(&[]);
    up.ready().await;
    until("all lines are in the store", Duration::from_secs(60), async || {
        api::count(up.web, "*").await == corpus::lines_in(&files) as u64
    })
    .await;
    let wanted = files[0].lines().count() as u64;
    assert_eq!(api::count(up.web, "labels.service:api AND labels.env:prod").await, wanted);
    assert_eq!(api::count(up.web, "labels.env:test").await, 0);
    up.stop_well().await;
}

#[tokio::test]
async fn a_lines_own_labels_stand_beside_the_tasks() {
    a_lines_own_labels("labels-own", services::elasticsearch()).await;
}

#[tokio::test]
async fn a_lines_own_labels_stand_beside_the_tasks_in_opensearch_too() {
    a_lines_own_labels("labels-own-os", services::opensearch()).await;
}

async fn a_lines_own_labels(name: &str, store: &str) {
    let mut site = Site::on(name, services::kafka(), store).await;
    site.set("agent.tasks", vec![task(&site, "json", "*.log", &[], &[("env", "prod"), ("service", "api")])]);
    let lines = [
        r#"{"message":"0","labels":{"user":1,"region":"a"}}"#,
        r#"{"message":"1","labels":{"user":"one"}}"#,
        r#"{"message":"2","labels":{"env":"test","user":"two"}}"#,
        r#"{"message":"3","labels.user":3,"labels.env":"test"}"#,
    ];
    std::fs::write(site.logs().join("a.log"), lines.join("\n") + "\n").expect("writable");
    let (agent, mut transfer) = (site.agent(), site.transfer());
    transfer.ready().await;
    index::wait_for(&site.elasticsearch, &site.indices(), lines.len()).await;
    assert_eq!(transfer.metric("logdrive_dead_letters_total", &[]).await, 0.0);
    agent.stop_well().await;
    transfer.stop_well().await;
    let mut documents = index::documents(&site.elasticsearch, &site.indices()).await;
    documents.sort_by_key(|document| document.text("message").to_owned());
    assert!(documents.iter().all(|document| document.text("labels.env") == "prod"));
    let own = |at: usize, name: &str| documents[at].fields.get(name).cloned();
    assert_eq!(own(0, "labels"), Some(json!({ "user": 1, "region": "a" })));
    assert_eq!(own(2, "fields.labels"), Some(json!({ "env": "test", "user": "two" })));
    assert_eq!((own(3, "labels.user"), own(3, "fields.labels.env")), (Some(json!(3)), Some(json!("test"))));
    for (query, wanted) in [("labels.env:prod", 4), ("labels.user:one", 1), ("labels.user:1", 1)] {
        let url = format!("{}/{}/_count?q={query}", site.elasticsearch, site.indices());
        let answer: Value = reqwest::get(url).await.expect("it answers").json().await.expect("JSON");
        assert_eq!(answer["count"], wanted, "{query}");
    }
}
