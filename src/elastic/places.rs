//! Documents by where their lines stood: how many of a stretch of a file, in which indices, and which.

use std::{collections::HashMap, ops::Range, sync::Arc};

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::{
    Client,
    search::{HITS_MAX, partial, store_error, strange},
};
use crate::{record::Stream, store::StoreError};

/// How many stretches are asked for at once.
const STRETCHES_A_REQUEST: usize = 128;
/// How many indices are told apart in one stretch.
const INDICES_MAX: usize = 100;
/// The most documents of a stretch that are listed.
pub const LISTED_MAX: usize = 200_000;

/// The documents of some indices, asked for by where their lines stood.
#[derive(Clone, Debug)]
pub struct Places {
    client: Client,
    indices: String,
}

/// A stretch of a stream: offsets in bytes.
pub type Stretch = (Stream, Range<u64>);

/// The documents whose lines begin in a stretch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many they are.
    pub count: u64,
    /// Where lines may have more than one, for documents of several indices are there: offsets in bytes. Within one index
    /// an `_id` is there once.
    pub doubtful: Option<Range<u64>>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where its line began, in bytes.
    pub offset: u64,
    /// The index that it is in; of a data stream, the one behind it.
    pub index: Arc<str>,
    /// Its `_id`.
    pub id: String,
}

impl Places {
    /// Asks `indices`, a pattern or several with commas between; ones that don't exist are empty.
    #[must_use]
    pub fn new(client: Client, indices: &str) -> Self {
        Self { client, indices: indices.to_owned() }
    }

    /// Sees to it that every document that was taken can be found.
    ///
    /// # Errors
    /// If the servers can't be reached, or don't let us.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let path = format!("/{}/_refresh?ignore_unavailable=true&allow_no_indices=true", self.indices);
        // One with a body is refused by some versions.
        self.client.json(Method::Post, &path, None).await.map(drop).map_err(store_error)
    }

    /// How many documents each stretch has, in their order.
    ///
    /// # Errors
    /// If the servers can't be reached, or not all of them answer in full.
    pub async fn count(&self, stretches: &[Stretch]) -> Result<Vec<Held>, StoreError> {
        let mut held = Vec::with_capacity(stretches.len());
        for some in stretches.chunks(STRETCHES_A_REQUEST) {
            let answer = self.ask(&counting(some)).await?;
            held.append(&mut counted(&answer, some)?);
        }
        Ok(held)
    }

    /// The documents of a stretch, by their offsets.
    ///
    /// # Errors
    /// As [`Places::count`], and if there are more than [`LISTED_MAX`].
    pub async fn list(&self, (stream, range): &Stretch) -> Result<Vec<Placed>, StoreError> {
        let (mut left, mut placed) = (vec![range.clone()], Vec::new());
        let mut names = HashMap::new();
        while let Some(range) = left.pop() {
            if range.is_empty() {
                continue;
            }
            let answer = self.ask(&listing(&(*stream, range.clone()))).await?;
            let hits = answer["hits"]["hits"].as_array().ok_or_else(|| strange("hits", &answer))?;
            let too_many = hits.len() >= HITS_MAX;
            if too_many && range.end - range.start > 1 {
                // Not all of them came: each half by itself, the first one next.
                let middle = range.start + (range.end - range.start) / 2;
                left.extend([middle..range.end, range.start..middle]);
                continue;
            }
            for hit in hits {
                placed.push(place(hit, &mut names).ok_or_else(|| strange("a hit with its offset", hit))?);
            }
            if too_many || placed.len() > LISTED_MAX {
                return Err(StoreError::Failed(format!(
                    "there are more than {LISTED_MAX} documents of one stretch of a file"
                )));
            }
        }
        Ok(placed)
    }

    async fn ask(&self, body: &Value) -> Result<Value, StoreError> {
        let path = format!("/{}/_search?ignore_unavailable=true&allow_no_indices=true", self.indices);
        let answer = self.client.post_json(&path, body).await.map_err(store_error)?;
        match partial(&answer) {
            // A count that lacks something would prove something wrong.
            Some(why) => Err(StoreError::Away(format!("not all of the documents could be counted: {why}"))),
            None => Ok(answer),
        }
    }
}

fn within((stream, range): &Stretch) -> Value {
    json!({ "bool": { "filter": [
        { "term": { "logdrive.file": stream.file.to_string() } },
        { "term": { "logdrive.generation": stream.generation } },
        { "range": { "log.offset": { "gte": range.start, "lt": range.end } } },
    ] } })
}

