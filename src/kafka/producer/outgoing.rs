//! What goes in and what comes out: a record with a ticket, and its answer.

use std::sync::Arc;

use crate::{kafka::KafkaError, record::Pieces};

/// A record to be sent.
#[derive(Debug)]
pub struct Outgoing<T> {
    /// Where to.
    pub topic: Arc<str>,
    /// The partition; none leaves the choice to librdkafka (by key where there is one).
    pub partition: Option<i32>,
    /// The key; any bytes. Pieces have their own.
    pub key: Option<Vec<u8>>,
    /// The value; any bytes. If there are pieces, each is a record of its own.
    pub value: Vec<u8>,
    /// The headers, in order; of pieces, none but their own.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// How the value is cut into records; not at all if there are none.
    pub pieces: Pieces,
    /// What the sender wants back with the answer.
    pub ticket: T,
}

/// Where a record ended up; of pieces, one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// The record's offset in the partition.
    pub offset: i64,
}

/// A record that can never be taken, and why.
#[derive(Debug)]
pub struct Failed {
    /// [`KafkaError::TooLarge`] or [`KafkaError::Refused`].
    pub error: KafkaError,
    /// The record, as it was sent; of pieces, those that were not taken. All others were.
    pub record: Outgoing<()>,
}

/// The answer for one record.
#[derive(Debug)]
pub struct Delivered<T> {
    /// What was given with the record.
    pub ticket: T,
    /// All in-sync replicas have the record, or none ever will.
    pub result: Result<Placed, Box<Failed>>,
}

impl<T> Outgoing<T> {
    /// How long the longest value of its records is.
    pub(super) fn longest(&self) -> usize {
        let pieces = self.pieces.each.iter().map(|piece| piece.value.len());
        pieces.max().unwrap_or(self.value.len())
    }
}
