//! The plan for each server, and what is replaced.

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::{Found, Piece, Settings, Wanted, compare, plan};
use crate::elastic::{Flavor, Server};

const ELASTICSEARCH: Server = Server { flavor: Flavor::Elasticsearch, version: (8, 19, 0) };
const OPENSEARCH: Server = Server { flavor: Flavor::OpenSearch, version: (3, 6, 0) };

fn pieces(server: &Server, is_data_stream: bool, settings: &Settings) -> Vec<Piece> {
    plan(server, &Wanted { pattern: "logs-*", is_data_stream, settings })
}

fn named<'a>(pieces: &'a [Piece], path: &str) -> &'a Value {
    let found = pieces.iter().find(|piece| piece.path == path);
    &found.unwrap_or_else(|| panic!("no {path} in {pieces:?}")).body
}

fn short() -> Settings {
    Settings {
        retention: Some("30d".parse().expect("an age")),
        rollover_age: "1d".parse().expect("an age"),
        rollover_bytes: ByteSize::gib(1),
        replicas: Some(2),
        ..Settings::default()
    }
}

/// The form that the servers' references give for `PUT _ilm/policy`.
#[test]
fn a_data_stream_in_elasticsearch_is_rolled_over_and_deleted_by_ilm() {
    let pieces = pieces(&ELASTICSEARCH, true, &short());
    let policy = &named(&pieces, "/_ilm/policy/logdrive-logs-any")["policy"];
    assert_eq!(
        policy["phases"],
        json!({
            "hot": { "min_age": "0ms", "actions": {
                "set_priority": { "priority": 100 },
                "rollover": { "max_primary_shard_size": "1073741824b", "max_age": "1d" },
            } },
            "delete": { "min_age": "30d", "actions": { "delete": {} } },
        })
    );
    let settings = named(&pieces, "/_component_template/logdrive-logs-any-settings");
    assert_eq!(
        settings["template"]["settings"],
        json!({ "index.lifecycle.name": "logdrive-logs-any", "index.number_of_replicas": 2 })
    );
    let template = named(&pieces, "/_index_template/logdrive-logs-any");
    assert_eq!(template["data_stream"], json!({}));
    let composed = ["logdrive-mappings", "logdrive-logs-any-settings", "logdrive-logs-any-custom"];
    assert_eq!((&template["composed_of"], &template["template"]), (&json!(composed), &json!({})));
    let shared = &named(&pieces, "/_component_template/logdrive-mappings")["template"];
    assert_eq!(shared["mappings"]["properties"]["message"]["type"], "text");
    assert_eq!(shared["settings"]["index.auto_expand_replicas"], Value::Null, "copies are set in one place");
    assert_eq!(pieces.last().map(|piece| piece.kind), Some("index template"), "what it is made of is there before it");
}

/// The form that the servers' references give for `PUT _plugins/_ism/policies`.
#[test]
fn a_data_stream_in_opensearch_is_rolled_over_and_deleted_by_ism() {
    let pieces = pieces(&OPENSEARCH, true, &short());
    let policy = &named(&pieces, "/_plugins/_ism/policies/logdrive-logs-any")["policy"];
    assert_eq!(
        policy["states"],
        json!([
            { "name": "hot",
              "actions": [{ "rollover": { "min_primary_shard_size": "1073741824b", "min_index_age": "1d" } }],
              "transitions": [{ "state_name": "delete", "conditions": { "min_rollover_age": "30d" } }] },
            { "name": "delete", "actions": [{ "delete": {} }], "transitions": [] },
        ])
    );
    assert_eq!(policy["ism_template"], json!([{ "index_patterns": ["logs-*"], "priority": 305 }]));
    let settings = named(&pieces, "/_component_template/logdrive-logs-any-settings");
    assert_eq!(settings["template"]["settings"], json!({ "index.number_of_replicas": 2 }));
    assert!(!named(&pieces, "/_index_template/logdrive-logs-any").to_string().contains("ignore_missing"));
}

