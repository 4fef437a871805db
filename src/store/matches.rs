//! Whether a document is an answer, decided in memory: for live lines, and as the plain definition of what every
//! store must answer.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    query::{Compare, Expr, Query, Scalar, Test, Text},
    words,
};
use crate::record::Level;

/// Whether the document is in the query's window and all that the query asks holds of it.
#[must_use]
pub fn matches(query: &Query, document: &Map<String, Value>) -> bool {
    if query.since.is_some() || query.until.is_some() {
        let time =
            field(document, "@timestamp").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
        let Some(time) = time else { return false };
        if query.since.is_some_and(|since| time < since) || query.until.is_some_and(|until| time >= until) {
            return false;
        }
    }
    holds(&query.expr, document)
}

/// The value of a field, whether its dotted name stands flat at the root (`"host.name"`) or as members within
/// members, or as a mixture of both.
#[must_use]
pub fn field<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = document.get(name) {
        return Some(value);
    }
    name.match_indices('.').find_map(|(dot, _)| match document.get(&name[..dot])? {
        Value::Object(inner) => field(inner, &name[dot + 1..]),
        _ => None,
    })
}

fn holds(expr: &Expr, document: &Map<String, Value>) -> bool {
    match expr {
        Expr::All => true,
        Expr::And(all) => all.iter().all(|expr| holds(expr, document)),
        Expr::Or(branches) => branches.iter().any(|expr| holds(expr, document)),
        Expr::Not(expr) => !holds(expr, document),
        Expr::Text(text) => {
            field(document, "message").and_then(Value::as_str).is_some_and(|message| text_holds(text, message))
        }
        Expr::Field { name, test } => field(document, name).is_some_and(|value| passes(name, test, value)),
    }
}

fn text_holds(text: &Text, message: &str) -> bool {
    match text {
        Text::Contains(part) => words::lower_text(message).contains(part),
        text => found(text, &words::lower(message)).next().is_some(),
    }
}

/// The positions in `words`, all in lower case, where a phrase begins.
pub(super) fn found<'a>(text: &'a Text, words: &'a [String]) -> impl Iterator<Item = usize> + 'a {
    let (phrase, open) = match text {
        Text::Phrase(phrase) => (phrase.as_slice(), false),
        Text::Prefix(phrase) => (phrase.as_slice(), true),
        Text::Contains(_) => (&[][..], false),
    };
    let (last, rest) = phrase.split_last().map_or(("", phrase), |(last, rest)| (last.as_str(), rest));
    words.windows(phrase.len().max(1)).enumerate().filter_map(move |(at, window)| {
        let (end, begin) = window.split_last()?;
        let ends = if open { end.starts_with(last) } else { end == last };
        (!phrase.is_empty() && ends && begin == rest).then_some(at)
    })
}

/// Whether one of a field's values passes; a list passes if one in it does.
fn passes(name: &str, test: &Test, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(values) => values.iter().any(|value| passes(name, test, value)),
        Value::Object(members) => *test == Test::Exists && !members.is_empty(),
        value => match test {
            Test::Exists => true,
            Test::Is(wanted) => is(name, wanted, value),
            Test::Glob(pattern) => value.as_str().is_some_and(|text| fits(pattern, text)),
            Test::Compare(compare, scalar) => order(value, scalar).is_some_and(|order| agrees(*compare, order)),
            Test::Range(low, high) => {
                order(value, low).is_some_and(std::cmp::Ordering::is_ge)
                    && order(value, high).is_some_and(std::cmp::Ordering::is_le)
            }
            Test::Level(compare, level) => {
                let found = value.as_str().and_then(|word| Level::parse(word.as_bytes()));
                found.is_some_and(|found| agrees(*compare, found.cmp(level)))
            }
        },
    }
}

fn is(name: &str, wanted: &str, value: &Value) -> bool {
    match value {
        Value::String(text) if name == "message" => text_holds(&Text::Phrase(words::lower(wanted)), text),
        Value::String(text) => words::lower_text(text) == words::lower_text(wanted),
        Value::Number(number) => {
            number.to_string() == wanted || wanted.parse::<f64>().is_ok_and(|wanted| number.as_f64() == Some(wanted))
        }
        Value::Bool(value) => wanted.eq_ignore_ascii_case(if *value { "true" } else { "false" }),
        _ => false,
    }
}

