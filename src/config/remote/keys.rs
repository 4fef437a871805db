//! Which keys hold the tasks of a host.

use crate::config::{Agent, TemplateError, problem::Problem, template::Template};

/// The placeholders of a key.
const PLACEHOLDERS: [&str; 3] = ["host", "ip", "group"];

/// The most keys: each is a watch.
const KEYS_MAX: usize = 16;

/// The keys of a host, each once. One with `{group}` is left out where there is no group, and one with `{ip}` where there
/// is no address.
#[must_use]
pub fn keys_of(agent: &Agent, host: &str, address: &str) -> Vec<String> {
    let value = |name: &str| match name {
        "host" => Some(host),
        "ip" => Some(address).filter(|address| !address.is_empty()),
        "group" => agent.group.as_deref(),
        _ => None,
    };
    let mut keys: Vec<String> = Vec::new();
    for template in &agent.tasks_keys {
        // A key that is no template is refused when the configuration is loaded.
        let Some(key) = Template::parse(template).ok().and_then(|template| template.fill(value).ok()) else { continue };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// The key beside a key whose value some hosts take first.
#[must_use]
pub fn canary_key(prefix: &str, key: &str) -> String {
    format!("{prefix}/canary{key}")
}

/// What is wrong with a key's template.
///
/// # Errors
/// If it is none, or has a placeholder that nobody knows.
pub fn check(template: &str) -> Result<(), TemplateError> {
    Template::parse(template)?.fill(|name| PLACEHOLDERS.contains(&name).then_some("x")).map(drop)
}

/// Every mistake in `agent.tasks_keys`, with the path of the setting.
pub(in crate::config) fn broken(agent: &Agent) -> Vec<(String, Problem)> {
    let mut broken = Vec::new();
    for (index, template) in agent.tasks_keys.iter().enumerate() {
        let path = format!("agent.tasks_keys.{index}");
        let problem = match check(template) {
            Err(TemplateError::Unknown(_, name)) => {
                let what = format!("the key {template:?} has the placeholder {{{name}}}");
                Problem::new(None, what).nearest(&name, PLACEHOLDERS)
            }
            Err(error @ TemplateError::Brace(_)) => Problem::new(None, error.to_string())
                .hint("write a placeholder as in \"/logdrive/agents/{host}/tasks\""),
            Ok(()) if template.is_empty() => {
                Problem::new(None, "this key is empty").hint("write one such as \"/logdrive/tasks/all\"")
            }
            Ok(()) => continue,
        };
        broken.push((path, problem));
    }
    if agent.tasks_keys.len() > KEYS_MAX {
        let what = format!("agent.tasks_keys has {} keys, more than {KEYS_MAX}", agent.tasks_keys.len());
        broken.push(("agent.tasks_keys".to_owned(), Problem::new(None, what).hint("a key may hold many tasks")));
    }
    broken
}
