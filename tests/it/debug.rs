//! `/debug/state`: what is asked of processes that are at work, with servers that are stopped on purpose.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::rig::{Program, Site, corpus, services::Broker, until};

async fn state(program: &Program) -> Value {
    let (status, text) = program.get("/debug/state").await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("it is JSON")
}

fn sum(list: &Value, field: &str) -> u64 {
    list.as_array().expect("a list").iter().map(|one| one[field].as_u64().unwrap_or(0)).sum()
}

#[tokio::test]
async fn an_agent_tells_what_waits_while_kafka_is_stopped_and_that_nothing_does_when_it_is_back() {
    let broker = Broker::start("debug");
    let mut site = Site::on("debug", &broker.servers, "http://127.0.0.1:1").await;
    site.set("agent.in_flight_bytes_max", "8MiB");
    let files = corpus::files(&site.logs(), 7, 3, 60_000);
    let mut agent = site.agent();
    agent.ready().await;
    let paused = broker.pause();
    corpus::write_whole(&files);
    until("batches are sent and wait", Duration::from_secs(30), async || {
        let state = state(&agent).await;
        // Before they are sent they are gathered.
        let batches = state["sending"]["batches"]["each"].as_array().expect("a list");
        batches.iter().any(|batch| batch["state"] == "sent") && state["reading"]["files"]["total"] == 3
    })
    .await;
    let waiting = state(&agent).await;
    assert_eq!((&waiting["version"], &waiting["role"]), (&Value::from(1), &Value::from("agent")));
    assert_eq!(waiting["reading"]["lanes"][0]["answered"], true, "{waiting}");
    let batches = &waiting["sending"]["batches"]["each"];
    let in_flight = sum(&waiting["reading"]["tasks"], "in_flight_bytes");
    assert!(sum(batches, "bytes") > 0 && in_flight > 0, "{waiting}");
    assert!(batches.as_array().expect("a list").iter().any(|batch| batch["state"] == "sent"), "{waiting}");
    let shown = &waiting["reading"]["files"]["each"];
    assert!(
        shown.as_array().expect("a list").iter().all(|file| file["safe"].as_u64().unwrap_or(0) == 0),
        "nothing is safe yet: {waiting}"
    );
    drop(paused);
    until("all is safe", Duration::from_secs(60), async || {
        let state = state(&agent).await;
        let files = state["reading"]["files"]["each"].as_array().expect("a list").clone();
        files.len() == 3
            && files.iter().all(|file| file["safe"] == file["size"] && file["unread_bytes"] == 0)
            && state["sending"]["batches"]["total"] == 0
            && state["in_flight_bytes"] == 0
    })
    .await;
    for (index, file) in files.iter().enumerate() {
        assert!(fs::metadata(&file.path).is_ok(), "file {index} is still there");
    }
    let (_, one) = agent.get("/debug/state?files=1").await;
    let one: Value = serde_json::from_str(&one).expect("it is JSON");
    let list = &one["reading"]["files"];
    assert_eq!((&list["total"], &list["left_out"]), (&Value::from(3), &Value::from(2)), "{one}");
    agent.stop_well().await;
}

#[tokio::test]
async fn a_transfer_tells_of_its_partitions_and_that_all_is_committed() {
    let site = Site::new("debug-transfer").await;
    let files = corpus::files(&site.logs(), 8, 2, 2_000);
    corpus::write_whole(&files);
    site.send(&files).await;
    let mut transfer = site.transfer();
    transfer.ready().await;
    until("everything is committed", Duration::from_secs(60), async || {
        let state = state(&transfer).await;
        let partitions = state["consuming"]["partitions"]["each"].as_array().cloned().unwrap_or_default();
        let begun: Vec<&Value> = partitions.iter().filter(|one| one["next"].is_u64()).collect();
        !begun.is_empty() && begun.iter().all(|one| one["committed"] == one["next"] && one["in_flight"] == 0)
    })
    .await;
    let state = state(&transfer).await;
    assert!(state["indexing"]["requests_limit"].as_u64() > Some(0), "{state}");
    assert_eq!(state["indexing"]["requests"].as_array().map(Vec::len), Some(0), "{state}");
    transfer.stop_well().await;
}

#[tokio::test]
async fn a_profile_of_an_agent_at_work_names_its_own_functions_and_every_line_still_comes() {
    let mut site = Site::new("debug-profile").await;
    site.set("metrics.profile", true);
    let files = corpus::files(&site.logs(), 9, 3, 60_000);
    let mut agent = site.agent();
    agent.ready().await;
    let profile = async {
        let (status, svg) = agent.get("/debug/profile?seconds=4&frequency=999&format=svg").await;
        assert_eq!(status, 200, "{svg}");
        svg
    };
    let write = async {
        corpus::write(&files, corpus::Pace::over(Duration::from_secs(3), &files)).await;
        agent.get("/debug/profile?seconds=1").await.0
    };
    let (svg, second) = tokio::join!(profile, write);
    assert_eq!(second, 409, "one at a time");
    assert!(svg.contains("logdrive::"), "{svg}");
    until("all lines are acknowledged", Duration::from_secs(60), async || {
        agent.metric("logdrive_acknowledged_lines_total", &[]).await == corpus::lines_in(&files) as f64
    })
    .await;
    assert_eq!(agent.get("/debug/profile?seconds=61").await.0, 400);
    agent.stop_well().await;
}
