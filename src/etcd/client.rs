//! Questions and writes, over one connection at a time: to the next server when the present one fails.

use std::{future::Future, sync::Arc, time::Duration};

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Error, GetOptions, Identity, PutOptions, TlsOptions, Txn,
    TxnOp,
};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{EtcdError, Settings, VALUE_BYTES_MAX};
use crate::record::Secret;

/// The largest answer that is taken: a few values of the largest size.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * VALUE_BYTES_MAX;

/// How many keys of a prefix are asked for at once.
const PAGE: i64 = 256;

/// How often a connection shows that it is alive, and how long the answer may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key; bytes that are no UTF-8 are replaced.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// When it was last written, as the cluster counts its writes.
    pub revision: i64,
}

/// What some keys hold at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The moment, as the cluster counts its writes.
    pub revision: i64,
    /// Which cluster it is.
    pub cluster: u64,
    /// Those that are there, in the order of their keys.
    pub entries: Vec<Entry>,
    /// Those that could not be read, and why: larger than what is taken, or forbidden.
    pub refused: Vec<(String, EtcdError)>,
}

/// A write of several keys at once, if nobody was faster.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Keys and the revisions that they must still have; 0 for one that must not be there.
    pub expected: Vec<(String, i64)>,
    /// Keys and their new values.
    pub puts: Vec<(String, Vec<u8>)>,
    /// Keys that are removed.
    pub deletes: Vec<String>,
}

/// What became of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is written, at this revision.
    Done(i64),
    /// Nothing is written: somebody changed an expected key meanwhile.
    Conflict,
}

/// The way to a cluster. Clones share one connection.
#[derive(Clone)]
pub struct Etcd {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which endpoint is tried next.
    next: usize,
    connection: Option<Connection>,
    /// How many connections were made; the number of the present one.
    made: u64,
}

/// A connection to one server.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) endpoint: Arc<str>,
    number: u64,
}

impl Etcd {
    /// The way to the cluster that the settings name. It connects when it is first asked.
    ///
    /// # Errors
    /// If the settings can't be used, or a file of theirs can't be read.
    pub fn new(settings: &Settings) -> Result<Self, EtcdError> {
        if settings.endpoints.is_empty() {
            let reason = "is empty; write one such as \"127.0.0.1:2379\"".to_owned();
            return Err(EtcdError::Settings { setting: "endpoints", reason });
        }
        for endpoint in &settings.endpoints {
            options(settings, endpoint)?;
        }
        Ok(Self { shared: Arc::new(Shared { settings: settings.clone(), state: Mutex::default() }) })
    }

    /// The settings that it was made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The server's version and where it is, if one answers.
    ///
    /// # Errors
    /// If none answers, or the one that does has no leader.
    pub async fn check(&self) -> Result<String, EtcdError> {
        let connection = self.connection().await?;
        let endpoint = Arc::clone(&connection.endpoint);
        let version = self.call(async |mut client: Client| Ok(client.status().await?.version().to_owned())).await?;
        Ok(format!("{endpoint}: etcd {version}"))
    }

