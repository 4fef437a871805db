//! A task's labels beside those that a JSON line has of its own.

use super::json::names_of;
use crate::record::Labels;

/// Where labels stand in a document: `labels.NAME`, as the Elastic Common Schema has them.
pub(super) const LABELS: &str = "labels";

/// Whether a line's own member, which is called `labels` or something below it, and a task's labels can't stand in one
/// document: they have a name in common, or the member is no object. `name` and `value` are as they stand in the line,
/// the name without quotation marks.
pub(super) fn collide(ours: &Labels, name: &[u8], value: &[u8]) -> bool {
    if ours.is_empty() {
        return false;
    }
    match name.strip_prefix(LABELS.as_bytes()) {
        Some([]) if value.starts_with(b"{") => names_of(value).any(|name| is_ours(ours, name)),
        Some([b'.', label @ ..]) => is_ours(ours, label),
        // No object, or a name that is spelt with escapes.
        _ => true,
    }
}

/// Whether one of our labels is called so, or as a dotted part of it begins.
fn is_ours(ours: &Labels, name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b'.').next().unwrap_or(name);
    // Ours have no backslash, but what does may mean one of them.
    name.contains(&b'\\') || std::str::from_utf8(first).is_ok_and(|first| ours.get(first).is_some())
}

#[cfg(test)]
mod tests {
    use super::collide;
    use crate::record::{Labels, NO_LABELS};

    #[test]
    fn labels_collide_if_a_name_is_in_both_or_theirs_are_no_object() {
        let ours: Labels = [("env", "prod")].into_iter().collect();
        let collides = |name: &str, value: &str| collide(&ours, name.as_bytes(), value.as_bytes());
        for (name, value) in [
            ("labels", "\"x\""),
            ("labels", "[\"env\"]"),
            ("labels", r#"{"a":{"b":[1,{"c":"}"}]},"env":1}"#),
            ("labels", r#"{ "env.x" : 1}"#),
            ("labels", r#"{"\u0065nv":1}"#),
            ("labels.env", "1"),
            ("labels.env.x", "1"),
            (r"labe\u006cs", "{}"),
        ] {
            assert!(collides(name, value), "{name}: {value}");
            assert!(!collide(&NO_LABELS, name.as_bytes(), value.as_bytes()));
        }
        for (name, value) in [
            ("labels", "{}"),
            ("labels", r#"{"a":{"env":1},"b":"env","c":["env"],"environment":1}"#),
            ("labels.a", "1"),
            ("labels.a.env", "1"),
        ] {
            assert!(!collides(name, value), "{name}: {value}");
        }
    }
}
