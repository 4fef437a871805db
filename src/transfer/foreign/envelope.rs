//! What a foreign line says of where it stood: the envelopes of agents that are widespread.
//!
//! | who | host | file | offset |
//! |---|---|---|---|
//! | Filebeat and other Beats, ECS | `host.name` | `log.file.path` | `log.offset` |
//! | Vector | `host` | `file` | `offset`, where `source_type` is `file` |
//!
//! ECS names may be nested or dotted. A member that is missing or of another kind says nothing, and nothing that is said
//! is trusted beyond being shown: no identity depends on it alone.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

/// What a line says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) host: Option<String>,
    pub(super) path: Option<String>,
    pub(super) offset: Option<u64>,
}

impl Envelope {
    /// Reads what `line` says; nothing, if it is no JSON object.
    pub(super) fn of(line: &[u8]) -> Self {
        if line.first() != Some(&b'{') {
            return Self::default();
        }
        let Members { host_name, host, log_path, log_offset, log, source_type, file, offset } =
            serde_json::from_slice(line).unwrap_or_default();
        let is_vector = source_type.0.as_deref() == Some("file");
        let Log { file: log_file, offset: nested_offset } = log.0.unwrap_or_default();
        Self {
            host: host_name.0.or(match host.0 {
                Some(Host::Name(name)) => Some(name),
                Some(Host::Object { name }) => name.0,
                None => None,
            }),
            path: log_path.0.or(log_file.0.map(|file| file.path)).or(file.0.filter(|_| is_vector)),
            offset: log_offset.0.or(nested_offset.0).or(offset.0.filter(|_| is_vector)),
        }
    }
}

/// The members that mean something, whatever they are.
#[derive(Default)]
struct Members {
    host_name: Lenient<String>,
    host: Lenient<Host>,
    log_path: Lenient<String>,
    log_offset: Lenient<u64>,
    log: Lenient<Log>,
    source_type: Lenient<String>,
    file: Lenient<String>,
    offset: Lenient<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Host {
    Name(String),
    Object {
        #[serde(default)]
        name: Lenient<String>,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Log {
    file: Lenient<LogFile>,
    offset: Lenient<u64>,
}

#[derive(Deserialize)]
struct LogFile {
    path: String,
}

/// A value, if it is of the kind that is meant.
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Meant(T),
            Other(IgnoredAny),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Meant(value) => Some(value),
            Either::Other(_) => None,
        }))
    }
}

/// By hand, because a name that occurs twice is no error here.
impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    match &*name {
                        "host.name" => members.host_name = map.next_value()?,
                        "host" => members.host = map.next_value()?,
                        "log.file.path" => members.log_path = map.next_value()?,
                        "log.offset" => members.log_offset = map.next_value()?,
                        "log" => members.log = map.next_value()?,
                        "source_type" => members.source_type = map.next_value()?,
                        "file" => members.file = map.next_value()?,
                        "offset" => members.offset = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::Envelope;

    fn of(line: &str) -> (Option<String>, Option<String>, Option<u64>) {
        let Envelope { host, path, offset } = Envelope::of(line.as_bytes());
        (host, path, offset)
    }

    fn said(host: &str, path: &str, offset: u64) -> (Option<String>, Option<String>, Option<u64>) {
        (Some(host.to_owned()), Some(path.to_owned()), Some(offset))
    }

    #[test]
    fn beats_and_vector_say_where_a_line_stood() {
        let beat = r#"{"@timestamp":"2026-11-20T10:00:00.000Z","host":{"name":"web-1","os":{"type":"linux"}},
            "log":{"offset":7,"file":{"path":"/a","inode":"9"}},"message":"x"}"#;
        assert_eq!(of(beat), said("web-1", "/a", 7));
        let dotted = r#"{"host.name":"web-1","log.file.path":"/a","log.offset":7,"message":"x"}"#;
        assert_eq!(of(dotted), said("web-1", "/a", 7));
        let vector = r#"{"file":"/a","host":"web-1","message":"x","offset":7,"source_type":"file"}"#;
        assert_eq!(of(vector), said("web-1", "/a", 7));
    }

    #[test]
    fn what_is_missing_or_of_another_kind_says_nothing() {
        let other = r#"{"host":7,"log":"text","file":"/a","offset":7,"source_type":"kafka"}"#;
        for line in ["", "text", "[1]", "{", r#"{"a":1}"#, other, r#"{"log":{"file":7,"offset":-1}}"#] {
            assert_eq!(of(line), (None, None, None), "{line}");
        }
        assert_eq!(of(r#"{"host":{"name":["a"]},"log":{"file":{"path":"/a"}}}"#).1.as_deref(), Some("/a"));
        assert_eq!(of(r#"{"host":"a","host":"b"}"#).0.as_deref(), Some("b"));
    }
}
