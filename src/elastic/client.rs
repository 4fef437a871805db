//! The connection: requests go to the servers in turn, and to the next one where one can't be reached.

use std::{
    fmt, io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use elasticsearch::{
    auth::Credentials,
    cert::{Certificate, CertificateValidation},
    http::{
        Method, Url,
        headers::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
        transport::{SingleNodeConnectionPool, Transport, TransportBuilder},
    },
};
use futures::future::select_ok;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use super::{
    ElasticError, Server, Settings,
    credentials::{credentials, refuse},
    error::cut,
};

/// A server that could not be reached is passed over for so long, while another can be; twice as long each time.
const PASS_OVER_MS: u64 = 5_000;
/// The longest time for which a server is passed over.
const PASS_OVER_MS_MAX: u64 = 60_000;

/// A connection to one cluster. Cheap to clone; clones share their connections.
///
/// Every request of this room may be carried out twice without harm (documents carry their `_id`), so one that
/// broke on its way is tried at the next server at once. One that timed out is not: the cluster may be busy with it.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    nodes: Vec<Node>,
    next: AtomicUsize,
    started: Instant,
    connect_timeout: Duration,
    timeout: Duration,
}

/// One server. Its transport has only this one in its pool: which server is next is decided here, where errors are seen.
struct Node {
    /// Without credentials; they are refused in urls.
    url: String,
    transport: Transport,
    /// Where to dial it; none if a proxy does.
    address: Option<(String, u16)>,
    /// Whether it answered the last request; if not it is dialled first, so that one that swallows everything
    /// costs no more than `connect_timeout`.
    is_up: AtomicBool,
    /// How long it is passed over the next time, and until when it is now, in milliseconds since `started`.
    pass_over_ms: AtomicU64,
    passed_over_until_ms: AtomicU64,
}

/// An answer of any status, whole.
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: u16,
    /// From `Retry-After`, where given in seconds.
    pub(super) retry_after: Option<Duration>,
    /// Whether the server calls itself Elasticsearch in its headers.
    pub(super) is_elasticsearch: bool,
    pub(super) body: Bytes,
}

impl Client {
    /// A client with these settings. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ElasticError::Settings`], which names the setting.
    pub fn new(settings: &Settings) -> Result<Self, ElasticError> {
        if settings.urls.is_empty() {
            return Err(refuse("urls", "is empty; name at least one server"));
        }
        let credentials = credentials(settings)?;
        let nodes = settings.urls.iter().map(|url| Node::new(url, settings, credentials.as_ref()));
        let shared = Shared {
            nodes: nodes.collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
            started: Instant::now(),
            connect_timeout: settings.connect_timeout,
            timeout: settings.request_timeout,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Asks which product and version the servers are.
    ///
    /// # Errors
    /// If none can be reached, it refuses, or is not a supported product.
    pub async fn server(&self) -> Result<Server, ElasticError> {
        let answer = self.request(Method::Get, "/", JSON, None).await?;
        // A key that may do nothing but write is not shown the banner, yet the headers name the product.
        let server = if matches!(answer.status, 403 | 405) && answer.is_elasticsearch {
            Server::OLDEST_ELASTICSEARCH
        } else if answer.status != 200 {
            return Err(answer.into_error("/"));
        } else if let Some(server) = Server::from_banner(&answer.body) {
            server
        } else {
            return Err(answer.garbled("/", "it has no banner of either product"));
        };
        if server.is_supported() {
            Ok(server)
        } else {
            Err(ElasticError::Unsupported { url: answer.url, what: server.to_string() })
        }
    }

    /// Posts a JSON body and reads the JSON answer. `path` begins with `/` and may have parameters.
    ///
    /// # Errors
    /// [`ElasticError::Status`] for any status but 2xx; the others where there is no answer.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Value, ElasticError> {
        self.json(Method::Post, path, Some(body)).await
    }

    pub(super) async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ElasticError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.request(method, path, JSON, body).await?;
        if !(200..300).contains(&answer.status) {
            return Err(answer.into_error(path));
        }
        serde_json::from_slice(&answer.body).map_err(|error| answer.garbled(path, &error.to_string()))
    }

