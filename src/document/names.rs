//! Names of a JSON line's members: which mean something to us, which are ours, and which no store takes.

use super::labels::LABELS;

/// What a name at the root of a JSON line means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Nothing: the member is copied.
    Plain,
    /// It is ours or stands in the way of ours: the member goes under `fields`.
    Ours,
    /// Labels of the line's own: under `fields` if the task's are in the way.
    Labels,
    /// The value may be the message; lower numbers first.
    Message(u8),
    /// The value may be the time; lower numbers first.
    Time(u8),
    /// The value may be the level; lower numbers first.
    Level(u8),
}

/// The members that every document may have; `logdrive` and all below it are ours besides.
const OURS: [&str; 9] = [
    "@timestamp",
    "message",
    "log.level",
    "log.file.path",
    "log.offset",
    "log.iostream",
    "log.flags",
    "host.name",
    "tags",
];

impl Name {
    /// What `name`, unescaped, means.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "message" => Name::Message(0),
            "msg" => Name::Message(1),
            "log" => Name::Message(2),
            "@timestamp" => Name::Time(0),
            "timestamp" => Name::Time(1),
            "time" => Name::Time(2),
            "ts" => Name::Time(3),
            "log.level" => Name::Level(0),
            "level" => Name::Level(1),
            "severity" => Name::Level(2),
            "lvl" => Name::Level(3),
            "severity_text" => Name::Level(4),
            "levelname" => Name::Level(5),
            _ if name.starts_with(LABELS) && is_in(name, LABELS) => Name::Labels,
            _ if is_ours(name) => Name::Ours,
            _ => Name::Plain,
        }
    }

    /// Whether the member may come under `fields`, which is one level deeper.
    #[must_use]
    pub fn may_be_moved(self) -> bool {
        self.is_moved() || self == Name::Labels
    }

    /// Whether the member can't stay at the root under its name.
    #[must_use]
    pub fn is_moved(self) -> bool {
        matches!(self, Name::Ours | Name::Message(0 | 2) | Name::Time(0) | Name::Level(0))
    }
}

/// Whether a member of this name can be put at the root, beside ours.
#[must_use]
pub fn is_free(name: &str) -> bool {
    Name::of(name) == Name::Plain && dots(name).is_some()
}

/// Whether `name` is one of ours, on the way to one, or behind one.
fn is_ours(name: &str) -> bool {
    // All of ours begin with one of these; most names of others don't.
    match name.as_bytes().first() {
        Some(b'@' | b'm' | b'l' | b'h' | b't') => {
            is_in(name, "logdrive") || OURS.iter().any(|ours| is_in(name, ours) || is_in(ours, name))
        }
        Some(b'f') => is_in(name, "fields"),
        Some(b'_') => name.as_bytes().get(1).is_some_and(u8::is_ascii_lowercase),
        _ => false,
    }
}

/// Whether `name` is `root` or a dotted name below it.
fn is_in(name: &str, root: &str) -> bool {
    name.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// How many dots a name has; none if one of its dotted parts is empty or blank, which Elasticsearch and OpenSearch
/// refuse ("field name cannot contain only whitespace", "starting or ending with a \[.\] makes object resolution
/// ambiguous").
pub(super) fn dots(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    match (bytes.first(), memchr::memchr(b'.', bytes)) {
        // The common case: one part that begins with something visible.
        (Some(b'!'..=b'~'), None) => Some(0),
        _ => {
            let mut parts = 0;
            for part in name.split('.') {
                if part.trim().is_empty() {
                    return None;
                }
                parts += 1;
            }
            Some(parts - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, dots, is_free};

    #[test]
    fn our_names_and_what_stands_in_their_way_go_under_fields() {
        let ours = [
            "host",
            "host.name",
            "host.name.first",
            "log.file",
            "log.file.path",
            "log.file.path.x",
            "log.offset",
            "logdrive",
            "logdrive.x",
            "tags",
            "tags.a",
            "message.x",
            "@timestamp.x",
            "fields",
            "fields.host",
            "_id",
            "_source.x",
        ];
        for name in ours {
            assert_eq!(Name::of(name), Name::Ours, "{name}");
        }
        assert_eq!(["labels", "labels.x"].map(Name::of), [Name::Labels; 2]);
        let plain = [
            "",
            "hostname",
            "host.ip",
            "log.logger",
            "logs",
            "logdriver",
            "tag",
            "@version",
            "field",
            "_PID",
            "_",
            "user",
            "msg.x",
            "labels_",
            "label",
            "level.x",
            "Message",
        ];
        for name in plain {
            assert_eq!(Name::of(name), Name::Plain, "{name}");
        }
    }

    #[test]
    fn a_free_name_is_neither_ours_nor_one_that_means_something_nor_none() {
        for name in ["app", "app.json", "é", "host.ip"] {
            assert!(is_free(name), "{name}");
        }
        for name in ["host", "log.file", "message", "ts", "level", "fields.a", "", " ", "a..b", "_id"] {
            assert!(!is_free(name), "{name}");
        }
    }

    #[test]
    fn a_name_with_an_empty_part_is_none() {
        for name in ["", ".", "a.", ".a", "a..b", " ", "a. .b", "\u{3000}"] {
            assert_eq!(dots(name), None, "{name:?}");
        }
        for (name, count) in [("a", 0), ("a.b", 1), (" a", 0), ("a b.c.d", 2), ("é", 0)] {
            assert_eq!(dots(name), Some(count), "{name:?}");
        }
    }
}
