//! Which partition a key belongs to: as Kafka's own clients have it, so that records of one key that come from several
//! programs are in one partition.
//!
//! Kafka's Java client takes the murmur2 hash of the key's bytes (32 bits, seed 0x9747b28c), without its sign, modulo
//! the number of partitions; librdkafka calls that `murmur2`.

const SEED: u32 = 0x9747_b28c;
const FACTOR: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition of the records with `key` in a topic of `count` partitions; `count` is at least 1.
#[must_use]
pub fn partition_of(key: &[u8], count: i32) -> i32 {
    let hash = murmur2(key) & i32::MAX.unsigned_abs();
    // Less than `count`, so it fits.
    (hash % count.max(1).unsigned_abs()) as i32
}

fn murmur2(key: &[u8]) -> u32 {
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(FACTOR);
        word = (word ^ (word >> SHIFT)).wrapping_mul(FACTOR);
        hash = hash.wrapping_mul(FACTOR) ^ word;
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition_of};

    #[test]
    fn the_hash_is_that_of_kafkas_java_client() {
        // The values that the tests of Kafka's own clients expect, of every length modulo 4.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_partition_is_always_one_of_those_that_are_there() {
        for key in [&b""[..], b"a", b"21", b"foobar", &[0xff; 9]] {
            assert_eq!(partition_of(key, 1), 0);
            assert!((0..7).contains(&partition_of(key, 7)), "{key:?}");
        }
        // -973 932 308 without its sign is 1 173 551 340.
        assert_eq!(partition_of(b"21", 7), 1_173_551_340 % 7);
    }
}
