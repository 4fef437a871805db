//! Another logdrive as a store, asked through its API.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::{
    answer::{self, Code, Problem, cursor_text, read_cursor},
    question::LIMIT_MAX,
};
use crate::store::{self, Found, Histogram, Hit, Page, Query, Store, StoreError, Total};

/// A little more than what the other side allows itself, so that its own words arrive.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);

/// A logdrive that serves its page and API at an address.
#[derive(Clone, Debug)]
pub struct Remote {
    client: reqwest::Client,
    base: Url,
}

impl Remote {
    /// Asks the logdrive whose page is at `url`, for example `http://127.0.0.1:7717`.
    ///
    /// # Errors
    /// If the address is not one of HTTP.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::Failed(format!("`{url}` is not the address of a page: {why}"));
        let mut base = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong("it begins with neither http:// nor https://".to_owned()));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let client =
            reqwest::Client::builder().timeout(ANSWER_LIMIT).build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { client, base })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &Query,
        more: &[(&str, String)],
    ) -> Result<T, StoreError> {
        let mut url = self.base.join(what).map_err(|error| StoreError::Failed(error.to_string()))?;
        url.query_pairs_mut().append_pair("q", &store::print(query)).extend_pairs(more);
        let away = |error: reqwest::Error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            StoreError::Away(format!("no answer from {}: {cause}; is `logdrive up` running there?", self.base))
        };
        let response = self.client.get(url).send().await.map_err(away)?;
        let status = response.status();
        let body = response.bytes().await.map_err(away)?;
        let strange = |error: serde_json::Error| {
            StoreError::Failed(format!("{} answered {status} with what is not logdrive's: {error}", self.base))
        };
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(strange);
        }
        let Problem { code, message, .. } = serde_json::from_slice(&body).map_err(strange)?;
        Err(match code {
            Code::Away | Code::TooSlow => StoreError::Away(message),
            Code::BadQuery | Code::BadRequest | Code::Unsupported => StoreError::Unsupported(message),
            Code::Failed => StoreError::Failed(message),
        })
    }

    async fn find(&self, query: &Query, page: &Page) -> Result<Found, StoreError> {
        let mut more = vec![("limit", page.limit.clamp(1, LIMIT_MAX).to_string())];
        more.extend(page.after.as_ref().map(|after| ("cursor", cursor_text(after))));
        let answer::Page { hits, next, total, partial, .. } = self.ask("api/search", query, &more).await?;
        let hits = hits.into_iter().map(|row| Hit { id: row.id, time: row.time, source: row.source }).collect();
        Ok(Found { hits, next: next.and_then(|next| read_cursor(&next)), total, partial })
    }
}

impl Store for Remote {
    fn find<'a>(&'a self, query: &'a Query, page: &'a Page) -> BoxFuture<'a, Result<Found, StoreError>> {
        Box::pin(self.find(query, page))
    }

    fn count<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Total, StoreError>> {
        Box::pin(self.ask("api/count", query, &[]))
    }

    fn histogram<'a>(&'a self, query: &'a Query, buckets: usize) -> BoxFuture<'a, Result<Histogram, StoreError>> {
        Box::pin(async move { self.ask("api/histogram", query, &[("buckets", buckets.to_string())]).await })
    }
}
