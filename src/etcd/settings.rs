//! The settings of the connection, as they stand under `[etcd]`.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::record::Secret;

/// How to reach the servers.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The servers, all of one cluster: `host:2379`, or with `http://` or `https://` before it. They are asked in turn,
    /// each until it fails. None means that etcd is not used.
    pub endpoints: Vec<String>,
    /// What all keys that are written begin with: registrations, and the history of tasks.
    pub prefix: String,
    /// The user's name, for servers that ask for one.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A file with the user's password, instead of `password`; read again at each connection.
    pub password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of those who may sign the servers' certificates, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// A file with our certificate (PEM), for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// A file with the certificate's key (PEM).
    pub key_file: Option<PathBuf>,
    /// A server that is not ready within this time is passed over.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub connect_timeout: Duration,
    /// A request without an answer after this time has failed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub request_timeout: Duration,
    /// How long after its last sign of life a process counts as gone.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            prefix: "/logdrive".to_owned(),
            username: None,
            password: None,
            password_file: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(30),
        }
    }
}
