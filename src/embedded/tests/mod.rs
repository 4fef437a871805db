//! Tests of the store as a whole.

mod agreement;
mod durability;

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Embedded, Entry, Settings, Writer};
use crate::{
    record::{FileId, Stream},
    store::{Found, Page, Query, Store},
};

fn open(dir: &Path) -> Writer {
    Writer::open(&small(), dir).expect("the store opens")
}

fn small() -> Settings {
    Settings { memory_bytes_max: bytesize::ByteSize::mib(16), ..Settings::default() }
}

fn stream(number: u128) -> Stream {
    Stream { file: FileId(number), generation: 0 }
}

fn add(writer: &mut Writer, document: &Value) {
    let time: Timestamp = document["@timestamp"].as_str().expect("a time").parse().expect("a time");
    let json = document.to_string();
    writer.add(&Entry { id: "id", time, json: json.as_bytes() }).expect("it is added");
}

fn line(second: i64, offset: u64, message: &str) -> Value {
    json!({
        "@timestamp": Timestamp::from_second(second).expect("a time").to_string(),
        "message": message,
        "log.file.path": "/var/log/a.log",
        "log.offset": offset,
    })
}

async fn find(store: &Embedded, query: &str) -> Found {
    let now = jiff::Zoned::now();
    let query = crate::store::parse(query, &now).expect("a query");
    store.find(&query, &Page { limit: 100, after: None }).await.expect("an answer")
}

async fn count(store: &Embedded) -> u64 {
    store.count(&Query::default()).await.expect("an answer").count
}
