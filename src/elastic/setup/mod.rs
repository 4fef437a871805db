//! What is installed on the servers once, on demand: a lifecycle policy, component templates and the index template.
//!
//! The plan is made first, as data; then everything that is there already is looked at; and only if nothing stands in
//! the way is anything changed. What someone else made, or a newer logdrive, is not replaced unless that is asked for. Each
//! piece carries a mark: the version of this module, and a hash of what was sent; so a second run changes nothing, and
//! other settings replace only what they change. Edits made by hand on the server are kept until then.
//!
//! The index template has the name of the one that a transfer installs at start ([`super::template`]) and takes its
//! place; a transfer leaves it alone. Pieces, for `logs-*-*`:
//!
//! | piece | name |
//! |---|---|
//! | ILM policy, or ISM policy | `logdrive-logs-any-any` |
//! | component template with the mappings and how words are parted | `logdrive-mappings` |
//! | component template with copies and lifecycle | `logdrive-logs-any-any-settings` |
//! | component template for own additions, which is never touched (Elasticsearch) | `logdrive-logs-any-any-custom` |
//! | index template | `logdrive-logs-any-any` |

pub mod kibana;
mod lifecycle;
mod settings;

use elasticsearch::http::Method;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

pub use settings::{Age, Settings};

use super::{Client, ElasticError, Flavor, Server, template};

/// Raised whenever what is installed changes in a way that a hash of it does not tell.
const VERSION: u64 = 1;

/// Who made a piece, as it says itself.
const MANAGED_BY: &str = "logdrive setup";

/// What is to be set up.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The indices or data streams, as a pattern.
    pub pattern: &'a str,
    /// Whether they are data streams.
    pub is_data_stream: bool,
    /// `[elasticsearch.setup]`.
    pub settings: &'a Settings,
}

/// One thing on the server.
#[derive(Clone, Debug)]
pub struct Piece {
    /// What it is, for people.
    pub kind: &'static str,
    /// Its name there.
    pub name: String,
    /// Where it is put; and asked for, if it is there.
    pub path: String,
    /// What is put there.
    pub body: Value,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there in another form.
    Replaced,
    /// It was there.
    Present,
}

/// How a piece is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Same,
    /// An older one of ours, or with other settings; of `OpenSearch`'s policies with what a change has to name.
    Older {
        parameters: String,
    },
    /// Not ours to replace, and why.
    Kept {
        parameters: String,
        why: String,
    },
}

/// All pieces for such a server, in the order in which they are put there.
#[must_use]
pub fn plan(server: &Server, wanted: &Wanted) -> Vec<Piece> {
    let name = template::name(wanted.pattern);
    let whole = template::template(server, wanted.pattern, wanted.is_data_stream);
    let mut index_template = whole.clone();
    let mut shared = whole["template"].clone();
    let copies = shared["settings"].as_object_mut().and_then(|settings| settings.remove("index.auto_expand_replicas"));
    let mut settings = match wanted.settings.replicas {
        Some(replicas) => json!({ "index.number_of_replicas": replicas }),
        None => json!({ "index.auto_expand_replicas": copies }),
    };
    let is_elasticsearch = server.flavor == Flavor::Elasticsearch;
    let mut pieces = Vec::new();
    if wanted.settings.lifecycle && is_elasticsearch {
        settings["index.lifecycle.name"] = json!(name);
        let path = format!("/_ilm/policy/{name}");
        pieces.push(piece("lifecycle policy", name.clone(), path, lifecycle::ilm(wanted)));
    } else if wanted.settings.lifecycle {
        let path = format!("/_plugins/_ism/policies/{name}");
        let priority = template::priority(wanted.pattern);
        pieces.push(piece("lifecycle policy", name.clone(), path, lifecycle::ism(wanted, priority)));
    }
    let mut component = |name: &str, template: Value| {
        let path = format!("/_component_template/{name}");
        pieces.push(piece("component template", name.to_owned(), path, json!({ "template": template })));
    };
    let own = format!("{name}-settings");
    component("logdrive-mappings", shared);
    component(&own, json!({ "settings": settings }));
    index_template["template"] = json!({});
    index_template["composed_of"] = json!(["logdrive-mappings", own]);
    if is_elasticsearch && server.version >= (8, 7, 0) {
        let custom = format!("{name}-custom");
        index_template["composed_of"] = json!(["logdrive-mappings", own, custom]);
        index_template["ignore_missing_component_templates"] = json!([custom]);
    }
    let path = format!("/_index_template/{name}");
    pieces.push(piece("index template", name, path, index_template));
    pieces
}

