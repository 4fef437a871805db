//! Records of other programs: of rsyslog and kcat, which write text, and in the forms of agents that write JSON.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::rig::{LogFile, Site, corpus, index, index::Document, kafka, until};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_rsyslog_and_kcat_write_is_indexed_as_it_is() {
    let site = Site::new("foreign").await;
    let (from_rsyslog, from_kcat) = (text(&site, "rsyslog"), text(&site, "kcat"));
    kcat(&site, &["-H", "origin=kcat", "-k", "a key"], &from_kcat.text);
    let rsyslog = rsyslog(&site, &from_rsyslog);
    let mut transfer = site.transfer();
    transfer.ready().await;
    let lines = corpus::lines_in(&[from_rsyslog.clone(), from_kcat.clone()]);
    index::wait_for(&site.elasticsearch, &site.indices(), lines).await;
    until("all records committed", LIMIT, async || kafka::behind(&site.kafka, &site.topic, &site.name) == 0).await;
    drop(rsyslog);
    assert_eq!(transfer.metric("logdrive_dead_letters_total", &[]).await, 0.0);
    transfer.stop_well().await;

    let documents = index::documents(&site.elasticsearch, &site.indices()).await;
    assert_eq!(documents.len(), lines, "each line once");
    let mut left: BTreeMap<String, u32> = BTreeMap::new();
    for document in &documents {
        // rsyslog puts time, host and tag before the text, and the line has its time from there.
        let message = document.text("message");
        let text = message.split_once(" tagged ").map_or(message, |(_, text)| text);
        *left.entry(text.to_owned()).or_default() += 1;
        assert_eq!(document.text("logdrive.time"), if text == message { "read" } else { "line" }, "{document:?}");
        assert_eq!(document.text("log.file.path").split('/').next(), Some(&*format!("kafka:{}", site.topic)));
    }
    for file in [&from_rsyslog, &from_kcat] {
        for (_, line) in file.lines() {
            let line = std::str::from_utf8(line).expect("text");
            assert_eq!(left.remove(line), Some(1), "{line:?}");
        }
    }
}

#[tokio::test]
async fn the_forms_of_filebeat_vector_and_fluent_bit_are_understood() {
    let site = Site::new("forms").await;
    // As Filebeat 8 writes an event of its filestream input, with the processor add_host_metadata.
    let filebeat = json!({
        "@timestamp": "2026-11-20T10:00:01.123Z",
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.17.4"},
        "message": "from filebeat",
        "log": {"offset": 4711, "file": {"path": "/var/log/a.log", "device_id": "2049", "inode": "1337"}},
        "input": {"type": "filestream"},
        "ecs": {"version": "8.0.0"},
        "agent": {"type": "filebeat", "version": "8.17.4", "id": "6a", "ephemeral_id": "9f", "name": "web-1"},
        "host": {"name": "web-1", "architecture": "x86_64", "os": {"type": "linux", "family": "debian"}},
        "tags": ["production"],
    });
    // As Vector's sink `kafka` writes an event of its source `file`, with `encoding.codec = "json"`.
    let vector = json!({
        "file": "/var/log/b.log", "host": "web-2", "message": "from vector", "offset": 815,
        "source_type": "file", "timestamp": "2026-11-20T10:00:02.123456789Z",
    });
    // As Fluent Bit's output `kafka` writes a record of its input `tail`; the time is one of seconds.
    let fluent_bit = json!({"@timestamp": 1_795_168_803.5, "log": "from fluent bit", "stream": "stdout"});
    for value in [&filebeat, &vector, &fluent_bit] {
        kafka::produce(&site.kafka, &site.topic, &[], value.to_string().as_bytes());
    }
    let transfer = site.transfer();
    index::wait_for(&site.elasticsearch, &site.indices(), 3).await;
    transfer.stop_well().await;

    let mut documents = index::documents(&site.elasticsearch, &site.indices()).await;
    documents.sort_by_key(|document| document.text("@timestamp").to_owned());
    let [filebeat, vector, fluent_bit] = &documents[..] else { panic!("three documents: {documents:?}") };
    let place = |document: &Document| {
        let text = |name| document.text(name).to_owned();
        (text("message"), text("@timestamp"), text("host.name"), text("log.file.path"), document.number("log.offset"))
    };
    let expected = |message: &str, time: &str, host: &str, path: &str, offset| {
        (message.to_owned(), time.to_owned(), host.to_owned(), path.to_owned(), offset)
    };
    let time = "2026-11-20T10:00:01.123Z";
    assert_eq!(place(filebeat), expected("from filebeat", time, "web-1", "/var/log/a.log", 4711));
    let time = "2026-11-20T10:00:02.123456789Z";
    assert_eq!(place(vector), expected("from vector", time, "web-2", "/var/log/b.log", 815));
    assert_eq!(fluent_bit.text("message"), "from fluent bit");
    assert_eq!(fluent_bit.text("@timestamp"), "2026-11-20T10:00:03.5Z");
    // What else they say is kept.
    assert_eq!(filebeat.fields["@metadata"]["beat"], "filebeat");
    assert_eq!(filebeat.fields["agent"]["type"], "filebeat");
    assert_eq!(filebeat.fields["fields.host"]["os"]["family"], "debian");
    assert_eq!(filebeat.fields["fields.tags"], json!(["production"]));
    assert_eq!(vector.text("source_type"), "file");
}

/// Some text that only `who` writes.
fn text(site: &Site, who: &str) -> LogFile {
    let path = site.dir.join(format!("{who}.txt"));
    let text: String = (0..500).map(|line| format!("{who} {line}: größer \"als\" {{}} 100%\n")).collect();
    LogFile { path, text: text.into_bytes() }
}

/// Has kcat write each line as a record.
fn kcat(site: &Site, arguments: &[&str], text: &[u8]) {
    let mut kcat = Command::new("kcat")
        .args(["-P", "-b", &site.kafka, "-t", &site.topic])
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat is installed");
    kcat.stdin.take().expect("it is piped").write_all(text).expect("kcat reads");
    assert!(kcat.wait().expect("it is our child").success(), "kcat wrote its records");
}

/// Has rsyslog read a file and write each line as a record, in the form that it writes into files.
fn rsyslog(site: &Site, file: &LogFile) -> Running {
    std::fs::write(&file.path, &file.text).expect("the site can be written");
    let (dir, config) = (site.dir.display(), site.dir.join("rsyslog.conf"));
    let text = format!(
        r#"global(workDirectory="{dir}")
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omkafka")
input(type="imfile" file="{}" tag="tagged")
action(type="omkafka" broker=["{}"] topic="{}" template="RSYSLOG_FileFormat")
"#,
        file.path.display(),
        site.kafka,
        site.topic,
    );
    std::fs::write(&config, text).expect("the site can be written");
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "rsyslogd", "-n", "-f"])
        .arg(&config)
        .arg("-i")
        .arg(site.dir.join("rsyslog.pid"))
        .spawn()
        .expect("rsyslog is installed");
    Running(child)
}

/// A program that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
