//! The settings of the connection, as they stand under `[elasticsearch]`.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::Deserialize;

use super::setup;
use crate::record::Secret;

/// How to reach the servers, and how much to send them at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The servers, all of one cluster: `http://` or `https://`, host, port, and a path where a proxy wants one.
    /// Requests go to each in turn; one that can't be reached is passed over for a while.
    pub urls: Vec<String>,
    /// The user's name, for a server that asks for one.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A file with the user's password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// An API key instead of a user: as the server's `encoded` form, or as `id:key`.
    pub api_key: Option<Secret>,
    /// A file with the API key, instead of `api_key`.
    pub api_key_file: Option<PathBuf>,
    /// A token instead of a user, for a server or a proxy that takes bearers' tokens.
    pub bearer_token: Option<Secret>,
    /// A file with the token, instead of `bearer_token`.
    pub bearer_token_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of those who may sign the servers' certificates, besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// A bulk request is sent when it has this many bytes, before compression. At least 64 KiB.
    pub bulk_bytes_max: ByteSize,
    /// A bulk request is sent when it has this many documents. At least 1.
    pub bulk_documents_max: usize,
    /// At most so many bulk requests are under way at once, at least 1. How many really are follows what the servers
    /// bear: it begins with 2, grows while they take everything, and halves when they push back.
    pub bulk_requests_max: usize,
    /// A server that takes no connection within this time is passed over.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// A request without an answer after this time has failed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub request_timeout: Duration,
    /// Whether requests are compressed. Worth its processor time where the network is slow or paid for.
    pub gzip: bool,
    /// Whether the index template is installed, and brought up to date, at start.
    pub manage_template: bool,
    /// What `logdrive setup elasticsearch` installs.
    pub setup: setup::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            urls: vec!["http://127.0.0.1:9200".to_owned()],
            username: None,
            password: None,
            password_file: None,
            api_key: None,
            api_key_file: None,
            bearer_token: None,
            bearer_token_file: None,
            ca_file: None,
            bulk_bytes_max: ByteSize::mib(8),
            bulk_documents_max: 20_000,
            bulk_requests_max: 4,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            gzip: false,
            manage_template: true,
            setup: setup::Settings::default(),
        }
    }
}
