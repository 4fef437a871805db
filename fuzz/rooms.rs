//! The rooms that read what others wrote, mounted from `../src` where they stand.
//!
//! A room imports only from lower floors, so these make a library without those above them. What a fuzzer links
//! has to be built again with its instrumentation; without Kafka's client, tantivy and the TLS stack, which no
//! target here reaches, that takes a fifth of the time.

#[path = "../src/batcher/mod.rs"]
pub mod batcher;
#[path = "../src/document/mod.rs"]
pub mod document;
#[path = "../src/metrics/mod.rs"]
pub mod metrics;
#[path = "../src/record/mod.rs"]
pub mod record;
#[path = "../src/splitter.rs"]
pub mod splitter;
#[path = "../src/store/mod.rs"]
pub mod store;
