//! Keys of records: they are in the partition where Kafka's own producer puts them, and consumers see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use crate::rig::{LogFile, Site, corpus, kafka, services};

/// A task that sends the files of `glob` with a key.
fn task(site: &Site, service: &str, glob: &str, key: &str, form: &[(&str, toml::Value)]) -> toml::Value {
    let mut task = toml::Table::new();
    task.insert("name".to_owned(), service.into());
    task.insert("paths".to_owned(), vec![site.logs().join(glob).display().to_string()].into());
    task.insert("topic".to_owned(), site.topic.clone().into());
    task.insert("key".to_owned(), key.into());
    task.insert("labels".to_owned(), toml::Table::from_iter([("service".to_owned(), service.into())]).into());
    task.extend(form.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    toml::Value::Table(task)
}

/// Has an agent send the files, and gives what is in the topic then.
async fn sent(site: &Site, files: &[LogFile]) -> Vec<kafka::Record> {
    corpus::write_whole(files);
    site.send(files).await;
    kafka::records(&site.kafka, &site.topic)
}

/// Has Kafka's own console producer send a record with each of these keys.
fn send_by_console(site: &Site, keys: &BTreeSet<String>) {
    let mut console = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services/kafka/kafka-cli.sh"))
        .args(["ConsoleProducer", "--bootstrap-server", &site.kafka, "--topic", &site.topic])
        .args(["--reader-property", "parse.key=true", "--reader-property", "key.separator=|"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell");
    let mut input = console.stdin.take().expect("it is a pipe");
    for key in keys {
        writeln!(input, "{key}|console").expect("it reads");
    }
    drop(input);
    assert!(console.wait().expect("it ends").success(), "the console producer failed");
}

#[tokio::test]
async fn records_of_a_key_are_where_kafkas_own_producer_puts_that_key() {
    let mut site = Site::without_topics("keys", services::kafka(), services::elasticsearch());
    kafka::create(&site.kafka, &site.topic, 11).await;
    let lines = |headers: bool| vec![("encoding", "lines".into()), ("headers", headers.into())];
    site.set("agent.host", "web-7");
    site.set(
        "agent.tasks",
        vec![
            task(&site, "api", "app-00*", "{service}", &[]),
            task(&site, "orders", "app-01*", "{service}/{host}", &lines(false)),
            task(&site, "größe", "app-02*", "{service}", &lines(true)),
            task(&site, "files", "app-0[3-6]*", "{file}", &lines(true)),
        ],
    );
    let records = sent(&site, &corpus::files(&site.logs(), 51, 7, 400)).await;
    let key = |record: &kafka::Record| String::from_utf8(record.key.clone().expect("it has a key")).expect("text");
    let mut placed: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for record in &records {
        placed.entry(key(record)).or_default().insert(record.partition);
    }
    assert!(placed.values().all(|partitions| partitions.len() == 1), "a key is in one partition: {placed:?}");
    assert!(["api", "orders/web-7", "größe"].iter().all(|key| placed.contains_key(*key)) && placed.len() == 7);
    // The key of a file is its identity, as documents have it.
    for record in records.iter().filter(|record| key(record).len() == 32) {
        let meta: serde_json::Value = serde_json::from_slice(&record.headers["logdrive.meta"]).expect("JSON");
        assert_eq!(meta["file"].as_str(), Some(key(record).as_str()));
    }

    send_by_console(&site, &placed.keys().cloned().collect());
    let all = kafka::records(&site.kafka, &site.topic);
    let console: Vec<_> = all.iter().filter(|record| record.value == b"console").collect();
    assert_eq!(console.len(), placed.len());
    for record in console {
        assert_eq!(placed[&key(record)], [record.partition].into(), "{}", key(record));
    }
}
