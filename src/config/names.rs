//! Which setting was meant by a name that there is none of.

use super::{Config, problem::nearest, schema::Schema};

/// What others call a setting, and what we call it.
const OTHERS: [(&str, &str); 14] = [
    ("brokers", "bootstrap_servers"),
    ("bootstrap.servers", "bootstrap_servers"),
    ("user", "username"),
    ("hosts", "urls"),
    ("endpoints", "urls"),
    ("nodes", "urls"),
    ("index_name", "index"),
    ("group_id", "group"),
    ("include", "paths"),
    ("files", "paths"),
    ("id", "name"),
    ("ignore", "exclude"),
    ("tags", "labels"),
    ("codec", "encoding"),
];

/// What to write instead of `name` in a table with these settings: the one that is like it, or that others call so, or
/// where there is one of the name, or all that are known.
pub(super) fn meant(name: &str, table: &Schema) -> String {
    let known = || table.fields().iter().map(|(name, _)| *name);
    let here = nearest(name, known());
    let others = || OTHERS.iter().find(|(theirs, ours)| *theirs == name && table.field(ours).is_some());
    let likely = here.filter(|here| here.trim_end_matches('s') == name.trim_end_matches('s'));
    if let Some(here) = likely.or_else(|| others().map(|(_, ours)| *ours)) {
        return format!("did you mean {here:?}?");
    }
    if let Some(table) = Schema::of::<Config>().table_of(name, "") {
        return format!("it belongs {}", place(&table));
    }
    match here {
        Some(here) => format!("did you mean {here:?}?"),
        None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
    }
}

/// Where a table stands, in words.
pub(super) fn place(path: &str) -> String {
    match path.strip_suffix("[]") {
        _ if path.is_empty() => "at the top of the file".to_owned(),
        Some(list) => format!("in [[{list}]]"),
        None => format!("in [{path}]"),
    }
}
