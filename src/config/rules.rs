//! What a configuration must obey beyond its types: every rule once, with what to do about it.

use std::{collections::HashMap, time::Duration};

use bytesize::ByteSize;
use toml::de::DeTable;

use super::{
    Agent, Config, Encoding, KeyError, Metrics, Task, TemplateError, TopicError, Topics, Transfer,
    places::locate,
    problem::{Problem, nearest},
    remote,
    topics::is_topic,
};
use crate::{
    batcher::lines::Value,
    document::IndexName,
    host,
    kafka::KafkaError,
    reader::{self, MultilineError},
    record::{Charset, LABEL_NAME_BYTES_MAX, LabelError},
};

/// A rule that is broken.
pub(super) struct Breach {
    /// The dotted path of the setting to blame.
    pub(super) path: String,
    /// The path of another one that has to do with it.
    pub(super) other: Option<String>,
    /// What is wrong.
    pub(super) problem: Problem,
}

/// Said of a second place.
const OTHER: &str = "this is the other one";

impl Breach {
    /// What is wrong, at its place in the table.
    pub(super) fn placed(self, table: &DeTable<'_>) -> Problem {
        let other = self.other.and_then(|path| Some((locate(table, &path)?, OTHER)));
        Problem { span: locate(table, &self.path), other, ..self.problem }
    }
}

/// Every rule that is broken.
pub(super) fn broken(config: &Config) -> Vec<Breach> {
    let mut broken = Broken::default();
    if config.data_dir.as_os_str().is_empty() {
        broken.add("data_dir", "data_dir is empty", "write a directory such as \"/var/lib/logdrive\"");
    }
    broken.threads("worker_threads", config.worker_threads);
    listen(&config.metrics.listen, "metrics.listen", &mut broken);
    listen(&config.web.listen, "web.listen", &mut broken);
    if config.metrics.listen == config.web.listen && !config.web.listen.ends_with(":0") {
        broken.add("web.listen", "web.listen is the address of metrics.listen too", "give each a port of its own");
    }
    metrics(&config.metrics, &mut broken);
    agent(&config.agent, &mut broken);
    let of_keys = remote::keys::broken(&config.agent);
    broken.0.extend(of_keys.into_iter().map(|(path, problem)| Breach { path, other: None, problem }));
    etcd(config, &mut broken);
    kafka(config, &mut broken);
    transfer(&config.transfer, &mut broken);
    super::documents::broken(&config.document, &mut broken);
    elasticsearch(&config.elasticsearch.urls, &mut broken);
    super::secrets::broken(config, &mut broken);
    host(&config.host, &mut broken);
    if !(1..=8).contains(&config.embedded.threads) {
        let what = format!("embedded.threads is {}", config.embedded.threads);
        broken.add("embedded.threads", what, "write a number from 1 to 8");
    }
    broken.0
}

/// A scrape asks up to three file systems in vain, and has to end before Prometheus gives up after 10 s.
const MOUNT_TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3);

fn host(settings: &host::Settings, broken: &mut Broken) {
    for (name, pattern) in settings.patterns() {
        if let Some(why) = host::Settings::fault(pattern) {
            let what = format!("host.{name} is no regular expression: {why}");
            broken.add(&format!("host.{name}"), what, "write one in single quotes, such as '^(loop|ram)\\d+$'");
        }
    }
    for (name, path) in [("proc", &settings.proc), ("sys", &settings.sys), ("root", &settings.root)] {
        if !path.is_absolute() {
            let what = format!("host.{name} is {:?}, which is no path from the root", path.display().to_string());
            broken.add(&format!("host.{name}"), what, "write where it is mounted, such as \"/host/proc\"");
        }
    }
    if !MOUNT_TIMEOUT.contains(&settings.mount_timeout) {
        broken.add("host.mount_timeout", "host.mount_timeout is not between 10ms and 3s", "the default is \"1s\"");
    }
}

/// The most that one budget can hold: what a permit's 32 bits can.
const IN_FLIGHT_MAX: ByteSize = ByteSize(u32::MAX as u64);

/// The most files with a metric of their own.
const FILES_MAX: u16 = 1000;

/// A file that comes back within this time is not to be read again.
const FORGET_AFTER_MIN: Duration = Duration::from_secs(3600);

/// A shorter limit would cut ordinary lines.
const LINE_BYTES_MIN: ByteSize = ByteSize::kib(1);

/// The longest line that becomes a record of its own; JSON may make it six times as long.
const LINES_LINE_MAX: ByteSize = ByteSize::mib(64);

/// A shorter period would be a busy loop.
const PERIOD_MIN: Duration = Duration::from_millis(100);

