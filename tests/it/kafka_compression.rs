//! `compression.type`: single lines go to the broker in each codec that Kafka has, and others read them.

use std::{fs, path::Path};

use crate::rig::{Site, corpus, kafka, services::Broker};

/// Each codec with its number in the attributes of a batch (Kafka's record format, version 2).
const CODECS: [(&str, u8); 5] = [("none", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)];

/// The codecs of the batches in the segments of a topic, as a broker whose data is below `dir` keeps them.
fn codecs_on_disk(dir: &Path, topic: &str) -> Vec<u8> {
    let mut codecs = Vec::new();
    for entry in walk(dir) {
        let of_topic = entry
            .parent()
            .and_then(|parent| parent.file_name())
            .is_some_and(|parent| parent.to_string_lossy().rsplit_once('-').is_some_and(|(name, _)| name == topic));
        if !of_topic || entry.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let segment = fs::read(&entry).expect("it can be read");
        let mut rest = &segment[..];
        // A batch: its first offset (8 bytes), its length behind itself (4), leader epoch (4), magic (1), checksum (4),
        // and attributes (2), of which the lowest three bits are the codec.
        while let Some(head) = rest.get(..23).filter(|head| head[16] == 2) {
            codecs.push(head[22] & 7);
            let length = u32::from_be_bytes(head[8..12].try_into().expect("four bytes")) as usize;
            rest = rest.get(12 + length..).unwrap_or_default();
        }
    }
    codecs
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn lines_are_compressed_as_asked_for_and_kcat_prints_them() {
    let broker = Broker::start("compression");
    for (codec, number) in CODECS {
        let mut site = Site::on(&format!("codec-{codec}"), &broker.servers, "http://127.0.0.1:1").await;
        let mut task = toml::Table::new();
        task.insert("name".to_owned(), codec.into());
        task.insert("paths".to_owned(), vec![site.logs().join("*.log").display().to_string()].into());
        task.insert("topic".to_owned(), site.topic.clone().into());
        task.insert("encoding".to_owned(), "lines".into());
        task.insert("headers".to_owned(), false.into());
        site.set("agent.tasks", vec![toml::Value::Table(task)]);
        site.set_kafka("compression.type", codec);
        let files = corpus::files(&site.logs(), 61, 1, 20_000);
        corpus::write_whole(&files);
        site.send(&files).await;
        assert!(kafka::kcat(&site.kafka, &site.topic) == files[0].text, "{codec}: kcat does not print the file");
        let found = codecs_on_disk(&broker.data(), &site.topic);
        // The first record goes alone, and librdkafka leaves what doesn't get smaller as it is.
        let [first, others @ ..] = &found[..] else { panic!("{codec}: no batch") };
        assert!([0, number].contains(first), "{codec}: {found:?}");
        assert!(!others.is_empty() && others.iter().all(|found| *found == number), "{codec}: {found:?}");
    }
}
