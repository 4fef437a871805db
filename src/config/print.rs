//! What the files and the environment say together, as one text, without a secret.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value, de::Deserializer};

use super::{Config, ConfigError, files, load, problem::Sources, refusal, schema::Schema};

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// What the names of settings hold that are secrets, of ours and of librdkafka's; a file's name is none.
const SECRETS: [&str; 6] = ["password", "secret", "api_key", "token", "key.pem", "oauthbearer.config"];

impl Config {
    /// What is written, as one TOML text: the files that [`Config::load`] reads, and the environment over them. What
    /// is not in it has its default. Secrets are hidden.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn print(path: Option<&Path>) -> Result<String, ConfigError> {
        let (files, variables) = (files::read(path)?, std::env::vars_os().collect::<Vec<_>>());
        let config = Self::parse(&files, &variables)?;
        let mut sources = Sources::default();
        let (table, _) = load::merged(&files, &variables, &Schema::of::<Config>(), &mut sources)?;
        let mut plain = Table::deserialize(Deserializer::from(table))
            .map_err(|error| ConfigError::new(vec![refusal::meant(&error, None)], &sources))?;
        hide(&mut plain);
        let from = config.sources();
        let from = from.iter().filter(|path| path.is_file()).map(|path| format!("# from {}\n", path.display()));
        Ok(from.collect::<String>() + &plain.to_string())
    }
}

fn hide(table: &mut Table) {
    for (name, value) in table {
        match value {
            Value::Table(inner) => hide(inner),
            Value::Array(inner) => {
                inner.iter_mut().filter_map(Value::as_table_mut).for_each(hide);
                inner.iter_mut().for_each(hide_in_url);
            }
            value if is_secret(name) => *value = HIDDEN.into(),
            value => hide_in_url(value),
        }
    }
}

fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| name.contains(secret)) && !name.ends_with("_file") && !name.ends_with(".location")
}

/// Hides the name and the password that a URL may have before its host.
fn hide_in_url(value: &mut Value) {
    let Some((scheme, rest)) = value.as_str().and_then(|text| text.split_once("://")) else { return };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((_, host)) = authority.rsplit_once('@') {
        *value = format!("{scheme}://{HIDDEN}@{host}{}", &rest[authority.len()..]).into();
    }
}

#[cfg(test)]
mod tests {
    use super::hide;

    #[test]
    fn no_secret_is_shown_and_what_is_none_is() {
        let text = r#"
            [kafka]
            bootstrap_servers = "kafka-1:9092"
            password = "hunter2"
            key_password_file = "/run/key"
            [kafka.settings]
            "sasl.oauthbearer.client.secret" = "hunter2"
            "ssl.keystore.password" = "hunter2"
            "ssl.key.pem" = "hunter2"
            "ssl.key.location" = "/etc/key.pem"
            [elasticsearch]
            urls = ["https://ada:hunter2@es-1:9200/a", "https://es-2:9200"]
            api_key = "hunter2"
            bearer_token = "hunter2"
            [etcd]
            username = "ada"
            password = "hunter2"
        "#;
        let mut table = text.parse().expect("a table");
        hide(&mut table);
        let shown = table.to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        for is_shown in
            ["kafka-1:9092", "/run/key", "/etc/key.pem", "https://(hidden)@es-1:9200/a", "https://es-2:9200"]
        {
            assert!(shown.contains(is_shown), "{is_shown} in {shown}");
        }
        assert!(shown.contains("username = \"ada\""), "{shown}");
    }
}
