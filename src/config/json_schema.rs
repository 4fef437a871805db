//! The configuration as a JSON Schema, for editors: names and kinds from the types, words and defaults from the sample.
//!
//! `docs/logdrive.schema.json` is what is made here; a test compares them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Config, schema::Schema};

const SAMPLE: &str = include_str!("../../logdrive.sample.toml");

/// What has no default, and stands in the sample as an example.
const EXAMPLES: [&str; 5] =
    ["agent.tasks[].name", "agent.tasks[].paths", "agent.tasks[].exclude", "agent.tasks[].topic", "transfer.topics"];

/// What a table has to have.
const REQUIRED: [(&str, &[&str]); 1] = [("agent.tasks[]", &["name", "paths", "topic"])];

/// The JSON Schema (draft 7) of a configuration, as text with a newline at its end.
#[must_use]
pub fn json_schema() -> String {
    let mut whole = of(&Schema::of::<Config>(), "", &notes(SAMPLE));
    whole.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    whole.insert("title".to_owned(), json!("logdrive"));
    format!("{:#}\n", Value::Object(whole))
}

/// What the sample says of a setting.
#[derive(Debug, Default, PartialEq)]
struct Note {
    text: String,
    /// What is written, and whether it is only commented out.
    value: Option<(Value, bool)>,
}

fn of(schema: &Schema, path: &str, notes: &BTreeMap<String, Note>) -> Map<String, Value> {
    let mut out = kind(schema, path, notes);
    let Some(note) = notes.get(path) else { return out };
    if !note.text.is_empty() {
        out.insert("description".to_owned(), json!(note.text));
    }
    match &note.value {
        Some((value, false)) if !EXAMPLES.contains(&path) => _ = out.insert("default".to_owned(), value.clone()),
        Some((value, _)) => _ = out.insert("examples".to_owned(), json!([value])),
        None => (),
    }
    out
}

fn kind(schema: &Schema, path: &str, notes: &BTreeMap<String, Note>) -> Map<String, Value> {
    let kind = match schema {
        Schema::Table(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            let one = |(name, schema): &(&str, Schema)| {
                ((*name).to_owned(), Value::Object(of(schema, &format!("{path}{dot}{name}"), notes)))
            };
            let properties: Map<String, Value> = fields.iter().map(one).collect();
            let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
            if let Some((_, required)) = REQUIRED.iter().find(|(table, _)| *table == path) {
                table["required"] = json!(required);
            }
            table
        }
        Schema::Map(element) => {
            json!({ "type": "object", "additionalProperties": of(element, &format!("{path}.*"), notes) })
        }
        Schema::List(element) => json!({ "type": "array", "items": of(element, &format!("{path}[]"), notes) }),
        Schema::Choice(words) => json!({ "enum": words }),
        Schema::Text => json!({ "type": "string" }),
        Schema::Whole => json!({ "type": "integer", "minimum": 0 }),
        Schema::Number => json!({ "type": "number" }),
        Schema::Flag => json!({ "type": "boolean" }),
        Schema::Size => json!({ "type": ["string", "integer"], "pattern": "^ *[0-9.]+ *[A-Za-z]* *$", "minimum": 0 }),
        Schema::Duration => json!({ "type": "string", "pattern": "[0-9]" }),
        Schema::Any | Schema::Unknown => json!({}),
    };
    match kind {
        Value::Object(kind) => kind,
        _ => Map::new(),
    }
}

/// What the sample says, by dotted paths; elements of lists are `[]`. A comment is about what stands below it, up to the
/// next comment or blank line; what is commented out has no blank behind its `#`.
fn notes(sample: &str) -> BTreeMap<String, Note> {
    let (mut notes, mut table, mut words) = (BTreeMap::new(), String::new(), Vec::new());
    let mut is_used = false;
    for line in sample.lines() {
        let comment = line.strip_prefix("# ").or_else(|| (line == "#").then_some(""));
        if let Some(text) = comment {
            if std::mem::take(&mut is_used) {
                words.clear();
            }
            words.push(text);
            continue;
        }
        if line.is_empty() {
            words.clear();
            continue;
        }
        is_used = true;
        let (bare, is_commented) = line.strip_prefix('#').map_or((line, false), |bare| (bare, true));
        let text = || words.join(" ");
        if let Some(name) = bare.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")) {
            notes.insert(name.to_owned(), Note { text: text(), value: None });
            table = format!("{name}[].");
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // A table in a task stands below the list's last element.
            let name = name.replace("agent.tasks.", "agent.tasks[].");
            notes.insert(name.clone(), Note { text: text(), value: None });
            table = format!("{name}.");
        } else if let Some((name, _)) = bare.split_once(" = ") {
            note(&mut notes, &format!("{table}{name}"), bare, &text(), is_commented);
        }
    }
    notes
}

/// Notes what a line sets. Of two lines that set the same, the first counts.
fn note(notes: &mut BTreeMap<String, Note>, path: &str, line: &str, text: &str, is_commented: bool) {
    let written: Option<toml::Table> = toml::from_str(line).ok();
    let value =
        written.and_then(|table| table.into_iter().next()).and_then(|(_, value)| serde_json::to_value(value).ok());
    if notes.contains_key(path) {
        return;
    }
    if let (Some(Value::Object(members)), false) = (&value, is_commented) {
        for (name, value) in members {
            let value = Some((value.clone(), false));
            notes.insert(format!("{path}.{name}"), Note { text: text.to_owned(), value });
        }
    }
    notes.insert(path.to_owned(), Note { text: text.to_owned(), value: value.map(|value| (value, is_commented)) });
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use serde_json::{Value, json};

    use super::{Config, SAMPLE, Schema, json_schema, notes};

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logdrive.schema.json");

    #[test]
    fn the_schema_that_is_kept_is_up_to_date() {
        if env::var_os("LOGDRIVE_SCHEMA").is_some_and(|what| what == "write") {
            fs::write(KEPT, json_schema()).expect("written");
        }
        let kept = fs::read_to_string(KEPT).unwrap_or_default();
        assert!(kept == json_schema(), "write it anew: LOGDRIVE_SCHEMA=write cargo test --lib the_schema_that_is_kept");
    }

    #[test]
    fn every_setting_has_words_and_a_default_where_it_has_one() {
        let notes = notes(SAMPLE);
        for path in Schema::of::<Config>().paths("") {
            let note = notes.get(&path).unwrap_or_else(|| panic!("the sample says nothing of {path}"));
            assert!(!note.text.is_empty() || path.ends_with("listen"), "{path} has no words");
        }
        let schema: Value = serde_json::from_str(&json_schema()).expect("JSON");
        let at = |path: &str| schema.pointer(path).unwrap_or_else(|| panic!("nothing at {path}")).clone();
        assert_eq!(at("/properties/agent/properties/rescan/default"), "30s");
        assert_eq!(at("/properties/agent/properties/batch/properties/age_max/default"), "100ms");
        let task = "/properties/agent/properties/tasks/items";
        assert_eq!(at(&format!("{task}/required")), json!(["name", "paths", "topic"]));
        assert_eq!(at(&format!("{task}/properties/topic/examples")), json!(["nginx"]));
        assert_eq!(at(&format!("{task}/properties/encoding/enum")), json!(["packed", "lines"]));
        let multiline = at(&format!("{task}/properties/multiline"));
        assert!(multiline["description"].as_str().is_some_and(|text| text.starts_with("Which lines")), "{multiline}");
        assert_eq!(multiline["properties"]["preset"]["items"]["enum"][0], "java");
    }
}
