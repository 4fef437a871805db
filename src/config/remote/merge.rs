//! The tasks of the file and those of etcd as one set, by rules:
//!
//! 1. A task's name is unique. Of two with one name, the file's is taken; of two of etcd, that of the later key, which
//!    is the one that means fewer hosts.
//! 2. A task whose topic would be one too many (`agent.topics_max`) is left out; those of the file come first.
//!
//! What is left out is told, with the reason.

use std::collections::HashMap;

use super::KeyState;
use crate::config::{Agent, Task, Topics};

/// One set of tasks, made of several.
#[derive(Debug, Default, PartialEq)]
pub struct Merged {
    /// What is wanted, the file's first.
    pub tasks: Vec<Task>,
    /// What of etcd's is not wanted, and why.
    pub left_out: Vec<LeftOut>,
}

/// A task that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub task: String,
    /// The key that has it.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// Makes one set of the file's tasks and those of the keys, which stand in the order of `agent.tasks_keys`.
#[must_use]
pub fn merge(agent: &Agent, local: &[Task], keys: &[KeyState]) -> Merged {
    let mut merged = Merged { tasks: local.to_vec(), left_out: Vec::new() };
    let mut owners: HashMap<&str, &str> = local.iter().map(|task| (&*task.name, "")).collect();
    let mut taken = Vec::new();
    for state in keys.iter().rev() {
        for task in state.tasks.iter() {
            match owners.get(&*task.name) {
                None => {
                    owners.insert(&task.name, &state.key);
                    taken.push((task, &state.key));
                }
                Some(&owner) => {
                    let by = if owner.is_empty() { "the configuration file" } else { owner };
                    let reason = format!("{by} has a task of this name");
                    merged.left_out.push(LeftOut { task: task.name.to_string(), key: state.key.clone(), reason });
                }
            }
        }
    }
    let mut topics = Topics::new(agent.topics_max);
    for task in local {
        // A topic of the file's that can't be is told elsewhere.
        let _ = topics.of(task, &task.labels);
    }
    // Keys in their order again, and the tasks of each.
    taken.sort_by_key(|(_, key)| keys.iter().position(|state| state.key == **key));
    for (task, key) in taken {
        match topics.of(task, &task.labels) {
            Ok(_) => merged.tasks.push(task.clone()),
            Err(error) => merged.left_out.push(LeftOut {
                task: task.name.to_string(),
                key: key.clone(),
                reason: error.to_string(),
            }),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::{KeyState, merge};
    use crate::config::{Agent, Task, remote::read_tasks};

    fn tasks(json: &str) -> Vec<Task> {
        read_tasks("test", json.as_bytes(), &Agent::default()).expect("tasks")
    }

    fn key(key: &str, json: &str) -> KeyState {
        KeyState { key: key.to_owned(), revision: 1, tasks: tasks(json).into(), ..KeyState::default() }
    }

    fn one(name: &str, topic: &str) -> String {
        format!(r#"{{"name": "{name}", "paths": ["/{topic}"], "topic": "{topic}"}}"#)
    }

    #[test]
    fn the_file_wins_over_etcd_and_the_narrower_key_over_the_wider_and_what_is_left_out_is_told() {
        let local = tasks(&format!("[{}]", one("a", "local")));
        let all = key("/all", &format!("[{},{},{}]", one("a", "all"), one("b", "all"), one("c", "all")));
        let host = key("/host", &format!("[{}]", one("b", "host")));
        let merged = merge(&Agent::default(), &local, &[all, host]);
        let seen: Vec<_> = merged.tasks.iter().map(|task| (&*task.name, &*task.topic)).collect();
        assert_eq!(seen, [("a", "local"), ("c", "all"), ("b", "host")]);
        let told: Vec<_> = merged.left_out.iter().map(|one| (&*one.task, &*one.key, &*one.reason)).collect();
        let of_file = ("a", "/all", "the configuration file has a task of this name");
        assert_eq!(told, [of_file, ("b", "/all", "/host has a task of this name")]);
    }

    #[test]
    fn topics_of_templates_stay_within_their_limit_all_keys_together() {
        let agent = Agent { topics_max: 2, ..Agent::default() };
        let labelled =
            |n: u32| format!(r#"{{"name": "{n}", "paths": ["/{n}"], "topic": "app-{{n}}", "labels": {{"n": "{n}"}}}}"#);
        let keys = [
            key("/all", &format!("[{},{}]", labelled(1), labelled(2))),
            key("/host", &format!("[{},{}]", labelled(2), labelled(3))),
        ];
        let merged = merge(&agent, &[], &keys);
        assert_eq!(merged.tasks.len(), 2);
        assert!(merged.left_out.iter().any(|one| one.task == "3"), "{:?}", merged.left_out);
    }
}
