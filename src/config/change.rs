//! The difference of what is collected and what is to be: data, on which whoever collects acts.

use std::{collections::BTreeMap, sync::Arc};

use super::Task;

/// All that is to be collected. Each value takes the place of the one before, so that one which was missed is of no
/// importance.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The tasks, valid together: names are unique, and each has a topic.
    pub tasks: Arc<[Task]>,
    /// Which one it is: counted by whoever makes them, and higher with each.
    pub generation: u64,
}

/// What has to happen for one set of tasks to become another one. A task that is in none of these stays untouched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Tasks that begin.
    pub added: Vec<Task>,
    /// Tasks that end.
    pub removed: Vec<Arc<str>>,
    /// Tasks of the same name with other settings, as they are to be.
    pub changed: Vec<Task>,
}

impl Change {
    /// The change from the tasks that there are to those that are wanted. The order of tasks is of no importance,
    /// but where a file is meant by two: it stays with the one that has it.
    #[must_use]
    pub fn between<'a>(present: impl IntoIterator<Item = &'a Task>, wanted: &[Task]) -> Self {
        let mut left: BTreeMap<&str, &Task> = present.into_iter().map(|task| (&*task.name, task)).collect();
        let mut change = Self::default();
        for task in wanted {
            match left.remove(&*task.name) {
                None => change.added.push(task.clone()),
                Some(before) if before == task => (),
                Some(_) => change.changed.push(task.clone()),
            }
        }
        change.removed = left.values().map(|task| Arc::clone(&task.name)).collect();
        change
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl std::fmt::Display for Change {
    /// In words, with the names of the tasks.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |tasks: &[Task]| tasks.iter().map(|task| task.name.to_string()).collect::<Vec<_>>();
        let removed: Vec<String> = self.removed.iter().map(ToString::to_string).collect();
        let parts = [("added", names(&self.added)), ("removed", removed), ("changed", names(&self.changed))];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        if parts.is_empty() { write!(formatter, "nothing changes") } else { write!(formatter, "{}", parts.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::Change;
    use crate::config::Task;

    fn task(name: &str, topic: &str) -> Task {
        toml::from_str(&format!("name = \"{name}\"\npaths = [\"/a\"]\ntopic = \"{topic}\"")).expect("a task")
    }

    #[test]
    fn the_difference_names_what_begins_what_ends_and_what_is_other_and_nothing_else() {
        let present = [task("same", "a"), task("gone", "a"), task("other", "a")];
        let wanted = [task("other", "b"), task("new", "a"), task("same", "a")];
        let change = Change::between(&present, &wanted);
        assert_eq!(change.added, [task("new", "a")]);
        assert_eq!(change.changed, [task("other", "b")]);
        assert_eq!(change.removed, ["gone".into()]);
        assert_eq!(change.to_string(), "added new; removed gone; changed other");
        assert!(Change::between(&present, &present).is_empty());
        assert_eq!(Change::default().to_string(), "nothing changes");
    }
}
