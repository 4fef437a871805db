//! The index template: what kind each field of our documents is, and what a word of a message is.
//!
//! Without it the servers guess: a path becomes text, `10.0.0.5` and `java.lang.Foo` become one word each, and an
//! index whose name begins with `logs-` may become a data stream of another kind. Choices, and why:
//!
//! - Words are parted as [`crate::store::words`] parts them, so that a question means the same in every store.
//! - `@timestamp` is a `date`: it takes any year, it is what the Elastic Common Schema says, and it sorts together
//!   with the indexes of others. It sorts by the millisecond; the document keeps every digit.
//! - Field names are flat where the server can: then `{"user": "x"}` and `{"user": {"name": "x"}}` may live in one
//!   index, where a tree of fields would refuse the second as a conflict.
//! - A value of the wrong kind, or one field too many, costs the document that field, not its place in the index.
//!
//! A template that someone else wrote, or a newer logdrive, is left as it is, and so is what [`super::setup`] installed.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::{Client, ElasticError, Flavor, Server};

/// Raised whenever the template changes; servers with a lower one are brought up to date.
const VERSION: u64 = 3;

/// Higher than the templates that come with Elasticsearch (100) and its integrations (200).
const PRIORITY: usize = 300;

/// What [`install`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// There was none.
    Created,
    /// There was an older one of ours, or one for something else.
    Updated,
    /// It is there already.
    Present,
    /// There is one of that name that is not ours or newer than ours; it is left alone.
    LeftAlone,
}

/// Installs the template for indexes whose names fit `index_pattern`, which may contain `*`, or brings it up to date.
/// Indexes that are there already keep their mappings.
///
/// # Errors
/// If the servers can't be reached or refuse.
pub async fn install(
    client: &Client,
    server: &Server,
    index_pattern: &str,
    data_stream: bool,
) -> Result<Installed, ElasticError> {
    let path = format!("/_index_template/{}", name(index_pattern));
    let ours = template(server, index_pattern, data_stream);
    let done = match client.json(Method::Get, &path, None).await {
        Err(error) if error.status() == Some(404) => Installed::Created,
        Err(error) => return Err(error),
        Ok(found) => match compare(&found["index_templates"][0]["index_template"], &ours) {
            Installed::Updated => Installed::Updated,
            kept => return Ok(kept),
        },
    };
    client.json(Method::Put, &path, Some(&ours)).await?;
    Ok(done)
}

/// The template's name on the server: one for each pattern, so that several transfers don't take turns.
#[must_use]
pub fn name(index_pattern: &str) -> String {
    format!("logdrive-{}", index_pattern.replace('*', "any"))
}

/// The template as it is sent to such a server.
#[must_use]
pub fn template(server: &Server, index_pattern: &str, data_stream: bool) -> Value {
    let mut template = json!({
        "index_patterns": [index_pattern],
        "priority": priority(index_pattern),
        "_meta": { "managed_by": "logdrive", "version": VERSION, "fields": if is_flat(server) { "flat" } else { "tree" } },
        "template": { "settings": settings(server), "mappings": mappings(server) },
    });
    if data_stream {
        template["data_stream"] = json!({});
    }
    template
}

/// The more of a name a pattern spells out, the more it is meant; equal priorities may not overlap.
pub(super) fn priority(index_pattern: &str) -> usize {
    PRIORITY + index_pattern.replace('*', "").len()
}

fn settings(server: &Server) -> Value {
    let mut settings = json!({
        "index.auto_expand_replicas": "0-1",
        "index.mapping.ignore_malformed": true,
        "index.mapping.total_fields.limit": 2000,
        "index.analysis": {
            "tokenizer": { "logdrive_words": { "type": "pattern", "pattern": r"[^\p{IsAlphabetic}\p{N}_]+" } },
            // A term has at most 32766 bytes; a run of hexadecimal digits in a line can be longer than that.
            "filter": { "logdrive_length": { "type": "truncate", "length": 255 } },
            "analyzer": {
                "default": {
                    "type": "custom",
                    "tokenizer": "logdrive_words",
                    "filter": ["lowercase", "logdrive_length"],
                },
            },
        },
    });
    if is_flat(server) {
        settings["index.mapping.total_fields.ignore_dynamic_beyond_limit"] = json!(true);
    }
    settings
}

