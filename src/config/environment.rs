//! `LOGDRIVE_KAFKA__BOOTSTRAP_SERVERS=…`: every setting by its path, in capitals, `__` between its parts.
//!
//! The value is read as the setting's type asks: text needs no quotes, a list of texts may be written with commas,
//! anything else is TOML.

use std::{ffi::OsString, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    places::moved_value,
    problem::{Problem, Sources, nearest},
    schema::Schema,
};

const PREFIX: &str = "LOGDRIVE_";

/// Variables with our prefix that are options of the command line.
const OPTIONS: [&str; 4] = ["LOGDRIVE_CONFIG", "LOGDRIVE_LOG", "LOGDRIVE_LOG_FORMAT", "LOGDRIVE_LOG_REPEATS_MAX"];

/// Puts the settings that `variables` name into `table`, over what is there.
pub(super) fn apply<'v>(
    table: &mut DeTable<'v>,
    variables: &'v [(OsString, OsString)],
    schema: &Schema,
    sources: &mut Sources,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| is_setting(name)) else { continue };
        let start = sources.add_variable(name);
        let span = start..start + 1;
        let placed = find(name, schema).and_then(|(path, schema)| {
            let value = value.to_str().ok_or_else(|| Problem::new(None, "the value is not UTF-8"))?;
            insert(table, &path, read(value, schema, &span), &span);
            Ok(())
        });
        if let Err(problem) = placed {
            problems.push(Problem { span: Some(span), ..problem });
        }
    }
    problems
}

/// Whether a variable means a setting. Kubernetes gives every container variables for each service of its
/// namespace (`LOGDRIVE_SERVICE_HOST`, `LOGDRIVE_AGENT_PORT_9717_TCP_ADDR` for ones named after us); they are not meant.
fn is_setting(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let of_kubernetes =
        !rest.contains("__") && ["SERVICE", "PORT"].iter().any(|word| rest.split('_').any(|part| part == *word));
    !OPTIONS.contains(&name) && !of_kubernetes
}

/// The path and the schema of the setting that a variable names.
fn find<'s>(name: &str, schema: &'s Schema) -> Result<(Vec<String>, &'s Schema), Problem> {
    let (mut path, mut at) = (Vec::new(), schema);
    for part in name.trim_start_matches(PREFIX).to_lowercase().split("__") {
        if let Schema::Map(element) = at {
            // The only names that are not ours are librdkafka's: dots, and no underscore in any.
            (at, path) = (element.as_ref(), [path, vec![part.replace('_', ".")]].concat());
            continue;
        }
        at = at.field(part).ok_or_else(|| unknown(name, schema))?;
        path.push(part.to_owned());
    }
    Ok((path, at))
}

fn unknown(name: &str, schema: &Schema) -> Problem {
    let known: Vec<String> =
        schema.paths("").iter().filter(|path| !path.contains("[]")).map(|path| variable(path)).collect();
    let problem = Problem::new(None, "there is no setting of this name");
    match nearest(name, known.iter().map(String::as_str)) {
        Some(name) => problem.hint(format!("did you mean {name}?")),
        None => problem.hint(
            "logdrive.sample.toml has every setting: [kafka] bootstrap_servers is LOGDRIVE_KAFKA__BOOTSTRAP_SERVERS",
        ),
    }
}

/// The variable of a setting.
fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// The value as the schema asks for it. What doesn't fit stays text, and is told when the whole table is checked.
fn read<'v>(text: &'v str, schema: &Schema, span: &Range<usize>) -> DeValue<'v> {
    let string = |text: &'v str| DeValue::String(text.into());
    match schema {
        Schema::Text | Schema::Choice(_) | Schema::Size | Schema::Duration => string(text),
        Schema::List(element) if **element == Schema::Text && !text.trim_start().starts_with('[') => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            DeValue::Array(parts.map(|part| Spanned::new(span.clone(), string(part))).collect())
        }
        _ => DeValue::parse(text)
            .map_or_else(|_| string(text), |value| moved_value(value, &|_| span.clone()).into_inner()),
    }
}

fn insert<'v>(table: &mut DeTable<'v>, path: &[String], value: DeValue<'v>, span: &Range<usize>) {
    let Some((name, rest)) = path.split_first() else { return };
    let key = Spanned::new(span.clone(), name.clone().into());
    if rest.is_empty() {
        table.insert(key, Spanned::new(span.clone(), value));
        return;
    }
    let inner = table.entry(key).or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    if let DeValue::Table(inner) = inner.get_mut() {
        insert(inner, rest, value, span);
    }
}
