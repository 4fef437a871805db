//! A record for each line: what any consumer reads, and what a transfer makes of it.
//!
//! `IT_KILLS` (20) makes it the long form.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    time::Duration,
};

use serde_json::Value;

use crate::{
    rig::{Dice, LogFile, Site, corpus, index, kafka, number, services, until},
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(120);

/// What a transfer takes at most, with default settings.
const TRANSFER_BYTES: u64 = 128 << 20;

/// A task that sends the files of `glob` in this form.
fn task(site: &Site, name: &str, glob: &str, form: &[(&str, toml::Value)]) -> toml::Value {
    let mut task = toml::Table::new();
    task.insert("name".to_owned(), name.into());
    task.insert("paths".to_owned(), vec![site.logs().join(glob).display().to_string()].into());
    task.insert("topic".to_owned(), site.topic.clone().into());
    task.extend(form.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    toml::Value::Table(task)
}

fn raw(headers: bool) -> Vec<(&'static str, toml::Value)> {
    vec![("encoding", "lines".into()), ("headers", headers.into())]
}

fn json(headers: bool) -> Vec<(&'static str, toml::Value)> {
    vec![("encoding", "lines".into()), ("value", "json".into()), ("headers", headers.into())]
}

#[tokio::test]
async fn kcat_prints_the_file() {
    let mut site = Site::new("lines-kcat").await;
    site.set("agent.tasks", vec![task(&site, "raw", "*.log", &raw(false))]);
    let files = corpus::files(&site.logs(), 31, 1, 30_000);
    corpus::write_whole(&files);
    site.send(&files).await;
    assert!(kafka::kcat(&site.kafka, &site.topic) == files[0].text, "kcat does not print the file");
    assert!(kafka::records(&site.kafka, &site.topic).iter().all(|record| record.headers.is_empty()));
}

#[tokio::test]
async fn a_json_value_says_where_its_line_stands() {
    let mut site = Site::new("lines-json").await;
    site.set("agent.tasks", vec![task(&site, "json", "*.log", &json(false))]);
    site.set("agent.host", "web-7");
    let files = corpus::files(&site.logs(), 32, 3, 3_000);
    corpus::write_whole(&files);
    site.send(&files).await;
    let mut found: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for record in kafka::records(&site.kafka, &site.topic) {
        let json: Value = serde_json::from_slice(&record.value).expect("JSON");
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name}: {json}")).to_owned();
        assert_eq!(text("host.name"), "web-7");
        let time = text("@timestamp");
        assert!(time.len() == 24 && time.ends_with('Z') && time.starts_with("20"), "{time}");
        let offset = json["log.offset"].as_u64().expect("a number");
        found.entry(text("log.file.path")).or_default().push((offset, text("message")));
    }
    for file in &files {
        let lines: Vec<_> =
            file.lines().map(|(offset, line)| (offset, String::from_utf8_lossy(line).into_owned())).collect();
        // In order as they stand there: a file is in one partition.
        assert!(found.remove(file.path.to_str().expect("UTF-8")) == Some(lines), "{}", file.path.display());
    }
    assert!(found.is_empty(), "records of no file");
}

#[tokio::test]
async fn lines_and_packed_records_in_one_topic_arrive_exactly_once_though_the_agent_is_killed() {
    let mut dice = Dice::thrown();
    let kills = number("IT_KILLS", 20);
    let mut site = Site::new("lines-kills").await;
    let tasks = [("raw", "app-00*", raw(true)), ("json", "app-01*", json(true)), ("packed", "app-0[2-9]*", vec![])];
    site.set("agent.tasks", tasks.map(|(name, glob, form)| task(&site, name, glob, &form)).to_vec());
    let files = corpus::files(&site.logs(), 33, 4, 8_000);

    let writing = Duration::from_millis(800 * kills);
    let agent = async {
        for _ in 0..kills {
            let agent = site.agent();
            tokio::time::sleep(Duration::from_millis(dice.within(100..1500))).await;
            agent.kill();
        }
        site.agent()
    };
    let mut transfer = site.transfer();
    let ((), agent) = futures::join!(corpus::write(&files, corpus::Pace::over(writing, &files)), agent);
    settled(&site, &files).await;
    transfer.ready().await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
    let forms: HashSet<_> = kafka::records(&site.kafka, &site.topic)
        .iter()
        .map(|record| {
            record.headers.get("logdrive.line").map(|line| String::from_utf8_lossy(line).contains("\"hash\":"))
        })
        .collect();
    assert_eq!(forms, [None, Some(false), Some(true)].into(), "the topic has records of all three forms");
}

/// A record of a line takes many times what it takes compressed, and a broker answers with as much as it is asked for.
#[tokio::test]
async fn a_transfer_that_is_far_behind_on_many_partitions_takes_the_memory_that_is_promised_and_no_more() {
    let mut site = Site::without_topics("lines-behind", services::kafka(), services::elasticsearch());
    kafka::create(&site.kafka, &site.topic, 48).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    site.set("agent.tasks", vec![task(&site, "json", "*.log", &json(true))]);
    let files = corpus::files(&site.logs(), 35, 96, 1200);
    corpus::write_whole(&files);
    site.send(&files).await;
    let transfer = site.transfer();
    settled(&site, &files).await;
    let peak = transfer.peak_memory_bytes();
    assert!(peak <= TRANSFER_BYTES, "the transfer held {peak} bytes");
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn without_headers_every_line_is_in_kafka_at_least_once_though_the_agent_is_killed() {
    let mut dice = Dice::thrown();
    let kills = number("IT_KILLS", 20) / 2;
    let mut site = Site::new("lines-plain").await;
    site.set("agent.tasks", vec![task(&site, "raw", "*.log", &raw(false))]);
    let files = corpus::files(&site.logs(), 34, 3, 20_000);
    let writing = Duration::from_millis(600 * kills);
    let agent = async {
        for _ in 0..kills {
            let agent = site.agent();
            tokio::time::sleep(Duration::from_millis(dice.within(100..1200))).await;
            agent.kill();
        }
        site.agent()
    };
    let ((), mut agent) = futures::join!(corpus::write(&files, corpus::Pace::over(writing, &files)), agent);
    agent.ready().await;
    until("nothing is left to read", LIMIT, async || {
        agent.metric("logdrive_unread_bytes", &[]).await == 0.0
            && agent.metric("logdrive_in_flight_bytes", &[]).await == 0.0
    })
    .await;
    agent.stop_well().await;
    let found: HashSet<Vec<u8>> =
        kafka::records(&site.kafka, &site.topic).into_iter().map(|record| record.value).collect();
    let lines: HashSet<Vec<u8>> = files.iter().flat_map(|file| file.lines().map(|(_, line)| line.to_vec())).collect();
    assert!(found == lines, "{} lines, of which {} arrived", lines.len(), found.intersection(&lines).count());
}

#[tokio::test]
async fn a_topic_with_a_low_limit_gets_smaller_requests_and_long_lines_in_parts() {
    let mut site = Site::without_topics("lines-limit", services::kafka(), services::elasticsearch());
    kafka::create_limited(&site.kafka, &site.topic, 3, 100_000).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    let tasks = [("raw", "app-00*", raw(true)), ("json", "app-01*", json(true))];
    site.set("agent.tasks", tasks.map(|(name, glob, form)| task(&site, name, glob, &form)).to_vec());
    let mut files = corpus::files(&site.logs(), 35, 2, 15_000);
    let mut dice = Dice::new(35);
    for file in &mut files {
        add_long_line(file, &mut dice, 300_000);
    }
    corpus::write_whole(&files);
    let (mut agent, mut transfer) = (site.agent(), site.transfer());
    transfer.ready().await;
    // Each of the two long lines is cut into four.
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(&files) + 2 * 3).await;
    agent.ready().await;
    assert_eq!(agent.metric("logdrive_cut_lines_total", &[("reason", "too_large")]).await, 12.0);
    assert!(agent.output().contains("app-00.log"), "the file is named");
    agent.stop_well().await;
    transfer.stop_well().await;
    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    for file in &files {
        check_parts(file, &documents);
    }
}

/// Adds a line that can't be compressed.
fn add_long_line(file: &mut LogFile, dice: &mut Dice, bytes: usize) {
    file.text.extend(
        (0..bytes)
            .map(|_| b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[dice.within(0..64) as usize]),
    );
    file.text.push(b'\n');
}

/// The last line of the file, which is a long one, is there in parts that follow each other.
fn check_parts(file: &LogFile, documents: &[index::Document]) {
    let of_file = |document: &&index::Document| Path::new(document.text("log.file.path")) == file.path;
    let mut parts: Vec<_> =
        documents.iter().filter(of_file).filter(|document| document.fields.contains_key("logdrive.part")).collect();
    parts.sort_by_key(|part| part.number("log.offset"));
    let names: Vec<_> = parts.iter().map(|part| part.text("logdrive.part")).collect();
    assert_eq!(names, ["first", "middle", "middle", "last"]);
    let (mut at, line) = file.lines().last().expect("it has lines");
    let mut text = String::new();
    for part in parts {
        assert_eq!(part.number("log.offset"), at);
        text += part.text("message");
        at += part.text("message").len() as u64;
    }
    assert!(text.as_bytes() == line, "the parts are the line");
}
