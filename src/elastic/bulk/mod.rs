//! Many documents in one request, and what became of each.
//!
//! [`Body`] holds the documents, [`Sender`] sends them, [`Outcomes`] says which are done. A request that is refused
//! as a whole, for its size or for an item in it, is parted until the guilty item stands alone; so one bad document
//! never takes others with it. Waiting and trying again is the caller's: nothing here sleeps.

mod answer;
mod body;
#[cfg(test)]
mod faults;
mod pool;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use elasticsearch::http::{Method, headers::HeaderValue};
use thiserror::Error;
use tracing::{debug, warn};

pub use answer::{Outcome, Outcomes, Reason};
pub use body::Body;
use pool::Pool;

use super::{Client, ElasticError, Flavor, Server, Settings, client::Answer, error};
use crate::metrics::{Histogram, counter, histogram, list};

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// A body is not made smaller than this because a server found it too large.
const BYTES_MAX_AT_LEAST: usize = 64 * 1024;

/// After so many items refused one by one, with none taken, it is the request itself that the server doesn't like.
const REFUSED_MAX: usize = 8;

/// Sends bodies to one cluster. May be used by several tasks at once.
pub struct Sender {
    client: Client,
    path: String,
    data_stream: bool,
    /// Whether the server can be told to make no index where a data stream is meant, and is.
    requires_data_stream: AtomicBool,
    bytes_max: AtomicUsize,
    items_max: usize,
    pool: Pool,
    seconds: Histogram,
    size: Histogram,
}

