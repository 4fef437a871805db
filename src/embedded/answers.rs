//! Questions to the store, and their answers.

use std::{
    collections::HashSet,
    io,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tantivy::{
    DocAddress, Index, IndexReader, Order, ReloadPolicy, Searcher, TantivyDocument, Term,
    collector::{
        Count, DocSetCollector, TopDocs,
        sort_key::{SortByStaticFastValue, SortByString},
    },
    query::Query as TantivyQuery,
    schema::Value,
};
use tokio::sync::Semaphore;

use crate::{
    record::Stream,
    store::{
        Cursor, Expr, Found, Histogram, Hit, Page, Query, Store, StoreError, Total,
        query::{Compare, Scalar, Test},
    },
};

use super::{
    directory::{self, OpenError, store_dir},
    entry::nanoseconds,
    histogram::{Bars, Extent},
    lower::{Lowering, all_of, any_of, range_query},
    schema::{Fields, OFFSET, PATH, TIME, schema},
    verify::{Failure, source},
};

/// The most hits of one page.
const HITS_MAX: usize = 10_000;

/// How many questions are answered at once; more wait for their turn.
const QUESTIONS_MAX: usize = 4;

/// The store, to be asked. Clones share one.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    fields: Fields,
    reader: IndexReader,
    /// The file that each commit replaces.
    meta: PathBuf,
    /// Which file that was when the reader last looked.
    seen: Mutex<Option<Seen>>,
    turns: Semaphore,
}

/// What tells one file from the one that replaces it.
type Seen = (u64, i64, i64, u64);

type SortKey = (Option<i64>, Option<String>, Option<u64>);

impl Embedded {
    /// Opens the store of a data directory to ask it, whether or not another process writes into it.
    ///
    /// # Errors
    /// If there is none, or it can't be read.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let dir = store_dir(data_dir);
        let (index, _) = directory::open(&dir)?;
        Self::new(&index, &dir)
    }

    pub(super) fn new(index: &Index, dir: &Path) -> Result<Self, OpenError> {
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into();
        let reader = reader.map_err(|error| OpenError::Damaged { dir: dir.to_owned(), why: error.to_string() })?;
        Ok(Self(Arc::new(Inner {
            fields: schema().1,
            reader,
            meta: dir.join("meta.json"),
            seen: Mutex::new(None),
            turns: Semaphore::new(QUESTIONS_MAX),
        })))
    }

    /// The ids of a stream's documents whose lines begin within `range`.
    pub(super) fn ids(&self, stream: Stream, range: Range<u64>) -> Result<HashSet<String>, StoreError> {
        let of = |name: &str, test| Expr::Field { name: name.to_owned(), test };
        let generation = Scalar::Number(stream.generation.into());
        let offsets = (Scalar::Number(range.start as f64), Scalar::Number(range.end as f64));
        let expr = Expr::And(vec![
            of("logdrive.file", Test::Is(stream.file.to_string())),
            of("logdrive.generation", Test::Compare(Compare::Eq, generation)),
            of("log.offset", Test::Range(offsets.0, offsets.1)),
        ]);
        let question = self.0.question(&Query { expr, ..Query::default() })?;
        let found = question.search(&*question.query, &DocSetCollector)?;
        let id = |address| {
            let document: TantivyDocument = question.searcher.doc(address).map_err(failed)?;
            Ok(document.get_first(self.0.fields.id).and_then(|id| id.as_str()).unwrap_or_default().to_owned())
        };
        found.into_iter().map(id).collect()
    }

    /// Answers on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        let _turn = self.0.turns.acquire().await.map_err(|error| StoreError::Away(error.to_string()))?;
        let answered = tokio::task::spawn_blocking(move || answer(&inner)).await;
        answered.unwrap_or_else(|error| Err(StoreError::Failed(format!("the search ended early: {error}"))))
    }
}

impl Store for Embedded {
    fn find<'a>(&'a self, query: &'a Query, page: &'a Page) -> BoxFuture<'a, Result<Found, StoreError>> {
        let (query, page) = (query.clone(), page.clone());
        self.ask(move |inner| inner.find(&query, &page)).boxed()
    }

    fn count<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Total, StoreError>> {
        let query = query.clone();
        self.ask(move |inner| {
            let question = inner.question(&query)?;
            question.search(&*question.query, &Count).map(total)
        })
        .boxed()
    }

    fn histogram<'a>(&'a self, query: &'a Query, buckets: usize) -> BoxFuture<'a, Result<Histogram, StoreError>> {
        let query = query.clone();
        self.ask(move |inner| inner.histogram(&query, buckets)).boxed()
    }
}

/// A question that is being answered: one state of the index, whatever is committed meanwhile.
struct Question {
    searcher: Searcher,
    query: Box<dyn TantivyQuery>,
    failure: Failure,
}

impl Question {
    fn search<C: tantivy::collector::Collector>(
        &self,
        query: &dyn TantivyQuery,
        collector: &C,
    ) -> Result<C::Fruit, StoreError> {
        let found = self.searcher.search(query, collector).map_err(failed)?;
        self.failure.get().map_or(Ok(found), |failure| Err(StoreError::Failed(failure.clone())))
    }
}

