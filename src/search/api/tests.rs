//! The API and its client over a store in memory.

use std::{cmp::Reverse, sync::Arc};

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    search::{remote::Remote, router},
    store::{self, Bucket, Cursor, Found, Histogram, Hit, Page, Query, Store, StoreError, Total},
};

/// The plain definition of a store.
struct Memory(Vec<Hit>);

impl Memory {
    /// A line each minute from ten o'clock on, each tenth an error.
    fn lines(count: usize) -> Self {
        let hit = |n: usize| {
            let time = Timestamp::from_second(1_795_255_200 + 60 * n as i64).unwrap();
            let source = json!({
                "@timestamp": time.to_string(),
                "message": format!("request {n} <b>took</b> {}ms", n * 7 % 100),
                "log.level": if n.is_multiple_of(10) { "error" } else { "info" },
                "log.file.path": "/var/log/app.log",
                "log.offset": n * 50,
                "host.name": "web-1",
            });
            Hit { id: format!("id{n}"), time, source: source.as_object().unwrap().clone() }
        };
        Memory((0..count).rev().map(hit).collect())
    }

    fn matching<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a Hit> + Clone {
        self.0.iter().filter(|hit| store::matches(query, &hit.source))
    }
}

fn key(hit: &Hit) -> Cursor {
    let path = hit.source["log.file.path"].as_str().unwrap().to_owned();
    Cursor { time_ns: hit.time.as_nanosecond() as i64, path, offset: hit.source["log.offset"].as_u64().unwrap() }
}

impl Store for Memory {
    fn find<'a>(&'a self, query: &'a Query, page: &'a Page) -> BoxFuture<'a, Result<Found, StoreError>> {
        let order = |cursor: Cursor| (Reverse(cursor.time_ns), cursor.path, Reverse(cursor.offset));
        let behind = |hit: &&Hit| page.after.as_ref().is_none_or(|after| order(key(hit)) > order(after.clone()));
        let mut hits: Vec<Hit> = self.matching(query).filter(behind).take(page.limit + 1).cloned().collect();
        let more = hits.len() > page.limit;
        hits.truncate(page.limit);
        let next = hits.last().map(key).filter(|_| more);
        let total = Total { count: self.matching(query).count() as u64, exact: true };
        Box::pin(async move { Ok(Found { hits, next, total, partial: None }) })
    }

    fn count<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Total, StoreError>> {
        Box::pin(async { Ok(Total { count: self.matching(query).count() as u64, exact: true }) })
    }

    fn histogram<'a>(&'a self, query: &'a Query, _buckets: usize) -> BoxFuture<'a, Result<Histogram, StoreError>> {
        let levels =
            self.matching(query).map(|hit| (hit.source["log.level"].as_str().unwrap().to_owned(), 1)).collect();
        let bucket = Bucket { count: self.matching(query).count() as u64, levels };
        Box::pin(async { Ok(Histogram { start_ms: 0, width_ms: 1000, buckets: vec![bucket] }) })
    }
}

/// A store that can't be reached.
struct Away;

impl Store for Away {
    fn find<'a>(&'a self, _: &'a Query, _: &'a Page) -> BoxFuture<'a, Result<Found, StoreError>> {
        Box::pin(async { Err(StoreError::Away("the store is not ready".to_owned())) })
    }

    fn count<'a>(&'a self, _: &'a Query) -> BoxFuture<'a, Result<Total, StoreError>> {
        Box::pin(async { Err(StoreError::Unsupported("not counted".to_owned())) })
    }

    fn histogram<'a>(&'a self, _: &'a Query, _: usize) -> BoxFuture<'a, Result<Histogram, StoreError>> {
        Box::pin(async { Err(StoreError::Failed("strange".to_owned())) })
    }
}

/// Serves on a free port until the test ends.
async fn serve(store: impl Store + 'static, below: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router(Arc::new(store));
    let router = if below.is_empty() { router } else { axum::Router::new().nest(below, router) };
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}{below}")
}