    /// What a key holds now.
    ///
    /// # Errors
    /// If etcd is away or refuses.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, EtcdError> {
        let key = key.to_owned();
        let answer = self.call(async |client: Client| get(client, key, GetOptions::new()).await).await?;
        Ok(answer.kvs().first().map(entry))
    }

    /// What these keys hold, all at one moment.
    ///
    /// # Errors
    /// If etcd is away. A key that alone can't be read is among the refused ones.
    pub async fn read(&self, keys: &[String]) -> Result<Snapshot, EtcdError> {
        let mut snapshot = Snapshot { revision: 0, cluster: 0, entries: Vec::new(), refused: Vec::new() };
        for key in keys {
            let (asked, at) = (key.clone(), snapshot.revision);
            let options = GetOptions::new().with_revision(at);
            match self.call(async |client: Client| get(client, asked, options).await).await {
                Ok(answer) => {
                    if let Some(header) = answer.header().filter(|_| at == 0) {
                        (snapshot.revision, snapshot.cluster) = (header.revision(), header.cluster_id());
                    }
                    snapshot.entries.extend(answer.kvs().iter().map(entry));
                }
                Err(error @ (EtcdError::TooLarge { .. } | EtcdError::Refused { .. })) => {
                    snapshot.refused.push((key.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        match snapshot.refused.first() {
            // Without any answer there is no moment to speak of.
            Some((_, error)) if snapshot.revision == 0 => Err(error.clone()),
            _ => Ok(snapshot),
        }
    }

    /// All keys that begin with `prefix`, at one moment.
    ///
    /// # Errors
    /// If etcd is away or refuses.
    pub async fn list(&self, prefix: &str) -> Result<Snapshot, EtcdError> {
        let mut snapshot = Snapshot { revision: 0, cluster: 0, entries: Vec::new(), refused: Vec::new() };
        let end = end_of(prefix);
        let mut from = prefix.as_bytes().to_vec();
        loop {
            let options = GetOptions::new().with_range(end.clone()).with_limit(PAGE).with_revision(snapshot.revision);
            let asked = from.clone();
            let answer = self.call(async |client: Client| get(client, asked, options).await).await?;
            if let Some(header) = answer.header().filter(|_| snapshot.revision == 0) {
                (snapshot.revision, snapshot.cluster) = (header.revision(), header.cluster_id());
            }
            snapshot.entries.extend(answer.kvs().iter().map(entry));
            let Some(last) = answer.kvs().last().filter(|_| answer.more()) else { return Ok(snapshot) };
            from = [last.key(), b"\0"].concat();
        }
    }

    /// Writes a change whole, or nothing of it.
    ///
    /// # Errors
    /// If etcd is away, refuses, or has no room. When it is away, the change may have been made nevertheless.
    pub async fn write(&self, change: Change) -> Result<Written, EtcdError> {
        self.put(change, 0).await
    }

    /// As [`Etcd::write`]; what is put goes when the lease does (0: never).
    pub(super) async fn put(&self, change: Change, lease: i64) -> Result<Written, EtcdError> {
        let compares: Vec<_> = change
            .expected
            .into_iter()
            .map(|(key, revision)| Compare::mod_revision(key, CompareOp::Equal, revision))
            .collect();
        let options = || (lease != 0).then(|| PutOptions::new().with_lease(lease));
        let puts = change.puts.into_iter().map(|(key, value)| TxnOp::put(key, value, options()));
        let deletes = change.deletes.into_iter().map(|key| TxnOp::delete(key, None));
        let txn = Txn::new().when(compares).and_then(puts.chain(deletes).collect::<Vec<_>>());
        let answer = self.call(async |mut client: Client| client.txn(txn).await).await?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok(if answer.succeeded() { Written::Done(revision) } else { Written::Conflict })
    }

    /// Asks one question over the present connection, or a new one.
    pub(super) async fn call<T, F>(&self, ask: impl FnOnce(Client) -> F) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let connection = self.connection().await?;
        let limit = self.shared.settings.request_timeout;
        let error = match timeout(limit, ask(connection.client.clone())).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => EtcdError::of(&connection.endpoint, &error),
            Err(_) => silent(&connection.endpoint, limit),
        };
        if error.is_of_connection() {
            self.leave(&connection).await;
        }
        Err(error)
    }

    /// The present connection; if there is none, one to the first server, in turn, that answers and has a leader.
    pub(super) async fn connection(&self) -> Result<Connection, EtcdError> {
        let mut state = self.shared.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        let endpoints = &self.shared.settings.endpoints;
        let mut failure = None;
        for _ in 0..endpoints.len() {
            let endpoint = &endpoints[state.next % endpoints.len()];
            match connect(&self.shared.settings, endpoint).await {
                Ok(client) => {
                    state.made += 1;
                    let connection = Connection { client, endpoint: endpoint.as_str().into(), number: state.made };
                    state.connection = Some(connection.clone());
                    return Ok(connection);
                }
                Err(error) => {
                    state.next = (state.next + 1) % endpoints.len();
                    failure.get_or_insert(error);
                }
            }
        }
        Err(failure.expect("there is at least one endpoint, and each that was tried failed"))
    }

    /// Gives a connection up; the next one is to another server. One that was given up already stays so.
    pub(super) async fn leave(&self, connection: &Connection) {
        let mut state = self.shared.state.lock().await;
        if state.connection.as_ref().is_some_and(|present| present.number == connection.number) {
            state.connection = None;
            state.next = (state.next + 1) % self.shared.settings.endpoints.len();
        }
    }
}

/// The error of a server that says nothing.
pub(super) fn silent(endpoint: &str, limit: Duration) -> EtcdError {
    EtcdError::Away { endpoint: endpoint.to_owned(), reason: format!("no answer within {limit:?}") }
}

async fn get(client: Client, key: impl Into<Vec<u8>>, options: GetOptions) -> Result<etcd_client::GetResponse, Error> {
    client.kv_client().max_decoding_message_size(ANSWER_BYTES_MAX).get(key, Some(options)).await
}

/// Connects, and sees that the server answers and knows a leader: one that was cut off from the others answers too.
async fn connect(settings: &Settings, endpoint: &str) -> Result<Client, EtcdError> {
    let options = options(settings, endpoint)?;
    let limit = settings.connect_timeout;
    let begun = Instant::now();
    let reach = async {
        loop {
            let mut client = Client::connect([endpoint], Some(options.clone())).await?;
            if client.status().await?.leader() != 0 {
                return Ok::<_, Error>(Some(client));
            }
            if begun.elapsed() * 2 > limit {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let away = |reason: &str| EtcdError::Away { endpoint: endpoint.to_owned(), reason: reason.to_owned() };
    match timeout(limit, reach).await {
        Ok(Ok(Some(client))) => Ok(client),
        Ok(Ok(None)) => Err(away("it has no leader: most members of its cluster are away")),
        Ok(Err(error)) => Err(EtcdError::of(endpoint, &error)),
        Err(_) => Err(silent(endpoint, limit)),
    }
}

/// How to connect. Files are read each time, so that a password or a certificate can be changed while we run.
fn options(settings: &Settings, endpoint: &str) -> Result<ConnectOptions, EtcdError> {
    let (interval, answer) = KEEP_ALIVE;
    let mut options = ConnectOptions::new()
        .with_keep_alive(interval, answer)
        .with_keep_alive_while_idle(true)
        .with_connect_timeout(settings.connect_timeout)
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    let password =
        Secret::from_value_or_file("password", settings.password.as_ref(), settings.password_file.as_deref())?;
    options = match (&settings.username, &password) {
        (Some(name), Some(password)) => options.with_user(name, password.expose()),
        (None, None) => options,
        (Some(_), None) => return Err(refuse("username", "has no password; add password or password_file")),
        (None, Some(_)) => return Err(refuse("password", "has no username; add username")),
    };
    let has_files = settings.ca_file.is_some() || settings.cert_file.is_some();
    if endpoint.starts_with("https://") || has_files && !endpoint.starts_with("http://") {
        options = options.with_tls(tls(settings)?);
    } else if has_files {
        return Err(refuse("endpoints", &format!("has {endpoint:?}, and ca_file or cert_file is set; write https://")));
    }
    Ok(options)
}

fn tls(settings: &Settings) -> Result<TlsOptions, EtcdError> {
    let read = |setting: &'static str, path: &std::path::Path| {
        std::fs::read(path).map_err(|error| refuse(setting, &format!("can't be read: {}: {error}", path.display())))
    };
    let mut tls = match &settings.ca_file {
        Some(path) => TlsOptions::new().ca_certificate(Certificate::from_pem(read("ca_file", path)?)),
        None => TlsOptions::new().with_webpki_roots(),
    };
    match (&settings.cert_file, &settings.key_file) {
        (Some(cert), Some(key)) => {
            tls = tls.identity(Identity::from_pem(read("cert_file", cert)?, read("key_file", key)?));
        }
        (None, None) => (),
        (Some(_), None) => return Err(refuse("cert_file", "stands without its key; add key_file")),
        (None, Some(_)) => return Err(refuse("key_file", "stands without its certificate; add cert_file")),
    }
    Ok(tls)
}

fn refuse(setting: &'static str, reason: &str) -> EtcdError {
    EtcdError::Settings { setting, reason: reason.to_owned() }
}

pub(super) fn entry(pair: &etcd_client::KeyValue) -> Entry {
    Entry {
        key: String::from_utf8_lossy(pair.key()).into_owned(),
        value: pair.value().to_vec(),
        revision: pair.mod_revision(),
    }
}

/// The first key behind all that begin with `prefix`; a zero byte, which means all there are, if there is none.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::{Etcd, Settings, end_of};
    use crate::record::Secret;

    fn settings(endpoint: &str) -> Settings {
        Settings { endpoints: vec![endpoint.to_owned()], ..Settings::default() }
    }

    fn refusal(settings: &Settings) -> String {
        let Err(error) = Etcd::new(settings) else { panic!("it was accepted") };
        let text = error.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        text
    }

    #[test]
    fn settings_that_are_not_whole_are_refused_with_what_is_missing() {
        assert!(refusal(&Settings::default()).contains("etcd.endpoints is empty"));
        let plain = settings("127.0.0.1:2379");
        assert!(Etcd::new(&plain).is_ok());
        let user = Settings { username: Some("ada".to_owned()), ..plain.clone() };
        assert!(refusal(&user).contains("etcd.username has no password"));
        let both = Settings { password: Some(Secret::from("hunter2")), password_file: Some("x".into()), ..user };
        assert!(refusal(&both).contains("not both"));
        let missing = Settings { ca_file: Some("/nowhere/ca.pem".into()), ..plain.clone() };
        assert!(refusal(&missing).contains("etcd.ca_file can't be read: /nowhere/ca.pem"));
        let clear = Settings { ca_file: Some("/nowhere/ca.pem".into()), ..settings("http://127.0.0.1:2379") };
        assert!(refusal(&clear).contains("write https://"));
    }

    #[test]
    fn a_prefix_ends_before_the_next_key_that_does_not_begin_with_it() {
        assert_eq!(end_of("/a/"), b"/a0");
        assert_eq!(end_of(""), b"\0");
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let etcd = Etcd::new(&settings(&address)).expect("settings");
        let error = etcd.get("/key").await.expect_err("nobody listens").to_string();
        assert!(error.contains(&address) && error.contains("is it up"), "{error}");
    }
}
