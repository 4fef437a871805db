//! What can be set, what is fixed, and librdkafka's configuration made of both.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use serde::Deserialize;

use super::{KafkaError, Mechanism, Membership, StartFrom, access};
use crate::record::Secret;

/// How to reach Kafka.
///
/// `settings` takes anything of librdkafka's by its own name (security, timeouts, buffers), for producers and
/// consumers alike. Where it says nothing, these are our defaults: at most 64 MiB wait in the producer
/// (`queue.buffering.max.kbytes`), 12 MiB in the one for single lines; a packed record is a request of its own, always;
/// single lines share requests of up to 1 MB, compressed by LZ4, which wait for more up to nine tenths of
/// `agent.batch.age_max` (`linger.ms`); and a consumer fetches until 4 MiB or 5000 records wait
/// (`queued.max.messages.kbytes`, `queued.min.messages`), in answers of at most 512 KiB a partition and 1 MiB
/// (`max.partition.fetch.bytes`, `fetch.max.bytes`).
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The brokers to ask first, as `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// Whether connections are encrypted, and the brokers' certificates checked.
    pub tls: bool,
    /// A file with the certificates (PEM) of those who may sign the brokers', instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with our own certificate (PEM) and its chain, for brokers that ask for one.
    pub certificate_file: Option<PathBuf>,
    /// A file with the private key (PEM) of our certificate.
    pub key_file: Option<PathBuf>,
    /// The private key's password, if it has one.
    pub key_password: Option<Secret>,
    /// A file with the private key's password, instead of `key_password`.
    pub key_password_file: Option<PathBuf>,
    /// The user's name, for brokers that ask for one by SASL.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// A file with the user's password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// How the user proves who it is.
    pub mechanism: Mechanism,
    /// A file with a token (OAUTHBEARER), instead of a user. It is read again before the token in it ends.
    pub token_file: Option<PathBuf>,
    /// librdkafka's settings by librdkafka's names. What would break the promise is refused.
    pub settings: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".to_owned(),
            tls: false,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            key_password: None,
            key_password_file: None,
            username: None,
            password: None,
            password_file: None,
            mechanism: Mechanism::default(),
            token_file: None,
            settings: BTreeMap::new(),
        }
    }
}

/// Values of settings may be secrets, so only those that can't be are shown.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): (&String, &String)| {
            (name.clone(), if is_secret(name) { "…".to_owned() } else { value.clone() })
        };
        let settings: BTreeMap<_, _> = self.settings.iter().map(shown).collect();
        f.debug_struct("Settings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("tls", &self.tls)
            .field("ca_file", &self.ca_file)
            .field("certificate_file", &self.certificate_file)
            .field("key_file", &self.key_file)
            .field("key_password", &self.key_password)
            .field("key_password_file", &self.key_password_file)
            .field("username", &self.username)
            .field("password", &self.password)
            .field("password_file", &self.password_file)
            .field("mechanism", &self.mechanism)
            .field("token_file", &self.token_file)
            .field("settings", &settings)
            .finish()
    }
}

/// Whether the value of a setting of librdkafka's may be a secret, going by its name.
fn is_secret(name: &str) -> bool {
    ["password", "secret", "pem", "sasl", "ssl", "token"].iter().any(|part| name.contains(part))
}

/// librdkafka's settings that are ours to decide, with the reason that a person is given.
const FIXED: &[(&[&str], &str)] = &[
    (&["bootstrap.servers", "metadata.broker.list"], "the brokers belong in kafka.bootstrap_servers"),
    (
        &["acks", "request.required.acks"],
        "a line is safe only when all in-sync replicas have it, so it is always \"all\"",
    ),
    (&["enable.idempotence"], "it keeps retries from changing the order of lines, so it is always on"),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "a record is never given up: an outage only makes reading wait, so there is no timeout",
    ),
    (&["retries", "message.send.max.retries"], "a record is never given up, so there is no limit to retries"),
    (&["queuing.strategy"], "lines keep their order, so it is always first in, first out"),
    (&["transactional.id"], "transactions are not used: a line's identity makes it unique in the store"),
    (
        &["enable.auto.commit", "auto.commit.enable", "enable.auto.offset.store"],
        "an offset is committed only when its documents are in the store",
    ),
    (&["group.id"], "the consumer group belongs in transfer.group"),
    (&["group.instance.id"], "the member's own name belongs in transfer.member"),
    (&["auto.offset.reset"], "where a new group begins belongs in transfer.start_from"),
    (&["enable.partition.eof", "log.queue"], "the program relies on its own value"),
];

/// What every client gets, unless the user says otherwise.
const DEFAULTS: &[(&str, &str)] =
    &[("client.id", "logdrive"), ("reconnect.backoff.max.ms", "5000"), ("socket.keepalive.enable", "true")];

/// What a producer gets, unless the user says otherwise.
///
/// `message.max.bytes`: the brokers' limit decides, not the client's.
/// `linger.ms`: a record that is a batch by itself never waits for it. But while five requests of a partition are under
/// way, librdkafka's thread looks after a record that has waited so long without pause, until an answer comes
/// (`rd_kafka_toppar_producer_serve` of 2.12.1): a third of an agent's CPU time at full speed.
const PRODUCER_DEFAULTS: &[(&str, &str)] = &[
    ("linger.ms", "60000"),
    ("message.max.bytes", "67108864"),
    ("compression.type", "none"),
    ("queue.buffering.max.kbytes", "65536"),
    ("queue.buffering.max.messages", "100000"),
    ("statistics.interval.ms", "5000"),
    ("retry.backoff.max.ms", "5000"),
];

/// What a producer of many small records gets instead, unless the user says otherwise.
///
/// Requests have up to a million bytes before compression (`batch.size`), which a broker takes unless its limit was
/// lowered; then they get smaller by themselves. At most 100 000 records and 12 MiB wait: the five requests that may be
/// under way to a partition, and as many again, since with half of that they arrive half as fast. What fills no request
/// waits for `linger.ms`, nine tenths of `batch.age_max`. All this for the reason that [`PRODUCER_DEFAULTS`] give: what
/// waits at full speed is sent before it has waited so long. With 32 MiB and 5 ms an agent took a quarter more CPU time
/// than with 12 MiB and 50 ms, and with 50 ms a third more than with 100 ms.
const PIECES_DEFAULTS: &[(&str, &str)] = &[
    ("batch.num.messages", "10000"),
    ("message.max.bytes", "67108864"),
    ("compression.type", "lz4"),
    ("queue.buffering.max.kbytes", "12288"),
    ("queue.buffering.max.messages", "100000"),
    ("statistics.interval.ms", "5000"),
    ("retry.backoff.max.ms", "5000"),
];

/// What a producer gets, whatever the user says.
const PRODUCER_FIXED: &[(&str, &str)] =
    &[("acks", "all"), ("enable.idempotence", "true"), ("message.timeout.ms", "0"), ("retries", "2147483647")];

/// What a producer of single requests gets, besides: a refusal is then about one record, never about its neighbours too.
/// Only this makes a refusal for good a verdict.
const ALONE: (&str, &str) = ("batch.num.messages", "1");

/// What a consumer gets, unless the user says otherwise. With these it fetches ahead until 4 MiB of values or 5000
/// records wait, and at most one answer of 1 MiB more for each broker is on its way, however far it is behind.
///
/// `queued.min.messages`: librdkafka spends 400 bytes on a record besides its key, value and headers, and limits values
/// only; 100 000 single lines (its default) take 100 MiB. `fetch.max.bytes`, `max.partition.fetch.bytes`: what a broker
/// answers is uncompressed at once, and a line of 140 bytes that is 40 compressed becomes a record that takes 900; with
/// answers of 16 MiB, a transfer of 48 partitions took 230 MiB. `fetch.queue.backoff.ms`: so long it does not look whether
/// there is room again (its default is a second, and then workers that take 4 MiB in less have nothing to do).
///
/// Assignment is cooperative: who joins or leaves takes from the others only the partitions that move, and each of them
/// is settled and committed before it goes, while the others are read on.
const CONSUMER_DEFAULTS: &[(&str, &str)] = &[
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("queued.max.messages.kbytes", "4096"),
    ("queued.min.messages", "5000"),
    ("fetch.queue.backoff.ms", "20"),
    (FETCH_MAX_BYTES, "1048576"),
    ("max.partition.fetch.bytes", "524288"),
    ("statistics.interval.ms", "5000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
];

const FETCH_MAX_BYTES: &str = "fetch.max.bytes";

const CONSUMER_FIXED: &[(&str, &str)] =
    &[("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"), ("enable.partition.eof", "false")];

impl Settings {
    /// Looks for settings that are refused, and asks librdkafka whether it accepts the others. Reads no file.
    ///
    /// # Errors
    /// [`KafkaError::Setting`] or [`KafkaError::Own`], which name the first that is refused and say why.
    pub fn validate(&self) -> Result<(), KafkaError> {
        self.fits()?;
        let said = self.protocol();
        self.config(PRODUCER_DEFAULTS, PRODUCER_FIXED, &said)?;
        self.config(PIECES_DEFAULTS, PRODUCER_FIXED, &said)?;
        self.config(CONSUMER_DEFAULTS, CONSUMER_FIXED, &said).map(drop)
    }

    /// The configuration of a client that only asks questions.
    pub(super) fn client(&self) -> Result<ClientConfig, KafkaError> {
        self.config(&[], &[], &self.access()?)
    }

    /// The configuration of a producer whose records are each a request of their own.
    pub(super) fn producer(&self) -> Result<ClientConfig, KafkaError> {
        let mut config = self.config(PRODUCER_DEFAULTS, PRODUCER_FIXED, &self.access()?)?;
        config.set(ALONE.0, ALONE.1);
        Ok(config)
    }

    /// The configuration of a producer of many small records, which wait up to `linger` for others, unless the user says
    /// otherwise.
    pub(super) fn producer_of_pieces(&self, linger: Duration) -> Result<ClientConfig, KafkaError> {
        let mut config = self.config(PIECES_DEFAULTS, PRODUCER_FIXED, &self.access()?)?;
        if ["linger.ms", "queue.buffering.max.ms"].iter().all(|name| !self.settings.contains_key(*name)) {
            config.set("linger.ms", linger.as_millis().to_string());
        }
        Ok(config)
    }

    /// The configuration of a member of a group.
    pub(super) fn consumer(&self, membership: &Membership<'_>) -> Result<ClientConfig, KafkaError> {
        let mut config = self.config(CONSUMER_DEFAULTS, CONSUMER_FIXED, &self.access()?)?;
        config.set("group.id", membership.group);
        // An answer has room for the largest record: librdkafka refuses to start if it hasn't.
        if let Some(record_max) = self.settings.get("message.max.bytes").and_then(|bytes| bytes.parse::<u64>().ok())
            && !self.settings.contains_key(FETCH_MAX_BYTES)
            && config
                .get(FETCH_MAX_BYTES)
                .and_then(|bytes| bytes.parse().ok())
                .is_some_and(|bytes: u64| bytes < record_max)
        {
            config.set(FETCH_MAX_BYTES, record_max.to_string());
        }
        if let Some(member) = membership.member {
            config.set("group.instance.id", member);
        }
        // Where a new group begins is told it when it gets its partitions. An offset that is not there any more says that
        // records were deleted, and then all that are left are read.
        config.set("auto.offset.reset", "earliest");
        Ok(config)
    }

    /// The configuration of a client that reads what a topic got last. It joins no group, though librdkafka wants one named.
    pub(super) fn history(&self) -> Result<ClientConfig, KafkaError> {
        let membership = Membership { group: "logdrive-history", member: None, start_from: StartFrom::Earliest };
        let mut config = self.consumer(&membership)?;
        config.set("enable.partition.eof", "true");
        Ok(config)
    }

    fn config(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
        access: &[(&'static str, String)],
    ) -> Result<ClientConfig, KafkaError> {
        for (name, _) in access {
            // `sasl.mechanism` is another name of the same.
            if let Some(name) =
                self.settings.keys().find(|written| name.trim_end_matches('s') == written.trim_end_matches('s'))
            {
                let why =
                    "another setting of [kafka] says it already (tls, username, ca_file and their like)".to_owned();
                return Err(KafkaError::Setting { name: name.clone(), why });
            }
        }
        for name in self.settings.keys() {
            if let Some((_, why)) = FIXED.iter().find(|(names, _)| names.contains(&name.as_str())) {
                return Err(KafkaError::Setting { name: name.clone(), why: (*why).to_owned() });
            }
        }
        let mut config = ClientConfig::new();
        for (name, value) in DEFAULTS.iter().chain(defaults) {
            config.set(*name, *value);
        }
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        for (name, value) in access {
            config.set(*name, value);
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        // What librdkafka says goes to `tracing`, which decides what is shown.
        config.set_log_level(RDKafkaLogLevel::Debug);
        access::is_in_this_build(&config)?;
        config.create_native_config().map_err(refused)?;
        Ok(config)
    }
}

/// librdkafka's refusal of a configuration, in our words.
pub(super) fn refused(error: rdkafka::error::KafkaError) -> KafkaError {
    match error {
        // librdkafka repeats a value that it doesn't accept.
        rdkafka::error::KafkaError::ClientConfig(_, _, name, _) if is_secret(&name) => {
            KafkaError::Setting { name, why: "librdkafka doesn't accept the value".to_owned() }
        }
        rdkafka::error::KafkaError::ClientConfig(_, why, name, _) => KafkaError::Setting { name, why },
        rdkafka::error::KafkaError::ClientCreation(why) => match access::to_blame(&why) {
            Some(setting) => KafkaError::Own { setting, why: format!("can't be used: {why}") },
            None => KafkaError::Fatal { why },
        },
        other => KafkaError::Fatal { why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::consumer::BaseConsumer;

    use super::{FETCH_MAX_BYTES, KafkaError, Membership, Settings, StartFrom};

    fn with(name: &str, value: &str) -> Settings {
        Settings { settings: [(name.to_owned(), value.to_owned())].into(), ..Settings::default() }
    }

    #[test]
    fn what_would_break_the_promise_is_refused_with_a_reason() {
        for name in ["acks", "enable.idempotence", "message.timeout.ms", "delivery.timeout.ms", "enable.auto.commit"] {
            let refused = with(name, "1").validate().expect_err(name);
            assert!(matches!(&refused, KafkaError::Setting { name: named, why } if named == name && why.len() > 20));
        }
    }

    #[test]
    fn a_name_or_value_that_librdkafka_does_not_know_is_refused_by_name() {
        for (name, value) in [("no.such.setting", "1"), ("linger.ms", "soon")] {
            let refused = with(name, value).validate().expect_err(name);
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }

    #[test]
    fn the_user_decides_what_is_not_fixed() {
        let config = with("linger.ms", "20").producer().expect("accepted");
        assert_eq!((config.get("linger.ms"), config.get("acks")), (Some("20"), Some("all")));
        assert_eq!(with("session.timeout.ms", "30000").validate(), Ok(()));
    }

    #[test]
    fn small_records_wait_for_others_as_long_as_they_are_told_unless_the_user_says_how_long() {
        let linger = |settings: &Settings| {
            let config = settings.producer_of_pieces(Duration::from_millis(90)).expect("accepted");
            config.get("linger.ms").map(str::to_owned)
        };
        assert_eq!(linger(&Settings::default()), Some("90".to_owned()));
        assert_eq!(linger(&with("linger.ms", "7")), Some("7".to_owned()));
    }

    #[test]
    fn an_answer_has_room_for_the_largest_record_unless_the_user_says_how_much_it_has() {
        let config = |settings: &Settings| {
            let membership = Membership { group: "g", member: None, start_from: StartFrom::Earliest };
            settings.consumer(&membership).expect("accepted")
        };
        let room = |settings: &Settings| config(settings).get(FETCH_MAX_BYTES).map(str::to_owned);
        assert_eq!(room(&Settings::default()), Some("1048576".to_owned()));
        assert_eq!(room(&with("message.max.bytes", "2000")), Some("1048576".to_owned()));
        let large = with("message.max.bytes", "20000000");
        assert_eq!(room(&large), Some("20000000".to_owned()));
        assert!(config(&large).create::<BaseConsumer>().is_ok(), "librdkafka starts with it");
        assert_eq!(room(&with(FETCH_MAX_BYTES, "3000000")), Some("3000000".to_owned()));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?} {:?}", with("sasl.password", "hunter2"), with("linger.ms", "20"));
        assert!(!shown.contains("hunter2") && shown.contains("20"), "{shown}");
    }
}
