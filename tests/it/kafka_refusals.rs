//! What Kafka refuses for good: it becomes a dead letter alone, and is replayed once its topic takes it.

use std::{ops::Range, time::Duration};

use crate::{
    dead_letters::dead_letters,
    rig::{Dice, LogFile, Program, Site, corpus, index, kafka, services, until},
};

/// A task that sends the files that begin with its name.
fn task(site: &Site, name: &str, encoding: &str, key: Option<&str>) -> toml::Value {
    let mut task = toml::Table::new();
    task.insert("name".to_owned(), name.into());
    task.insert("paths".to_owned(), vec![site.logs().join(format!("{name}-*.log")).display().to_string()].into());
    task.insert("topic".to_owned(), site.topic.clone().into());
    task.insert("encoding".to_owned(), encoding.into());
    if let Some(key) = key {
        task.insert("key".to_owned(), key.into());
    }
    toml::Value::Table(task)
}

fn file(site: &Site, name: &str, text: Vec<u8>) -> LogFile {
    LogFile { path: site.logs().join(format!("{name}-0.log")), text }
}

/// Waits until so many lines are dead letters, and all else of what was read is in its topic.
async fn settled(agent: &mut Program, lines: f64, others: f64) {
    agent.ready().await;
    until("all is in its topic or a dead letter", Duration::from_secs(120), async || {
        assert_eq!(agent.missing_lines().await, 0.0, "each line that was read is answered for");
        agent.metric("logdrive_dead_lettered_lines_total", &[]).await >= lines
            && agent.metric("logdrive_acknowledged_lines_total", &[]).await >= others
            && agent.metric("logdrive_in_flight_bytes", &[]).await == 0.0
    })
    .await;
    assert_eq!(agent.metric("logdrive_dead_lettered_lines_total", &[]).await, lines);
    assert_eq!(agent.metric("logdrive_acknowledged_lines_total", &[]).await, others);
    agent.ready().await;
}

/// Each letter is listed with the file and the offset of its line.
fn lists(site: &Site, file: &LogFile, lines: Range<usize>) {
    let (code, listed) = dead_letters(site, &["list", "--limit", "1000"]);
    assert_eq!(code, Some(0), "{listed}");
    for (offset, _) in file.lines().skip(lines.start).take(lines.len()) {
        let place = format!("{}:{offset}", file.path.display());
        assert!(listed.contains(&place), "{place} is not told: {listed}");
    }
}

/// What can't be compressed and has no line break.
fn noise(dice: &mut Dice, bytes: usize) -> Vec<u8> {
    let letters = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    (0..bytes).map(|_| letters[dice.within(0..64) as usize]).collect()
}

/// The line is too long for its topic and too short to be cut.
#[tokio::test]
async fn a_line_that_is_too_large_is_a_dead_letter_alone_and_is_replayed_when_the_topic_takes_it() {
    let mut site = Site::without_topics("too-large", services::kafka(), services::elasticsearch());
    kafka::create_limited(&site.kafka, &site.topic, 2, 30_000).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    site.set("agent.tasks", vec![task(&site, "packed", "packed", None), task(&site, "lines", "lines", None)]);
    let mut dice = Dice::new(51);
    let files = ["packed", "lines"].map(|name| {
        let lines: Vec<Vec<u8>> = (0..200).map(|number| format!("{name} {number}").into_bytes()).collect();
        let text = [&lines[..100].join(&b'\n'), &noise(&mut dice, 50_000), &lines[100..].join(&b'\n'), &vec![]];
        file(&site, name, text.map(Vec::as_slice).join(&b'\n'))
    });
    corpus::write_whole(&files);
    let (mut agent, transfer) = (site.agent(), site.transfer());
    settled(&mut agent, 2.0, 400.0).await;
    assert_eq!(agent.metric("logdrive_dead_letters_total", &[("reason", "too_large")]).await, 2.0);
    agent.stop_well().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 400).await;
    files.iter().for_each(|file| lists(&site, file, 100..101));

    let (code, said) = dead_letters(&site, &["replay", "--reason", "too_large"]);
    assert!(code == Some(1) && said.contains("too large"), "as long as the topic doesn't take them: {said}");
    kafka::alter(&site.kafka, &site.topic, "max.message.bytes=1000000");
    replays_once(&site, "too_large", 2);
    index::wait_for(&site.elasticsearch, &site.indices(), 402).await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// A compacted topic takes no record without a key, and what is said of one is said of all that share its request.
#[tokio::test]
async fn lines_without_a_key_are_refused_by_a_compacted_topic_and_their_neighbours_with_one_are_not() {
    let mut site = Site::without_topics("no-key", services::kafka(), services::elasticsearch());
    kafka::create_compacted(&site.kafka, &site.topic).await;
    kafka::create(&site.kafka, &site.dead_letters, 1).await;
    // So that lines of both tasks are in one request.
    site.set_kafka("linger.ms", "500");
    let good = task(&site, "good", "lines", Some("{host}"));
    let tasks = vec![good, task(&site, "bad", "lines", None), task(&site, "packed", "packed", None)];
    site.set("agent.tasks", tasks);
    let text = |name: &str, lines: usize| (0..lines).map(|number| format!("{name} {number}\n")).collect::<String>();
    let files = [("good", 500), ("bad", 40), ("packed", 40)]
        .map(|(name, lines)| file(&site, name, text(name, lines).into_bytes()));
    corpus::write_whole(&files);
    let (mut agent, transfer) = (site.agent(), site.transfer());
    settled(&mut agent, 80.0, 500.0).await;
    let letters = agent.metric("logdrive_dead_letters_total", &[("reason", "refused")]).await;
    agent.stop_well().await;
    index::wait_for(&site.elasticsearch, &site.indices(), 500).await;
    lists(&site, &files[1], 0..40);
    lists(&site, &files[2], 0..1);
    let (_, shown) = dead_letters(&site, &["show", "0:0"]);
    assert!(shown.contains("bad ") || shown.contains("packed "), "the line is shown as it stood in the file: {shown}");

    let (code, said) = dead_letters(&site, &["replay", "--reason", "refused"]);
    assert!(code == Some(1) && said.contains("refuses a record"), "{said}");
    kafka::alter(&site.kafka, &site.topic, "cleanup.policy=delete");
    replays_once(&site, "refused", letters as usize);
    index::wait_for(&site.elasticsearch, &site.indices(), 580).await;
    // One more time, by its place: the line is in its topic twice, and in the store once.
    let (code, said) = dead_letters(&site, &["replay", "0:0"]);
    assert!(code == Some(0) && said.contains("sent back: 1"), "{said}");
    until("all records committed", Duration::from_secs(60), async || {
        kafka::behind(&site.kafka, &site.topic, &site.name) == 0
    })
    .await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// Replays the letters with this reason, and finds nothing more to replay then.
fn replays_once(site: &Site, reason: &str, letters: usize) {
    let (code, said) = dead_letters(site, &["replay", "--reason", reason]);
    assert!(code == Some(0) && said.contains(&format!("sent back: {letters}, not replayed: 0")), "{said}");
    let (_, again) = dead_letters(site, &["replay", "--reason", reason]);
    assert!(again.starts_with("nothing to replay\n"), "{again}");
}
