//! A word that must not be seen: it has no way into a log line, an error or a debug print.

use std::{fmt, path::Path};

use thiserror::Error;

/// A password or a key. Its `Debug` is a row of stars, and it has no `Display`.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Why a secret can't be had.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct SecretError {
    /// The setting's name without `_file`.
    pub setting: &'static str,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Secret {
    /// The word itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret given as such or in a file, of which a newline at its end is no part.
    ///
    /// # Errors
    /// If both are given, the file can't be read, or the secret is empty. `setting` is its name without `_file`.
    pub fn from_value_or_file(
        setting: &'static str,
        value: Option<&Secret>,
        file: Option<&Path>,
    ) -> Result<Option<Secret>, SecretError> {
        let refuse = |reason: String| SecretError { setting, reason };
        let secret = match (value, file) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(refuse(format!("set either this or {setting}_file, not both"))),
            (Some(value), None) => value.clone(),
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| refuse(format!("can't read it from {}: {error}", path.display())))?;
                Secret(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        if secret.0.is_empty() {
            return Err(refuse("is empty; remove it if none is needed".to_owned()));
        }
        Ok(Some(secret))
    }
}

impl From<&str> for Secret {
    fn from(word: &str) -> Self {
        Self(word.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Some(Secret::from("hunter2"))), "Some(***)");
    }

    #[test]
    fn a_secret_comes_from_its_file_without_the_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter2\r\n").unwrap();
        let read = |value| Secret::from_value_or_file("password", value, Some(file.path()));
        assert_eq!(read(None).unwrap().unwrap().expose(), "hunter2");
        let other = Secret::from("other");
        assert!(read(Some(&other)).unwrap_err().to_string().contains("not both"));
        std::fs::write(file.path(), "\n").unwrap();
        assert!(read(None).unwrap_err().to_string().contains("empty"));
        assert_eq!(Secret::from_value_or_file("password", None, None).unwrap(), None);
    }
}