    /// Sends a request to the servers in turn until one answers; an answer of any status is one.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: HeaderValue,
        body: Option<Bytes>,
    ) -> Result<Answer, ElasticError> {
        let path = joinable(path);
        let mut last_error = None;
        for node in self.shared.in_turn() {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.clone())]);
            match self.shared.ask(node, method, &path, headers, body.clone()).await {
                Ok(answer) => {
                    node.answered();
                    return Ok(answer);
                }
                Err(error) => {
                    node.pass_over(self.shared.now_ms());
                    if matches!(error, ElasticError::Timeout { .. }) {
                        return Err(error);
                    }
                    last_error = Some(error);
                }
            }
        }
        Err(last_error.expect("a client has at least one server"))
    }
}

/// The content type of everything but bulk bodies.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Shared {
    /// Every server once, beginning with the next one; those to be passed over come last.
    fn in_turn(&self) -> impl Iterator<Item = &Node> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len();
        let now_ms = self.now_ms();
        let mut nodes: Vec<&Node> = self.nodes[first..].iter().chain(&self.nodes[..first]).collect();
        nodes.sort_by_key(|node| node.passed_over_until_ms.load(Ordering::Relaxed) > now_ms);
        nodes.into_iter()
    }

    /// Asks one server, which is dialled first if it isn't known to be up.
    async fn ask(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, ElasticError> {
        node.dial(self.connect_timeout).await?;
        let answer = node.request(method, path, headers, body).await;
        answer.map_err(|error| ElasticError::from_transport(&node.url, self.timeout.as_secs(), &error))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Node {
    fn new(text: &str, settings: &Settings, credentials: Option<&Credentials>) -> Result<Self, ElasticError> {
        // An entry that is no URL may hold a password all the same, so it is not repeated in an error.
        let url =
            Url::parse(text).map_err(|error| refuse("urls", &format!("has an entry that is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("urls", "must not hold a user or password; use username and password_file"));
        }
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refuse("urls", "has an entry that does not begin with http:// or https:// and a host"));
        }
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url.clone()))
            .timeout(settings.request_timeout)
            .request_body_compression(settings.gzip);
        if is_this_machine(&url) {
            // A proxy named in the environment is meant for the way out.
            builder = builder.disable_proxy();
        }
        if let Some(credentials) = credentials {
            builder = builder.auth(credentials.clone());
        }
        if let Some(path) = &settings.ca_file {
            builder = builder.cert_validation(CertificateValidation::Full(authority(path)?));
        }
        let transport = builder.build().map_err(|error| refuse("urls", &format!("can't be used: {error}")))?;
        let address = if is_this_machine(&url) || !is_proxied() { address(&url) } else { None };
        let url = url.as_str().trim_end_matches('/').to_owned();
        let (is_up, pass_over_ms) = (AtomicBool::new(false), AtomicU64::new(PASS_OVER_MS));
        Ok(Self { url, transport, address, is_up, pass_over_ms, passed_over_until_ms: AtomicU64::new(0) })
    }

    /// Sees to it that the server takes connections, unless it answered the last request.
    async fn dial(&self, limit: Duration) -> Result<(), ElasticError> {
        let Some((host, port)) = &self.address else { return Ok(()) };
        if self.is_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        match timeout(limit, connect(host, *port)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ElasticError::unreachable(&self.url, &error)),
            Err(_) => Err(ElasticError::silent(&self.url, limit)),
        }
    }

    fn answered(&self) {
        self.is_up.store(true, Ordering::Relaxed);
        self.pass_over_ms.store(PASS_OVER_MS, Ordering::Relaxed);
        self.passed_over_until_ms.store(0, Ordering::Relaxed);
    }

    /// Several requests may fail together: then the time in which it is passed over grows a little faster.
    fn pass_over(&self, now_ms: u64) {
        self.is_up.store(false, Ordering::Relaxed);
        let pass_over_ms = self.pass_over_ms.load(Ordering::Relaxed);
        self.pass_over_ms.store((pass_over_ms * 2).min(PASS_OVER_MS_MAX), Ordering::Relaxed);
        self.passed_over_until_ms.store(now_ms + pass_over_ms, Ordering::Relaxed);
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answer, elasticsearch::Error> {
        let response = self.transport.send(method, path, headers, None::<&()>, body, None).await?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        Ok(Answer {
            url: self.url.clone(),
            status: response.status_code().as_u16(),
            retry_after: header(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok()).map(Duration::from_secs),
            is_elasticsearch: header("x-elastic-product") == Some("Elasticsearch"),
            body: response.bytes().await?,
        })
    }
}

