//! The only door to Elasticsearch and OpenSearch: documents go in by [`bulk`], questions go out through [`Client`].
//!
//! What it promises: a secret is never printed, logged or part of an error; every error says what to look at next;
//! an item of a bulk request is called done only if the server said so for that very item, and refused only if
//! asking again can't help. It knows nothing of Kafka, of files, or of how a document is made.

pub mod bulk;
pub mod check;
mod client;
mod credentials;
mod error;
mod lower;
pub mod places;
pub mod search;
mod server;
mod settings;
pub mod setup;
pub mod template;

pub use client::Client;
pub use error::ElasticError;
pub use server::{Flavor, Server};
pub use settings::Settings;
