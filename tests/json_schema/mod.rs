//! What a validator of JSON Schema that is not ours says of documents.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// Prints for each document what is wrong with it.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft7Validator
asked = json.load(sys.stdin)
Draft7Validator.check_schema(asked['schema'])
validator = Draft7Validator(asked['schema'])
def leaves(error):
    return [leaf for inner in error.context for leaf in leaves(inner)] or ['%s: %s' % (error.json_path, error.message[:200])]
print(json.dumps([[leaf for error in validator.iter_errors(document) for leaf in leaves(error)] for document in asked['documents']]))
";

/// What is wrong with each document; nothing, if the schema takes it.
pub fn faults(schema: &str, documents: &[&Value]) -> Vec<Vec<String>> {
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
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let asked = json!({ "schema": schema, "documents": documents }).to_string();
    // It is closed behind the last byte, which ends what the validator reads.
    validator.stdin.take().expect("a pipe").write_all(asked.as_bytes()).expect("it reads");
    let output = validator.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("a list")
}
