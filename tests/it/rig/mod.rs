//! The rig: everything that a test of the main road stands on.
//!
//! Services are real and started once a run; each test has a [`Site`] of its own (directories, topic, indices,
//! configuration), so tests don't see each other. Nothing here skips: what can't be started fails the test.

pub mod api;
pub mod browser;
pub mod cluster;
pub mod corpus;
pub mod dice;
pub mod etcd;
pub mod index;
pub mod kafka;
pub mod ports;
pub mod program;
pub mod prometheus;
pub mod rough;
pub mod secure;
pub mod services;
pub mod site;
pub mod verify;

pub use corpus::LogFile;
pub use dice::Dice;
pub use program::Program;
pub use site::Site;

use std::time::{Duration, Instant};

/// Waits until `met` says yes, asking every 50 ms, and fails the test with `what` after `limit`.
///
/// The limit is generous and only bounds a run that hangs: no test depends on how fast something is.
pub async fn until(what: &str, limit: Duration, mut met: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !met().await {
        assert!(start.elapsed() < limit, "{what}: not after {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A number from the environment, or `default`: how the short form of a test is made a long one.
pub fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {text:?}")),
        Err(_) => default,
    }
}
