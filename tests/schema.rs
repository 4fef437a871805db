//! The JSON Schema for editors, as a validator that is not ours understands it: it takes the sample, with and without what
//! is commented out, and refuses what `logdrive check` refuses.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../docs/logdrive.schema.json");
const SAMPLE: &str = include_str!("../logdrive.sample.toml");

/// Prints `true` or `false` for each document.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft7Validator
asked = json.load(sys.stdin)
Draft7Validator.check_schema(asked['schema'])
validator = Draft7Validator(asked['schema'])
print(json.dumps([validator.is_valid(document) for document in asked['documents']]))
";

#[test]
fn the_schema_takes_the_sample_and_refuses_mistakes() {
    let task = "[[agent.tasks]]\nname = \"a\"\npaths = [\"/a\"]\ntopic = \"a\"\n";
    let cases = [
        (SAMPLE.to_owned(), true),
        (whole_sample(), true),
        (String::new(), true),
        (task.to_owned(), true),
        (task.replace("paths", "path"), false),
        (task.replace("topic = \"a\"\n", ""), false),
        (format!("{task}encoding = \"line\"\n"), false),
        ("[agent]\nrescan = 30\n".to_owned(), false),
        ("[agent]\nin_flight_bytes_max = \"some\"\n".to_owned(), false),
        ("[elasticsearch]\nurls = \"http://a:9200\"\n".to_owned(), false),
        ("[kafka]\nsettings = { \"linger.ms\" = 5 }\n".to_owned(), false),
        ("[kafka]\ntls = \"yes\"\n".to_owned(), false),
    ];
    let documents: Vec<Value> = cases.iter().map(|(text, _)| toml::from_str(text).expect("TOML")).collect();
    let taken = validated(&documents);
    for ((text, expected), taken) in cases.iter().zip(taken) {
        assert_eq!(taken, *expected, "{text}");
    }
}

/// The sample with everything in it that is commented out; of two that are alternatives the first counts.
fn whole_sample() -> String {
    let lines = SAMPLE.lines().map(|line| {
        line.strip_prefix('#').filter(|bare| !bare.starts_with([' ', ':']) && !bare.is_empty()).unwrap_or(line)
    });
    lines.filter(|line| !line.starts_with("settings = { ")).map(|line| format!("{line}\n")).collect()
}

fn validated(documents: &[Value]) -> Vec<bool> {
    let python = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services/python"))
        .arg("jsonschema==4.26.0")
        .output();
    let python = String::from_utf8(python.expect("a shell").stdout).expect("a path");
    let mut validator = Command::new(python.trim())
        .args(["-c", VALIDATE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a Python");
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let asked = json!({ "schema": schema, "documents": documents }).to_string();
    // It is closed behind the last byte, which ends what the validator reads.
    validator.stdin.take().expect("a pipe").write_all(asked.as_bytes()).expect("it reads");
    let output = validator.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("a list")
}
