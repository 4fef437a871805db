//! Compares what was written with what there is: unknown names, wrong kinds, values that can't be read.
//!
//! All of it in one walk, so that a person sees every mistake at once.

use std::ops::Range;

use bytesize::ByteSize;
use jiff::SignedDuration;
use toml::{Spanned, de::DeTable, de::DeValue};

use super::{
    names,
    problem::Problem,
    schema::Schema::{self, Any, Choice, Duration, Flag, List, Map, Number, Size, Table, Text, Unknown, Whole},
};

/// Adds what is wrong with a table to `problems`. `path` is where the table stands: empty at the top.
pub(super) fn table(table: &DeTable<'_>, schema: &Schema, path: &str, problems: &mut Vec<Problem>) {
    for (key, written) in table {
        let name = key.get_ref().as_ref();
        match schema.field(name) {
            Some(schema) => value(written, schema, &join(path, name), problems),
            None => {
                let what = format!("there is no setting {name:?} {}", names::place(path));
                problems.push(Problem::new(Some(key.span()), what).hint(names::meant(name, schema)));
            }
        }
    }
}

fn value(written: &Spanned<DeValue<'_>>, schema: &Schema, path: &str, problems: &mut Vec<Problem>) {
    let span = || Some(written.span());
    match (schema, written.get_ref()) {
        (Table(_), DeValue::Table(inner)) => table(inner, schema, path, problems),
        (Map(element), DeValue::Table(inner)) => {
            inner.iter().for_each(|(key, one)| value(one, element, &join(path, key.get_ref()), problems));
        }
        (List(element), DeValue::Array(inner)) => {
            inner.iter().for_each(|one| value(one, element, &format!("{path}[]"), problems));
        }
        (Choice(words), DeValue::String(word)) => {
            if !words.contains(&word.as_ref()) {
                let what = format!("{path} takes {}, not {word:?}", kind(schema));
                problems.push(Problem::new(span(), what).nearest(word, words.iter().copied()));
            }
        }
        (Size, DeValue::String(text)) => size(text.parse().ok(), text, path, written.span(), problems),
        (Size, DeValue::Integer(number)) => {
            size(number.as_str().parse().ok(), number.as_str(), path, written.span(), problems);
        }
        (Duration, DeValue::String(text)) => {
            let read: Option<SignedDuration> = text.parse().ok();
            if read.is_none_or(|time| time.is_negative()) {
                let what = format!("{path} takes {}, not {text:?}", kind(schema));
                let hint = "write a number and ms, s, m or h: \"500ms\", \"30s\", \"10m\", \"1h\"";
                problems.push(Problem::new(span(), what).hint(hint));
            }
        }
        (Whole, DeValue::Integer(number)) if number.as_str() == "0" && path.ends_with("_max") => {
            problems.push(Problem::new(span(), format!("{path} is 0, which lets nothing pass")));
        }
        (Text, DeValue::String(_))
        | (Whole, DeValue::Integer(_))
        | (Number, DeValue::Integer(_) | DeValue::Float(_))
        | (Flag, DeValue::Boolean(_))
        | (Any | Unknown, _) => (),
        (_, other) => {
            let what = format!("{path} takes {}, not {}", kind(schema), found(other));
            let problem = Problem::new(span(), what);
            problems.push(match hint(schema, other, path) {
                Some(text) => problem.hint(text),
                None => problem,
            });
        }
    }
}

/// A size that can be read; a limit has to leave room for something.
fn size(read: Option<ByteSize>, text: &str, path: &str, span: Range<usize>, problems: &mut Vec<Problem>) {
    let problem = |what| Problem::new(Some(span), what);
    problems.push(match read {
        None => problem(format!("{path} takes {}, not {text:?}", kind(&Size)))
            .hint("write a number and B, KiB, MiB or GiB: \"512KiB\", \"64MiB\""),
        Some(ByteSize(0)) if path.ends_with("_max") => problem(format!("{path} is 0, which lets nothing pass")),
        Some(_) => return,
    });
}

/// What a setting takes, in words.
fn kind(schema: &Schema) -> String {
    match schema {
        Table(_) | Map(_) => "a table".to_owned(),
        List(element) => match **element {
            Table(_) => "a list of tables".to_owned(),
            Text => "a list of texts".to_owned(),
            _ => "a list".to_owned(),
        },
        Choice(words) => words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or "),
        Text => "text in quotes".to_owned(),
        Whole => "a whole number".to_owned(),
        Number => "a number".to_owned(),
        Flag => "true or false".to_owned(),
        Size => "a size such as \"64MiB\"".to_owned(),
        Duration => "a duration such as \"500ms\"".to_owned(),
        Any | Unknown => "something else".to_owned(),
    }
}

/// What was written, in words, without its value, which may be a secret.
fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What to write instead, for the mistakes that people make.
fn hint(schema: &Schema, found: &DeValue<'_>, path: &str) -> Option<String> {
    let hint = match (schema, found) {
        (Table(_), _) if !path.contains("[]") => return Some(format!("write [{path}] above its settings")),
        (List(element), DeValue::Table(_)) if matches!(**element, Table(_)) => {
            return Some(format!("write its name in two brackets: [[{path}]]"));
        }
        (List(_), DeValue::String(_)) => "write it in brackets: [\"…\"]",
        (Duration, DeValue::Integer(_) | DeValue::Float(_)) => "write it in quotes and with its unit: \"30s\"",
        (Text | Choice(_), DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => "write it in quotes",
        (Whole | Number, DeValue::String(_)) => "write digits, without quotes",
        (Flag, _) => "write true or false, without quotes",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The path of a setting in the table at `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
