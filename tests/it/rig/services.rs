//! The real services, started by `scripts/services/`, each once a run and only if a test asks for it.
//!
//! Each has a guard: a process that waits for this one to end, however it ends, and then stops the service and
//! removes its data. `IT_KAFKA`, `IT_ELASTICSEARCH` and `IT_OPENSEARCH` name services that run already; those are
//! used as they are and left running.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use rustix::process::{Pid, Signal, kill_process};

use super::ports;

/// How long a service may take to start on a machine that is busy with something else.
pub(super) const START_SECONDS_MAX: &str = "240";

/// For servers that live for a minute: what Java's best compiler makes of them is less than it takes.
pub(super) const SHORT_LIVED: &str = "-XX:TieredStopAtLevel=1";

/// What every broker is set to besides.
pub(super) const BROKER_PROPERTIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rig/broker.properties");

/// Bootstrap servers of the Kafka that tests share.
pub fn kafka() -> &'static str {
    static KAFKA: OnceLock<String> = OnceLock::new();
    KAFKA.get_or_init(|| std::env::var("IT_KAFKA").unwrap_or_else(|_| Broker::start("kafka").servers))
}

/// The URL of the Elasticsearch that tests share.
pub fn elasticsearch() -> &'static str {
    static ELASTICSEARCH: OnceLock<String> = OnceLock::new();
    ELASTICSEARCH.get_or_init(|| std::env::var("IT_ELASTICSEARCH").unwrap_or_else(|_| search_server("es8")))
}

/// The URL of the OpenSearch that tests share.
pub fn opensearch() -> &'static str {
    static OPENSEARCH: OnceLock<String> = OnceLock::new();
    OPENSEARCH.get_or_init(|| std::env::var("IT_OPENSEARCH").unwrap_or_else(|_| search_server("os3")))
}

/// A Kafka of one broker that can be stopped and started again.
pub struct Broker {
    /// Its bootstrap servers; the same after it was started again.
    pub servers: String,
    environment: Vec<(&'static str, String)>,
}

impl Broker {
    /// Starts a broker with data of its own; `name` tells its directory from others of this run.
    pub fn start(name: &str) -> Self {
        Self::start_at(name, ports::free())
    }

    /// As [`Broker::start`], on this port.
    pub fn start_at(name: &str, port: u16) -> Self {
        Self::start_with(name, port, ports::free(), Path::new(BROKER_PROPERTIES))
    }

    /// As [`Broker::start_at`], with its controller on that port, and with the properties in the file `extra`, which
    /// is read again when it is started again.
    pub fn start_with(name: &str, port: u16, controller: u16, extra: &Path) -> Self {
        let environment = vec![
            ("KAFKA_DATA_DIR", directory(name).display().to_string()),
            ("KAFKA_BASE_PORT", port.to_string()),
            ("KAFKA_CONTROLLER_BASE_PORT", controller.to_string()),
            ("KAFKA_START_TIMEOUT", START_SECONDS_MAX.to_owned()),
            ("KAFKA_EXTRA_CONFIG", extra.display().to_string()),
            ("KAFKA_JVM_OPTS", SHORT_LIVED.to_owned()),
        ];
        guard("kafka/stop.sh", &environment);
        let servers = run("kafka/start.sh", &[], &environment);
        Self { servers, environment }
    }

    /// Where its logs of partitions are.
    pub fn data(&self) -> PathBuf {
        let directory = self.environment.iter().find(|(key, _)| *key == "KAFKA_DATA_DIR").map(|(_, value)| value);
        PathBuf::from(directory.expect("it is set"))
    }

    /// Stops the broker in an orderly way; it keeps its data.
    pub fn stop(&self) {
        run("kafka/stop.sh", &[], &self.environment);
    }

    /// Lets the broker do nothing at all, until it is dropped: a Kafka that takes no records, and says nothing.
    pub fn pause(&self) -> Paused {
        let file = self.data().join("run/node-1.pid");
        let text = std::fs::read_to_string(&file).expect("the broker runs");
        let pid = text.trim().parse().ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::STOP).expect("the broker runs");
        Paused(pid)
    }

    /// Starts it again, with the data and on the port that it had.
    pub fn start_again(&self) {
        run("kafka/start.sh", &[], &self.environment);
    }
}

