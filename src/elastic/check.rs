//! What `logdrive check` asks of the servers: who they are, how they are, and whether they would take documents.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::{Client, ElasticError, Settings};

/// Asks the servers, and says in one line what they are and that documents may go to `index_pattern`.
///
/// # Errors
/// If they can't be used: can't be reached, refuse, or would not take documents; each with a hint.
pub async fn check(settings: &Settings, index_pattern: &str) -> Result<String, ElasticError> {
    let client = Client::new(settings)?;
    let server = client.server().await?;
    let health = health(&client).await?;
    may_write(&client, index_pattern).await?;
    blocks(&client, index_pattern).await?;
    Ok(format!("{server}, {health}, takes documents for {index_pattern}"))
}

async fn health(client: &Client) -> Result<String, ElasticError> {
    match client.json(Method::Get, "/_cluster/health?timeout=5s", None).await {
        // A key that may only write is not shown the cluster's health; that is no fault.
        Err(error) if error.status() == Some(403) => Ok("cluster health is not shown to this user".to_owned()),
        Err(error) => Err(error),
        Ok(health) => {
            let status = health["status"].as_str().unwrap_or("unknown");
            let nodes = health["number_of_nodes"].as_u64().unwrap_or(0);
            let hint = match status {
                "red" => " (some indexes can't be used: see _cluster/allocation/explain)",
                "yellow" => " (some replicas are missing)",
                _ => "",
            };
            Ok(format!("cluster {status}{hint} of {nodes} node{}", if nodes == 1 { "" } else { "s" }))
        }
    }
}

/// Asks Elasticsearch's security for the privileges that sending needs; without security there is nobody to ask.
async fn may_write(client: &Client, index_pattern: &str) -> Result<(), ElasticError> {
    let privileges = ["create_doc", "auto_configure"];
    let question = json!({ "index": [{ "names": [index_pattern], "privileges": privileges }] });
    let Ok(answer) = client.post_json("/_security/user/_has_privileges", &question).await else {
        return Ok(());
    };
    let lacking = |privilege: &&str| answer["index"][index_pattern][*privilege] == false;
    let lacking: Vec<&str> = privileges.into_iter().filter(lacking).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(ElasticError::Unwritable {
        index: index_pattern.to_owned(),
        reason: format!("the user or key lacks the privileges {}", lacking.join(", ")),
        hint: "grant them on these indexes",
    })
}

/// Looks for indexes that are blocked; a disk that is too full blocks all that have a part on it.
async fn blocks(client: &Client, index_pattern: &str) -> Result<(), ElasticError> {
    let path = format!("/{index_pattern}/_settings/index.blocks.*?flat_settings=true&ignore_unavailable=true");
    let indexes = match client.json(Method::Get, &path, None).await {
        Ok(indexes) => indexes,
        // Not there yet, or not shown.
        Err(error) if matches!(error.status(), Some(403 | 404)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_set = |settings: &Value, block: &str| settings[format!("index.blocks.{block}")] == "true";
    for (index, found) in indexes.as_object().into_iter().flatten() {
        let settings = &found["settings"];
        let hint = if is_set(settings, "read_only_allow_delete") {
            "its disk is or was too full: free some space, then remove the block if it does not go by itself"
        } else if ["write", "read_only"].into_iter().any(|block| is_set(settings, block)) {
            "if documents are to go there still, remove the block from its settings"
        } else {
            continue;
        };
        let reason = "it is blocked for writing".to_owned();
        return Err(ElasticError::Unwritable { index: index.clone(), reason, hint });
    }
    Ok(())
}