/// With fewer open files, reading would be opening and closing.
const OPEN_FILES_MIN: usize = 16;

/// What is broken of tasks for this agent, by paths that begin with `tasks.`.
pub(super) fn tasks(of: &Agent) -> Vec<Breach> {
    let mut broken = Broken::default();
    agent(of, &mut broken);
    let bare = |path: String| path.trim_start_matches("agent.").to_owned();
    let moved = |Breach { path, other, problem }| Breach { path: bare(path), other: other.map(bare), problem };
    broken.0.into_iter().map(moved).collect()
}

fn agent(agent: &Agent, broken: &mut Broken) {
    topic(&agent.dead_letter_topic, "agent.dead_letter_topic", broken);
    broken.threads("agent.lanes", agent.lanes);
    if agent.host.as_ref().is_some_and(|host| host.trim().is_empty()) {
        broken.add("agent.host", "agent.host is empty", "leave it out to use this machine's name");
    }
    if agent.line_bytes_max < LINE_BYTES_MIN {
        let what = format!("agent.line_bytes_max is {}, less than {LINE_BYTES_MIN}", agent.line_bytes_max);
        broken.add("agent.line_bytes_max", what, "most lines would be cut; the default is \"1MiB\"");
    }
    in_flight("agent.in_flight_bytes_max", agent.in_flight_bytes_max, broken);
    for (name, bytes) in [("line_bytes_max", agent.line_bytes_max), ("batch.bytes_max", agent.batch.bytes_max)] {
        if bytes > agent.in_flight_bytes_max {
            let what =
                format!("agent.{name} is {bytes}, more than agent.in_flight_bytes_max, {}", agent.in_flight_bytes_max);
            broken.add(&format!("agent.{name}"), what, "lower it, or raise agent.in_flight_bytes_max");
        }
    }
    for (name, period) in [("rescan", agent.rescan), ("idle_flush", agent.idle_flush)] {
        if period < PERIOD_MIN {
            broken.add(
                &format!("agent.{name}"),
                format!("agent.{name} is less than 100ms"),
                "write a longer time, such as \"5s\"",
            );
        }
    }
    if agent.open_files_max < OPEN_FILES_MIN {
        let what = format!("agent.open_files_max is {}, less than {OPEN_FILES_MIN}", agent.open_files_max);
        broken.add("agent.open_files_max", what, "files would mostly wait for each other; the default is 1024");
    }
    if agent.forget_after < FORGET_AFTER_MIN {
        broken.add(
            "agent.forget_after",
            "agent.forget_after is less than 1h",
            "a file that rotation brings back by then would be read again; the default is \"168h\"",
        );
    }
    if agent.line_bytes_max > LINES_LINE_MAX && agent.tasks.iter().any(|task| task.encoding == Encoding::Lines) {
        let what = format!("agent.line_bytes_max is {}, and a task has encoding = \"lines\"", agent.line_bytes_max);
        broken.add("agent.line_bytes_max", what, "no broker takes such a record: write at most \"64MiB\"");
    }
    let mut names = HashMap::new();
    let mut topics = Topics::new(agent.topics_max);
    for (index, one) in agent.tasks.iter().enumerate() {
        let path = format!("agent.tasks.{index}");
        if let Some(first) = names.insert(&one.name, index) {
            broken.add_two(
                &format!("{path}.name"),
                &format!("agent.tasks.{first}.name"),
                format!("there are two tasks named {:?}", one.name),
                "metrics and checkpoints know a task by its name: give each its own",
            );
        }
        task(one, &path, broken);
        topic_of(one, &path, &mut topics, &agent.dead_letter_topic, broken);
        text(one, &path, agent.line_bytes_max, broken);
    }
}

fn task(task: &Task, path: &str, broken: &mut Broken) {
    if task.name.trim().is_empty() {
        broken.add(&format!("{path}.name"), "the task's name is empty", "name it after what it collects");
    }
    if task.paths.is_empty() {
        broken.add(&format!("{path}.paths"), "paths is empty", "write what to collect, such as \"/var/log/*.log\"");
    }
    for (list, patterns) in [("paths", &task.paths), ("exclude", &task.exclude)] {
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(error) = reader::check_pattern(pattern) {
                broken.add(
                    &format!("{path}.{list}.{index}"),
                    error.to_string(),
                    "`*`, `?`, `**`, `[a-z]` and `{a,b}` are understood",
                );
            }
        }
    }
    if task.ignore_older.is_some_and(|age| age < PERIOD_MIN) {
        broken.add(
            &format!("{path}.ignore_older"),
            "ignore_older is less than 100ms",
            "no file would be read from its beginning; write a longer time, such as \"24h\", or leave it out",
        );
    }
    labels(task, path, broken);
    key(task, path, broken);
    lines(task, path, broken);
}

