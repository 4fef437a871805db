//! Short names for fields: what people type, and which fields of a document it means.

/// Short names and the fields that they stand for, in any of which the value may be.
///
/// Where logs of JSON lines commonly carry the short name itself, it is among the fields. A name in backticks
/// stands for itself alone.
const ALIASES: &[(&str, &[&str])] = &[
    ("level", &["log.level"]),
    ("severity", &["log.level"]),
    ("host", &["host.name"]),
    ("hostname", &["host.name"]),
    ("file", &["log.file.path"]),
    ("path", &["log.file.path", "url.path", "path"]),
    ("msg", &["message"]),
    ("task", &["logdrive.task"]),
    ("service", &["service.name", "service"]),
    ("status", &["http.response.status_code", "status"]),
    ("method", &["http.request.method", "method"]),
    ("duration", &["event.duration", "duration"]),
    ("trace", &["trace.id", "trace_id"]),
    ("user", &["user.name", "user"]),
    ("ip", &["client.ip", "source.ip", "ip"]),
    ("pod", &["kubernetes.pod.name", "k8s.pod.name"]),
    ("ns", &["kubernetes.namespace", "k8s.namespace.name"]),
    ("container", &["kubernetes.container.name", "k8s.container.name", "container.name"]),
];

/// The fields that `name` stands for, if it is a short name.
#[must_use]
pub fn fields(name: &str) -> Option<&'static [&'static str]> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, fields)| *fields)
}

/// The short name that stands for exactly these fields, in this order.
#[must_use]
pub fn of(fields: &[&str]) -> Option<&'static str> {
    ALIASES.iter().find(|(_, of)| *of == fields).map(|(alias, _)| *alias)
}

#[cfg(test)]
mod tests {
    use super::{fields, of};

    #[test]
    fn a_short_name_stands_for_its_fields_and_is_found_again_by_them() {
        assert_eq!(fields("level"), Some(&["log.level"][..]));
        assert_eq!(of(&["log.level"]), Some("level"));
        assert_eq!(of(&["service.name", "service"]), Some("service"));
        assert_eq!(fields("log.level"), None);
    }
}
