//! A question in Elasticsearch's and OpenSearch's own terms, all under `bool.filter`: nothing is scored.
//!
//! How a field is asked depends on its type, because a server refuses a whole search for one clause that a type
//! can't answer (`status:abc` where `status` is a number); what a type can't be is asked as nothing.

use std::{collections::HashMap, net::IpAddr};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    record::Level,
    store::{
        Expr, Query,
        query::{Compare, Scalar, Test, Text},
        words,
    },
};

/// What can be asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Keyword,
    Text,
    Number,
    Boolean,
    Date,
    Ip,
    /// Different things in different indices, or something else.
    Mixed,
}

impl Type {
    /// The type by the names that `_field_caps` gives, one for each kind of mapping among the indices.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Type> {
        let types = names.into_iter().filter(|name| *name != "unmapped").map(|name| match name {
            "keyword" | "constant_keyword" | "wildcard" | "version" | "flat_object" | "flattened" => Type::Keyword,
            "text" | "match_only_text" => Type::Text,
            "long" | "integer" | "short" | "byte" | "double" | "float" | "half_float" | "scaled_float"
            | "unsigned_long" => Type::Number,
            "boolean" => Type::Boolean,
            "date" | "date_nanos" => Type::Date,
            "ip" => Type::Ip,
            _ => Type::Mixed,
        });
        types.reduce(|one, other| if one == other { one } else { Type::Mixed })
    }
}

/// The types of fields; one that isn't there is a keyword, or in no document.
pub(super) type Types = HashMap<String, Type>;

/// The fields whose types have to be known; those of logdrive's own template are.
pub(super) fn unknown_fields(expr: &Expr) -> Vec<&str> {
    let mut names = Vec::new();
    gather(expr, &mut names);
    names.sort_unstable();
    names.dedup();
    names
}

fn gather<'a>(expr: &'a Expr, names: &mut Vec<&'a str>) {
    match expr {
        Expr::All | Expr::Text(_) => (),
        Expr::And(inner) | Expr::Or(inner) => inner.iter().for_each(|expr| gather(expr, names)),
        Expr::Not(inner) => gather(inner, names),
        Expr::Field { test: Test::Exists | Test::Level(..), .. } => (),
        Expr::Field { name, .. } => names.extend(own_type(name).is_none().then_some(name.as_str())),
    }
}

fn own_type(name: &str) -> Option<Type> {
    Some(match name {
        "@timestamp" => Type::Date,
        "message" => Type::Text,
        "log.offset" | "logdrive.generation" => Type::Number,
        "log.level" | "log.file.path" | "host.name" | "logdrive.task" | "logdrive.file" | "logdrive.part" => {
            Type::Keyword
        }
        _ => return None,
    })
}

/// The body's `query`.
pub(super) fn query(query: &Query, types: &Types) -> Value {
    let mut filter = Vec::new();
    if query.since.is_some() || query.until.is_some() {
        let mut bounds = json!({ "format": NANOSECONDS });
        if let Some(since) = query.since {
            bounds["gte"] = json!(since.to_string());
        }
        if let Some(until) = query.until {
            bounds["lt"] = json!(until.to_string());
        }
        filter.push(json!({ "range": { "@timestamp": bounds } }));
    }
    match &query.expr {
        Expr::All => (),
        Expr::And(all) => filter.extend(all.iter().map(|expr| lower(expr, types))),
        expr => filter.push(lower(expr, types)),
    }
    json!({ "bool": { "filter": filter } })
}

/// The server's name for RFC 3339 with up to nine digits behind the second.
pub(super) const NANOSECONDS: &str = "strict_date_optional_time_nanos";

fn lower(expr: &Expr, types: &Types) -> Value {
    let each = |inner: &[Expr]| inner.iter().map(|expr| lower(expr, types)).collect::<Vec<Value>>();
    match expr {
        Expr::All => json!({ "match_all": {} }),
        Expr::And(all) => json!({ "bool": { "filter": each(all) } }),
        Expr::Or(branches) => json!({ "bool": { "should": each(branches), "minimum_should_match": 1 } }),
        Expr::Not(inner) => json!({ "bool": { "must_not": [lower(inner, types)] } }),
        Expr::Text(text) => lower_text(text),
        Expr::Field { name, test } => {
            let known = own_type(name).or_else(|| types.get(name).copied());
            lower_test(name, test, known.unwrap_or(Type::Keyword))
        }
    }
}