/// What a task says of all its lines.
fn labels(task: &Task, path: &str, broken: &mut Broken) {
    let Err(error) = task.labels.check() else { return };
    let path = match &error {
        LabelError::Count(_) => format!("{path}.labels"),
        LabelError::Name(name) | LabelError::Value(name) => format!("{path}.labels.{name}"),
    };
    let hint = match &error {
        LabelError::Count(_) => {
            "every record and document carries all of them: keep those that are asked for".to_owned()
        }
        LabelError::Name(_) => format!(
            "write letters a-z and A-Z, digits and `_`, not a digit first, and up to {LABEL_NAME_BYTES_MAX} of them"
        ),
        LabelError::Value(_) => "write a short text, such as \"api\", or leave the label out".to_owned(),
    };
    broken.add(&path, error.to_string(), &hint);
}

/// The key that a task's template makes.
fn key(task: &Task, path: &str, broken: &mut Broken) {
    let Err(error) = task.key("host") else { return };
    let hint = match &error {
        KeyError::Template(TemplateError::Brace(_)) => "write a placeholder as in \"{host}\"".to_owned(),
        KeyError::Template(TemplateError::Unknown(_, name)) => match like(task, name) {
            Some(label) => format!("did you mean {{{label}}}?"),
            None => format!("add labels = {{ {name} = \"…\" }}; {{host}}, {{task}} and {{file}} are known without"),
        },
        KeyError::Fixed(_) => "write {host}, {task}, {file} or a label, in braces, or leave it out".to_owned(),
        KeyError::Packed(_) => {
            "add encoding = \"lines\", or leave it out: a file's lines are in one partition without a key, too"
                .to_owned()
        }
    };
    broken.add(&format!("{path}.key"), error.to_string(), &hint);
}

/// The label of a task that a placeholder's name is like.
fn like<'t>(task: &'t Task, name: &str) -> Option<&'t str> {
    nearest(name, task.labels.iter().map(|(label, _)| label))
}

/// The topic that a task's template makes of its labels.
fn topic_of(task: &Task, path: &str, topics: &mut Topics, dead_letters: &str, broken: &mut Broken) {
    let error = match topics.of(task, &task.labels) {
        Ok(topic) if &*topic == dead_letters => {
            let what = format!("{dead_letters:?} is the dead-letter topic as well");
            return broken.add(&format!("{path}.topic"), what, "give the task a topic of its own");
        }
        Ok(_) => return,
        Err(error) => error,
    };
    let hint = match &error {
        TopicError::Template(TemplateError::Brace(_)) => "write a placeholder as in \"app-{service}\"".to_owned(),
        TopicError::Template(TemplateError::Unknown(_, name)) if name == "host" => {
            "with a topic for each host there would be as many as hosts: give hosts a label that several have"
                .to_owned()
        }
        TopicError::Template(TemplateError::Unknown(_, name)) => match like(task, name) {
            Some(label) => format!("did you mean {{{label}}}?"),
            None => format!("add labels = {{ {name} = \"…\" }}; {{task}} is the task's name"),
        },
        TopicError::Open(_) => "begin with what all its topics have in common, as in \"app-{service}\"".to_owned(),
        TopicError::Name(_) => TOPIC_HINT.to_owned(),
        TopicError::Count { .. } => "raise agent.topics_max if so many topics are wanted".to_owned(),
    };
    broken.add(&format!("{path}.topic"), error.to_string(), &hint);
}

/// What a task says of records of single lines.
fn lines(task: &Task, path: &str, broken: &mut Broken) {
    if task.encoding == Encoding::Packed {
        for (name, is_set) in [("value", task.value.is_some()), ("headers", task.headers.is_some())] {
            if is_set {
                let hint = "add encoding = \"lines\", or leave it out";
                broken.add(&format!("{path}.{name}"), format!("{name} says nothing of packed records"), hint);
            }
        }
    }
    let containers = task.multiline.as_ref().is_some_and(|multiline| multiline.container().is_some());
    if task.value == Some(Value::Json) && containers {
        broken.add(
            &format!("{path}.value"),
            "value is \"json\", and the files are a container runtime's",
            "write \"raw\", or encoding = \"packed\": what the runtime says of a line would be lost",
        );
    }
}

