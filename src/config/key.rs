//! The key that a task's records carry in Kafka, which is also what decides about their partition.

use std::sync::Arc;

use thiserror::Error;

use super::{
    Encoding, Task,
    template::{Template, TemplateError},
};
use crate::record::FileId;

/// Makes the keys of a task's records: the same for all lines of a file, so that these stay in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The same for all files.
    Same(Arc<[u8]>),
    /// What stands around a file's identity, which it may have several times: each file has a key of its own.
    OfFile(Vec<String>),
}

/// Why records can have no such key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The template is none, or asks for something that nobody knows.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template has no placeholder. It holds the template.
    #[error("the key {0:?} is the same for all tasks and hosts, so that all lines go to one partition")]
    Fixed(String),
    /// The files have keys of their own, and a packed record has lines of many files.
    #[error("the key {0:?} is another one for each file, and a packed record has lines of many")]
    Packed(String),
}

/// Stands where a file's identity goes; no value of a label has control characters.
const FILE: &str = "\0";

impl Key {
    /// The key of the records with lines of `file`.
    #[must_use]
    pub fn of(&self, file: FileId) -> Arc<[u8]> {
        match self {
            Self::Same(key) => Arc::clone(key),
            Self::OfFile(around) => around.join(&file.to_string()).into_bytes().into(),
        }
    }
}

impl Task {
    /// How the task's records get their keys where the host is called `host`; none if they have none.
    ///
    /// # Errors
    /// If there can't be such keys, which is refused when the configuration is loaded.
    pub fn key(&self, host: &str) -> Result<Option<Key>, KeyError> {
        let Some(written) = &self.key else { return Ok(None) };
        let template = Template::parse(written)?;
        if template.is_fixed() {
            return Err(KeyError::Fixed(written.clone()));
        }
        let key = template.fill(|name| match name {
            "file" => Some(FILE),
            "host" => Some(host),
            "task" => Some(&self.name),
            name => self.labels.get(name),
        })?;
        if !key.contains(FILE) {
            return Ok(Some(Key::Same(key.into_bytes().into())));
        }
        if self.encoding == Encoding::Packed {
            return Err(KeyError::Packed(written.clone()));
        }
        Ok(Some(Key::OfFile(key.split(FILE).map(str::to_owned).collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyError};
    use crate::{config::Task, record::FileId};

    fn key(key: &str, more: &str) -> Result<Option<Key>, KeyError> {
        let text =
            format!("name = \"web\"\npaths = [\"/a\"]\ntopic = \"t\"\nlabels = {{ service = \"api\" }}\n{more}\n");
        let task: Task = toml::from_str(&format!("{text}key = \"{key}\"")).expect("a task");
        task.key("host-1")
    }

    #[test]
    fn a_key_is_made_of_labels_the_task_the_host_and_the_files_identity() {
        let of = |template: &str| {
            let key = key(template, "encoding = \"lines\"").expect("valid").expect("there");
            String::from_utf8(key.of(FileId(0xab)).to_vec()).expect("text")
        };
        assert_eq!(of("{service}"), "api");
        assert_eq!(of("{host}/{task}"), "host-1/web");
        assert_eq!(of("{file}"), "000000000000000000000000000000ab");
        assert_eq!(of("{host}:{file}!"), "host-1:000000000000000000000000000000ab!");
    }

    #[test]
    fn a_key_that_says_nothing_or_is_not_known_or_not_of_one_file_is_refused() {
        assert_eq!(key("file", ""), Err(KeyError::Fixed("file".to_owned())));
        assert!(matches!(key("{env}", ""), Err(KeyError::Template(_))));
        assert_eq!(key("{file}", ""), Err(KeyError::Packed("{file}".to_owned())));
        assert!(matches!(key("{host}", ""), Ok(Some(Key::Same(_)))));
    }
}