/// Texts are asked of the words that the template's analyzer made of the message, which are [`words`].
fn lower_text(text: &Text) -> Value {
    match text {
        Text::Phrase(words) => json!({ "match_phrase": { "message": words.join(" ") } }),
        Text::Prefix(words) => match words.as_slice() {
            [word] => json!({ "prefix": { "message": { "value": word } } }),
            words => intervals(words, false, true),
        },
        // What stands between the words is not in the index: `*a.b*` finds `a-b` too.
        Text::Contains(part) => {
            let words = words::lower(part);
            let open_start = part.starts_with(words::is_word_char);
            let open_end = part.ends_with(words::is_word_char);
            match words.as_slice() {
                [word] => {
                    let star = |open| if open { "*" } else { "" };
                    let pattern = format!("{}{word}{}", star(open_start), star(open_end));
                    json!({ "wildcard": { "message": { "value": pattern } } })
                }
                words => intervals(words, open_start, open_end),
            }
        }
    }
}

/// Words next to each other, the first of which may be the end of a longer one, and the last the beginning.
///
/// Unlike `match_phrase_prefix`, which silently looks at 50 words only, this is refused where too many words fit.
fn intervals(words: &[String], open_start: bool, open_end: bool) -> Value {
    let last = words.len().saturating_sub(1);
    let rules = words.iter().enumerate().map(|(index, word)| match index {
        0 if open_start => json!({ "wildcard": { "pattern": format!("*{word}") } }),
        index if index == last && open_end => json!({ "prefix": { "prefix": word } }),
        _ => json!({ "match": { "query": word } }),
    });
    let rules: Vec<Value> = rules.collect();
    json!({ "intervals": { "message": { "all_of": { "ordered": true, "max_gaps": 0, "intervals": rules } } } })
}

fn lower_test(name: &str, test: &Test, kind: Type) -> Value {
    match test {
        Test::Exists => json!({ "exists": { "field": name } }),
        Test::Is(value) => is(name, value, kind),
        Test::Glob(pattern) => glob(name, pattern, kind),
        Test::Level(compare, level) => json!({ "terms": { name: spellings(*compare, *level) } }),
        Test::Compare(compare, scalar) => match (bound(scalar, kind), compare) {
            (None, _) => nothing(),
            (Some(bound), Compare::Eq) => range(name, kind, &[("gte", bound.clone()), ("lte", bound)]),
            (Some(bound), Compare::Lt) => range(name, kind, &[("lt", bound)]),
            (Some(bound), Compare::Le) => range(name, kind, &[("lte", bound)]),
            (Some(bound), Compare::Gt) => range(name, kind, &[("gt", bound)]),
            (Some(bound), Compare::Ge) => range(name, kind, &[("gte", bound)]),
        },
        Test::Range(low, high) => match (bound(low, kind), bound(high, kind)) {
            (Some(low), Some(high)) => range(name, kind, &[("gte", low), ("lte", high)]),
            _ => nothing(),
        },
    }
}

fn nothing() -> Value {
    json!({ "match_none": {} })
}

fn is(name: &str, value: &str, kind: Type) -> Value {
    match kind {
        Type::Keyword => json!({ "term": { name: { "value": value, "case_insensitive": true } } }),
        Type::Text => json!({ "match_phrase": { name: value } }),
        Type::Number => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => json!({ "term": { name: { "value": value } } }),
            _ => nothing(),
        },
        Type::Boolean => match value.to_ascii_lowercase().as_str() {
            value @ ("true" | "false") => json!({ "term": { name: { "value": value } } }),
            _ => nothing(),
        },
        Type::Date => match value.parse::<Timestamp>() {
            Ok(time) => range(name, kind, &[("gte", json!(time.to_string())), ("lte", json!(time.to_string()))]),
            Err(_) => nothing(),
        },
        Type::Ip => match value.parse::<IpAddr>() {
            Ok(address) => json!({ "term": { name: { "value": address.to_string() } } }),
            Err(_) => nothing(),
        },
        Type::Mixed => json!({ "match": { name: { "query": value, "lenient": true } } }),
    }
}

