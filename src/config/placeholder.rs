//! The settings of rooms that have not landed yet; each is replaced by its room's own as it lands.
#![allow(missing_docs)]

pub mod elastic {
    #[derive(Clone, Debug, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct Settings {
        pub urls: Vec<String>,
        pub username: Option<String>,
        pub password: Option<String>,
    }
    impl Default for Settings {
        fn default() -> Self {
            Self { urls: vec!["http://127.0.0.1:9200".to_owned()], username: None, password: None }
        }
    }
}
