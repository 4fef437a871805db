//! The rooms that read what others wrote, mounted from `../src` where they stand.
//!
//! A room imports only from lower floors, so these make a library without those above them; of the reader, only what
//! needs no files is here. What a fuzzer links has to be built again with its instrumentation: with the whole package, Kafka's client and tantivy included, that
//! took 6 minutes of processor time without optimisation; with these rooms it takes less than 3 with it.

#[path = "../src/batcher/mod.rs"]
pub mod batcher;
#[path = "../src/document/mod.rs"]
pub mod document;
#[path = "../src/reader/inflate/mod.rs"]
pub mod inflate;
#[path = "../src/metrics/mod.rs"]
pub mod metrics;
#[path = "../src/reader/multiline/mod.rs"]
pub mod multiline;
#[path = "../src/record/mod.rs"]
pub mod record;
#[path = "../src/splitter/mod.rs"]
pub mod splitter;
#[path = "../src/store/mod.rs"]
pub mod store;
