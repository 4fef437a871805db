//! The only door to Kafka: records out, records in, and what can be asked of a cluster.
//!
//! Behind the door is librdkafka. What the room promises:
//!
//! - **Every record that is sent is answered once**, in [`Delivered`]. A record that the brokers may take later is
//!   tried again for as long as it takes, in the order in which it was first sent; only one that can never be
//!   taken (too large, refused for its content) comes back. A client that met a fatal error is rebuilt.
//! - **An offset is committed only when the role says so.** Partitions are given up only after the role was asked
//!   to settle what it has of them, and no record of a partition follows the news that it is gone.
//! - **Bounded.** What is under way and what is fetched ahead is limited in bytes ([`Settings`] has the figures);
//!   a full queue makes the sender wait, and a reader that is slow makes the fetching pause while heartbeats go on.
//!
//! It must not know what a record means, who sends it, or what is done with what was read.

mod access;
mod admin;
mod anew;
mod aside;
mod bounds;
mod consumer;
mod error;
#[cfg(test)]
mod fault_tests;
mod greeting;
mod headers;
mod history;
mod lag;
mod partitioner;
mod partitions;
mod producer;
mod rebalance;
mod records;
mod settings;
mod start;
mod token;
mod topics;
mod vitals;
mod voice;

pub use access::Mechanism;
pub use admin::{Intent, NewTopic, create, see_to, settings_of};
pub use bounds::{Bounds, bounds};
pub use consumer::{Committer, Consumer, Event, Membership};
pub use error::KafkaError;
pub use history::{Extent, Past, Reach, newest, within};
pub use partitioner::partition_of;
pub use producer::{Delivered, Failed, Outgoing, Placed, Producer};
pub use rebalance::{Assignment, AssignmentId, Parting, Release};
pub use records::{Content, Record, Records};
pub use settings::Settings;
pub use start::StartFrom;
pub use topics::{Topic, check, describe};