/// What a task says of the text of its files.
fn text(task: &Task, path: &str, line_bytes_max: ByteSize, broken: &mut Broken) {
    if Charset::of_label(&task.charset).is_none() {
        let what = format!("there is no charset {:?}", task.charset);
        let problem = Problem::new(None, what).nearest(&task.charset, CHARSETS.into_iter().chain(Charset::NAMES));
        broken.0.push(Breach { path: format!("{path}.charset"), other: None, problem });
    }
    let Some(multiline) = &task.multiline else { return };
    let path = format!("{path}.multiline");
    if let Err(error) = multiline.check() {
        let hint = match &error {
            MultilineError::Pattern { .. } => "write it in single quotes, as in '^\\d{4}-', so that a backslash is one",
            MultilineError::Nothing => {
                "write preset = [\"java\"], or a pattern such as start = '^\\d{4}-', or leave the table out"
            }
            MultilineError::Containers(..) => "leave one of them out, or make two tasks",
            MultilineError::Beside(_) => "leave one out; patterns go together with \"cri\" and \"docker-json\"",
        };
        // Of a pattern's error the last line says what is wrong, and the ones before where, which is shown anyway.
        let what = error.to_string();
        let what = match what.split_once(": regex parse error").zip(what.rsplit_once("\nerror: ")) {
            Some(((before, _), (_, why))) => format!("{before}: {why}"),
            None => what,
        };
        broken.add(&format!("{path}.{}", error.setting()), what, hint);
    }
    if multiline.bytes_max.is_some_and(|bytes| bytes > line_bytes_max) {
        let what = format!("multiline.bytes_max is more than agent.line_bytes_max, {line_bytes_max}");
        broken.add(&format!("{path}.bytes_max"), what, "lower it, or raise agent.line_bytes_max");
    }
    if !(2..=MESSAGE_LINES_MAX).contains(&multiline.lines_max) {
        let what = format!("multiline.lines_max is {}", multiline.lines_max);
        broken.add(&format!("{path}.lines_max"), what, "write a number from 2 to 100000; the default is 500");
    }
    if multiline.timeout < PERIOD_MIN {
        broken.add(&format!("{path}.timeout"), "multiline.timeout is less than 100ms", "the default is \"1s\"");
    }
}

/// Labels of charsets that people write, beside their names.
const CHARSETS: [&str; 8] = ["utf-8", "utf-16le", "utf-16be", "latin1", "gb2312", "shift_jis", "euc-jp", "big5"];

/// The most lines that a message may have.
const MESSAGE_LINES_MAX: u32 = 100_000;

fn kafka(config: &Config, broken: &mut Broken) {
    if config.kafka.bootstrap_servers.trim().is_empty() {
        broken.add("kafka.bootstrap_servers", "kafka.bootstrap_servers is empty", "write \"host:9092\"");
    }
    if let Err(error) = config.kafka.validate() {
        let what = error.to_string();
        let hint = match what.contains("No such configuration property") {
            true => "librdkafka's CONFIGURATION.md has the names of its settings",
            false => "leave it out; every other setting of librdkafka's can be written here",
        };
        match (&error, what.rsplit_once("; ")) {
            (KafkaError::Own { setting, .. }, Some((what, hint))) => {
                broken.add(&format!("kafka.{setting}"), what, hint)
            }
            (KafkaError::Setting { name, .. }, _) => broken.add(&format!("kafka.settings.{name}"), what, hint),
            _ => broken.add("kafka.settings", what, hint),
        }
    }
}

/// How long a lease may be: a shorter one would end whenever a host is busy, a longer one hide that it is gone.
const LEASE: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3600);

fn etcd(config: &Config, broken: &mut Broken) {
    if !config.etcd.prefix.starts_with('/') || config.etcd.prefix.ends_with('/') {
        let what = format!("etcd.prefix is {:?}", config.etcd.prefix);
        broken.add("etcd.prefix", what, "begin it with a slash, and end it with none: \"/logdrive\"");
    }
    if !LEASE.contains(&config.etcd.lease) {
        let what = format!("etcd.lease is {:?}", config.etcd.lease);
        broken.add("etcd.lease", what, "write a time from \"5s\" to \"1h\"; the default is \"30s\"");
    }
    if config.etcd.endpoints.iter().any(|endpoint| endpoint.trim().is_empty()) {
        broken.add("etcd.endpoints", "an endpoint of etcd is empty", "write \"host:2379\"");
    }
}

