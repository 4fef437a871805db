//! The settings of rooms that have not landed yet; each is replaced by its room's own as it lands.
#![allow(missing_docs)]

pub mod embedded {
    #[derive(Clone, Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Settings {}
}

pub mod batcher {
    use bytesize::ByteSize;
    use std::time::Duration;

    #[derive(Clone, Debug, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Settings {
        pub bytes_max: ByteSize,
        #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
        pub age_max: Duration,
    }
    impl Default for Settings {
        fn default() -> Self {
            Self { bytes_max: ByteSize::kib(960), age_max: Duration::from_millis(100) }
        }
    }
}
