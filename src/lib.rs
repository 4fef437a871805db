//! logdrive moves log lines from where they are written to where they are searched, fast, and with nothing lost.
//!
//! The rooms, floor by floor, lowest first; a room imports only from the floors below its own
//! (`tests/tidy.rs` checks it). `ARCHITECTURE.md` has the picture, the invariants and the walk of a line.

// Floor 0: words and gauges.
pub mod inspect;
pub mod metrics;
pub mod record;

// Floor 1: tools and interfaces.
pub mod etcd;
pub mod letter;
pub mod splitter;
pub mod store;

// Floor 2: stations; they know nothing of each other.
pub mod batcher;
pub mod checkpoint;
pub mod document;
pub mod elastic;
pub mod embedded;
pub mod host;
pub mod kafka;
pub mod reader;
pub mod registry;

// Floor 3: the configuration.
pub mod config;

// Floor 4: roles, which join stations.
pub mod agent;
pub mod audit;
pub mod local;
pub mod search;
pub mod top;
pub mod transfer;
pub mod trial;

// Floor 5: the command line.
pub mod cli;
