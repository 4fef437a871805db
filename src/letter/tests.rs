//! The dead letters: their shape, and which part of what could not be indexed they keep.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Content, Letter, Origin};

fn letter(content: Content) -> Letter {
    let origin = Origin { topic: "app".into(), partition: 3, offset: 42, timestamp_ms: Some(7) };
    Letter { origin, reason_type: "mapper_parsing_exception".into(), reason: "no \"number\"".into(), content }
}

fn document(json: &str) -> Letter {
    letter(Content::Document { index: "logs-app".into(), id: "abc".into(), json: json.as_bytes().to_vec() })
}

/// The letter as whoever reads the topic sees it, without the time of writing.
fn read(letter: &Letter, keep: Option<usize>) -> Value {
    let mut value: Value = serde_json::from_slice(&letter.write(keep)).expect("a letter is JSON");
    let time = value.as_object_mut().expect("an object").remove("time").expect("a time");
    assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
    value
}

#[test]
fn a_document_lies_in_its_letter_as_it_was_with_its_reason_and_origin() {
    assert_eq!(
        read(&document(r#"{"message":"a","n":1.0}"#), None),
        json!({
            "version": 1, "kind": "document", "reason_type": "mapper_parsing_exception", "reason": "no \"number\"",
            "topic": "app", "partition": 3, "offset": 42, "timestamp_ms": 7,
            "index": "logs-app", "id": "abc", "document": {"message": "a", "n": 1.0},
        })
    );
    let text =
        String::from_utf8(document(r#"{"n":1.000,"big":123456789012345678901234567890}"#).write(None)).expect("text");
    assert!(text.contains(r#""document":{"n":1.000,"big":123456789012345678901234567890}"#), "{text}");
}

#[test]
fn a_document_that_is_cut_is_a_text_and_says_so() {
    let value = read(&document(r#"{"message":"äöü"}"#), Some(14));
    assert_eq!((&value["document"], &value["cut"]), (&json!(r#"{"message":"ä"#), &json!(true)));
}

#[test]
fn a_record_lies_in_its_letter_byte_for_byte() {
    let odd = vec![0_u8, 255, 10];
    let headers = vec![("name".to_owned(), Some(odd.clone())), ("name".to_owned(), None)];
    let letter = letter(Content::Record { key: Some(odd.clone()), headers, value: odd.clone() });
    let encoded = BASE64_STANDARD.encode(&odd);
    assert_eq!(letter.key(), b"app/3/42");
    let value = read(&letter, None);
    assert_eq!((&value["kind"], &value["key"], &value["value"]), (&json!("record"), &json!(encoded), &json!(encoded)));
    assert_eq!(value["headers"], json!([["name", encoded], ["name", null]]));
    assert_eq!(read(&letter, Some(1))["value"], json!(BASE64_STANDARD.encode([0])));
}
