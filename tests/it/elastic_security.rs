//! A real node with its own security and a small limit on requests: wrong passwords, privileges that are lacking for one index,
//! and requests that it finds too large.

use std::{fmt::Write as _, time::Duration};

use crate::rig::{Site, index, kafka, services, until};

const LIMIT: Duration = Duration::from_secs(120);
const LINES: usize = 20_000;
const USERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rig/users");

#[tokio::test]
async fn a_node_that_says_401_403_and_413_has_every_line_once_it_is_allowed() {
    let settings = [
        ("ES_HEAP", "512m"),
        ("ES_SECURITY", USERS),
        ("ES_USER", "admin:secret-of-tests"),
        ("ES_EXTRA_YML", "http.max_content_length: 1mb"),
    ];
    let server = services::SearchServer::start("security", "es8", &settings);
    let mut site = Site::on("security", services::kafka(), &server.url).await;
    let as_admin = server.url.replace("http://", "http://admin:secret-of-tests@");
    let name = site.name.clone();
    site.set("transfer.index", format!("{name}-{{[to]}}-%Y"));
    site.set("elasticsearch.username", "writer");
    site.set("elasticsearch.password", "not it");
    let filler = "a line of ordinary length ".repeat(4);
    for start in (0..LINES).step_by(1000) {
        let mut text = String::new();
        for number in start..start + 1000 {
            let to = if number % 10 == 0 { "denied" } else { "allowed" };
            writeln!(text, r#"{{"ts":"2026-11-20T10:00:00Z","to":"{to}","number":{number},"msg":"{filler}"}}"#)
                .expect("text");
        }
        kafka::produce(&site.kafka, &site.topic, &[], text.as_bytes());
    }

    let transfer = site.transfer();
    until("it says that the password is wrong", LIMIT, async || {
        transfer.answers("/livez").await && transfer.get("/readyz").await.1.contains("401")
    })
    .await;
    transfer.stop_well().await;

    site.set("elasticsearch.password", "secret-of-tests");
    let mut transfer = site.transfer();
    transfer.alive().await;
    // What it may not write to is held; all else goes on.
    let allowed = format!("{name}-allowed-*");
    index::wait_for(&as_admin, &allowed, LINES / 10 * 9).await;
    until("it says what it may not", LIMIT, async || {
        let said = transfer.get("/readyz").await.1;
        said.contains("403") && said.contains(&format!("{name}-denied-2026"))
    })
    .await;
    let refused = transfer.metric("logdrive_bulk_responses_total", &[("code", "413")]).await;
    assert!(refused > 0.0, "requests that are too large are refused");
    assert_eq!(index::count_of(&as_admin, &format!("{name}-denied-*")).await, 0);

    server.set_config("users_roles", "superuser:admin,writer\n");
    index::wait_for(&as_admin, &site.indices(), LINES).await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &name) == 0).await;
    transfer.ready().await;
    assert_eq!(index::count_of(&as_admin, &site.indices()).await, LINES);
    assert!(!transfer.output().contains("secret-of-tests"));
    transfer.stop_well().await;
    assert!(kafka::records(&site.kafka, &site.dead_letters).is_empty(), "no document is at fault");
    server.remove();
}
