//! How many small records librdkafka may have at once, and how much it may put into one request.
//!
//! librdkafka takes a set of records one by one and may stop in the middle when its queue is full. So that it doesn't,
//! a set is offered only when all of it fits. The limits are librdkafka's own, `queue.buffering.max.*`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rdkafka::ClientConfig;

use crate::record::Pieces;

/// A request is not made smaller than this; no broker's limit is that low.
const SET_BYTES_MIN: usize = 64 * 1024;

/// librdkafka's own default of `batch.size`.
const SET_BYTES: usize = 1_000_000;

/// What is left of librdkafka's queue.
#[derive(Debug)]
pub(super) struct Room {
    records_max: usize,
    bytes_max: usize,
    records: AtomicUsize,
    bytes: AtomicUsize,
}

/// How many bytes of records a request may have.
#[derive(Debug)]
pub(super) struct Sets {
    bytes: AtomicUsize,
    is_asked: AtomicBool,
}

impl Room {
    pub(super) fn of(config: &ClientConfig) -> Self {
        Self {
            records_max: number(config, "queue.buffering.max.messages", 100_000),
            bytes_max: number(config, "queue.buffering.max.kbytes", 1 << 20).saturating_mul(1024),
            records: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Takes room for all of a set, or none. One that is larger than the queue is let into the empty one. Two must not
    /// ask at once.
    pub(super) fn take(&self, pieces: &Pieces, buffer: &[u8]) -> bool {
        let records = self.records.load(Ordering::Acquire);
        let bytes = self.bytes.load(Ordering::Acquire);
        let own = bytes_of(pieces, buffer);
        let fits = records + pieces.each.len() <= self.records_max && bytes + own <= self.bytes_max;
        if !fits && records > 0 {
            return false;
        }
        self.records.fetch_add(pieces.each.len(), Ordering::AcqRel);
        self.bytes.fetch_add(own, Ordering::AcqRel);
        true
    }

    /// Gives back the room of a set.
    pub(super) fn give_back(&self, pieces: &Pieces, buffer: &[u8]) {
        self.records.fetch_sub(pieces.each.len(), Ordering::AcqRel);
        self.bytes.fetch_sub(bytes_of(pieces, buffer), Ordering::AcqRel);
    }
}

/// What a set takes in the queue: records share their keys in our buffer, and have each its own there.
fn bytes_of(pieces: &Pieces, buffer: &[u8]) -> usize {
    buffer.len() + pieces.each.iter().map(|piece| piece.key.len()).sum::<usize>()
}

impl Sets {
    pub(super) fn of(config: &ClientConfig) -> Self {
        Self { bytes: AtomicUsize::new(number(config, "batch.size", SET_BYTES)), is_asked: AtomicBool::new(false) }
    }

    /// Asks for smaller requests, if that may help pieces that were refused as too large: one that was not alone in
    /// its request may fit into a smaller one. Returns whether it may.
    pub(super) fn ask_to_shrink(&self, pieces: &Pieces) -> bool {
        let bytes = self.bytes.load(Ordering::Acquire);
        let may_help = bytes > SET_BYTES_MIN && pieces.each.iter().any(|piece| piece.value.len() < bytes);
        if may_help {
            self.is_asked.store(true, Ordering::Release);
        }
        may_help
    }

    /// Whether smaller requests were asked for.
    pub(super) fn is_asked_to_shrink(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }

    /// Makes requests half as large; how large they are now.
    pub(super) fn shrink(&self) -> usize {
        let bytes = (self.bytes.load(Ordering::Acquire) / 2).max(SET_BYTES_MIN);
        self.bytes.store(bytes, Ordering::Release);
        self.is_asked.store(false, Ordering::Release);
        bytes
    }

    /// The configuration of a client that makes requests of that size.
    pub(super) fn applied_to(&self, config: &ClientConfig) -> ClientConfig {
        let (mut config, bytes) = (config.clone(), self.bytes.load(Ordering::Acquire));
        if bytes < number(&config, "batch.size", SET_BYTES) {
            config.set("batch.size", bytes.to_string());
        }
        config
    }
}

fn number(config: &ClientConfig, name: &str, default: usize) -> usize {
    config.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;

    use super::{Room, SET_BYTES_MIN, Sets};
    use crate::record::{Piece, Pieces};

    fn pieces(lengths: &[u32]) -> Pieces {
        let each = lengths.iter().map(|length| Piece { value: 0..*length, key: 0..0, headers: 0..0 }).collect();
        Pieces { each, headers: Vec::new() }
    }

    #[test]
    fn a_set_gets_room_for_all_of_it_or_none_and_a_huge_one_is_let_in_alone() {
        let mut config = ClientConfig::new();
        config.set("queue.buffering.max.messages", "3").set("queue.buffering.max.kbytes", "1");
        let room = Room::of(&config);
        assert!(room.take(&pieces(&[1; 2]), &[0; 10]));
        assert!(!room.take(&pieces(&[1; 2]), &[0; 10]) && !room.take(&pieces(&[1]), &[0; 1024]));
        assert!(room.take(&pieces(&[1]), &[0; 10]));
        room.give_back(&pieces(&[1; 2]), &[0; 10]);
        room.give_back(&pieces(&[1]), &[0; 10]);
        assert!(room.take(&pieces(&[1; 9]), &[0; 5000]) && !room.take(&pieces(&[1]), &[]));
    }

    #[test]
    fn requests_shrink_only_while_that_may_help_a_record_that_was_refused() {
        let sets = Sets::of(&ClientConfig::new());
        assert!(!sets.ask_to_shrink(&pieces(&[2_000_000])) && !sets.ask_to_shrink(&Pieces::default()));
        assert!(!sets.is_asked_to_shrink() && sets.applied_to(&ClientConfig::new()).get("batch.size").is_none());
        assert!(sets.ask_to_shrink(&pieces(&[2_000_000, 700_000])) && sets.is_asked_to_shrink());
        assert_eq!(sets.shrink(), 500_000);
        assert_eq!(sets.applied_to(&ClientConfig::new()).get("batch.size"), Some("500000"));
        assert!(!sets.is_asked_to_shrink() && !sets.ask_to_shrink(&pieces(&[700_000])));
        for _ in 0..5 {
            sets.shrink();
        }
        assert!(sets.shrink() == SET_BYTES_MIN && !sets.ask_to_shrink(&pieces(&[10])));
    }
}
