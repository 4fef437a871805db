//! How a connection is made safe and who we say we are: our settings for it, in librdkafka's words.
//!
//! A secret is read when a client is made, stays in librdkafka's configuration, and has no way into a message.

use std::{fs::File, path::Path};

use rdkafka::ClientConfig;
use serde::Deserialize;

use super::{KafkaError, Settings};
use crate::record::{Secret, SecretError};

/// How a user proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    /// The password goes to the broker as it is: with TLS only.
    #[serde(rename = "PLAIN")]
    Plain,
    /// The password is proven without being told.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The password is proven without being told.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl From<SecretError> for KafkaError {
    fn from(SecretError { setting, reason: why }: SecretError) -> Self {
        Self::Own { setting, why }
    }
}

/// The mechanism that needs libsasl2, and librdkafka's default.
const KERBEROS: &str = "GSSAPI";

/// A setting of librdkafka's and its value.
type Property = (&'static str, String);

impl Settings {
    /// What librdkafka is told, secrets included; nothing where all is at its default.
    ///
    /// # Errors
    /// [`KafkaError::Own`] for what [`Settings::fits`] refuses, and for a file that can't be read.
    pub(super) fn access(&self) -> Result<Vec<Property>, KafkaError> {
        self.fits()?;
        let mut properties = self.protocol();
        for (setting, name, file) in [
            ("ca_file", "ssl.ca.location", &self.ca_file),
            ("certificate_file", "ssl.certificate.location", &self.certificate_file),
            ("key_file", "ssl.key.location", &self.key_file),
        ] {
            if let Some(file) = file {
                readable(setting, file)?;
                properties.push((name, file.display().to_string()));
            }
        }
        for (name, secret) in [
            (
                "ssl.key.password",
                Secret::from_value_or_file(
                    "key_password",
                    self.key_password.as_ref(),
                    self.key_password_file.as_deref(),
                )?,
            ),
            (
                "sasl.password",
                Secret::from_value_or_file("password", self.password.as_ref(), self.password_file.as_deref())?,
            ),
        ] {
            properties.extend(secret.map(|secret| (name, secret.expose().to_owned())));
        }
        if let Some(file) = &self.token_file {
            readable("token_file", file)?;
        }
        Ok(properties)
    }

    /// What of librdkafka's is ours to say, without the secrets and the files.
    pub(super) fn protocol(&self) -> Vec<Property> {
        let mut properties = Vec::new();
        let protocol = match (self.tls, self.username.is_some() || self.token_file.is_some()) {
            (false, false) => return properties,
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        properties.push(("security.protocol", protocol.to_owned()));
        if let Some(username) = &self.username {
            properties.push(("sasl.mechanisms", self.mechanism.name().to_owned()));
            properties.push(("sasl.username", username.clone()));
        } else if self.token_file.is_some() {
            properties.push(("sasl.mechanisms", "OAUTHBEARER".to_owned()));
        }
        properties
    }

    /// Whether these settings go together. Reads no file.
    ///
    /// # Errors
    /// [`KafkaError::Own`], with what to do.
    pub(super) fn fits(&self) -> Result<(), KafkaError> {
        let refuse = |setting, why: &str| Err(KafkaError::Own { setting, why: why.to_owned() });
        let no_tls = "is set, but kafka.tls is not; set kafka.tls = true, or leave it out";
        if !self.tls {
            for (setting, file) in
                [("ca_file", &self.ca_file), ("certificate_file", &self.certificate_file), ("key_file", &self.key_file)]
            {
                if file.is_some() {
                    return refuse(setting, no_tls);
                }
            }
        }
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => {
                return refuse("certificate_file", "has no key; set kafka.key_file to the file with its private key");
            }
            (None, Some(_)) => {
                return refuse("key_file", "has no certificate; set kafka.certificate_file to the one it belongs to");
            }
            _ => (),
        }
        if self.key_file.is_none() && (self.key_password.is_some() || self.key_password_file.is_some()) {
            return refuse("key_password", "is set without kafka.key_file; leave it out, or name the key's file");
        }
        let has_password = self.password.is_some() || self.password_file.is_some();
        match (&self.username, has_password) {
            (Some(_), false) => refuse("username", "has no password; set kafka.password_file, or kafka.password"),
            (None, true) => refuse("password", "has no user; set kafka.username"),
            (Some(_), true) if self.token_file.is_some() => {
                refuse("token_file", "is set beside kafka.username; leave one of them out")
            }
            _ => Ok(()),
        }
    }
}

/// Whether this build can prove who we are as the configuration wants it. librdkafka tells only where a client is made, and
/// then to build librdkafka anew.
///
/// # Errors
/// [`KafkaError::Setting`], with what to do.
pub(super) fn is_in_this_build(config: &ClientConfig) -> Result<(), KafkaError> {
    let is_sasl = config.get("security.protocol").is_some_and(|protocol| protocol.to_lowercase().starts_with("sasl"));
    // The later of the two counts with librdkafka; who sets both sets them alike.
    let mechanism = config.get("sasl.mechanisms").or(config.get("sasl.mechanism"));
    if cfg!(feature = "kerberos") || !is_sasl || mechanism.is_some_and(|name| name != KERBEROS) {
        return Ok(());
    }
    let meant = if mechanism.is_some() { "" } else { ", which is meant where no mechanism is set," };
    Err(KafkaError::Setting {
        name: "sasl.mechanism".to_owned(),
        why: format!(
            "{KERBEROS} (Kerberos){meant} is not in this build; build it with `cargo build --release --features kerberos`, \
             or set another mechanism, such as SCRAM-SHA-512"
        ),
    })
}

/// A file that isn't there should be told by its setting's name, before librdkafka tells of it in its own words.
fn readable(setting: &'static str, file: &Path) -> Result<(), KafkaError> {
    match File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(KafkaError::Own {
            setting,
            why: format!(
                "can't be read: {}: {error}; check the path, and the rights of the user that runs logdrive",
                file.display()
            ),
        }),
    }
}

