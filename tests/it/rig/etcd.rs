//! An etcd of one member that can be killed, started again and asked with its own tool.

use std::path::Path;

use super::{
    ports,
    secure::{authority, certificate},
    services::{directory, guard, run},
};

/// The password of the user root, where users are asked for.
pub const ROOT_PASSWORD: &str = "correct horse battery staple";

/// An etcd with data of its own.
pub struct EtcdServer {
    /// Its host and port; the same after it was started again.
    pub endpoint: String,
    environment: Vec<(&'static str, String)>,
}

impl EtcdServer {
    /// Starts one with these settings of `scripts/services/etcd/env.sh`; `name` tells it from others of this run.
    pub fn start(name: &str, settings: &[(&'static str, &str)]) -> Self {
        let server = Self::absent(name, settings);
        server.start_again();
        server
    }

    /// The same, and it is not started yet.
    pub fn absent(name: &str, settings: &[(&'static str, &str)]) -> Self {
        let port = ports::free();
        let mut environment = vec![
            ("ETCD_DATA_DIR", directory(name).display().to_string()),
            ("ETCD_PORT", port.to_string()),
            ("ETCD_PEER_PORT", ports::free().to_string()),
        ];
        environment.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        guard("etcd/stop.sh", &environment);
        Self { endpoint: format!("127.0.0.1:{port}"), environment }
    }

    /// Starts one with TLS, for those with a certificate, and with users. `dir` is where `ca.pem`, `client.pem` and
    /// `client.key` are made.
    pub fn secure(name: &str, dir: &Path) -> Self {
        authority(dir, "ca");
        authority(dir, "other-ca");
        certificate(dir, "ca", "server", 30);
        certificate(dir, "ca", "client", 30);
        let dir = dir.display().to_string();
        Self::start(name, &[("ETCD_TLS", &dir), ("ETCD_TLS_CLIENTS", "yes"), ("ETCD_ROOT", ROOT_PASSWORD)])
    }

    /// Ends it as a power cut would; it keeps its data.
    pub fn kill(&self) {
        run("etcd/stop.sh", &["--kill"], &self.environment);
    }

    /// Ends it and loses its data.
    pub fn lose(&self) {
        run("etcd/stop.sh", &["--kill", "--wipe"], &self.environment);
    }

    /// Starts it, with the data that it has and on the port that it had.
    pub fn start_again(&self) {
        run("etcd/start.sh", &[], &self.environment);
    }

    /// Runs etcd's own tool and gives what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        run("etcd/ctl.sh", arguments, &self.environment)
    }

    /// Has it forget everything older than what it holds now.
    pub fn compact(&self) {
        let status = self.ctl(&["get", "/", "--write-out=json"]);
        let status: serde_json::Value = serde_json::from_str(&status).expect("etcdctl prints JSON");
        self.ctl(&["compact", &status["header"]["revision"].to_string()]);
    }
}