impl Answer {
    /// The error that this answer is, if its status says so.
    pub(super) fn into_error(self, path: &str) -> ElasticError {
        let (kind, reason) = self.said();
        ElasticError::Status { status: self.status, path: without_parameters(path), kind, reason, url: self.url }
    }

    pub(super) fn garbled(&self, path: &str, reason: &str) -> ElasticError {
        ElasticError::Garbled { url: self.url.clone(), path: without_parameters(path), reason: cut(reason).to_owned() }
    }

    /// The server's name for the error and its reason; empty where a proxy answered.
    pub(super) fn said(&self) -> (String, String) {
        let said: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let error = &said["error"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let reason = if error.is_string() { word(error) } else { full_reason(error) };
        (word(&error["type"]), cut(&reason).to_owned())
    }
}

impl fmt::Debug for Client {
    // The transports hold the credentials and would print them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shared.nodes.iter().map(|node| &node.url)).finish()
    }
}

/// The reason of an error with what is behind it: of a search the servers only say "all shards failed", and leave
/// what there is to know to its causes.
fn full_reason(error: &Value) -> String {
    let causes = [
        error,
        &error["root_cause"][0],
        &error["failed_shards"][0]["reason"],
        &error["failed_shards"][0]["reason"]["caused_by"],
        &error["caused_by"],
        &error["caused_by"]["caused_by"],
    ];
    let mut parts: Vec<&str> = Vec::new();
    for cause in causes {
        // A cause without a reason is told by its name; the error's own name is told elsewhere.
        let name = cause["type"].as_str().filter(|_| !std::ptr::eq(cause, error));
        let Some(part) = cause["reason"].as_str().filter(|reason| !reason.is_empty()).or(name) else { continue };
        if !parts.iter().any(|told| told.contains(part)) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

fn authority(path: &std::path::Path) -> Result<Certificate, ElasticError> {
    let unusable = |error: &dyn fmt::Display| refuse("ca_file", &format!("{} can't be used: {error}", path.display()));
    let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
    Certificate::from_pem(&pem).map_err(|error| unusable(&error))
}

/// Host and port; an IPv6 address without its brackets.
fn address(url: &Url) -> Option<(String, u16)> {
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), url.port_or_known_default()?))
}

/// Connects to any of the host's addresses: one that swallows everything must not hide another that works.
async fn connect(host: &str, port: u16) -> io::Result<()> {
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::other("the lookup of its name gives no address"));
    }
    select_ok(addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)))).await.map(drop)
}

