//! What values are taken, what is said of those that are not, and what a refused one leaves.

use super::{KeyState, TASKS_BYTES_MAX, keys_of, read_tasks, slot::Slot};
use crate::{config::Agent, etcd::Entry};

const KEY: &str = "/logdrive/tasks/all";

fn refusal(value: impl AsRef<[u8]>) -> String {
    read_tasks(KEY, value.as_ref(), &Agent::default()).expect_err("refused").to_string()
}

#[test]
fn the_tasks_of_the_configuration_are_understood_as_json_alone_or_under_their_name() {
    let task = r#"{"name": "web", "paths": ["/var/log/web/*.log"], "topic": "web", "encoding": "lines",
        "labels": {"service": "web"}, "multiline": {"preset": ["java"]}, "rate": "1MiB/s", "ignore_older": "24h"}"#;
    for value in [format!("[{task}]"), format!("{{\"tasks\": [{task}]}}")] {
        let tasks = read_tasks(KEY, value.as_bytes(), &Agent::default()).expect("a task");
        assert_eq!((tasks.len(), &*tasks[0].name, tasks[0].labels.get("service")), (1, "web", Some("web")));
        assert!(tasks[0].multiline.is_some() && tasks[0].ignore_older.is_some());
    }
    for nothing in ["[]", "{\"tasks\": []}", "", " \n"] {
        assert!(read_tasks(KEY, nothing.as_bytes(), &Agent::default()).expect("no tasks").is_empty(), "{nothing:?}");
    }
}

#[test]
fn the_plain_form_is_understood_as_it_is_and_its_tasks_keep_their_names() {
    let value = r#"[{"path": "/var/log/a.log", "topic": "web"}, {"path": "/var/log/b.log", "topic": "web"}]"#;
    let tasks = read_tasks(KEY, value.as_bytes(), &Agent::default()).expect("tasks");
    let seen: Vec<_> = tasks.iter().map(|task| (&*task.name, &*task.paths[0], &*task.topic)).collect();
    assert_eq!(
        seen,
        [("web:/var/log/a.log", "/var/log/a.log", "web"), ("web:/var/log/b.log", "/var/log/b.log", "web")]
    );
    let twice = r#"[{"path": "/a", "topic": "web"}, {"path": "/a", "topic": "web"}]"#;
    assert!(refusal(twice).contains("the tasks 1 and 2 are both named \"web:/a\""), "{}", refusal(twice));
}

