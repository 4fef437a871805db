//! One configuration, gathered from the rooms' own settings.
//!
//! [`Config`] is what `logdrive.toml` and `conf.d/` beside it, overridden by the environment, say. The room promises that a configuration
//! that it hands out is valid as a whole, and that a refusal names the file, the line and the column, says what was
//! meant, and what to write instead. It must not know what the settings are used for. Only `remote` connects
//! to anything: to etcd, if there are settings of it.

mod agent;
mod change;
mod check;
mod documents;
mod environment;
mod examples;
mod files;
mod fixed;
mod follow;
mod json_schema;
mod key;
mod load;
mod merge;
mod names;
mod overlap;
mod places;
mod print;
mod problem;
mod rate;
mod refusal;
pub mod remote;
mod rules;
mod schema;
mod secrets;
mod template;
mod topics;
mod transfer;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod typos;

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use serde::Deserialize;

use self::fixed::Fixed;

pub use agent::{Agent, Encoding, Task};
pub use change::{Change, Wanted};
pub use examples::{Example, Examples, Expectation};
pub use follow::Follower;
pub use json_schema::json_schema;
pub use key::{Key, KeyError};
pub use overlap::Overlap;
pub use problem::ConfigError;
pub use rate::Rate;
pub use template::TemplateError;
pub use topics::{TopicError, Topics};
pub use transfer::{Ids, Target, Transfer};

use crate::{document, elastic, embedded, etcd, host, kafka};

/// Every setting there is. `logdrive.sample.toml` shows each with its default and what it means.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where checkpoints and the embedded store are kept; made when it doesn't exist.
    ///
    /// The default is `/var/lib/logdrive` for root, else `$XDG_STATE_HOME/logdrive` or `~/.local/state/logdrive`.
    pub data_dir: PathBuf,
    /// How many threads run everything but the reading of files: 1 to 64; none means one a core, at most 4.
    pub worker_threads: Option<u16>,
    /// Files to Kafka; what it says of reading holds for `logdrive up` too.
    pub agent: Agent,
    /// How Kafka is reached.
    pub kafka: kafka::Settings,
    /// Kafka to Elasticsearch.
    pub transfer: Transfer,
    /// How Elasticsearch or OpenSearch is reached.
    pub elasticsearch: elastic::Settings,
    /// The store in this process.
    pub embedded: embedded::Settings,
    /// How lines become documents.
    pub document: document::Settings,
    /// How etcd is reached; without endpoints it is not used.
    pub etcd: etcd::Settings,
    /// Where metrics and health are served.
    pub metrics: Metrics,
    /// Which of the machine's own figures are served beside them.
    pub host: host::Settings,
    /// Where the search page is served.
    pub web: Web,
    /// The file that was read; none if there was none.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// The files of the directory beside it.
    #[serde(skip)]
    additions: Vec<PathBuf>,
    /// The tables that a file or a variable has something of.
    #[serde(skip)]
    written: BTreeSet<String>,
    /// What can't change while a process runs.
    #[serde(skip)]
    fixed: Fixed,
}

/// `[metrics]`: where every long-running command serves `/metrics`, `/livez` and `/readyz`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// An address and a port; port 0 takes any that is free, and the log says which.
    pub listen: String,
    /// Whether `/debug/state` is served, which names files, topics and servers. If it isn't said: only where
    /// `listen` is an address that other hosts don't reach.
    pub debug: Option<bool>,
    /// How many files have a metric of their own, `logdrive_file_unread_bytes`: those that are most behind; at most 1000.
    pub files_max: u16,
    /// Whether `/debug/profile` is served.
    pub profile: bool,
}

impl Metrics {
    /// Whether what is being done now may be asked for.
    #[must_use]
    pub fn serves_debug(&self) -> bool {
        self.debug.unwrap_or_else(|| self.is_local())
    }

    /// Whether only this host reaches it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let host = self.listen.rsplit_once(':').map_or("", |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        address.map_or(host == "localhost", |address| address.is_loopback())
    }
}

/// `[web]`: where `logdrive up` and `logdrive web` serve the search page.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// An address and a port; port 0 takes any that is free, and the log says which.
    pub listen: String,
}

/// How long a role may take to finish what is under way, unless its table says otherwise.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: default_data_dir(),
            worker_threads: None,
            agent: Agent::default(),
            kafka: kafka::Settings::default(),
            transfer: Transfer::default(),
            elasticsearch: elastic::Settings::default(),
            embedded: embedded::Settings::default(),
            document: document::Settings::default(),
            etcd: etcd::Settings::default(),
            metrics: Metrics::default(),
            host: host::Settings::default(),
            web: Web::default(),
            file: None,
            additions: Vec::new(),
            written: BTreeSet::new(),
            fixed: Fixed::default(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9717".to_owned(), debug: None, files_max: 20, profile: false }
    }
}

impl Default for Web {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7717".to_owned() }
    }
}

/// Where a service keeps its state, or, for a person without rights to that, where the XDG specification says.
fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/logdrive");
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map_or_else(|| PathBuf::from("/var/lib/logdrive"), |state| state.join("logdrive"))
}
