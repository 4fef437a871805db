//! What can be set of the embedded store.

use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;

/// The settings of the embedded store.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How much memory the index under construction may use, in all threads together; at least 16 MiB a thread.
    pub memory_bytes_max: ByteSize,
    /// How many threads index, 1 to 8.
    pub threads: usize,
    /// How large the store may grow; beyond it the oldest documents are deleted. Deleted documents leave the disk
    /// when their segment is merged, so for a time the store may be up to a third larger.
    pub bytes_max: ByteSize,
    /// How long a document waits, at most, until it can be found.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub commit_age_max: Duration,
    /// How many bytes of text wait, at most, until they are committed; never more than half of what may be in flight.
    pub commit_bytes_max: ByteSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_bytes_max: ByteSize::mib(64),
            threads: 1,
            bytes_max: ByteSize::gib(10),
            commit_age_max: Duration::from_millis(500),
            commit_bytes_max: ByteSize::mib(16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn an_empty_table_gives_the_defaults_and_an_unknown_key_is_refused() {
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        let some = toml::from_str::<Settings>("bytes_max = \"1GiB\"\ncommit_age_max = \"250ms\"").unwrap();
        assert_eq!((some.bytes_max, some.commit_age_max.as_millis()), (bytesize::ByteSize::gib(1), 250));
        assert!(toml::from_str::<Settings>("bytes = 1").is_err());
    }
}