fn glob(name: &str, pattern: &str, kind: Type) -> Value {
    match kind {
        Type::Keyword | Type::Mixed | Type::Text => {
            if let Some(prefix) = pattern.strip_suffix('*')
                && !prefix.contains('*')
            {
                return json!({ "prefix": { name: { "value": prefix, "case_insensitive": true } } });
            }
            let escaped = pattern.replace('\\', "\\\\").replace('?', "\\?");
            json!({ "wildcard": { name: { "value": escaped, "case_insensitive": true } } })
        }
        Type::Ip => match network(pattern) {
            Some(network) => json!({ "term": { name: { "value": network } } }),
            None => nothing(),
        },
        Type::Number | Type::Boolean | Type::Date => nothing(),
    }
}

/// `10.1.*` as `10.1.0.0/16`, which is how a field of addresses is asked.
fn network(pattern: &str) -> Option<String> {
    let octets: Vec<u8> =
        pattern.strip_suffix(".*")?.split('.').map(|octet| octet.parse().ok()).collect::<Option<_>>()?;
    let whole = octets.iter().map(u8::to_string).chain(std::iter::repeat("0".to_owned())).take(4);
    (octets.len() < 4).then(|| format!("{}/{}", whole.collect::<Vec<String>>().join("."), octets.len() * 8))
}

/// A scalar as a bound of a field of this type; none where they don't compare.
fn bound(scalar: &Scalar, kind: Type) -> Option<Value> {
    match (scalar, kind) {
        (Scalar::Number(number), Type::Number | Type::Mixed) => Some(json!(number)),
        (Scalar::Word(word), Type::Keyword | Type::Mixed) => Some(json!(word)),
        (Scalar::Word(word), Type::Date) => word
            .parse::<Timestamp>()
            .ok()
            .or_else(|| {
                let time = word.parse::<jiff::civil::DateTime>().ok()?;
                time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp())
            })
            .map(|time| json!(time.to_string())),
        _ => None,
    }
}

fn range(name: &str, kind: Type, bounds: &[(&str, Value)]) -> Value {
    let mut bounds: serde_json::Map<String, Value> =
        bounds.iter().map(|(side, bound)| ((*side).to_owned(), bound.clone())).collect();
    if kind == Type::Date {
        bounds.insert("format".to_owned(), json!(NANOSECONDS));
    }
    json!({ "range": { name: bounds } })
}

