//! What differs between two values of a key, task by task, for a person.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One line each: `+` a task that is new, `-` one that goes, `~` a setting that changes.
pub(super) fn differ(before: &[u8], after: &[u8]) -> Vec<String> {
    let (mut before, after) = (tasks(before), tasks(after));
    let mut lines = Vec::new();
    for (name, task) in after {
        match before.remove(&name) {
            None => lines.push(format!("+ {name}: {}", Value::Object(task))),
            Some(old) => {
                for setting in task.keys().chain(old.keys().filter(|key| !task.contains_key(*key))) {
                    let (old, new) = (old.get(setting), task.get(setting));
                    if old != new {
                        let shown = |value: Option<&Value>| value.map_or("(not set)".to_owned(), Value::to_string);
                        lines.push(format!("~ {name}: {setting} was {}, is {}", shown(old), shown(new)));
                    }
                }
            }
        }
    }
    lines.extend(before.into_keys().map(|name| format!("- {name}")));
    lines
}

/// The tasks of a value by their names; none of a value that is no list of tasks.
fn tasks(value: &[u8]) -> BTreeMap<String, Map<String, Value>> {
    let mut read: Value = serde_json::from_slice(value).unwrap_or_default();
    if let Some(list) = read.get_mut("tasks") {
        read = list.take();
    }
    let Value::Array(list) = read else { return BTreeMap::new() };
    let named = |task: Value| {
        let Value::Object(task) = task else { return None };
        let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
        let name = if task.contains_key("name") {
            text("name").to_owned()
        } else {
            format!("{}:{}", text("topic"), text("path"))
        };
        Some((name, task))
    };
    list.into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::differ;

    #[test]
    fn what_is_new_what_goes_and_what_changes_is_shown_and_nothing_else() {
        let before = br#"[{"name": "a", "paths": ["/a"], "topic": "t"}, {"name": "b", "topic": "t"}, {"path": "/p", "topic": "t"}]"#;
        let after = br#"{"tasks": [{"name": "a", "paths": ["/a"], "topic": "u", "rate": "1MiB/s"}, {"path": "/p", "topic": "t"}, {"name": "c"}]}"#;
        assert_eq!(
            differ(before, after),
            [
                "~ a: rate was (not set), is \"1MiB/s\"",
                "~ a: topic was \"t\", is \"u\"",
                "+ c: {\"name\":\"c\"}",
                "- b",
            ]
        );
        assert!(differ(before, before).is_empty());
        assert_eq!(differ(b"junk", b"[]"), Vec::<String>::new());
    }
}
