//! Elasticsearch and OpenSearch as a store that can be asked.

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Client, ElasticError,
    lower::{self, NANOSECONDS, Type, Types},
};
use crate::store::{self, Bucket, Cursor, Found, Histogram, Hit, Page, Query, Store, StoreError, Total};

/// The most hits that a server gives in one answer, by its own default.
pub(super) const HITS_MAX: usize = 10_000;
/// Hits are counted exactly up to here.
const TOTAL_MAX: usize = 10_000;
/// Servers sort by the millisecond, which holds any year; in nanoseconds, one document from the year 9999 would fail
/// the search. Hits of one millisecond come in the order of their files.
const NS_A_MS: i64 = 1_000_000;
/// How long a server may search before it answers with what it has.
const SEARCH_LIMIT: &str = "20s";

/// What the server or the way to it did, as whoever asks a store needs to know it.
pub(super) fn store_error(error: ElasticError) -> StoreError {
    if error.is_temporary() { StoreError::Away(error.to_string()) } else { StoreError::Failed(error.to_string()) }
}

/// The documents of some indices.
#[derive(Clone, Debug)]
pub struct Elastic {
    client: Client,
    indices: String,
}

impl Elastic {
    /// Asks `indices`, a pattern or several with commas between (`logs-*`); ones that don't exist are empty.
    #[must_use]
    pub fn new(client: Client, indices: &str) -> Self {
        Self { client, indices: indices.to_owned() }
    }

    async fn ask(&self, endpoint: &str, body: &Value) -> Result<Value, StoreError> {
        let path = format!("/{}/{endpoint}", self.indices);
        self.client.post_json(&path, body).await.map_err(store_error)
    }

    async fn search(&self, body: &Value) -> Result<Value, StoreError> {
        self.ask("_search?ignore_unavailable=true&allow_no_indices=true", body).await
    }

    /// The question in the server's terms; asks for the types of the fields that need it.
    async fn lower(&self, query: &Query) -> Result<Value, StoreError> {
        let fields = lower::unknown_fields(&query.expr);
        // A name with a character of its own meaning to the request can only be a keyword of JSON lines.
        let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte));
        let names: Vec<&str> = fields.into_iter().filter(plain).collect();
        if names.is_empty() {
            return Ok(lower::query(query, &Types::new()));
        }
        let endpoint = format!("_field_caps?ignore_unavailable=true&allow_no_indices=true&fields={}", names.join(","));
        Ok(lower::query(query, &types(&self.ask(&endpoint, &json!({})).await?)))
    }

    async fn find(&self, query: &Query, page: &Page) -> Result<Found, StoreError> {
        let limit = page.limit.clamp(1, HITS_MAX);
        let mut body = json!({
            "size": limit,
            "query": self.lower(query).await?,
            "track_total_hits": TOTAL_MAX,
            "timeout": SEARCH_LIMIT,
            "sort": [
                { "@timestamp": { "order": "desc", "numeric_type": "date", "unmapped_type": "date" } },
                { "log.file.path": { "order": "asc", "unmapped_type": "keyword" } },
                { "log.offset": { "order": "desc", "unmapped_type": "long", "missing": 0 } },
            ],
        });
        if let Some(Cursor { time_ns, path, offset }) = &page.after {
            // A document without a path sorts behind all others; the server calls that null.
            let path = (!path.is_empty()).then_some(path);
            body["search_after"] = json!([time_ns.div_euclid(NS_A_MS), path, offset]);
        }
        found(&self.search(&body).await?, limit)
    }

    async fn count(&self, query: &Query) -> Result<Total, StoreError> {
        let body = json!({ "query": self.lower(query).await? });
        let answer = self.ask("_count?ignore_unavailable=true&allow_no_indices=true", &body).await?;
        let count = answer["count"].as_u64().ok_or_else(|| strange("a count", &answer))?;
        Ok(Total { count, exact: partial(&answer).is_none() })
    }

    async fn histogram(&self, query: &Query, buckets: usize) -> Result<Histogram, StoreError> {
        let lowered = self.lower(query).await?;
        let Some((first, last)) = self.range(query, &lowered).await? else { return Ok(Histogram::default()) };
        // The first bucket begins at a round time, before the range does, so one bucket is kept for that.
        let width_ms = store::bucket_width_ms(&(first..last), buckets.saturating_sub(1).max(1));
        let start_ms = first.div_euclid(width_ms) * width_ms;
        let body = json!({
            "size": 0,
            "track_total_hits": false,
            "query": lowered,
            "timeout": SEARCH_LIMIT,
            "aggs": { "time": {
                "date_histogram": { "field": "@timestamp", "fixed_interval": format!("{width_ms}ms"), "min_doc_count": 1 },
                "aggs": { "levels": { "terms": { "field": "log.level", "size": 20 } } },
            } },
        });
        let length = ((last - start_ms) / width_ms + 1).max(0) as usize;
        let mut histogram = Histogram { start_ms, width_ms, buckets: vec![Bucket::default(); length] };
        fill(&mut histogram, &self.search(&body).await?);
        Ok(histogram)
    }

    /// The first and the last millisecond to show; none if nothing matches and the query has no window.
    async fn range(&self, query: &Query, lowered: &Value) -> Result<Option<(i64, i64)>, StoreError> {
        let since = query.since.map(Timestamp::as_millisecond);
        let until = query.until.map(|until| until.as_millisecond() - 1);
        if let (Some(since), Some(until)) = (since, until) {
            return Ok(Some((since, until.max(since))));
        }
        let time = json!({ "field": "@timestamp", "format": NANOSECONDS });
        let aggs = json!({ "first": { "min": time }, "last": { "max": time } });
        let body =
            json!({ "size": 0, "track_total_hits": false, "query": lowered, "timeout": SEARCH_LIMIT, "aggs": aggs });
        let answer = self.search(&body).await?;
        let end = |name: &str| {
            let time = answer["aggregations"][name]["value_as_string"].as_str()?;
            time.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
        };
        let (first, last) = (since.or_else(|| end("first")), until.or_else(|| end("last")));
        Ok(first.zip(last).map(|(first, last)| (first, last.max(first))))
    }
}