#[test]
fn a_mistake_is_shown_at_its_place_with_the_nearest_right_name() {
    let value = "[\n  {\"name\": \"web\", \"paths\": [\"/a\"],\n   \"topci\": \"web\"}\n]";
    assert_eq!(
        refusal(value),
        "/logdrive/tasks/all:3:5: there is no setting \"topci\" in [[tasks]]\n  |\n\
         3 |    \"topci\": \"web\"}\n  |     ^^^^^\nhint: did you mean \"topic\"?"
    );
    let cases: [(&str, &str); 9] = [
        (r#"[{"name": "a", "paths": "/a", "topic": "t"}]"#, "all:1:25: tasks[].paths takes a list of texts, not text"),
        (r#"[{"name": "a", "paths": ["/a"]}]"#, "the setting \"topic\" is missing here"),
        (r#"[{"name": "a", "paths": ["/a"], "topic": "a b"}]"#, "all:1:42: \"a b\" can't be the name of a topic"),
        (r#"[{"name": "a", "paths": [], "topic": "t"}]"#, "all:1:25: paths is empty"),
        (r#"[{"name": "a", "paths": ["/a"], "topic": null}]"#, "all:1:42: this is null"),
        (r#"{"task": []}"#, "there are no tasks in this"),
        (r#""nginx""#, "this is no list of tasks"),
        (r#"[{"path": 5, "topic": "t"}]"#, "there is no setting \"path\""),
        ("[{]", "all:1:3: this is no JSON"),
    ];
    for (value, expected) in cases {
        assert!(refusal(value).contains(expected), "{value}:\n{}", refusal(value));
    }
}

#[test]
fn junk_and_what_is_too_much_are_refused_in_few_words() {
    assert!(refusal([0x5b, 0xff, 0x00]).contains("all: byte 1 is not UTF-8"));
    let large = refusal(vec![b' '; 2 << 20]);
    assert!(large.contains("has 2097152 bytes, more than") && TASKS_BYTES_MAX < 2 << 20, "{large}");
    let names = |n: usize| {
        let tasks: Vec<String> = (0..n).map(|n| format!(r#"{{"path":"/l/{n}","topic":"t"}}"#)).collect();
        format!("[{}]", tasks.join(","))
    };
    let tasks = read_tasks(KEY, names(10_000).as_bytes(), &Agent::default()).expect("as many as are allowed");
    assert_eq!(tasks.len(), 10_000);
    assert!(refusal(names(10_001)).contains("there are 10001 tasks, more than 10000"));
    // One line of a megabyte with a mistake in it is not printed whole.
    let long = names(10_000).replacen("\"topic\"", "\"topci\"", 1);
    assert!(refusal(&long).len() < 2000, "{}", refusal(&long).len());
}

#[test]
fn keys_are_made_of_the_host_its_address_and_its_group() {
    let mut agent = Agent::default();
    assert_eq!(keys_of(&agent, "web-1", ""), ["/logdrive/tasks/all", "/logdrive/agents/web-1/tasks"]);
    agent.group = Some("web".to_owned());
    agent.tasks_keys.push("/logagent/{ip}/collect_config".to_owned());
    let keys = keys_of(&agent, "web-1", "10.0.0.1");
    assert_eq!(keys[1..3], ["/logdrive/tasks/groups/web", "/logdrive/agents/web-1/tasks"]);
    assert_eq!(keys[3], "/logagent/10.0.0.1/collect_config");
}

fn entry(key: &str, revision: i64, value: &str) -> Option<Entry> {
    Some(Entry { key: key.to_owned(), value: value.into(), revision })
}

fn names(state: &KeyState) -> Vec<&str> {
    state.tasks.iter().map(|task| &*task.name).collect()
}

#[test]
fn a_refused_value_leaves_the_last_good_one_and_a_key_that_is_gone_leaves_nothing() {
    let agent = Agent::default();
    let mut slot = Slot::new(KEY);
    slot.value = entry(KEY, 5, r#"[{"path": "/a", "topic": "a"}]"#);
    slot.judge("web-1", &agent);
    assert_eq!((names(&slot.state), slot.state.revision, slot.kept().is_some()), (vec!["a:/a"], 5, true));

    slot.value = entry(KEY, 6, "[{");
    slot.judge("web-1", &agent);
    assert_eq!((names(&slot.state), slot.state.revision), (vec!["a:/a"], 5));
    assert_eq!(slot.state.refused.as_ref().map(|(revision, _)| *revision), Some(6));
    assert_eq!(slot.kept().expect("the good one").revision, 5);

    slot.value = entry(KEY, 7, r#"[{"path": "/b", "topic": "b"}]"#);
    slot.judge("web-1", &agent);
    assert_eq!((names(&slot.state), slot.state.refused.clone()), (vec!["b:/b"], None));

    slot.unreadable = Some("too large".to_owned());
    slot.judge("web-1", &agent);
    assert_eq!((names(&slot.state), slot.state.revision), (vec!["b:/b"], 7));
    slot.unreadable = None;

    slot.value = None;
    slot.judge("web-1", &agent);
    assert_eq!((slot.state.clone(), slot.kept()), (KeyState { key: KEY.to_owned(), ..KeyState::default() }, None));
}

#[test]
fn a_canary_is_taken_by_its_hosts_alone_and_taken_back_when_it_goes() {
    let agent = Agent::default();
    let canary = r#"{"hosts": ["web-1"], "tasks": [{"path": "/new", "topic": "a"}]}"#;
    for (host, expected) in [("web-1", "a:/new"), ("web-2", "a:/old")] {
        let mut slot = Slot::new(KEY);
        slot.value = entry(KEY, 5, r#"[{"path": "/old", "topic": "a"}]"#);
        slot.canary = entry("/logdrive/canary/logdrive/tasks/all", 6, canary);
        slot.judge(host, &agent);
        assert_eq!((names(&slot.state), slot.state.is_canary), (vec![expected], host == "web-1"));
        slot.canary = None;
        slot.judge(host, &agent);
        assert_eq!((names(&slot.state), slot.state.revision), (vec!["a:/old"], 5));
        slot.canary = entry("/logdrive/canary/logdrive/tasks/all", 8, "{");
        slot.judge(host, &agent);
        assert_eq!(names(&slot.state), ["a:/old"]);
        assert!(slot.state.refused.as_ref().is_some_and(|(_, why)| why.contains("is no canary")));
    }
}
