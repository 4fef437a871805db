//! How an index ends, in the words of Elasticsearch (ILM) and of OpenSearch (ISM): rolled over, then deleted.

use serde_json::{Value, json};

use super::{Settings, Wanted};

/// Elasticsearch's policy, without its `_meta`.
pub(super) fn ilm(wanted: &Wanted) -> Value {
    let Settings { retention, rollover_age, rollover_bytes, .. } = wanted.settings;
    let mut actions = json!({ "set_priority": { "priority": 100 } });
    if wanted.is_data_stream {
        let size = format!("{}b", rollover_bytes.as_u64());
        actions["rollover"] = json!({ "max_primary_shard_size": size, "max_age": rollover_age.to_string() });
    }
    let mut phases = json!({ "hot": { "min_age": "0ms", "actions": actions } });
    if let Some(retention) = retention {
        phases["delete"] = json!({ "min_age": retention.to_string(), "actions": { "delete": {} } });
    }
    json!({ "policy": { "phases": phases } })
}

/// `OpenSearch`'s policy, without its description. It finds its indices by their names.
pub(super) fn ism(wanted: &Wanted, priority: usize) -> Value {
    let Settings { retention, rollover_age, rollover_bytes, .. } = wanted.settings;
    let (mut actions, mut transitions) = (Vec::new(), Vec::new());
    if wanted.is_data_stream {
        let size = format!("{}b", rollover_bytes.as_u64());
        actions.push(json!({
            "rollover": { "min_primary_shard_size": size, "min_index_age": rollover_age.to_string() },
        }));
    }
    let mut states = Vec::new();
    if let Some(retention) = retention {
        let since = if wanted.is_data_stream { "min_rollover_age" } else { "min_index_age" };
        let mut conditions = json!({});
        conditions[since] = json!(retention.to_string());
        transitions.push(json!({ "state_name": "delete", "conditions": conditions }));
        states.push(json!({ "name": "delete", "actions": [{ "delete": {} }], "transitions": [] }));
    }
    states.insert(0, json!({ "name": "hot", "actions": actions, "transitions": transitions }));
    json!({ "policy": {
        "default_state": "hot",
        "states": states,
        "ism_template": [{ "index_patterns": [wanted.pattern], "priority": priority }],
    } })
}
