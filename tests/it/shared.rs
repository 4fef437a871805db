//! Small tasks share their records, and each keeps what is its own: names, labels, counts and checkpoints.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    checkpoints::{Damage, append, spoil},
    rig::{LogFile, Program, Site, corpus, index, kafka, services, until},
    road::settled,
};

const TASKS: usize = 12;
const LINES: usize = 300;

/// A task for each of the files; every other one has a label.
fn tasks(site: &Site) -> Vec<toml::Value> {
    let task = |number: usize| {
        let mut task = toml::Table::new();
        task.insert("name".to_owned(), format!("task-{number:02}").into());
        task.insert(
            "paths".to_owned(),
            vec![site.logs().join(format!("app-{number:02}.log")).display().to_string()].into(),
        );
        task.insert("topic".to_owned(), site.topic.clone().into());
        if number.is_multiple_of(2) {
            let labels = toml::Table::from_iter([("service".to_owned(), format!("service-{number:02}").into())]);
            task.insert("labels".to_owned(), labels.into());
        }
        toml::Value::Table(task)
    };
    (0..TASKS).map(task).collect()
}

/// Appends one of three parts of each file.
fn write(files: &[LogFile], third: usize) {
    for file in files {
        let lines: Vec<&[u8]> = file.text.split_inclusive(|byte| *byte == b'\n').collect();
        append(&file.path, &lines[third * LINES / 3..(third + 1) * LINES / 3].concat());
    }
}

async fn acknowledged(agent: &Program, lines: usize) {
    until("all is acknowledged", Duration::from_secs(60), async || {
        agent.metric("logdrive_acknowledged_lines_total", &[]).await >= lines as f64
    })
    .await;
}

#[tokio::test]
async fn small_tasks_share_records_and_each_keeps_its_labels_its_counts_and_its_checkpoints() {
    let mut site = Site::without_topics("shared", services::kafka(), services::elasticsearch());
    kafka::create(&site.kafka, &site.topic, 1).await;
    site.set("agent.tasks", tasks(&site));
    site.set("agent.batch.age_max", "1s");
    let files = corpus::files(&site.logs(), 71, TASKS, LINES);
    let third = TASKS * LINES / 3;

    write(&files, 0);
    let mut agent = site.agent();
    agent.ready().await;
    acknowledged(&agent, third).await;
    for number in 0..TASKS {
        let labels = [("task", &*format!("task-{number:02}"))];
        assert_eq!(agent.metric("logdrive_acknowledged_lines_total", &labels).await, (LINES / 3) as f64);
    }
    let records = kafka::records(&site.kafka, &site.topic);
    let shared = records.iter().filter(|record| record.headers["logdrive.version"] == b"3").count();
    assert!(shared > 0 && records.len() < TASKS / 2, "{} records, {shared} of them shared", records.len());

    // Killed while something of each task is under way.
    write(&files, 1);
    agent.kill();
    let agent = site.agent();
    let transfer = site.transfer();
    index::wait_for(&site.elasticsearch, &site.indices(), 2 * third).await;
    agent.stop_well().await;

    // What the damaged store knew is found again in the shared records.
    spoil(&site.dir.join("data/checkpoints"), Damage::Zeroes);
    let mut agent = site.agent();
    agent.ready().await;
    write(&files, 2);
    acknowledged(&agent, third).await;
    assert_eq!(agent.metric("logdrive_read_lines_total", &[]).await, third as f64, "nothing was read again");
    agent.stop_well().await;

    settled(&site, &files).await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
    let mut found: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    for document in index::documents(&site.elasticsearch, &site.indices()).await {
        let label = document.fields.get("labels.service").map(|value| value.as_str().unwrap_or_default().to_owned());
        *found.entry((document.text("logdrive.task").to_owned(), label)).or_default() += 1;
    }
    let expected = (0..TASKS).map(|number| {
        let label = number.is_multiple_of(2).then(|| format!("service-{number:02}"));
        ((format!("task-{number:02}"), label), LINES)
    });
    assert_eq!(found, expected.collect());
}
