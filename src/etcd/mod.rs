//! The only door to etcd: values and prefixes, writes that compare first, watches, keys under a lease.
//!
//! The room promises that it goes on trying for as long as it takes, server after server; that a value which was seen is
//! never replaced by an older one; that nothing is missed between two states that a watch tells of; and that an error
//! says which server, what happened and what to do. It must not know what the values mean.

mod client;
mod error;
mod lease;
mod pace;
mod settings;
mod watch;

pub use client::{Change, Entry, Etcd, Snapshot, Written};
pub use error::EtcdError;
pub use lease::{Place, hold};
pub use settings::Settings;
pub use watch::{Heard, Range, watch};

/// The most bytes of one value that is read; etcd itself takes 1.5 MiB, unless it was told to take more.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