/// Whether the environment names a proxy for the way out.
fn is_proxied() -> bool {
    ["http_proxy", "https_proxy", "all_proxy"]
        .into_iter()
        .any(|name| [name.to_owned(), name.to_uppercase()].into_iter().any(|name| std::env::var_os(name).is_some()))
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The path as the transport can join it to a URL: with `:` escaped, which would end a scheme (`remote:index/_search`).
fn joinable(path: &str) -> String {
    let (path, parameters) = path.split_at(path.find('?').unwrap_or(path.len()));
    path.replace(':', "%3A") + parameters
}

fn without_parameters(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::net::TcpStream;

    use super::{Client, ElasticError, Settings, Url, address, full_reason, joinable};
    use crate::record::Secret;

    fn refusal(settings: &Settings) -> String {
        Client::new(settings).unwrap_err().to_string()
    }

    #[test]
    fn a_secret_is_never_shown() {
        let user = Settings {
            username: Some("ada".to_owned()),
            password: Some(Secret::from("hunter2")),
            ..Settings::default()
        };
        let shown = format!("{user:?} {:?}", Client::new(&user).unwrap());
        assert!(shown.contains("ada") && shown.contains("127.0.0.1:9200") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_url_that_can_not_be_used_is_refused_without_repeating_a_password() {
        let with = |url: &str| refusal(&Settings { urls: vec![url.to_owned()], ..Settings::default() });
        for url in
            ["http://ada:hunter2@host:9200", "ada:hunter2@host:9200", "hunter2 http:", "http://ada:hunter2@host:x"]
        {
            let shown = with(url);
            assert!(shown.starts_with("elasticsearch.urls") && !shown.contains("hunter2"), "{shown}");
        }
        assert!(with("127.0.0.1:9200").starts_with("elasticsearch.urls"));
        assert!(refusal(&Settings { urls: Vec::new(), ..Settings::default() }).contains("at least one"));
        let settings = Settings { ca_file: Some("/nowhere/ca.pem".into()), ..Settings::default() };
        assert!(refusal(&settings).contains("/nowhere/ca.pem"));
    }

    #[test]
    fn an_error_tells_the_reason_behind_it() {
        let shards = json!([{ "reason": { "type": "query_shard_exception", "reason": "No mapping found for [x]",
            "caused_by": { "type": "illegal_argument_exception", "reason": "x is text" } } }]);
        let error = json!({ "type": "search_phase_execution_exception", "reason": "all shards failed",
            "root_cause": [{ "type": "query_shard_exception", "reason": "No mapping found for [x]" }],
            "failed_shards": shards });
        assert_eq!(full_reason(&error), "all shards failed: No mapping found for [x]: x is text");
        let bare = json!({ "type": "search_phase_execution_exception", "reason": "all shards failed",
            "root_cause": [{ "type": "no_shard_available_action_exception", "reason": null }] });
        assert_eq!(full_reason(&bare), "all shards failed: no_shard_available_action_exception");
        assert_eq!(full_reason(&json!({ "type": "x", "reason": "same", "caused_by": { "reason": "same" } })), "same");
        assert_eq!(full_reason(&json!(null)), "");
    }

    #[test]
    fn a_server_is_dialled_where_its_url_says() {
        let dialled = |url: &str| address(&Url::parse(url).unwrap());
        assert_eq!(dialled("https://es.example/path"), Some(("es.example".to_owned(), 443)));
        assert_eq!(dialled("http://[::1]:9200"), Some(("::1".to_owned(), 9200)));
    }

    #[tokio::test]
    async fn a_server_that_takes_no_connection_is_given_up_before_the_request_would_be() {
        // A listener whose queue is full lets no more connections through, and says nothing.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let at = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(at)).await {
            waiting.push(stream.unwrap());
        }
        let settings = Settings {
            urls: vec![format!("http://{at}")],
            connect_timeout: Duration::from_millis(100),
            request_timeout: Duration::from_secs(3600),
            ..Settings::default()
        };
        let error = Client::new(&settings).unwrap().server().await.unwrap_err();
        assert!(
            matches!(&error, ElasticError::Unreachable { reason, .. } if reason.contains("no connection")),
            "{error}"
        );
    }

    #[test]
    fn the_index_of_another_cluster_is_not_taken_for_a_scheme() {
        assert_eq!(joinable("/remote:logs-*/_search?q=a:b"), "/remote%3Alogs-*/_search?q=a:b");
    }
}