async fn get(store: impl Store + 'static, path: &str) -> (u16, Value) {
    let base = serve(store, "").await;
    let response = reqwest::get(format!("{base}/{path}")).await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn hits_come_newest_first_with_their_highlights_and_how_the_question_was_understood() {
    let (status, body) = get(Memory::lines(30), "api/search?q=TOOK+level:ERR+since:2026-11-21T10:05&limit=1").await;
    assert_eq!(status, 200);
    assert_eq!(body["total"], json!({ "count": 2, "exact": true }));
    assert_eq!(body["hits"][0]["source"]["log.offset"], 1000);
    assert_eq!(body["hits"][0]["highlights"], json!([[14, 18]]));
    assert_eq!(body["question"]["query"], "took level:error");
    assert_eq!(body["question"]["since"], "2026-11-21T10:05:00Z");
    assert_eq!(body["question"]["window_in_text"], true);
}

#[tokio::test]
async fn following_the_cursor_gives_every_hit_once() {
    let base = serve(Memory::lines(100), "").await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Value =
            reqwest::get(format!("{base}/api/search?limit=7&cursor={cursor}")).await.unwrap().json().await.unwrap();
        seen.extend(page["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (0..100).rev().map(|n| format!("id{n}")).collect::<Vec<String>>());
}

#[tokio::test]
async fn a_question_that_can_not_be_read_is_answered_with_the_place_and_a_repair() {
    let (status, body) = get(Memory::lines(1), "api/search?q=level%3E%3Dwran").await;
    assert_eq!(status, 400);
    assert_eq!((&body["code"], &body["span"]), (&json!("bad_query"), &json!({ "start": 5, "end": 11 })));
    assert_eq!(body["fixes"][0]["query"], "level>=warn");
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    for (parameters, named) in [
        ("limit=0", "limit=0"),
        ("limit=1001", "1000"),
        ("limit=x", "limit=x"),
        ("cursor=zzz", "cursor"),
        ("since=soon", "since=soon"),
        ("tz=Moon/Sea", "Moon/Sea"),
        ("since=1h&until=2h", "empty"),
        ("cut=1", "cut=1"),
        ("q=a&q=b", "duplicate"),
    ] {
        let (status, body) = get(Memory::lines(1), &format!("api/search?{parameters}")).await;
        assert_eq!((status, &body["code"]), (400, &json!("bad_request")), "{parameters}");
        assert!(body["message"].as_str().unwrap().contains(named), "{parameters}: {body}");
    }
}

#[tokio::test]
async fn what_the_store_can_not_do_has_its_own_status() {
    for (path, status, code) in
        [("api/search", 503, "away"), ("api/count", 422, "unsupported"), ("api/histogram", 502, "failed")]
    {
        let (answered, body) = get(Away, path).await;
        assert_eq!((answered, &body["code"]), (status, &json!(code)), "{path}");
    }
}

#[tokio::test]
async fn another_logdrive_is_a_store_too_also_below_a_path() {
    let base = serve(Memory::lines(2_500), "/logs").await;
    let remote = Remote::new(&base).unwrap();
    let now = "2026-11-21T10:00:00Z[UTC]".parse().unwrap();
    let query = store::parse("(took OR \"x y\") -level:error", &now).unwrap();
    assert_eq!(remote.count(&query).await.unwrap(), Total { count: 2_250, exact: true });
    let page = remote.find(&query, &Page { limit: 5, after: None }).await.unwrap();
    let rest = remote.find(&query, &Page { limit: 5, after: page.next }).await.unwrap();
    assert_eq!(
        rest.hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<&str>>(),
        ["id2494", "id2493", "id2492", "id2491", "id2489"]
    );
    assert_eq!(remote.histogram(&query, 10).await.unwrap().buckets[0].count, 2_250);
}

#[tokio::test]
async fn a_remote_that_is_not_there_or_not_logdrive_says_so() {
    let query = Query::default();
    let gone = Remote::new("http://127.0.0.1:1").unwrap().count(&query).await.unwrap_err();
    assert!(matches!(&gone, StoreError::Away(why) if why.contains("is `logdrive up` running there?")), "{gone}");
    let away = Remote::new(&serve(Away, "").await).unwrap();
    assert!(
        matches!(away.find(&query, &Page::default()).await, Err(StoreError::Away(why)) if why == "the store is not ready")
    );
    assert!(matches!(away.count(&query).await, Err(StoreError::Unsupported(_))));
    assert!(Remote::new("ftp://x").is_err() && Remote::new("localhost").is_err());
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline() {
    use axum::http::header::{CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH};
    let base = serve(Memory::lines(1), "").await;
    let page = reqwest::get(&base).await.unwrap();
    let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let tag = page.headers()[ETAG].clone();
    let html = page.text().await.unwrap();
    for asset in html.split('"').filter(|value| value.starts_with("page/")) {
        let answer = reqwest::get(format!("{base}/{asset}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{asset}");
    }
    assert!(
        !html.contains("://") && !html.contains("<style") && !html.contains(" style=") && !html.contains(" onclick")
    );
    let again = reqwest::Client::new().get(&base).header(IF_NONE_MATCH, tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_no_path_leads_out_of_the_page() {
    let base = serve(Memory::lines(1), "").await;
    for path in
        ["nothing", "page/none.js", "page/..%2Fmod.rs", "page/..%2F..%2F..%2FCargo.toml", "page/%2Fetc%2Fpasswd"]
    {
        assert_eq!(reqwest::get(format!("{base}/{path}")).await.unwrap().status(), 404, "{path}");
    }
}

#[test]
fn the_page_knows_which_names_are_short_names() {
    let script = include_str!("../page/edit.js");
    let taken = script.lines().find(|line| line.starts_with("const TAKEN")).unwrap();
    for name in taken.split('"').skip(1).step_by(2).filter(|name| !matches!(*name, "since" | "until")) {
        let printed = store::print(&Query {
            expr: store::Expr::Field { name: name.to_owned(), test: store::query::Test::Exists },
            ..Query::default()
        });
        assert_eq!(printed, format!("`{name}`:*"), "{name} needs no backticks");
    }
}
