//! The program's own API, asked as any client asks it.

use std::net::SocketAddr;

use serde_json::Value;

use super::index::Document;

/// The answer to a GET, which has to be a good one.
pub async fn ask(web: SocketAddr, path: &str, parameters: &[(&str, &str)]) -> Value {
    let url = reqwest::Url::parse_with_params(&format!("http://{web}/api/{path}"), parameters).expect("a URL");
    let answer = reqwest::get(url.clone()).await.expect("it answers");
    let (status, answer) = (answer.status(), answer.json::<Value>().await.expect("JSON"));
    assert!(status.is_success(), "{url}: {status}: {answer}");
    answer
}

/// How many documents answer a question; 0 while nothing answers yet.
pub async fn count(web: SocketAddr, question: &str) -> u64 {
    let url = reqwest::Url::parse_with_params(&format!("http://{web}/api/count"), [("q", question)]).expect("a URL");
    let Ok(answer) = reqwest::get(url).await else { return 0 };
    answer.json::<Value>().await.ok().and_then(|answer| answer["count"].as_u64()).unwrap_or(0)
}

/// Every document that answers a question, page by page; they come newest first.
pub async fn documents(web: SocketAddr, question: &str) -> Vec<Document> {
    let (mut documents, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = ask(web, "search", &[("q", question), ("limit", "1000"), ("cursor", &cursor)]).await;
        assert_eq!(page["partial"], Value::Null, "an incomplete answer");
        for hit in page["hits"].as_array_mut().expect("hits") {
            let Value::Object(fields) = hit["source"].take() else { panic!("a hit without a source: {hit}") };
            let id = hit["id"].as_str().expect("an id").to_owned();
            documents.push(Document { index: String::new(), id, fields });
        }
        let Some(next) = page["next"].as_str() else { return documents };
        cursor = next.to_owned();
    }
}
