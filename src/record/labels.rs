//! What a task says of all its lines, in the task's own words: names with values, such as the service that writes them.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The most labels that a task may have. Records and documents carry all of them, so they are few and short.
pub const LABELS_MAX: usize = 16;
/// The longest name of a label, in bytes.
pub const LABEL_NAME_BYTES_MAX: usize = 64;
/// The longest value of a label, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 256;

/// Names with values, in the order of the names. A clone costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Option<Arc<BTreeMap<String, String>>>);

/// No labels at all.
pub static NO_LABELS: Labels = Labels(None);

/// Why labels can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// There are more than [`LABELS_MAX`].
    #[error("there are {0} labels, more than {LABELS_MAX}")]
    Count(usize),
    /// A name is not as names are. It holds the name.
    #[error("{0:?} can't be the name of a label")]
    Name(String),
    /// A value is empty, too long, or has control characters. It holds the name.
    #[error("the label {0} is empty, longer than {LABEL_VALUE_BYTES_MAX} bytes, or has control characters")]
    Value(String),
}

impl Labels {
    /// The value of the label `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }

    /// All names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|labels| labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|labels| labels.is_empty())
    }

    /// Whether they are as labels have to be. Names are those of Prometheus, `[a-zA-Z_][a-zA-Z0-9_]*`: without a dot,
    /// so that none stands in another's way where a store makes a tree of dotted names.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), LabelError> {
        let count = self.0.as_ref().map_or(0, |labels| labels.len());
        if count > LABELS_MAX {
            return Err(LabelError::Count(count));
        }
        for (name, value) in self.iter() {
            if !is_name(name) {
                return Err(LabelError::Name(name.to_owned()));
            }
            if value.is_empty() || value.len() > LABEL_VALUE_BYTES_MAX || value.chars().any(char::is_control) {
                return Err(LabelError::Value(name.to_owned()));
            }
        }
        Ok(())
    }
}

/// Whether a label may be called `name`.
fn is_name(name: &str) -> bool {
    name.len() <= LABEL_NAME_BYTES_MAX
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(labels: T) -> Self {
        let labels: BTreeMap<String, String> =
            labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self((!labels.is_empty()).then(|| Arc::new(labels)))
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, String>::deserialize(deserializer).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use super::{LABELS_MAX, LabelError, Labels, NO_LABELS};

    fn labels(list: &[(&str, &str)]) -> Labels {
        list.iter().copied().collect()
    }

    #[test]
    fn labels_are_found_by_their_names_and_stand_in_the_order_of_these() {
        let labels = labels(&[("service", "api"), ("env", "prod")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("env", "prod"), ("service", "api")]);
        assert_eq!((labels.get("env"), labels.get("region")), (Some("prod"), None));
        assert_eq!(serde_json::to_string(&labels).expect("plain data"), r#"{"env":"prod","service":"api"}"#);
        assert_eq!(serde_json::from_str::<Labels>("{}").expect("a map"), NO_LABELS);
    }

    #[test]
    fn names_are_those_of_prometheus_and_values_are_short_and_printable() {
        for name in ["a", "_", "Service_2"] {
            assert_eq!(labels(&[(name, "grün")]).check(), Ok(()), "{name}");
        }
        for name in ["", "2a", "a.b", "a-b", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(labels(&[(name, "x")]).check(), Err(LabelError::Name(name.to_owned())), "{name}");
        }
        for value in ["", "a\nb", "\u{7f}", &"é".repeat(129)] {
            assert_eq!(labels(&[("a", value)]).check(), Err(LabelError::Value("a".to_owned())), "{value:?}");
        }
        let many: Labels = (0..=LABELS_MAX).map(|number| (format!("a{number}"), "x")).collect();
        assert_eq!(many.check(), Err(LabelError::Count(LABELS_MAX + 1)));
    }
}
