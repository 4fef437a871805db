//! The settings of rooms that have not landed yet; each is replaced by its room's own as it lands.
#![allow(missing_docs)]

pub mod embedded {
    #[derive(Clone, Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Settings {}
}