impl Store for Elastic {
    fn find<'a>(&'a self, query: &'a Query, page: &'a Page) -> BoxFuture<'a, Result<Found, StoreError>> {
        Box::pin(self.find(query, page))
    }

    fn count<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Total, StoreError>> {
        Box::pin(self.count(query))
    }

    fn histogram<'a>(&'a self, query: &'a Query, buckets: usize) -> BoxFuture<'a, Result<Histogram, StoreError>> {
        Box::pin(self.histogram(query, buckets))
    }
}

fn types(field_caps: &Value) -> Types {
    let fields = field_caps["fields"].as_object().into_iter().flatten();
    fields
        .filter_map(|(name, kinds)| {
            let kinds = kinds.as_object()?.keys().map(String::as_str);
            Some((name.clone(), Type::of(kinds)?))
        })
        .collect()
}

fn found(answer: &Value, limit: usize) -> Result<Found, StoreError> {
    let hits = answer["hits"]["hits"].as_array().ok_or_else(|| strange("hits", answer))?;
    let next = if hits.len() < limit { None } else { hits.last().and_then(cursor) };
    let total = &answer["hits"]["total"];
    Ok(Found {
        hits: hits.iter().map(hit).collect::<Result<Vec<Hit>, StoreError>>()?,
        next,
        total: Total { count: total["value"].as_u64().unwrap_or_default(), exact: total["relation"] == "eq" },
        partial: partial(answer),
    })
}

fn hit(hit: &Value) -> Result<Hit, StoreError> {
    let (Some(id), Some(source)) = (hit["_id"].as_str(), hit["_source"].as_object()) else {
        return Err(strange("a hit with its source", hit));
    };
    let written = store::field(source, "@timestamp").and_then(Value::as_str).and_then(|time| time.parse().ok());
    let sorted = || hit["sort"][0].as_i64().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let time = written.or_else(sorted).ok_or_else(|| strange("a hit with its time", hit))?;
    Ok(Hit { id: id.to_owned(), time, source: source.clone() })
}

/// The keys by which the server sorted the hit, so that what it takes for equal we do too.
fn cursor(hit: &Value) -> Option<Cursor> {
    let keys = &hit["sort"];
    Some(Cursor {
        time_ns: keys[0].as_i64()?.saturating_mul(NS_A_MS),
        path: keys[1].as_str().unwrap_or_default().to_owned(),
        offset: keys[2].as_u64().unwrap_or_default(),
    })
}

