//! What a key's value says: the tasks of the configuration, as JSON; or the plain form `[{"path": "…", "topic": "…"}]`.

use std::path::Path;

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

use super::json;
use crate::config::{
    Agent, ConfigError, Task, check,
    load::locate,
    problem::{Problem, Sources},
    rules,
    schema::Schema,
};

/// The most bytes of one value.
pub const TASKS_BYTES_MAX: usize = 1 << 20;

/// The most tasks of one value.
pub const TASKS_MAX: usize = 10_000;

/// The tasks that a value means to the agent of this configuration: a list of tasks, or an object whose `tasks` are one.
/// An empty list, and nothing at all, mean none. `name` is what the value is called in errors: its key, or a file.
///
/// # Errors
/// If it is not that. The error tells the mistakes with their places.
pub fn read_tasks(name: &str, value: &[u8], agent: &Agent) -> Result<Vec<Task>, ConfigError> {
    if value.len() > TASKS_BYTES_MAX {
        let (bytes, max) = (value.len(), TASKS_BYTES_MAX);
        return Err(ConfigError::plain(format!(
            "{name}: the value has {bytes} bytes, more than {max}\nhint: lay the tasks on several keys"
        )));
    }
    let text = std::str::from_utf8(value).map_err(|error| {
        let at = error.valid_up_to();
        ConfigError::plain(format!("{name}: byte {at} is not UTF-8\nhint: write the tasks as JSON"))
    })?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut sources = Sources::default();
    sources.add_file(Path::new(name), text);
    let refuse = |problems| ConfigError::new(problems, &sources);
    let table = json::read(text).and_then(tasks_of).map_err(|problem| refuse(vec![problem]))?;
    let schema = Schema::Table(vec![("tasks", Schema::of::<Vec<Task>>())]);
    let mut problems = Vec::new();
    check::table(&table, &schema, "", &mut problems);
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    let Value { tasks } = Value::deserialize(Deserializer::from(Spanned::new(0..text.len(), table.clone())))
        .map_err(|error| refuse(vec![meant(&error)]))?;
    if tasks.len() > TASKS_MAX {
        let what = format!("{name}: there are {} tasks, more than {TASKS_MAX}", tasks.len());
        return Err(ConfigError::plain(format!("{what}\nhint: one task may have several paths")));
    }
    let broken = rules::tasks(&Agent { tasks: tasks.clone(), ..agent.clone() });
    if broken.is_empty() {
        return Ok(tasks);
    }
    let placed = |(path, problem): (String, Problem)| Problem { span: locate(&table, &path), ..problem };
    Err(refuse(broken.into_iter().map(placed).collect()))
}

#[derive(Deserialize)]
struct Value {
    tasks: Vec<Task>,
}

/// The table of what was written, with its tasks in full form.
fn tasks_of(written: Spanned<DeValue<'_>>) -> Result<DeTable<'_>, Problem> {
    let span = written.span();
    match written.into_inner() {
        DeValue::Array(mut list) => {
            complete(&mut list);
            let mut table = DeTable::new();
            table.insert(Spanned::new(span.clone(), "tasks".into()), Spanned::new(span, DeValue::Array(list)));
            Ok(table)
        }
        DeValue::Table(mut table) => {
            match table.get_mut("tasks").map(Spanned::get_mut) {
                Some(DeValue::Array(list)) => complete(list),
                // The check below says what it takes.
                Some(_) => (),
                None => {
                    return Err(Problem::new(Some(span), "there are no tasks in this").hint(FORM));
                }
            }
            Ok(table)
        }
        _ => Err(Problem::new(Some(span), "this is no list of tasks").hint(FORM)),
    }
}

const FORM: &str =
    "write a list of tasks: [{\"name\": \"nginx\", \"paths\": [\"/var/log/nginx/*.log\"], \"topic\": \"nginx\"}]";

/// Gives tasks of the plain form their `paths`, and a name of topic and path: the same at each reading, and no other has it.
fn complete(list: &mut DeArray<'_>) {
    for element in list.iter_mut() {
        let DeValue::Table(task) = element.get_mut() else { continue };
        if task.contains_key("paths") || !matches!(task.get("path").map(Spanned::get_ref), Some(DeValue::String(_))) {
            continue;
        }
        let Some((key, path)) = task.remove_entry("path") else { continue };
        if let (false, Some(topic), Some(path)) = (
            task.contains_key("name"),
            task.get("topic").and_then(|topic| topic.get_ref().as_str()),
            path.get_ref().as_str(),
        ) {
            let name = DeValue::String(format!("{topic}:{path}").into());
            task.insert(Spanned::new(key.span(), "name".into()), Spanned::new(key.span(), name));
        }
        let (name, span) = (Spanned::new(key.span(), "paths".into()), path.span());
        let mut paths = DeArray::new();
        paths.push(path);
        task.insert(name, Spanned::new(span, DeValue::Array(paths)));
    }
}

/// What a type refused, in our words.
fn meant(error: &toml::de::Error) -> Problem {
    let message = error.message();
    match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        Some(name) => Problem::new(error.span(), format!("the setting {name:?} is missing here")),
        None => Problem::new(error.span(), format!("this can't be read: {}", message.replace('\n', "; "))),
    }
}
