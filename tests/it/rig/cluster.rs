//! A Kafka of three brokers, each of which can be ended and started again while the others go on.
//!
//! Topics are held by all three, and a record is acknowledged when two have it.

use tokio::{
    sync::{Mutex, MutexGuard, OnceCell},
    task::spawn_blocking,
};

use super::{kafka, ports, services};

/// How a broker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As by a power cut.
    Killed,
    /// After it handed over what it leads.
    Stopped,
}

/// The three brokers, whose numbers are 1, 2 and 3.
#[derive(Clone)]
pub struct Cluster {
    /// The bootstrap servers, all three.
    pub servers: String,
    environment: Vec<(&'static str, String)>,
}

impl Cluster {
    /// The cluster of this run, with all brokers up. One test at a time has it for itself.
    pub async fn borrow() -> MutexGuard<'static, Self> {
        static CLUSTER: OnceCell<Mutex<Cluster>> = OnceCell::const_new();
        let start = || async { Mutex::new(spawn_blocking(Self::start).await.expect("it starts")) };
        let cluster = CLUSTER.get_or_init(start).await.lock().await;
        // A test that failed may have left some of them down.
        cluster.start_again().await;
        cluster
    }

    fn start() -> Self {
        let environment = vec![
            ("KAFKA_NODES", "3".to_owned()),
            ("KAFKA_HEAP", "256m".to_owned()),
            ("KAFKA_DATA_DIR", services::directory("cluster").display().to_string()),
            ("KAFKA_BASE_PORT", ports::free_run(3).to_string()),
            ("KAFKA_CONTROLLER_BASE_PORT", ports::free_run(3).to_string()),
            ("KAFKA_START_TIMEOUT", services::START_SECONDS_MAX.to_owned()),
            // A broker that was killed loses its partitions sooner than after nine seconds.
            ("KAFKA_SESSION_TIMEOUT_MS", "3000".to_owned()),
            ("KAFKA_EXTRA_CONFIG", services::BROKER_PROPERTIES.to_owned()),
            ("KAFKA_JVM_OPTS", services::SHORT_LIVED.to_owned()),
        ];
        services::guard("kafka/stop.sh", &environment);
        let servers = services::run("kafka/start.sh", &[], &environment);
        Self { servers, environment }
    }

    /// Makes a topic that all three brokers hold.
    pub async fn create(&self, topic: &str, partitions: i32) {
        kafka::create_held_by(&self.servers, topic, partitions, 3).await;
    }

    /// Ends these brokers at once; they keep their data.
    pub async fn end(&self, how: End, brokers: &[&'static str]) {
        let (cluster, mut arguments) = (self.clone(), brokers.to_vec());
        if how == End::Killed {
            arguments.insert(0, "--kill");
        }
        let stop = move || services::run("kafka/stop.sh", &arguments, &cluster.environment);
        spawn_blocking(stop).await.expect("they end");
    }

    /// Starts those that are down, and waits until each knows all of them.
    pub async fn start_again(&self) {
        let cluster = self.clone();
        let start = move || services::run("kafka/start.sh", &[], &cluster.environment);
        spawn_blocking(start).await.expect("they start");
    }
}