impl Inner {
    fn question(&self, query: &Query) -> Result<Question, StoreError> {
        let searcher = self.searcher()?;
        let failure = Failure::default();
        let query = Lowering { fields: &self.fields, searcher: &searcher, failure: &failure }.query(query);
        Ok(Question { searcher, query, failure })
    }

    /// The index as last committed.
    fn searcher(&self) -> Result<Searcher, StoreError> {
        let now = seen(&self.meta).map_err(|error| {
            StoreError::Away(format!("can't look at {}: {error}; was the store moved?", self.meta.display()))
        })?;
        let mut last = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != Some(now) {
            self.reader.reload().map_err(failed)?;
            *last = Some(now);
        }
        Ok(self.reader.searcher())
    }

    fn find(&self, query: &Query, page: &Page) -> Result<Found, StoreError> {
        let question = self.question(query)?;
        let limit = page.limit.min(HITS_MAX);
        if limit == 0 {
            let count = question.search(&*question.query, &Count)?;
            return Ok(Found { total: total(count), ..Found::default() });
        }
        let order = (
            (SortByStaticFastValue::<i64>::for_field(TIME), Order::Desc),
            (SortByString::for_field(PATH), Order::Asc),
            (SortByStaticFastValue::<u64>::for_field(OFFSET), Order::Desc),
        );
        // One more than wanted tells whether there is a next page.
        let newest = TopDocs::with_limit(limit + 1).order_by(order);
        let (mut newest, count) = match &page.after {
            None => question.search(&*question.query, &(newest, Count))?,
            Some(after) => {
                let behind = all_of(vec![question.query.box_clone(), self.behind(after)]);
                (question.search(&*behind, &newest)?, question.search(&*question.query, &Count)?)
            }
        };
        let is_last = newest.len() <= limit;
        newest.truncate(limit);
        let next = newest.last().filter(|_| !is_last).map(|(key, _)| cursor(key));
        let hits = newest.iter().map(|(key, address)| self.hit(&question.searcher, key, *address));
        Ok(Found { hits: hits.collect::<Result<_, _>>()?, next, total: total(count), partial: None })
    }

    /// The documents that come after a hit.
    fn behind(&self, after: &Cursor) -> Box<dyn TantivyQuery> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let time = || Term::from_field_i64(self.fields.time, after.time_ns);
        let path = || Term::from_field_text(self.fields.path, &after.path);
        let offset = Term::from_field_u64(self.fields.offset, after.offset);
        let same_file = vec![range_query(Included(path()), Included(path())), range_query(Unbounded, Excluded(offset))];
        let same_time = vec![
            range_query(Included(time()), Included(time())),
            any_of(vec![range_query(Excluded(path()), Unbounded), all_of(same_file)]),
        ];
        any_of(vec![range_query(Unbounded, Excluded(time())), all_of(same_time)])
    }

    fn hit(&self, searcher: &Searcher, key: &SortKey, address: DocAddress) -> Result<Hit, StoreError> {
        let document: TantivyDocument = searcher.doc(address).map_err(failed)?;
        let id = document.get_first(self.fields.id).and_then(|id| id.as_str()).unwrap_or_default();
        let time = Timestamp::from_nanosecond(i128::from(key.0.unwrap_or_default()));
        Ok(Hit {
            id: id.to_owned(),
            time: time.map_err(|error| StoreError::Failed(error.to_string()))?,
            source: source(&document, self.fields.source).map_err(StoreError::Failed)?,
        })
    }

    fn histogram(&self, query: &Query, buckets: usize) -> Result<Histogram, StoreError> {
        let question = self.question(query)?;
        let (since, until) = (query.since.map(nanoseconds), query.until.map(|until| nanoseconds(until) - 1));
        let (first, last) = match (since, until) {
            (Some(first), Some(last)) => (first, last),
            (since, until) => {
                let found = question.search(&*question.query, &Extent)?;
                let Some((first, last)) = found.or(since.or(until).map(|time| (time, time))) else {
                    return Ok(Histogram::default());
                };
                (since.unwrap_or(first), until.unwrap_or(last))
            }
        };
        let bars = Bars::covering(first, last.max(first), buckets);
        if last < first {
            return Ok(bars.empty());
        }
        question.search(&*question.query, &bars)
    }
}

fn seen(meta: &Path) -> io::Result<Seen> {
    let meta = std::fs::metadata(meta)?;
    Ok((meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
}

fn cursor((time_ns, path, offset): &SortKey) -> Cursor {
    Cursor {
        time_ns: time_ns.unwrap_or_default(),
        path: path.clone().unwrap_or_default(),
        offset: offset.unwrap_or_default(),
    }
}

fn total(count: usize) -> Total {
    Total { count: count as u64, exact: true }
}

fn failed(error: tantivy::TantivyError) -> StoreError {
    StoreError::Failed(format!("the store can't answer: {error}"))
}