/// The setting of ours that librdkafka means when it can't make a client.
pub(super) fn to_blame(why: &str) -> Option<&'static str> {
    let names = [
        ("ssl.ca", "ca_file"),
        ("ssl.certificate", "certificate_file"),
        ("ssl.key", "key_file"),
        ("sasl.", "username"),
    ];
    names.iter().find(|(name, _)| why.contains(name)).map(|(_, setting)| *setting)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{KafkaError, Mechanism, Settings};

    fn with(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
    }

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        with(change).access().expect_err("refused").to_string()
    }

    fn file() -> Option<PathBuf> {
        Some("Cargo.toml".into())
    }

    #[test]
    fn nothing_is_said_where_nothing_is_set() {
        assert_eq!(Settings::default().access(), Ok(vec![]));
    }

    #[test]
    fn a_user_over_tls_is_said_in_librdkafkas_words() {
        let settings = with(|settings| {
            settings.tls = true;
            settings.ca_file = file();
            settings.username = Some("me".to_owned());
            settings.password = Some("hunter2".into());
            settings.mechanism = Mechanism::ScramSha256;
        });
        let said = settings.access().expect("fits");
        for (name, value) in [
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-256"),
            ("sasl.username", "me"),
            ("sasl.password", "hunter2"),
            ("ssl.ca.location", "Cargo.toml"),
        ] {
            assert!(said.contains(&(name, value.to_owned())), "{name} in {said:?}");
        }
        assert_eq!(settings.producer().map(drop), Ok(()));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_to_do() {
        assert!(refused(|it| it.ca_file = file()).contains("set kafka.tls = true"));
        assert!(refused(|it| it.username = Some("me".to_owned())).contains("set kafka.password_file"));
        assert!(refused(|it| it.password = Some("x".into())).contains("set kafka.username"));
        let half = |it: &mut Settings| (it.tls, it.certificate_file) = (true, file());
        assert!(refused(half).contains("kafka.key_file"));
        let both = |it: &mut Settings| {
            (it.username, it.password, it.token_file) = (Some("me".to_owned()), Some("x".into()), file());
        };
        assert!(refused(both).contains("leave one of them out"));
        let absent = |it: &mut Settings| (it.tls, it.ca_file) = (true, Some("/no/such.pem".into()));
        assert!(refused(absent).starts_with("kafka.ca_file can't be read: /no/such.pem"));
    }

    #[test]
    fn a_setting_that_is_said_twice_is_refused() {
        let settings = with(|it| {
            it.tls = true;
            it.settings.insert("security.protocol".to_owned(), "plaintext".to_owned());
        });
        let refused = settings.validate().expect_err("twice");
        assert!(matches!(&refused, KafkaError::Setting { name, .. } if name == "security.protocol"), "{refused}");
    }

    #[test]
    fn kerberos_is_refused_with_what_to_do_where_it_is_not_in_the_build() {
        let sasl = |mechanism: Option<&str>| {
            with(|it| {
                it.settings.insert("security.protocol".to_owned(), "SASL_PLAINTEXT".to_owned());
                it.settings.extend(mechanism.map(|name| ("sasl.mechanism".to_owned(), name.to_owned())));
            })
        };
        for mechanism in [None, Some("GSSAPI")] {
            let said = sasl(mechanism).validate().map_err(|error| error.to_string());
            if cfg!(feature = "kerberos") {
                assert_eq!(said, Ok(()));
            } else {
                assert!(said.is_err_and(|said| said.contains("--features kerberos")), "{mechanism:?}");
            }
        }
        assert_eq!(sasl(Some("SCRAM-SHA-512")).validate(), Ok(()));
    }

    #[test]
    fn a_file_that_is_no_certificate_is_blamed_by_its_setting() {
        let settings = with(|it| (it.tls, it.ca_file) = (true, file()));
        let (sender, _answers) = tokio::sync::mpsc::channel::<crate::kafka::Delivered<()>>(1);
        let refused = crate::kafka::Producer::new(&settings, sender).expect_err("no certificate");
        assert!(matches!(&refused, KafkaError::Own { setting: "ca_file", .. }), "{refused:?}");
    }
}
