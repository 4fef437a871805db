//! `logdrive setup elasticsearch` on real servers: what is installed is used by the transfer, a second run changes
//! nothing, and what is not ours is not replaced. The servers of the tests have no lifecycle policies; of those only
//! the refusal is seen here, and their form in the room's own tests.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Site, index, kafka, services};

#[tokio::test]
async fn what_is_set_up_in_elasticsearch_is_used_and_only_ours_is_replaced() {
    used_and_replaced("setup-es", services::elasticsearch()).await;
}

#[tokio::test]
async fn what_is_set_up_in_opensearch_is_used_and_only_ours_is_replaced() {
    used_and_replaced("setup-os", services::opensearch()).await;
}

async fn used_and_replaced(name: &str, store: &str) {
    let mut site = Site::on(name, services::kafka(), store).await;
    let template = format!("logdrive-{}-any.any.any", site.name);

    let (code, said) = setup(&site, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("elasticsearch.setup.lifecycle = false"), "servers without lifecycles are told: {said}");
    assert_eq!(get(&site, &format!("_index_template/{template}")).await, None, "nothing was changed");

    site.set("elasticsearch.setup.lifecycle", false);
    site.set("elasticsearch.setup.replicas", 0);
    let (code, said) = setup(&site, &["--dry-run"]);
    assert_eq!(code, Some(0), "{said}");
    let requests: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((requests.len(), &requests[0]["method"]), (3, &json!("PUT")), "{said}");
    assert_eq!(get(&site, &format!("_index_template/{template}")).await, None, "a dry run changes nothing");

    let (code, said) = setup(&site, &[]);
    assert!(code == Some(0) && said.contains(&format!("✓ {template}: index template made")), "{said}");
    let (code, said) = setup(&site, &[]);
    assert!(code == Some(0) && said.matches(" is there\n").count() == 3, "{said}");

    kafka::produce(&site.kafka, &site.topic, &[], br#"{"a":{"b":1},"message":"10.0.0.5 said java.lang.Foo"}"#);
    let mut transfer = site.transfer();
    transfer.ready().await;
    index::wait_for(store, &site.indices(), 1).await;
    transfer.stop_well().await;
    let found = get(&site, &site.indices()).await.expect("the index is there");
    let made = found.as_object().and_then(|found| found.values().next()).expect("one index");
    assert_eq!(made["settings"]["index"]["number_of_replicas"], "0", "{made}");
    assert_eq!(made["mappings"]["properties"]["message"]["type"], "text", "{made}");
    let (code, said) = setup(&site, &[]);
    assert!(code == Some(0) && said.matches(" is there\n").count() == 3, "the transfer left it alone: {said}");

    site.set("elasticsearch.setup.replicas", 1);
    let (code, said) = setup(&site, &[]);
    assert!(code == Some(0) && said.contains(&format!("✓ {template}-settings: component template replaced")), "{said}");
    assert_eq!(said.matches(" is there\n").count(), 2, "{said}");

    let foreign = json!({ "index_patterns": [site.indices()], "priority": 900, "template": {} });
    ask(&site, Method::PUT, &format!("_index_template/{template}"), &foreign).await;
    let (code, said) = setup(&site, &[]);
    assert!(code == Some(1) && said.contains("someone else") && said.contains("--force"), "{said}");
    let (code, said) = setup(&site, &["--force"]);
    assert!(code == Some(0) && said.matches(" replaced\n").count() == 3, "{said}");
}

#[tokio::test]
async fn a_data_stream_that_was_set_up_takes_lines_in_elasticsearch() {
    data_stream("setup-stream", services::elasticsearch()).await;
}

#[tokio::test]
async fn a_data_stream_that_was_set_up_takes_lines_in_opensearch() {
    data_stream("setup-stream-os", services::opensearch()).await;
}

async fn data_stream(name: &str, store: &str) {
    let mut site = Site::on(name, services::kafka(), store).await;
    let mut settings = site.clone_settings();
    settings["transfer"].as_table_mut().expect("it was configured").remove("index");
    site.restore_settings(settings);
    site.set("transfer.data_stream", format!("{}-{{topic}}", site.name));
    site.set("elasticsearch.setup.lifecycle", false);
    let (code, said) = setup(&site, &[]);
    assert_eq!(code, Some(0), "{said}");
    kafka::produce(&site.kafka, &site.topic, &[], b"a line");
    let mut transfer = site.transfer();
    transfer.ready().await;
    index::wait_for(store, &site.indices(), 1).await;
    transfer.stop_well().await;
    let stream = format!("{}-{}", site.name, site.topic);
    let found = get(&site, &format!("_data_stream/{stream}")).await.expect("it is a data stream");
    assert_eq!(found["data_streams"][0]["template"], json!(format!("logdrive-{}-any", site.name)), "{found}");
}

#[tokio::test]
async fn saved_objects_are_written_without_any_server() {
    let mut site = Site::without_topics("setup-kibana", "127.0.0.1:1", "http://127.0.0.1:1");
    site.set("transfer.index", "logs-{topic}-%Y");
    let file = site.dir.join("objects.ndjson");
    let (code, said) = setup(&site, &["--kibana", &file.display().to_string()]);
    assert_eq!(code, Some(0), "{said}");
    let objects = std::fs::read_to_string(&file).expect("it was written");
    let view: Value = serde_json::from_str(objects.lines().next().expect("objects")).expect("JSON");
    assert_eq!((&view["type"], &view["attributes"]["title"]), (&json!("index-pattern"), &json!("logs-*-*")));
    assert_eq!(setup(&site, &["--kibana", "-"]), (Some(0), objects));
}

/// What the command prints, and its exit code.
fn setup(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.command("setup").arg("elasticsearch").args(arguments).output().expect("the program was built");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// What the store has there; none if nothing.
async fn get(site: &Site, path: &str) -> Option<Value> {
    let answer = reqwest::get(format!("{}/{path}", site.elasticsearch)).await.expect("the server is up");
    if answer.status() == 404 { None } else { Some(answer.json().await.expect("JSON")) }
}

/// A request to the store that has to go well.
async fn ask(site: &Site, method: Method, path: &str, body: &Value) {
    let url = format!("{}/{path}", site.elasticsearch);
    let answer = reqwest::Client::new().request(method, &url).json(body).send().await.expect("the server is up");
    assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap_or_default());
}
