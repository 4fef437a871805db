//! Tasks that mean the same files: allowed, and told, since the first of them reads what both mean.

use std::{collections::HashMap, fmt, sync::Arc};

use super::Agent;

/// A pattern that two tasks have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The task that reads the files.
    pub first: Arc<str>,
    /// The one that doesn't.
    pub second: Arc<str>,
    /// What both mean.
    pub pattern: String,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, pattern, .. } = self;
        write!(f, "{pattern} is a path of task {first} too, which stands first and reads the files that both mean")
    }
}

impl Agent {
    /// The patterns that stand in two tasks. Others may mean the same files as well, which only a look at the files
    /// tells (`logdrive check --dry-run`).
    #[must_use]
    pub fn overlaps(&self) -> Vec<Overlap> {
        let (mut firsts, mut overlaps) = (HashMap::new(), Vec::new());
        for task in &self.tasks {
            for pattern in &task.paths {
                let first = *firsts.entry(pattern.as_str()).or_insert(task);
                if first.name != task.name {
                    overlaps.push(Overlap {
                        first: Arc::clone(&first.name),
                        second: Arc::clone(&task.name),
                        pattern: pattern.clone(),
                    });
                }
            }
        }
        overlaps
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Agent;

    #[test]
    fn a_pattern_of_two_tasks_is_told_with_the_one_that_reads_the_files() {
        let task = |name: &str, path: &str| {
            format!("[[tasks]]\nname = \"{name}\"\npaths = [\"/a\", \"{path}\"]\ntopic = \"t\"\n")
        };
        let text = task("x", "/b").replace("\"/a\", ", "") + &task("y", "/c") + &task("z", "/c");
        let agent: Agent = toml::from_str(&text).expect("an agent");
        let told: Vec<String> =
            agent.overlaps().iter().map(|overlap| format!("{}: {overlap}", overlap.second)).collect();
        let expected = ["/a", "/c"].map(|path| {
            format!("z: {path} is a path of task y too, which stands first and reads the files that both mean")
        });
        assert_eq!(told, expected);
    }
}