fn counting(stretches: &[Stretch]) -> Value {
    let mut files: Vec<String> = stretches.iter().map(|(stream, _)| stream.file.to_string()).collect();
    files.dedup();
    let each: Vec<Value> = stretches.iter().map(within).collect();
    let ends = json!({
        "first": { "min": { "field": "log.offset" } },
        "last": { "max": { "field": "log.offset" } },
    });
    json!({
        "size": 0,
        "track_total_hits": false,
        "query": { "bool": { "filter": [{ "terms": { "logdrive.file": files } }] } },
        "aggs": { "stretches": {
            "filters": { "filters": each },
            "aggs": { "indices": { "terms": { "field": "_index", "size": INDICES_MAX }, "aggs": ends } },
        } },
    })
}

fn listing(stretch: &Stretch) -> Value {
    json!({
        "size": HITS_MAX,
        "track_total_hits": false,
        "_source": false,
        "docvalue_fields": ["log.offset"],
        "query": within(stretch),
        "sort": [{ "log.offset": { "order": "asc", "unmapped_type": "long" } }],
    })
}

fn counted(answer: &Value, stretches: &[Stretch]) -> Result<Vec<Held>, StoreError> {
    let Some(buckets) = answer["aggregations"]["stretches"]["buckets"].as_array() else {
        // Where there is no index at all, nothing is said.
        return match answer["_shards"]["total"].as_u64() {
            Some(0) => Ok(vec![Held::default(); stretches.len()]),
            _ => Err(strange("counts", answer)),
        };
    };
    let held: Option<Vec<Held>> =
        buckets.iter().zip(stretches).map(|(bucket, (_, range))| held(bucket, range)).collect();
    held.filter(|held| held.len() == stretches.len()).ok_or_else(|| strange("a count for each stretch", answer))
}

fn held(bucket: &Value, range: &Range<u64>) -> Option<Held> {
    let (count, indices) = (bucket["doc_count"].as_u64()?, &bucket["indices"]);
    if indices["sum_other_doc_count"].as_u64() != Some(0) {
        return Some(Held { count, doubtful: Some(range.clone()) });
    }
    let mut ends = Vec::new();
    for index in indices["buckets"].as_array()? {
        // A fraction holds offsets exactly, which are less than 2^48.
        ends.push((index["first"]["value"].as_f64()? as u64, index["last"]["value"].as_f64()? as u64));
    }
    ends.sort_unstable();
    let (mut doubtful, mut highest): (Option<Range<u64>>, Option<u64>) = (None, None);
    for (first, last) in ends {
        if let Some(before) = highest.filter(|before| first <= *before) {
            let (start, end) = (first, before.min(last) + 1);
            doubtful = Some(doubtful.map_or(start..end, |known| known.start.min(start)..known.end.max(end)));
        }
        highest = highest.max(Some(last));
    }
    Some(Held { count, doubtful })
}

fn place(hit: &Value, names: &mut HashMap<String, Arc<str>>) -> Option<Placed> {
    let index = hit["_index"].as_str()?;
    let index = names.entry(index.to_owned()).or_insert_with(|| index.into());
    let offset = hit["fields"]["log.offset"][0].as_u64()?;
    Some(Placed { offset, index: Arc::clone(index), id: hit["_id"].as_str()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Held, Stream, counted};
    use crate::record::FileId;

    #[test]
    fn lines_may_be_there_twice_only_where_indices_overlap() {
        let index = |first: f64, last: f64| json!({ "first": { "value": first }, "last": { "value": last } });
        let bucket = |indices: &[serde_json::Value], others: u64| json!({ "doc_count": 9, "indices": { "buckets": indices, "sum_other_doc_count": others } });
        let buckets = [
            bucket(&[index(100.0, 190.0), index(0.0, 90.0)], 0),
            bucket(&[index(0.0, 190.0), index(20.0, 30.0), index(90.0, 200.0)], 0),
            bucket(&[index(0.0, 90.0)], 1),
        ];
        let answer = json!({ "aggregations": { "stretches": { "buckets": buckets } } });
        let held = |doubtful| Held { count: 9, doubtful };
        let expected = [held(None), held(Some(20..191)), held(Some(0..200))];
        assert_eq!(counted(&answer, &stretches(3)).expect("counts"), expected);
        assert!(counted(&answer, &stretches(2)).is_err() || counted(&answer, &stretches(4)).is_err());
    }

    #[test]
    fn without_any_index_there_is_nothing_and_no_answer_is_no_count() {
        let none = json!({ "_shards": { "total": 0, "failed": 0 }, "hits": { "hits": [] } });
        assert_eq!(counted(&none, &stretches(2)).expect("counts"), vec![Held::default(); 2]);
        assert!(counted(&json!({ "_shards": { "total": 1 } }), &stretches(2)).is_err());
    }

    fn stretches(count: usize) -> Vec<super::Stretch> {
        vec![(Stream { file: FileId(1), generation: 0 }, 0..200); count]
    }
}