fn mappings(server: &Server) -> Value {
    // Longer strings are not indexed as keywords; they stay in the document.
    let keyword = json!({ "type": "keyword", "ignore_above": 1024 });
    let path = json!({ "type": "keyword" });
    let long = json!({ "type": "long" });
    let mut mappings = json!({
        "date_detection": false,
        "dynamic_templates": dynamic(&keyword),
        "properties": {
            "@timestamp": { "type": "date", "ignore_malformed": false },
            "message": { "type": "text", "norms": false },
            "log.level": keyword,
            "log.file.path": path,
            "log.offset": long,
            "host.name": keyword,
            "service.name": keyword,
            "logdrive.task": keyword,
            "logdrive.file": keyword,
            "logdrive.generation": long,
            "logdrive.part": keyword,
            // What has no field of its own is found by its words.
            "logdrive.original": { "type": "text", "norms": false },
            "tags": keyword,
        },
    });
    if is_flat(server) {
        mappings["subobjects"] = json!(false);
    }
    mappings
}

/// How fields are mapped that no document had before. Labels are keywords, as the Elastic Common Schema wants them: a
/// line's own may be numbers, and must not keep a task's label of that name out of the index.
fn dynamic(keyword: &Value) -> Vec<Value> {
    // Without a kind it would hold for objects too, and a document with one would be refused.
    let labels = ["boolean", "double", "long"].into_iter().map(|kind| {
        json!({ format!("labels_{kind}"): {
            "path_match": "labels.*", "match_mapping_type": kind, "mapping": keyword,
        } })
    });
    labels.chain([json!({ "strings": { "match_mapping_type": "string", "mapping": keyword } })]).collect()
}

/// Whether the server can be told to keep field names flat, and then flattens the objects in documents too.
///
/// Elasticsearch does from 8.14 on. `OpenSearch` knows `disable_objects` from 3.6 on, but refuses a document with an
/// object in it then, so there it is a tree of fields.
fn is_flat(server: &Server) -> bool {
    server.flavor == Flavor::Elasticsearch && server.version >= (8, 14, 0)
}

/// What is to be done where the server has `found` under our name.
fn compare(found: &Value, ours: &Value) -> Installed {
    let meta = &found["_meta"];
    if meta["managed_by"] != "logdrive" || meta["version"].as_u64() > Some(VERSION) {
        return Installed::LeftAlone;
    }
    let same = *meta == ours["_meta"]
        && found["index_patterns"] == ours["index_patterns"]
        && found["data_stream"].is_object() == ours["data_stream"].is_object();
    if same { Installed::Present } else { Installed::Updated }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Flavor, Installed, Server, compare, name, template};

    const ELASTICSEARCH: Server = Server { flavor: Flavor::Elasticsearch, version: (8, 19, 0) };

    #[test]
    fn only_an_older_template_of_ours_is_replaced() {
        let ours = template(&ELASTICSEARCH, "logs-*-*", false);
        assert_eq!(compare(&ours, &ours), Installed::Present);
        let stream = template(&ELASTICSEARCH, "logs-*-*", true);
        assert_eq!(compare(&ours, &stream), Installed::Updated);
        let older = template(&Server { version: (8, 1, 0), ..ELASTICSEARCH }, "logs-*-*", false);
        assert_eq!(compare(&older, &ours), Installed::Updated);
        let mut newer = ours.clone();
        newer["_meta"]["version"] = json!(u64::MAX);
        assert_eq!(compare(&newer, &ours), Installed::LeftAlone);
        let set_up =
            json!({ "index_patterns": ["logs-*-*"], "_meta": { "managed_by": "logdrive setup", "version": 1 } });
        assert_eq!(compare(&set_up, &ours), Installed::LeftAlone);
        assert_eq!(compare(&json!({ "index_patterns": ["logs-*-*"] }), &ours), Installed::LeftAlone);
    }

    #[test]
    fn the_pattern_that_spells_out_more_wins() {
        let priority = |pattern| template(&ELASTICSEARCH, pattern, false)["priority"].as_u64();
        assert!(priority("logs-nginx-*") > priority("logs-*-*"));
        assert_eq!(name("logs-*-*"), "logdrive-logs-any-any");
    }

    #[test]
    fn a_server_is_not_told_what_it_does_not_know() {
        let text = |flavor, version| template(&Server { flavor, version }, "logs-*", false).to_string();
        assert!(text(Flavor::Elasticsearch, (8, 19, 0)).contains("\"subobjects\":false"));
        let opensearch = text(Flavor::OpenSearch, (2, 19, 0));
        assert!(!opensearch.contains("objects\":") && !opensearch.contains("ignore_dynamic"));
        assert!(!text(Flavor::OpenSearch, (3, 6, 0)).contains("objects\":"));
    }
}