/// What the plan has in it is in Elasticsearch since 8.14, and in OpenSearch since 1.3 (`min_primary_shard_size` and
/// `min_rollover_age` of its policies came last).
#[test]
fn the_plan_is_the_same_for_every_server_that_is_new_enough() {
    let of = |flavor, version, is_data_stream| {
        let pieces = pieces(&Server { flavor, version }, is_data_stream, &short());
        pieces.iter().map(|piece| format!("{} {}", piece.path, piece.body)).collect::<Vec<_>>()
    };
    for is_data_stream in [true, false] {
        for version in [(2, 0, 0), (2, 19, 1)] {
            let pieces = of(Flavor::OpenSearch, version, is_data_stream);
            assert_eq!(pieces, of(Flavor::OpenSearch, OPENSEARCH.version, is_data_stream), "{version:?}");
            for unknown in ["_ilm", "lifecycle.name", "subobjects", "ignore_dynamic", "ignore_missing"] {
                assert!(pieces.iter().all(|piece| !piece.contains(unknown)), "{unknown} in {pieces:?}");
            }
        }
        for version in [(9, 0, 0), (9, 2, 1)] {
            let pieces = of(Flavor::Elasticsearch, version, is_data_stream);
            assert_eq!(pieces, of(Flavor::Elasticsearch, ELASTICSEARCH.version, is_data_stream), "{version:?}");
        }
    }
}

#[test]
fn indices_named_by_date_are_not_rolled_over_and_nothing_is_deleted_unasked() {
    let pieces = pieces(&ELASTICSEARCH, false, &Settings::default());
    let phases = &named(&pieces, "/_ilm/policy/logdrive-logs-any")["policy"]["phases"];
    assert_eq!(phases, &json!({ "hot": { "min_age": "0ms", "actions": { "set_priority": { "priority": 100 } } } }));
    assert_eq!(named(&pieces, "/_index_template/logdrive-logs-any")["data_stream"], Value::Null);
    let dated = super::plan(&OPENSEARCH, &Wanted { pattern: "logs-*", is_data_stream: false, settings: &short() });
    let policy = &named(&dated, "/_plugins/_ism/policies/logdrive-logs-any")["policy"];
    assert_eq!(policy["states"][0]["transitions"][0]["conditions"], json!({ "min_index_age": "30d" }));
    let without = super::plan(
        &ELASTICSEARCH,
        &Wanted { pattern: "logs-*", is_data_stream: true, settings: &Settings { lifecycle: false, ..short() } },
    );
    assert!(without.iter().all(|piece| !piece.path.contains("ilm") && !piece.body.to_string().contains("lifecycle")));
}

/// What a server would answer that has the piece as `body`.
fn answer(piece: &Piece, body: &Value) -> Value {
    match piece.kind {
        "lifecycle policy" if piece.path.starts_with("/_ilm") => {
            json!({ piece.name.clone(): { "version": 1, "policy": body["policy"] } })
        }
        "lifecycle policy" => json!({ "_seq_no": 7, "_primary_term": 2, "policy": body["policy"] }),
        "component template" => {
            json!({ "component_templates": [{ "name": piece.name, "component_template": body }] })
        }
        _ => json!({ "index_templates": [{ "name": piece.name, "index_template": body }] }),
    }
}

#[test]
fn only_what_is_ours_and_not_newer_is_replaced_and_what_is_the_same_is_not() {
    for server in [ELASTICSEARCH, OPENSEARCH] {
        let (ours, others) = (pieces(&server, true, &short()), pieces(&server, false, &Settings::default()));
        for (piece, other) in ours.iter().zip(&others) {
            assert_eq!(compare(piece, &answer(piece, &piece.body)), Found::Same, "{piece:?}");
            // The mappings are the same whatever the settings are.
            let is_shared = piece.name == "logdrive-mappings";
            let found = compare(piece, &answer(piece, &other.body));
            assert!(if is_shared { found == Found::Same } else { matches!(found, Found::Older { .. }) }, "{found:?}");
            let newer: Value = serde_json::from_str(
                &piece.body.to_string().replace("\"version\":1", "\"version\":9").replace("version 1,", "version 9,"),
            )
            .expect("JSON");
            let found = compare(piece, &answer(piece, &newer));
            assert!(matches!(&found, Found::Kept { why, .. } if why.contains("version 9")), "{found:?}");
            let foreign = json!({ "policy": { "description": "theirs" }, "_meta": { "managed_by": "them" } });
            let found = compare(piece, &answer(piece, &foreign));
            assert!(matches!(&found, Found::Kept { why, .. } if why.contains("someone else")), "{found:?}");
        }
        let template = ours.last().expect("the index template");
        let of_transfer = crate::elastic::template::template(&server, "logs-*", true);
        assert!(matches!(compare(template, &answer(template, &of_transfer)), Found::Older { .. }));
    }
    let ism = &pieces(&OPENSEARCH, true, &short())[0];
    let Found::Older { parameters } = compare(ism, &answer(ism, &pieces(&OPENSEARCH, false, &short())[0].body)) else {
        panic!("another policy of ours is replaced");
    };
    assert_eq!(parameters, "?if_seq_no=7&if_primary_term=2");
}