/// The levels that compare so, as logdrive writes them and as others do, in the three cases that are in use.
fn spellings(compare: Compare, level: Level) -> Vec<String> {
    const OTHERS: [&str; 10] =
        ["warning", "err", "severe", "crit", "alert", "emerg", "emergency", "information", "informational", "panic"];
    let holds = |found: Level| match compare {
        Compare::Eq => found == level,
        Compare::Lt => found < level,
        Compare::Le => found <= level,
        Compare::Gt => found > level,
        Compare::Ge => found >= level,
    };
    let names = Level::ALL.map(Level::name).into_iter().chain(OTHERS);
    let fitting = names.filter(|name| Level::parse(name.as_bytes()).is_some_and(holds));
    fitting
        .flat_map(|name| {
            let capital = name[..1].to_uppercase() + &name[1..];
            [name.to_owned(), name.to_uppercase(), capital]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    fn lowered(text: &str, types: &[(&str, Type)]) -> Value {
        let now = "2026-11-21T10:00:00Z[UTC]".parse().unwrap();
        let question = store::parse(text, &now).unwrap();
        let types = types.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        let mut body = query(&question, &types);
        let filter = body["bool"]["filter"].as_array_mut().unwrap();
        if filter.len() == 1 { filter.remove(0) } else { body }
    }

    #[test]
    fn every_expression_is_a_filter() {
        assert_eq!(lowered("", &[]), json!({ "bool": { "filter": [] } }));
        assert_eq!(
            lowered("a -b since:1h", &[]),
            json!({ "bool": { "filter": [
                { "range": { "@timestamp": { "format": NANOSECONDS, "gte": "2026-11-21T09:00:00Z" } } },
                { "match_phrase": { "message": "a" } },
                { "bool": { "must_not": [{ "match_phrase": { "message": "b" } }] } },
            ] } })
        );
        assert_eq!(
            lowered("\"x y\" OR z*", &[]),
            json!({ "bool": { "minimum_should_match": 1, "should": [
                { "match_phrase": { "message": "x y" } },
                { "prefix": { "message": { "value": "z" } } },
            ] } })
        );
    }

    #[test]
    fn the_ends_of_a_part_of_a_text_are_open_where_a_word_may_go_on() {
        assert_eq!(lowered("*out*", &[]), json!({ "wildcard": { "message": { "value": "*out*" } } }));
        assert_eq!(lowered("*.out*", &[]), json!({ "wildcard": { "message": { "value": "out*" } } }));
        let rules = json!([{ "wildcard": { "pattern": "*10" } }, { "match": { "query": "0" } }, { "prefix": { "prefix": "0" } }]);
        assert_eq!(lowered("*10.0.0*", &[])["intervals"]["message"]["all_of"]["intervals"], rules);
    }

    #[test]
    fn a_field_is_asked_in_the_way_of_its_type() {
        let f = |kind| [("f", kind)];
        for (text, kind, body) in [
            ("f:Ab", Type::Keyword, json!({ "term": { "f": { "value": "Ab", "case_insensitive": true } } })),
            ("f:500", Type::Number, json!({ "term": { "f": { "value": "500" } } })),
            ("f:abc", Type::Number, nothing()),
            ("f:TRUE", Type::Boolean, json!({ "term": { "f": { "value": "true" } } })),
            ("f:a.b", Type::Text, json!({ "match_phrase": { "f": "a.b" } })),
            ("f:a*", Type::Keyword, json!({ "prefix": { "f": { "value": "a", "case_insensitive": true } } })),
            ("f:a?*b", Type::Keyword, json!({ "wildcard": { "f": { "value": "a\\?*b", "case_insensitive": true } } })),
            ("f:10.1.0.0/16", Type::Ip, json!({ "term": { "f": { "value": "10.1.0.0/16" } } })),
            ("f:5xx", Type::Number, json!({ "range": { "f": { "gte": 500.0, "lte": 599.0 } } })),
            ("f>5", Type::Number, json!({ "range": { "f": { "gt": 5.0 } } })),
            ("f>5", Type::Keyword, nothing()),
            ("f:abc", Type::Mixed, json!({ "match": { "f": { "query": "abc", "lenient": true } } })),
            ("f:*", Type::Mixed, json!({ "exists": { "field": "f" } })),
        ] {
            assert_eq!(lowered(text, &f(kind)), body, "{text} {kind:?}");
        }
        assert_eq!(Type::of(["long", "integer", "unmapped"]), Some(Type::Number));
        assert_eq!(Type::of(["long", "keyword"]), Some(Type::Mixed));
        assert_eq!(Type::of([]), None);
    }

    #[test]
    fn levels_are_asked_in_every_spelling() {
        let terms = lowered("level>=critical", &[]);
        let terms = terms["terms"]["log.level"].as_array().unwrap();
        for spelling in ["critical", "CRIT", "Emerg", "fatal", "PANIC"] {
            assert!(terms.contains(&json!(spelling)), "{spelling}");
        }
        assert!(!terms.contains(&json!("error")) && !terms.contains(&json!("ERR")));
    }

    #[test]
    fn types_are_asked_only_of_fields_that_are_not_ours() {
        let now = "2026-11-21T10:00:00Z[UTC]".parse().unwrap();
        let question = store::parse("level:error host:a status:500 -(x y:*) z:1 z:2", &now).unwrap();
        assert_eq!(unknown_fields(&question.expr), ["http.response.status_code", "status", "z"]);
    }
}
