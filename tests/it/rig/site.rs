//! A site: one test's own directories, topic, indices and configuration.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{LogFile, Program, corpus, index, kafka, services, until, verify::Verdict};

/// Everything that one test has for itself.
pub struct Site {
    /// The test's short name, and this run's; part of all other names.
    pub name: String,
    /// The site's directory; removed when the test passes, kept when it fails.
    pub dir: PathBuf,
    /// The topic that the agent fills and the transfer reads.
    pub topic: String,
    /// The topic of documents that can't be indexed.
    pub dead_letters: String,
    /// Bootstrap servers.
    pub kafka: String,
    /// The URL of Elasticsearch or OpenSearch.
    pub elasticsearch: String,
    config: toml::Table,
}

impl Site {
    /// A site on the shared Kafka and Elasticsearch: a topic of three partitions, a task for `logs/*.log`.
    pub async fn new(name: &str) -> Self {
        Self::on(name, services::kafka(), services::elasticsearch()).await
    }

    /// A site on other servers, which must be up.
    pub async fn on(name: &str, kafka: &str, elasticsearch: &str) -> Self {
        let site = Self::without_topics(name, kafka, elasticsearch);
        kafka::create(kafka, &site.topic, 3).await;
        kafka::create(kafka, &site.dead_letters, 1).await;
        site
    }

    /// A site on servers that may be away.
    pub fn without_topics(name: &str, kafka: &str, elasticsearch: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
        std::fs::create_dir_all(dir.join("logs")).expect("the target directory can be written");
        let (topic, dead_letters) = (name.clone(), format!("{name}-dead"));
        let mut site = Self {
            name,
            dir,
            topic,
            dead_letters,
            kafka: kafka.to_owned(),
            elasticsearch: elasticsearch.to_owned(),
            config: toml::Table::new(),
        };
        site.configure();
        site
    }

    fn configure(&mut self) {
        self.set("data_dir", self.dir.join("data").display().to_string());
        self.set("kafka.bootstrap_servers", self.kafka.clone());
        self.set("elasticsearch.urls", vec![self.elasticsearch.clone()]);
        self.set("transfer.topics", vec![self.topic.clone()]);
        self.set("transfer.group", self.name.clone());
        self.set("transfer.index", format!("{}-%Y.%m.%d", self.name));
        self.set("transfer.dead_letter_topic", self.dead_letters.clone());
        self.set("agent.dead_letter_topic", self.dead_letters.clone());
        let mut task = toml::Table::new();
        task.insert("name".to_owned(), "test".into());
        task.insert("paths".to_owned(), vec![self.logs().join("*.log").display().to_string()].into());
        task.insert("topic".to_owned(), self.topic.clone().into());
        self.set("agent.tasks", vec![toml::Value::Table(task)]);
    }

    /// Where the test's log files are.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The test's indices, as a pattern.
    pub fn indices(&self) -> String {
        format!("{}-*", self.name)
    }

    /// Sets one setting by its dotted key.
    pub fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        let mut keys: Vec<_> = key.split('.').collect();
        let last = keys.pop().expect("a split gives at least one part");
        let mut table = &mut self.config;
        for key in keys {
            let inner = table.entry(key).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            table = inner.as_table_mut().expect("a table is set only once");
        }
        table.insert(last.to_owned(), value.into());
    }

    /// The configuration as it is, to go back to.
    pub fn clone_settings(&self) -> toml::Table {
        self.config.clone()
    }

    /// Goes back to a configuration.
    pub fn restore_settings(&mut self, settings: toml::Table) {
        self.config = settings;
    }

    /// Leaves a table out.
    pub fn unset(&mut self, table: &str) {
        self.config.remove(table);
    }

    /// Sets a property of librdkafka, whose names have dots of their own.
    pub fn set_kafka(&mut self, property: &str, value: &str) {
        let kafka = self.config["kafka"].as_table_mut().expect("it was configured as a table");
        let settings = kafka.entry("settings").or_insert_with(|| toml::Value::Table(toml::Table::new()));
        settings.as_table_mut().expect("it is a table").insert(property.to_owned(), value.into());
    }

    /// Members of the group that were killed are given up within a second, not after a minute.
    pub fn forget_dead_members_soon(&mut self) {
        self.set_kafka("session.timeout.ms", "1000");
        self.set_kafka("heartbeat.interval.ms", "300");
    }

    /// Fails the test unless the site's indices hold the lines of the files, each exactly once: see [`verify::same`].
    pub async fn holds_exactly(&self, files: &[LogFile]) {
        let mut verdict = Verdict::on(files);
        index::each(&self.elasticsearch, &self.indices(), |document| verdict.hear(&document)).await;
        verdict.pronounce();
    }

    /// Starts `logdrive agent`.
    pub fn agent(&self) -> Program {
        Program::start(self, "agent", &[])
    }

    /// Has an agent send the files, and nothing else, to Kafka.
    pub async fn send(&self, files: &[LogFile]) {
        let mut agent = self.agent();
        agent.ready().await;
        until("all lines are in kafka", Duration::from_secs(60), async || {
            assert_eq!(agent.missing_lines().await, 0.0, "each line that was read is answered for");
            agent.metric("logdrive_acknowledged_lines_total", &[]).await == corpus::lines_in(files) as f64
        })
        .await;
        agent.stop_well().await;
    }

    /// Starts `logdrive transfer`.
    pub fn transfer(&self) -> Program {
        Program::start(self, "transfer", &[])
    }

    /// Starts `logdrive transfer`, as the member of its group that is called `name`, or as one without a name.
    pub fn transfer_named(&self, name: Option<&str>) -> Program {
        Program::start_with(self, "transfer", "LOGDRIVE_TRANSFER__MEMBER", name)
    }

    /// Starts `logdrive up` on some files or globs.
    pub fn up(&self, patterns: &[&str]) -> Program {
        Program::start(self, "up", patterns)
    }

    /// What `logdrive search` prints.
    pub fn search(&self, arguments: &[&str]) -> String {
        let output = self.command("search").args(arguments).output().expect("the program was built");
        assert!(output.status.success(), "search failed:\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The program with this site's configuration; nothing of the tester's environment reaches its settings.
    pub fn command(&self, subcommand: &str) -> Command {
        let config = self.dir.join("logdrive.toml");
        let text = toml::to_string(&self.config).expect("a table can be written");
        // Whole at each moment, for a program that was just started may be reading it.
        let draft = config.with_extension("toml.new");
        std::fs::write(&draft, text).expect("the target directory can be written");
        std::fs::rename(&draft, &config).expect("the target directory can be written");
        // However the tests end, no program stays behind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_logdrive")]);
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("LOGDRIVE_")) {
            command.env_remove(key);
        }
        command.arg(subcommand).arg("--config").arg(config).current_dir(&self.dir);
        command
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("configuration, logs and data of the failed test are in {}", self.dir.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            eprintln!("{} is left behind: {error}", self.dir.display());
        }
    }
}
