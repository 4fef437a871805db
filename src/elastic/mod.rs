//! The only door to Elasticsearch and OpenSearch.

mod lower;
pub mod search;

use crate::store::StoreError;
use elasticsearch::http::{Method, headers::HeaderMap, transport::Transport};

/// Stands in until the real client lands.
#[derive(Clone, Debug)]
pub struct Client(Transport);

impl Client {
    /// A client of one server.
    ///
    /// # Errors
    /// If the URL is none.
    pub fn single(url: &str) -> Result<Self, StoreError> {
        Transport::single_node(url).map(Self).map_err(|error| StoreError::Failed(error.to_string()))
    }

    async fn post_json(&self, path: &str, body: &serde_json::Value) -> Result<serde_json::Value, StoreError> {
        let body = Some(elasticsearch::http::request::JsonBody::new(body));
        let response = self
            .0
            .send(Method::Post, path, HeaderMap::new(), None::<&()>, body, None)
            .await
            .map_err(|error| StoreError::Away(error.to_string()))?;
        let ok = response.status_code().is_success();
        let value: serde_json::Value = response.json().await.map_err(|error| StoreError::Failed(error.to_string()))?;
        if ok { Ok(value) } else { Err(StoreError::Failed(value.to_string())) }
    }
}
