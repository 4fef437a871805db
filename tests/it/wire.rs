//! The packed format is read by someone else: Python, with public packages for Kafka and LZ4.

use std::process::Command;

use crate::rig::{Site, corpus, services};

/// The decoder's two packages.
const PACKAGES: [&str; 2] = ["lz4==4.4.5", "kafka-python==3.0.12"];

#[tokio::test]
async fn a_topic_piped_through_kcat_and_lz4_is_the_log() {
    let site = Site::new("pipe").await;
    let files = corpus::files(&site.logs(), 12, 1, 5_000);
    corpus::write_whole(&files);
    site.send(&files).await;
    let pipe = format!("kcat -C -q -e -D '' -b {} -t {} | lz4 -d -c", site.kafka, site.topic);
    let output = Command::new("bash").args(["-c", &pipe]).output().expect("bash runs");
    assert!(output.status.success(), "{pipe}:\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == files[0].text, "{pipe} does not print the log");
}

#[tokio::test]
async fn an_independent_decoder_gets_the_bytes_of_the_files_from_kafka() {
    let site = Site::new("wire").await;
    let files = corpus::files(&site.logs(), 8, 5, 4_000);
    corpus::write_whole(&files);
    site.send(&files).await;

    let python = services::run("python", &PACKAGES, &[]);
    let decoded = site.dir.join("decoded");
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire/decode.py"))
        .args([&site.kafka, &site.topic])
        .arg(&decoded)
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "the decoder failed:\n{}", String::from_utf8_lossy(&output.stderr));
    for file in &files {
        let path = decoded.join(file.path.strip_prefix("/").expect("paths are absolute"));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text == file.text, "{} differs", file.path.display());
    }
}