fn fill(histogram: &mut Histogram, answer: &Value) {
    for found in answer["aggregations"]["time"]["buckets"].as_array().into_iter().flatten() {
        let Some(key) = found["key"].as_i64() else { continue };
        let index = usize::try_from((key - histogram.start_ms) / histogram.width_ms).ok();
        let Some(bucket) = index.and_then(|index| histogram.buckets.get_mut(index)) else { continue };
        bucket.count = found["doc_count"].as_u64().unwrap_or_default();
        for level in found["levels"]["buckets"].as_array().into_iter().flatten() {
            if let (Some(name), Some(count)) = (level["key"].as_str(), level["doc_count"].as_u64()) {
                *bucket.levels.entry(name.to_lowercase()).or_default() += count;
            }
        }
    }
}

/// Why the answer may be incomplete.
pub(super) fn partial(answer: &Value) -> Option<String> {
    let shards = &answer["_shards"];
    let (failed, total) = (shards["failed"].as_u64().unwrap_or_default(), shards["total"].as_u64().unwrap_or_default());
    if failed > 0 {
        let reason = shards["failures"][0]["reason"]["reason"].as_str().unwrap_or("the server gives no reason");
        return Some(format!("{failed} of {total} shards failed: {reason}"));
    }
    (answer["timed_out"] == true).then(|| format!("the search was stopped after {SEARCH_LIMIT}"))
}

pub(super) fn strange(wanted: &str, answer: &Value) -> StoreError {
    let mut text = answer.to_string();
    if let Some((cut, _)) = text.char_indices().nth(200) {
        text.truncate(cut);
        text.push('…');
    }
    StoreError::Failed(format!("the server's answer has not {wanted}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_the_keys_of_its_last_hit_and_the_last_page_with_none() {
        let answer = json!({
            "timed_out": false,
            "_shards": { "total": 2, "failed": 0 },
            "hits": { "total": { "value": 10_000, "relation": "gte" }, "hits": [
                { "_id": "a", "_source": { "@timestamp": "2026-11-21T10:00:00.123456789Z" }, "sort": [1_795_255_200_123_i64, "/a", 7] },
                { "_id": "b", "_source": { "message": "no time" }, "sort": [1_795_255_200_000_i64, null, 0] },
            ] },
        });
        let page = found(&answer, 2).unwrap();
        assert_eq!(page.next, Some(Cursor { time_ns: 1_795_255_200_000_000_000, path: String::new(), offset: 0 }));
        assert_eq!(page.total, Total { count: 10_000, exact: false });
        assert_eq!(page.hits[0].time.subsec_nanosecond(), 123_456_789);
        assert_eq!(page.hits[1].time.to_string(), "2026-11-21T10:00:00Z");
        assert_eq!((page.partial, found(&answer, 3).unwrap().next), (None, None));
    }

    #[test]
    fn an_incomplete_answer_says_so() {
        let failures = json!([{ "reason": { "reason": "disk read error" } }]);
        let answer = json!({ "_shards": { "total": 40, "failed": 2, "failures": failures }, "hits": { "hits": [] } });
        assert_eq!(found(&answer, 1).unwrap().partial.unwrap(), "2 of 40 shards failed: disk read error");
        assert!(found(&json!({ "timed_out": true, "hits": { "hits": [] } }), 1).unwrap().partial.is_some());
        assert!(found(&json!({ "acknowledged": true }), 1).is_err());
    }

    #[test]
    fn a_histogram_has_a_bar_for_every_bucket_of_its_range() {
        let mut histogram = Histogram { start_ms: 1_000, width_ms: 500, buckets: vec![Bucket::default(); 3] };
        let levels = json!({ "buckets": [{ "key": "warn", "doc_count": 2 }, { "key": "WARN", "doc_count": 1 }] });
        let buckets = json!([
            { "key": 1_500, "doc_count": 4, "levels": levels },
            { "key": 9_000, "doc_count": 9 },
        ]);
        fill(&mut histogram, &json!({ "aggregations": { "time": { "buckets": buckets } } }));
        assert_eq!(histogram.buckets.iter().map(|bucket| bucket.count).collect::<Vec<u64>>(), [0, 4, 0]);
        assert_eq!(histogram.buckets[1].levels.get("warn"), Some(&3));
    }
}