/// Puts the pieces on the server, those that are not there already; says of each what became of it.
///
/// # Errors
/// [`ElasticError::Taken`], before anything was changed, if a piece is there that is not ours or newer, unless
/// `force`; and if the servers can't be reached or refuse.
pub async fn apply(client: &Client, pieces: &[Piece], force: bool) -> Result<Vec<Outcome>, ElasticError> {
    let mut found = Vec::new();
    for piece in pieces {
        let there = look(client, piece).await?;
        if let (Found::Kept { why, .. }, false) = (&there, force) {
            return Err(ElasticError::Taken { what: format!("the {} {}", piece.kind, piece.name), why: why.clone() });
        }
        found.push(there);
    }
    let mut outcomes = Vec::new();
    for (piece, found) in pieces.iter().zip(found) {
        let (parameters, outcome) = match found {
            Found::Same if !force => {
                outcomes.push(Outcome::Present);
                continue;
            }
            Found::Nothing => (String::new(), Outcome::Created),
            Found::Same => (String::new(), Outcome::Replaced),
            Found::Older { parameters } | Found::Kept { parameters, .. } => (parameters, Outcome::Replaced),
        };
        let path = format!("{}{parameters}", piece.path);
        client.json(Method::Put, &path, Some(&piece.body)).await.map_err(|error| lacking(piece, error))?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// A piece with its mark.
fn piece(kind: &'static str, name: String, path: String, mut body: Value) -> Piece {
    if body["_meta"].is_object() {
        body["_meta"] = Value::Null;
    }
    let hash = format!("{:016x}", xxh3_64(body.to_string().as_bytes()));
    if path.starts_with("/_plugins/_ism") {
        // These have no place for marks but their description.
        body["policy"]["description"] = json!(format!("managed by {MANAGED_BY}, version {VERSION}, {hash}"));
    } else {
        let meta = json!({ "managed_by": MANAGED_BY, "version": VERSION, "hash": hash });
        let place = if path.starts_with("/_ilm") { &mut body["policy"] } else { &mut body };
        place["_meta"] = meta;
    }
    Piece { kind, name, path, body }
}

/// The mark of a piece as it stands in its body, or of what the server has in its place.
struct Mark {
    is_ours: bool,
    version: Option<u64>,
    hash: String,
}

impl Mark {
    fn of_meta(meta: &Value) -> Self {
        // What a transfer installs at start is ours too, and older.
        let is_ours = meta["managed_by"] == MANAGED_BY || meta["managed_by"] == "logdrive";
        let version = meta["version"].as_u64().filter(|_| meta["managed_by"] == MANAGED_BY).or(Some(0));
        Self { is_ours, version, hash: meta["hash"].as_str().unwrap_or_default().to_owned() }
    }

    fn of_description(description: &Value) -> Self {
        let text = description.as_str().unwrap_or_default();
        let mark =
            text.strip_prefix(&format!("managed by {MANAGED_BY}, version ")).and_then(|rest| rest.split_once(", "));
        let version = mark.and_then(|(version, _)| version.parse().ok());
        Self { is_ours: version.is_some(), version, hash: mark.map_or_else(String::new, |(_, hash)| hash.to_owned()) }
    }
}

/// Looks for a piece on the server.
async fn look(client: &Client, piece: &Piece) -> Result<Found, ElasticError> {
    match client.json(Method::Get, &piece.path, None).await {
        Err(error) if error.status() == Some(404) => Ok(Found::Nothing),
        Err(error) => Err(lacking(piece, error)),
        Ok(answer) => Ok(compare(piece, &answer)),
    }
}

/// What the server's answer says of a piece.
fn compare(piece: &Piece, answer: &Value) -> Found {
    let mut parameters = String::new();
    let (ours, theirs) = if piece.path.starts_with("/_plugins/_ism") {
        let number = |name: &str| answer[name].as_u64().unwrap_or(0);
        parameters = format!("?if_seq_no={}&if_primary_term={}", number("_seq_no"), number("_primary_term"));
        let mark = |body: &Value| Mark::of_description(&body["policy"]["description"]);
        (mark(&piece.body), mark(answer))
    } else if piece.path.starts_with("/_ilm") {
        let mark = |policy: &Value| Mark::of_meta(&policy["policy"]["_meta"]);
        (mark(&piece.body), mark(&answer[piece.name.as_str()]))
    } else {
        let found = [
            &answer["component_templates"][0]["component_template"]["_meta"],
            &answer["index_templates"][0]["index_template"]["_meta"],
        ];
        let meta = found.into_iter().find(|meta| meta.is_object()).unwrap_or(&Value::Null);
        (Mark::of_meta(&piece.body["_meta"]), Mark::of_meta(meta))
    };
    if !theirs.is_ours {
        let why = "it was made by someone else".to_owned();
        return Found::Kept { parameters, why };
    }
    if theirs.version > ours.version {
        let why = format!("a newer logdrive made it (version {})", theirs.version.unwrap_or_default());
        return Found::Kept { parameters, why };
    }
    let is_same = theirs.version == ours.version && theirs.hash == ours.hash;
    if is_same { Found::Same } else { Found::Older { parameters } }
}

/// A server without lifecycles says that it has no such path.
fn lacking(piece: &Piece, error: ElasticError) -> ElasticError {
    match error {
        ElasticError::Status { status: 400 | 404 | 405, ref reason, ref kind, .. }
            if piece.kind == "lifecycle policy" && (reason.contains("no handler") || kind.is_empty()) =>
        {
            ElasticError::Lacking { error: error.to_string() }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests;