fn transfer(transfer: &Transfer, broken: &mut Broken) {
    broken.threads("transfer.workers", transfer.workers);
    in_flight("transfer.in_flight_bytes_max", transfer.in_flight_bytes_max, broken);
    if transfer.group.trim().is_empty() {
        broken.add("transfer.group", "transfer.group is empty", "leave it out to use \"logdrive\"");
    }
    if transfer.member.as_ref().is_some_and(|member| member.trim().is_empty()) {
        broken.add(
            "transfer.member",
            "transfer.member is empty",
            "leave it out, or write a name that no other member has",
        );
    }
    if transfer.index.is_some() && transfer.data_stream.is_some() {
        broken.add_two(
            "transfer.data_stream",
            "transfer.index",
            "transfer.index and transfer.data_stream are both set",
            "leave one of them out",
        );
    }
    for (path, template) in [("index", &transfer.index), ("data_stream", &transfer.data_stream)] {
        if let Some(Err(error)) = template.as_deref().map(IndexName::parse) {
            broken.add(
                &format!("transfer.{path}"),
                error.to_string(),
                "the default is index = \"logs-{topic}-%Y.%m.%d\"",
            );
        }
    }
    if !(1..=ROUTES_MAX).contains(&transfer.routes_max) {
        let what = format!("transfer.routes_max is {}", transfer.routes_max);
        broken.add("transfer.routes_max", what, "write a number from 1 to 10000; the default is 100");
    }
    topic(&transfer.dead_letter_topic, "transfer.dead_letter_topic", broken);
    for (index, name) in transfer.topics.iter().enumerate() {
        let path = format!("transfer.topics.{index}");
        if *name == transfer.dead_letter_topic {
            let what = format!("{name:?} is the dead-letter topic as well");
            broken.add(&path, what, "what is put there would come back for ever: leave it out of transfer.topics");
        }
        if !name.starts_with('^') {
            topic(name, &path, broken);
        }
    }
}

/// More indices than this no cluster wants from one program.
const ROUTES_MAX: usize = 10_000;

fn elasticsearch(urls: &[String], broken: &mut Broken) {
    if urls.is_empty() {
        broken.add("elasticsearch.urls", "elasticsearch.urls is empty", "write one such as \"http://127.0.0.1:9200\"");
    }
    for (index, url) in urls.iter().enumerate() {
        let path = format!("elasticsearch.urls.{index}");
        match ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme)) {
            None => broken.add(&path, "a URL begins with http:// or https://", "write it as \"https://host:9200\""),
            Some(rest) if rest.contains('@') => broken.add(
                &path,
                "a URL is no place for a user or password",
                "write elasticsearch.username and elasticsearch.password_file",
            ),
            Some(_) => (),
        }
    }
}

fn metrics(metrics: &Metrics, broken: &mut Broken) {
    if metrics.files_max > FILES_MAX {
        let what = format!("metrics.files_max is {}, more than {FILES_MAX}", metrics.files_max);
        broken.add(
            "metrics.files_max",
            what,
            "every series costs whoever scrapes; /debug/state?files=10000 lists more files",
        );
    }
}

fn in_flight(path: &str, bytes: ByteSize, broken: &mut Broken) {
    if bytes > IN_FLIGHT_MAX {
        broken.add(
            path,
            format!("{path} is {bytes}, more than {IN_FLIGHT_MAX}"),
            "24MiB, the default, is enough for nearly all",
        );
    }
}

const TOPIC_HINT: &str = "Kafka allows up to 249 letters a-z and A-Z, digits, `.`, `_` and `-`";

fn topic(name: &str, path: &str, broken: &mut Broken) {
    if !is_topic(name) {
        broken.add(path, TopicError::Name(name.to_owned()).to_string(), TOPIC_HINT);
    }
}

fn listen(address: &str, path: &str, broken: &mut Broken) {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(_))) {
        let hint = "write an address and a port: \"127.0.0.1:9717\", or \"0.0.0.0:9717\" for every interface";
        broken.add(path, format!("{path} is no address to listen on: {address:?}"), hint);
    }
}

/// The rules that are broken so far.
#[derive(Default)]
pub(super) struct Broken(Vec<Breach>);

impl Broken {
    pub(super) fn add(&mut self, path: &str, what: impl Into<String>, hint: &str) {
        let problem = Problem::new(None, what).hint(hint);
        self.0.push(Breach { path: path.to_owned(), other: None, problem });
    }

    /// The same of two settings that don't go together.
    pub(super) fn add_two(&mut self, path: &str, other: &str, what: impl Into<String>, hint: &str) {
        let problem = Problem::new(None, what).hint(hint);
        self.0.push(Breach { path: path.to_owned(), other: Some(other.to_owned()), problem });
    }

    /// A number of threads; none is for the program to choose.
    fn threads(&mut self, path: &str, count: Option<u16>) {
        if let Some(count) = count.filter(|count| !(1..=64).contains(count)) {
            self.add(path, format!("{path} is {count}"), "write a number from 1 to 64, or leave it out");
        }
    }
}