/// Why nothing is known of a body's items: all are to be sent again, after a while. Nothing is lost by that.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct BulkError {
    /// What went wrong.
    #[source]
    pub error: ElasticError,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Sender {
    /// A sender of bodies of the sizes in `settings`. With `data_stream` its documents go to data streams only: where
    /// none can be made, for want of a template, no index is made instead.
    #[must_use]
    pub fn new(client: Client, server: &Server, settings: &Settings, data_stream: bool) -> Self {
        // An index whose shards are not there is waited for by the server, and then spoken of: before we give up.
        let path = format!(
            "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason,\
             items.*.error.caused_by.reason&timeout={}ms",
            (settings.request_timeout / 2).as_millis()
        );
        let bytes_max = usize::try_from(settings.bulk_bytes_max.as_u64()).unwrap_or(usize::MAX);
        let sender = Self {
            client,
            path,
            data_stream,
            requires_data_stream: AtomicBool::new(false),
            bytes_max: AtomicUsize::new(bytes_max.max(BYTES_MAX_AT_LEAST)),
            items_max: settings.bulk_documents_max.max(1),
            pool: Pool::default(),
            seconds: histogram(&list::BULK_SECONDS, &[]),
            size: histogram(&list::BULK_SIZE_BYTES, &[]),
        };
        sender.now_for(server);
        sender
    }

    /// From now on the servers are of this product and version: they were upgraded.
    pub fn now_for(&self, server: &Server) {
        let can = server.flavor == Flavor::Elasticsearch && server.version >= (8, 13, 0);
        self.requires_data_stream.store(self.data_stream && can, Ordering::Relaxed);
    }

    /// An empty body of the size that the servers are known to take.
    #[must_use]
    pub fn body(&self) -> Body {
        let bytes_max = ByteSize::b(self.bytes_max.load(Ordering::Relaxed) as u64);
        Body::with_buffer(self.pool.buffer(), bytes_max, self.items_max)
    }

    /// Sends a body and says what became of each item.
    ///
    /// # Errors
    /// [`BulkError`], if nothing is known of any item.
    pub async fn send(&self, body: &mut Body) -> Result<Outcomes, BulkError> {
        if body.is_empty() {
            return Ok(Outcomes::default());
        }
        match self.send_once(body).await? {
            Verdict::Told(outcomes) => Ok(outcomes),
            Verdict::Refused(refusal) => self.send_in_parts(body, refusal).await,
        }
    }

    /// Sends ever smaller parts of a body that was refused as a whole. Once a part can't be sent at all, the parts
    /// behind it are not tried: their items wait.
    async fn send_in_parts(&self, body: &mut Body, refusal: Refusal) -> Result<Outcomes, BulkError> {
        let mut outcomes = Outcomes { items: body.len(), others: Vec::new() };
        let mut taken = false;
        // Parts still to be sent, the first on top; the first of all has been sent already, and refused.
        let mut waiting = vec![(0..body.len(), Some(refusal))];
        while let Some((items, known)) = waiting.pop() {
            let verdict = match known {
                Some(refusal) => Verdict::Refused(refusal),
                None => match self.send_once(&mut body.part(items.clone())).await {
                    Ok(verdict) => verdict,
                    Err(failed) => {
                        debug!(error = %failed, "a part of a bulk request failed");
                        outcomes.others.extend((items.start..body.len()).map(|item| (item, Outcome::Untold)));
                        return Ok(outcomes);
                    }
                },
            };
            match verdict {
                Verdict::Told(told) => {
                    taken = true;
                    outcomes.others.extend(told.others.into_iter().map(|(item, other)| (items.start + item, other)));
                }
                Verdict::Refused(_) if items.len() > 1 => {
                    let middle = items.start + items.len() / 2;
                    waiting.push((middle..items.end, None));
                    waiting.push((items.start..middle, None));
                }
                Verdict::Refused(Refusal::Malformed(error)) if !taken && outcomes.others.len() >= REFUSED_MAX => {
                    return Err(BulkError { error, retry_after: None });
                }
                Verdict::Refused(refusal) => outcomes.others.push((items.start, Outcome::of(Box::new(refusal.into())))),
            }
        }
        Ok(outcomes)
    }

    async fn send_once(&self, body: &mut Body) -> Result<Verdict, BulkError> {
        let started = Instant::now();
        self.size.record(body.bytes_len() as f64);
        let required = if self.requires_data_stream.load(Ordering::Relaxed) { "&require_data_stream=true" } else { "" };
        let path = format!("{}{required}", self.path);
        let answer = self.client.request(Method::Post, &path, NDJSON, Some(body.sealed())).await;
        self.seconds.record(started.elapsed().as_secs_f64());
        let code = answer.as_ref().map_or(0, |answer| answer.status);
        counter(&list::BULK_RESPONSES, &[&code.to_string()]).increment(1);
        let answer = answer.map_err(|error| BulkError { error, retry_after: None })?;
        self.judge(answer, body)
    }

    fn judge(&self, answer: Answer, body: &Body) -> Result<Verdict, BulkError> {
        let retry_after = answer.retry_after;
        let again = |error: ElasticError| BulkError { error, retry_after };
        match answer.status {
            200 => Outcomes::read(&answer.body, body.len())
                .map(Verdict::Told)
                .map_err(|reason| again(answer.garbled(&self.path, &reason))),
            413 => {
                self.take_smaller(body.bytes_len());
                Ok(Verdict::Refused(Refusal::TooLarge))
            }
            400 | 404 => {
                let error = answer.into_error(&self.path);
                // Only the server itself names the error; a proxy that says this to everything must not cost documents.
                let is_named = matches!(&error, ElasticError::Status { kind, .. } if !kind.is_empty());
                if is_named { Ok(Verdict::Refused(Refusal::Malformed(error))) } else { Err(again(error)) }
            }
            _ => Err(again(answer.into_error(&self.path))),
        }
    }

    /// Remembers that a body of `bytes` was too large, so that the next ones are smaller.
    fn take_smaller(&self, bytes: usize) {
        let wanted = (bytes / 2).max(BYTES_MAX_AT_LEAST);
        if self.bytes_max.fetch_min(wanted, Ordering::Relaxed) > wanted {
            let bytes_max = ByteSize::b(wanted as u64);
            warn!(refused = %ByteSize::b(bytes as u64), %bytes_max, "the server finds bulk requests too large");
        }
    }
}

/// What a server made of a body as a whole.
enum Verdict {
    /// It told of each item.
    Told(Outcomes),
    /// It took none.
    Refused(Refusal),
}

/// Why a server took no item of a body.
enum Refusal {
    /// The body has too many bytes.
    TooLarge,
    /// Something in the body can't be read.
    Malformed(ElasticError),
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge => {
                Reason { status: 413, kind: "too_large".to_owned(), text: error::status_hint(413).to_owned() }
            }
            Refusal::Malformed(ElasticError::Status { status, kind, reason, .. }) => {
                Reason { status, kind, text: reason }
            }
            Refusal::Malformed(error) => Reason { status: 400, kind: String::new(), text: error.to_string() },
        }
    }
}
