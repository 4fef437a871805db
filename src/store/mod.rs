//! What a store can do: the question as data, the answers, and the trait that every store implements.
//!
//! A question is one tree ([`Query`]); each store lowers it to its own terms. The text that people type is
//! parsed into the same tree. This room knows of no store and no network; what a word of text is
//! ([`words`]) is decided here once, so that the parser and every store agree.

pub mod query;
pub mod words;

mod alias;
mod error;
mod highlight;
mod lexer;
mod matches;
mod parse;
mod print;
mod time;
mod value;

use std::ops::Range;

use futures::future::BoxFuture;
use jiff::Timestamp;
use thiserror::Error;

pub use error::{Fix, Hint, ParseError};
pub use highlight::highlights;
pub use matches::{field, matches};
pub use parse::{BYTES_MAX, Parsed, parse, read};
pub use print::print;
pub use query::{Expr, Query};
pub use time::{End, parse as parse_time};

/// One document that was found.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Hit {
    /// The document's `_id`.
    pub id: String,
    /// `@timestamp`.
    pub time: Timestamp,
    /// The document as it was indexed, with flat, dotted names (`host.name`) at its root.
    pub source: serde_json::Map<String, serde_json::Value>,
}

/// Where a page of hits ends; hits come newest first, then by path, then by offset, highest first.
///
/// Its text form, for links and requests, is opaque to the caller.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// The last hit's time in nanoseconds since 1970.
    pub time_ns: i64,
    /// The last hit's `log.file.path`.
    pub path: String,
    /// The last hit's `log.offset`.
    pub offset: u64,
}

/// Which hits of all that match are wanted.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most this many hits; a store may return fewer.
    pub limit: usize,
    /// Hits behind this one, newest first.
    pub after: Option<Cursor>,
}

/// A page of hits.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// Where to go on; none if this was the last page.
    pub next: Option<Cursor>,
    /// How many documents match in all.
    pub total: Total,
    /// Why the answer may be incomplete, in words for a person; none if it is complete.
    pub partial: Option<String>,
}

/// How many documents match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Total {
    /// The count.
    pub count: u64,
    /// Whether the count is exact, or there are at least this many.
    pub exact: bool,
}

/// How many documents match over time.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Histogram {
    /// Where the first bucket begins, in milliseconds since 1970.
    pub start_ms: i64,
    /// How wide each bucket is, in milliseconds.
    pub width_ms: i64,
    /// The buckets in order, empty ones included.
    pub buckets: Vec<Bucket>,
}

/// One bar of a histogram.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bucket {
    /// Documents in the bucket.
    pub count: u64,
    /// Documents by `log.level`, for those that have one.
    pub levels: std::collections::BTreeMap<String, u64>,
}

/// Why a store did not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store can't be reached or is not ready; asking again later may help.
    #[error("{0}")]
    Away(String),
    /// The store can't answer this question; the text says why and what would work.
    #[error("{0}")]
    Unsupported(String),
    /// The store answered something that is not an answer.
    #[error("{0}")]
    Failed(String),
}

/// A store that can be asked. Answers never mix documents of an unfinished commit.
pub trait Store: Send + Sync {
    /// The newest documents that match.
    fn find<'a>(&'a self, query: &'a Query, page: &'a Page) -> BoxFuture<'a, Result<Found, StoreError>>;

    /// How many documents match.
    fn count<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Total, StoreError>>;

    /// How many documents match over time, in at most `buckets` buckets of a round width. The range is the
    /// query's window where it has one, else from the oldest to the newest document that matches.
    fn histogram<'a>(&'a self, query: &'a Query, buckets: usize) -> BoxFuture<'a, Result<Histogram, StoreError>>;
}

/// A round width for buckets that covers `range_ms` (milliseconds since 1970) with at most `buckets` of them.
#[must_use]
pub fn bucket_width_ms(range_ms: &Range<i64>, buckets: usize) -> i64 {
    const SECOND: i64 = 1_000;
    const WIDTHS: [i64; 22] = [
        1,
        10,
        100,
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        15 * SECOND,
        30 * SECOND,
        60 * SECOND,
        120 * SECOND,
        300 * SECOND,
        600 * SECOND,
        900 * SECOND,
        1_800 * SECOND,
        3_600 * SECOND,
        7_200 * SECOND,
        10_800 * SECOND,
        21_600 * SECOND,
        43_200 * SECOND,
        86_400 * SECOND,
        604_800 * SECOND,
    ];
    let wanted = (range_ms.end - range_ms.start).max(1) / buckets.max(1) as i64 + 1;
    let weeks = || (wanted / WIDTHS[21] + 1) * WIDTHS[21];
    WIDTHS.into_iter().find(|width| *width >= wanted).unwrap_or_else(weeks)
}
