//! Blocks to batches, and the packed format, both directions.
//!
//! [`Batcher`] gathers the blocks of one topic, partition and key into a [`Batch`]: one compressed record with the
//! spans of the files that it covers. [`frame`] is the format of that record. [`lines`] makes of the same blocks a
//! record for each line, for consumers that are not ours (`docs/wire-format.md` specifies both). The room
//! promises that the text of a batch is the blocks' bytes as they stood in the files, in their order, and that
//! its spans cover exactly those bytes. It must not know who reads files, or how a record reaches Kafka.

mod batch;
mod encoder;
pub mod frame;
pub mod lines;
mod meta;
pub mod outline;
mod split;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Batcher, SEGMENTS_MAX, Sender, Settings, Share};
pub use split::{Split, split};
