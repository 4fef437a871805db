//! The settings that hold for as long as a process runs, and which of them differ between two configurations.
//!
//! Only hashes of values are kept: secrets are among them.

use std::collections::BTreeMap;

use toml::{Table, Value};
use xxhash_rust::xxh3::xxh3_64;

/// Each setting that a file or a variable has, but the tasks and what is no setting of a running process: its dotted
/// path, and a hash of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fixed(BTreeMap<String, u64>);

/// What changes while a process runs, or has nothing to do with it.
const OTHERS: [&str; 2] = ["agent.tasks", "tests"];

impl Fixed {
    pub(super) fn of(table: &Table) -> Self {
        let mut fixed = Self::default();
        fixed.add(table, "");
        fixed
    }

    fn add(&mut self, table: &Table, prefix: &str) {
        for (name, value) in table {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match value {
                _ if OTHERS.contains(&path.as_str()) => (),
                Value::Table(table) => self.add(table, &path),
                value => drop(self.0.insert(path, xxh3_64(value.to_string().as_bytes()))),
            }
        }
    }

    /// The settings that are not the same in both.
    pub(super) fn differing(&self, other: &Self) -> Vec<String> {
        let mut paths: Vec<&String> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort();
        paths.dedup();
        paths.into_iter().filter(|path| self.0.get(*path) != other.0.get(*path)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Fixed;

    #[test]
    fn settings_that_differ_are_named_and_tasks_are_none_of_them() {
        let fixed = |text: &str| Fixed::of(&text.parse().expect("a table"));
        let one = fixed("data_dir = \"/a\"\n[kafka]\npassword = \"hunter2\"\n[[agent.tasks]]\nname = \"a\"\n");
        let two = fixed("[kafka]\npassword = \"y\"\n[agent]\nlanes = 2\n[[agent.tasks]]\nname = \"b\"\n");
        assert_eq!(one.differing(&two), ["agent.lanes", "data_dir", "kafka.password"]);
        assert!(one.differing(&one).is_empty());
        assert!(!format!("{one:?}").contains("hunter2"), "secrets are not shown");
    }
}