/// How a value compares with a scalar: numbers with numbers, times with times, else text by its bytes.
fn order(value: &Value, scalar: &Scalar) -> Option<std::cmp::Ordering> {
    match (value, scalar) {
        (Value::Number(number), Scalar::Number(wanted)) => number.as_f64()?.partial_cmp(wanted),
        (Value::String(text), Scalar::Word(wanted)) => match (text.parse::<Timestamp>(), time(wanted)) {
            (Ok(time), Some(wanted)) => Some(time.cmp(&wanted)),
            _ => Some(text.as_str().cmp(wanted)),
        },
        _ => None,
    }
}

/// A time, or a day's beginning, in UTC.
fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let time = text.parse::<jiff::civil::DateTime>().ok()?;
        time.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|time| time.timestamp())
    })
}

fn agrees(compare: Compare, order: std::cmp::Ordering) -> bool {
    match compare {
        Compare::Eq => order.is_eq(),
        Compare::Lt => order.is_lt(),
        Compare::Le => order.is_le(),
        Compare::Gt => order.is_gt(),
        Compare::Ge => order.is_ge(),
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text, without case; in time linear in `text` for each `*`.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (words::lower_text(pattern), words::lower_text(text));
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::{super::parse, fits, matches};
    use serde_json::json;

    fn answers(question: &str) -> bool {
        let now = "2026-11-21T10:00:00Z[UTC]".parse().unwrap();
        let document = json!({
            "@timestamp": "2026-11-21T09:30:00.5Z",
            "message": "upstream timed out (110: Connection timed out) while reading, client: 10.0.0.5, request: \"GET /api/v1/users?id=7 HTTP/1.1\"",
            "log.level": "error",
            "log.file.path": "/var/log/nginx/error.log",
            "log.offset": 4711,
            "host.name": "Web-01",
            "status": 504,
            "took": 250_000_000,
            "secure": true,
            "user": null,
            "tags": ["blue", "green"],
            "kubernetes": { "pod": { "name": "api-7f" }, "labels.app": "shop" },
            "version": "1.10.2",
            "started": "2026-11-20T12:00:00+02:00",
        });
        matches(&parse(question, &now).unwrap(), document.as_object().unwrap())
    }

    #[test]
    fn what_holds_of_the_document_is_found() {
        for question in [
            "",
            "*",
            "TIMED",
            "timed out",
            "\"timed out\"",
            "“connection timed”",
            "10.0.0.5",
            "GET /api/v1/users?id=7 HTTP/1.1",
            "conn*",
            "10.0.0*",
            "*nnecti*",
            "*v1/users?*",
            "-missing",
            "missing OR timed",
            "(a OR timed) -b",
            "level:ERR",
            "level>=warn",
            "level<=error",
            "level:(info OR error)",
            "status:5xx",
            "status:504",
            "status>=500",
            "status:500..599",
            "status:>500",
            "took>=250ms",
            "took:0.2s..1s",
            "secure:true",
            "host:web-01",
            "host:web-0*",
            "path:/var/log/nginx/*",
            "file:*ERROR*",
            "-user:*",
            "tags:green",
            "pod:api-*",
            "kubernetes.labels.app:shop",
            "since:1h",
            "until:10m",
            "since:1h until:now timed",
            "version>1.0.0",
            "started<2026-11-20T11:00:00Z",
            "kubernetes:*",
            "msg:upstream",
            "message:(nothing OR \"timed out\")",
            "log.offset:4711",
        ] {
            assert!(answers(question), "{question}");
        }
    }

    #[test]
    fn what_does_not_hold_is_not_found() {
        for question in [
            "missing",
            "\"out timed\"",
            "time",
            "onnection*",
            "*zz*",
            "-timed",
            "timed missing",
            "level:warn",
            "level>error",
            "status:4xx",
            "status<504",
            "took<250ms",
            "host:web",
            "host:web-0*x",
            "user:*",
            "tags:red",
            "nothing:*",
            "since:10m",
            "until:1h",
            "started>2026-11-20T11:00:00Z",
            "secure:false",
            "status:5*",
            "kubernetes:api",
        ] {
            assert!(!answers(question), "{question}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text_and_the_ends_are_anchored() {
        for (pattern, text, fit) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*b*c", "a--b--c", true),
            ("*", "", true),
            ("**b", "ab", true),
            ("aa*aa", "aaa", false),
            ("a*c", "abcd", false),
            ("ä*", "ÄB", true),
            ("a*b", "ba", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }
}
