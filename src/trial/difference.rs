//! What came of sample lines beside what was expected: only what was expected is compared.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Outcome;
use crate::config::Expectation;

/// Something that is other than expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What it is, such as `documents[0].message`.
    pub what: String,
    /// What was expected, as JSON; none if nothing more was.
    pub expected: Option<String>,
    /// What came instead; none if nothing did.
    pub got: Option<String>,
}

/// All that is other than expected; nothing if all is well.
#[must_use]
pub fn differences(expected: &Expectation, got: &Outcome) -> Vec<Difference> {
    let mut all = Vec::new();
    if let Some(messages) = &expected.messages {
        let got: Vec<Option<Value>> = got.documents.iter().map(|document| flat(document).remove("message")).collect();
        for index in 0..messages.len().max(got.len()) {
            let message = messages.get(index).map(|message| Value::from(message.as_str()));
            add(&mut all, format!("messages[{index}]"), message, got.get(index).cloned().flatten());
        }
    }
    if let Some(documents) = &expected.documents {
        compare_documents(documents, &got.documents, &mut all);
    }
    if let Some(topic) = &expected.topic {
        add(&mut all, "topic".to_owned(), Some(topic.as_str().into()), Some(got.topic.as_str().into()));
    }
    if let Some(key) = &expected.key {
        add(&mut all, "key".to_owned(), Some(key.as_str().into()), got.key.as_deref().map(Into::into));
    }
    all
}

fn compare_documents(expected: &[Map<String, Value>], got: &[Value], all: &mut Vec<Difference>) {
    if expected.len() != got.len() {
        add(all, "the number of documents".to_owned(), Some(expected.len().into()), Some(got.len().into()));
    }
    for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
        let mut got = flat(got);
        for (field, value) in flat(&Value::Object(expected.clone())) {
            let got = got.remove(&field);
            add(all, format!("documents[{index}].{field}"), Some(value), got);
        }
    }
}

fn add(all: &mut Vec<Difference>, what: String, expected: Option<Value>, got: Option<Value>) {
    if expected != got {
        let text = |value: Value| value.to_string();
        all.push(Difference { what, expected: expected.map(text), got: got.map(text) });
    }
}

/// The values of a document by their dotted paths.
fn flat(document: &Value) -> BTreeMap<String, Value> {
    fn walk(value: &Value, path: &str, out: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                let dot = if path.is_empty() { "" } else { "." };
                walk(value, &format!("{path}{dot}{name}"), out);
            }),
            value => _ = out.insert(path.to_owned(), value.clone()),
        }
    }
    let mut out = BTreeMap::new();
    walk(document, "", &mut out);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;
    use crate::{config::Expectation, trial::Outcome};

    #[test]
    fn only_what_is_expected_is_compared_and_each_difference_is_told() {
        let got = Outcome {
            documents: vec![
                json!({ "message": "a", "log": { "level": "info", "offset": 0 }, "n": 1 }),
                json!({ "message": "b" }),
            ],
            topic: "t".to_owned(),
            key: None,
        };
        let told = |expected: serde_json::Value| -> Vec<(String, String, String)> {
            let expected: Expectation = serde_json::from_value(expected).expect("an expectation");
            let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let all = differences(&expected, &got).into_iter();
            all.map(|one| (one.what, shown(one.expected), shown(one.got))).collect()
        };
        let one = |what: &str, expected: &str, got: &str| (what.to_owned(), expected.to_owned(), got.to_owned());
        assert_eq!(told(json!({})), []);
        let right = json!({ "messages": ["a", "b"], "topic": "t", "documents": [{ "log.level": "info", "n": 1 }, {}] });
        assert_eq!(told(right), []);
        assert_eq!(told(json!({ "documents": [{ "log": { "offset": 0 } }, {}] })), []);
        let wrong = json!({ "messages": ["a", "c", "d"], "topic": "u", "key": "k" });
        let expected = [
            one("messages[1]", "\"c\"", "\"b\""),
            one("messages[2]", "\"d\"", "-"),
            one("topic", "\"u\"", "\"t\""),
            one("key", "\"k\"", "-"),
        ];
        assert_eq!(told(wrong), expected);
        assert_eq!(told(json!({ "messages": ["a"] })), [one("messages[1]", "-", "\"b\"")]);
        let fields = json!({ "documents": [{ "log.level": "warn", "absent": true }] });
        let expected = [
            one("the number of documents", "1", "2"),
            one("documents[0].absent", "true", "-"),
            one("documents[0].log.level", "\"warn\"", "\"info\""),
        ];
        assert_eq!(told(fields), expected);
    }
}