/// A process that does nothing; it goes on when this is dropped.
pub struct Paused(pub(super) Pid);

impl Drop for Paused {
    fn drop(&mut self) {
        // It fails only if the process is gone.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

fn search_server(flavor: &str) -> String {
    SearchServer::start(flavor, flavor, &[("ES_HEAP", "768m"), ("ES_EXTRA_JAVA_OPTS", "")]).url
}

/// An Elasticsearch or OpenSearch of one node that can be killed and started again.
pub struct SearchServer {
    /// Its URL; the same after it was started again.
    pub url: String,
    environment: Vec<(&'static str, String)>,
}

impl SearchServer {
    /// Starts a node with data of its own and these settings; `name` tells its directory from others of this run.
    pub fn start(name: &str, flavor: &str, settings: &[(&'static str, &str)]) -> Self {
        let mut environment = vec![
            ("ES_FLAVOR", flavor.to_owned()),
            ("ES_DATA_DIR", directory(name).display().to_string()),
            ("ES_PORT", ports::free().to_string()),
            ("ES_TRANSPORT_PORT", ports::free().to_string()),
            ("ES_START_TIMEOUT", START_SECONDS_MAX.to_owned()),
            ("ES_EXTRA_JAVA_OPTS", SHORT_LIVED.to_owned()),
        ];
        environment.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        guard("elasticsearch/stop.sh", &environment);
        let url = run("elasticsearch/start.sh", &[], &environment);
        Self { url, environment }
    }

    /// Ends it as a power cut would; it keeps its data.
    pub fn kill(&self) {
        run("elasticsearch/stop.sh", &["--kill"], &self.environment);
    }

    /// Starts it again, with the data and on the port that it had.
    pub fn start_again(&self) {
        run("elasticsearch/start.sh", &[], &self.environment);
    }

    /// Stops it in an orderly way; it keeps its data.
    pub fn stop(&self) {
        run("elasticsearch/stop.sh", &[], &self.environment);
    }

    /// Starts another version on its data and port.
    pub fn start_as(&mut self, flavor: &str) {
        self.environment.retain(|(key, _)| *key != "ES_FLAVOR");
        self.environment.push(("ES_FLAVOR", flavor.to_owned()));
        self.start_again();
    }

    /// Writes a file of its configuration anew, of those that it looks at while it runs.
    pub fn set_config(&self, name: &str, text: &str) {
        let data = self.environment.iter().find(|(key, _)| *key == "ES_DATA_DIR").map(|(_, value)| value);
        let file = Path::new(data.expect("it is set")).join("config").join(name);
        std::fs::write(file, text).expect("the node's configuration can be written");
    }

    /// Ends it and removes its data.
    pub fn remove(self) {
        run("elasticsearch/stop.sh", &["--kill", "--wipe"], &self.environment);
    }
}

/// Passes connections to `port` on to `server`, as long as it is not dropped: a server that comes up late.
pub async fn relay(port: u16, server: String) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    loop {
        let (mut near, _) = listener.accept().await.expect("a connection");
        let mut far = tokio::net::TcpStream::connect(&server).await.expect("the server is up");
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    }
}

/// Where a service of this run keeps its data.
pub(super) fn directory(name: &str) -> PathBuf {
    run_directory().join(name)
}

fn run_directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("services-{}", std::process::id()))
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services").join(name)
}

/// Runs a script to its end and gives what it printed; the test fails with its words if the script does.
pub fn run(name: &str, arguments: &[&str], environment: &[(&str, String)]) -> String {
    let output = Command::new(script(name))
        .args(arguments)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("scripts/services/{name} can't be run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/services/{name} failed:\n{errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Leaves a process behind that reads from a pipe whose other end only this process holds, and runs `stop` when
/// the pipe closes. In a process group of its own, so that Ctrl-C doesn't reach it.
#[expect(clippy::zombie_processes, reason = "it outlives this process, on purpose")]
pub(super) fn guard(stop: &str, environment: &[(&str, String)]) {
    let guard = Command::new("bash")
        .args(["-c", "cat >/dev/null; \"$0\" --kill --wipe; rmdir \"$1\""])
        .args([script(stop), run_directory()])
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("bash can be started");
    // Never closed by us: the kernel closes it when this process is gone.
    std::mem::forget(guard.stdin);
}
