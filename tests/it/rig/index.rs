//! Elasticsearch and OpenSearch from outside: what is in an index, all of it.

use std::{collections::HashSet, time::Duration};

use serde_json::{Map, Value, json};

use super::until;

/// A document as it was indexed.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its index.
    pub index: String,
    /// Its `_id`.
    pub id: String,
    /// Its fields, flat and dotted.
    pub fields: Map<String, Value>,
}

impl Document {
    /// A field's text; the test fails if it has none.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no text in {field}: {self:?}"))
    }

    /// A field's number; the test fails if it has none.
    pub fn number(&self, field: &str) -> u64 {
        self.fields.get(field).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number in {field}: {self:?}"))
    }
}

/// Waits until at least `count` documents can be found; progress resets the clock.
pub async fn wait_for(url: &str, indices: &str, count: usize) {
    let (mut before, mut found) = (0, 0);
    loop {
        until(&format!("{count} documents, where {before} were"), Duration::from_secs(90), async || {
            found = count_of(url, indices).await;
            found > before || found >= count
        })
        .await;
        if found >= count {
            return;
        }
        before = found;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How many documents there are; fails if two have the same `number`.
pub async fn distinct(url: &str, indices: &str) -> usize {
    let mut numbers = HashSet::new();
    each(url, indices, |document| {
        let number = document.number("number");
        assert!(numbers.insert(number), "{number} is there twice");
    })
    .await;
    numbers.len()
}

/// How many documents can be found, after a refresh.
pub async fn count_of(url: &str, indices: &str) -> usize {
    let client = reqwest::Client::new();
    // On the way an index may be there whose shard is not yet.
    if !refresh(&client, url, indices).await {
        return 0;
    }
    let answer = client.get(format!("{url}/{indices}/_count")).send().await.expect("the server is up");
    let answer: Value = answer.json().await.expect("JSON");
    answer["count"].as_u64().unwrap_or(0) as usize
}

/// Every document.
pub async fn documents(url: &str, indices: &str) -> Vec<Document> {
    let mut documents = Vec::new();
    each(url, indices, |document| documents.push(document)).await;
    documents
}

/// Hands over every document, read in pages of ten thousand.
pub async fn each(url: &str, indices: &str, mut take: impl FnMut(Document)) {
    let client = reqwest::Client::new();
    let ask = async |path: String, body: Value| -> Value {
        let answer = client.post(format!("{url}/{path}")).json(&body).send().await.expect("the server is up");
        let (status, answer) = (answer.status(), answer.json().await.expect("JSON"));
        assert!(status.is_success(), "{status}: {answer}");
        answer
    };
    assert!(refresh(&client, url, indices).await, "no refresh of {indices}");
    let mut page = ask(format!("{indices}/_search?scroll=1m"), json!({ "size": 10_000, "sort": ["_doc"] })).await;
    loop {
        let hits = page["hits"]["hits"].as_array_mut().expect("hits");
        if hits.is_empty() {
            return;
        }
        hits.drain(..).map(document).for_each(&mut take);
        page = ask("_search/scroll".to_owned(), json!({ "scroll": "1m", "scroll_id": page["_scroll_id"] })).await;
    }
}

/// Makes everything that was indexed visible.
async fn refresh(client: &reqwest::Client, url: &str, indices: &str) -> bool {
    let answer = client.post(format!("{url}/{indices}/_refresh")).send().await.expect("the server is up");
    answer.status().is_success()
}

fn document(mut hit: Value) -> Document {
    let Value::Object(fields) = hit["_source"].take() else { panic!("a document without a source: {hit}") };
    let text = |field: &str| hit[field].as_str().expect("text").to_owned();
    Document { index: text("_index"), id: text("_id"), fields }
}
