//! A [`Query`] written as text that reads back as the same query.

use std::fmt::Write as _;

use super::{
    alias,
    error::quote,
    lexer::{is_plain_name, starts_value},
    query::{Expr, Query, Scalar, Test, Text},
    value,
};

/// The text of a query, as people would type it; times are absolute and in UTC.
#[must_use]
pub fn print(query: &Query) -> String {
    let mut out = String::new();
    match &query.expr {
        Expr::All => (),
        expr => write_expr(&mut out, expr, Around::Top),
    }
    for (name, time) in [("since", query.since), ("until", query.until)] {
        if let Some(time) = time {
            let space = if out.is_empty() { "" } else { " " };
            // Writing to a String can't fail, here and below.
            let _ = write!(out, "{space}{name}:{time}");
        }
    }
    out
}

/// What an expression stands in, which decides whether it needs parentheses.
#[derive(Clone, Copy, PartialEq)]
enum Around {
    Top,
    And,
    Or,
    Not,
}

fn write_expr(out: &mut String, expr: &Expr, around: Around) {
    match expr {
        Expr::All => out.push('*'),
        Expr::Text(text) => write_text(out, text),
        Expr::Field { name, test } => write_field(out, short_name(&[name]), test),
        Expr::Not(inner) => {
            out.push('-');
            write_expr(out, inner, Around::Not);
        }
        Expr::And(all) => {
            // Within OR no parentheses are needed to read it back, but people want to see them.
            grouped(out, around != Around::Top, |out| join(out, all, " ", Around::And));
        }
        Expr::Or(branches) => match one_short_name(branches) {
            Some((name, test)) => write_field(out, name.to_owned(), test),
            None => grouped(out, around != Around::Top, |out| join(out, branches, " OR ", Around::Or)),
        },
    }
}

fn join(out: &mut String, parts: &[Expr], between: &str, around: Around) {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        write_expr(out, part, around);
    }
}

fn grouped(out: &mut String, group: bool, write: impl FnOnce(&mut String)) {
    if !group {
        return write(out);
    }
    out.push('(');
    let start = out.len();
    write(out);
    // A last word with a `(` in it would take the `)` for its own.
    let last = out[start..].rsplit(char::is_whitespace).next().unwrap_or_default();
    if last.trim_start_matches('(').contains('(') {
        out.push(' ');
    }
    out.push(')');
}

fn write_text(out: &mut String, text: &Text) {
    match text {
        Text::Phrase(words) => match words.as_slice() {
            [word] => out.push_str(word),
            words => out.push_str(&quote(&words.join(" "))),
        },
        Text::Prefix(words) => {
            out.push_str(&words.join("."));
            out.push('*');
        }
        Text::Contains(text) => {
            let _ = write!(out, "*{text}*");
        }
    }
}

/// The fields of a short name, all with one test.
fn one_short_name(branches: &[Expr]) -> Option<(&'static str, &Test)> {
    let mut names = Vec::with_capacity(branches.len());
    let mut tests = branches.iter().map(|branch| match branch {
        Expr::Field { name, test } => {
            names.push(name.as_str());
            Some(test)
        }
        _ => None,
    });
    let first = tests.next()??;
    let same = tests.all(|test| test == Some(first));
    same.then(|| alias::of(&names)).flatten().map(|name| (name, first))
}

fn short_name(names: &[&String]) -> String {
    let name = names[0].as_str();
    match alias::of(&[name]) {
        Some(short) if name != "message" => short.to_owned(),
        _ if is_plain_name(name) && alias::fields(name).is_none() && !matches!(name, "since" | "until") => {
            name.to_owned()
        }
        _ => format!("`{name}`"),
    }
}

fn write_field(out: &mut String, name: String, test: &Test) {
    let value = match test {
        Test::Exists => "*".to_owned(),
        Test::Is(value) if is_bare(&name, value) => value.clone(),
        Test::Is(value) => quote(value),
        Test::Glob(pattern) => pattern.clone(),
        Test::Compare(compare, scalar) => format!("{}{}", value::sign(*compare), scalar_text(scalar)),
        Test::Range(Scalar::Number(low), Scalar::Number(high)) if low % 100.0 == 0.0 && *high == low + 99.0 => {
            class_text(*low).unwrap_or_else(|| format!("{low}..{high}"))
        }
        Test::Range(low, high) => format!("{}..{}", scalar_text(low), scalar_text(high)),
        Test::Level(super::query::Compare::Eq, level) => level.name().to_owned(),
        Test::Level(compare, level) => format!("{}{level}", value::sign(*compare)),
    };
    out.push_str(&name);
    // `level>=warn` rather than `level:>=warn`, where the sign is one that compares without a colon.
    let compared = matches!(test, Test::Compare(..) | Test::Level(..)) && value.starts_with(['<', '>']);
    let digits = value.trim_start_matches(['<', '>', '=', '-']).starts_with(|c: char| c.is_ascii_digit());
    match (compared && (digits || matches!(test, Test::Level(..))), starts_value(&value)) {
        (true, _) => out.push_str(&value),
        (false, true) if !value.starts_with('(') => {
            out.push(':');
            out.push_str(&value);
        }
        (false, _) => {
            out.push(':');
            grouped(out, true, |out| out.push_str(&value));
        }
    }
}

/// 500 to 599 as `5xx`.
fn class_text(low: f64) -> Option<String> {
    (100.0..=900.0).contains(&low).then(|| format!("{}xx", low / 100.0))
}

fn scalar_text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Number(number) => number.to_string(),
        Scalar::Word(word) => word.clone(),
    }
}

/// Whether a value without quotes reads back as itself.
fn is_bare(name: &str, text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-./@#%+&?~:".contains(c);
    // A short name of several fields has no field's own reading; `log.level` is the only field that has one.
    let field = if name == "level" { "log.level" } else { name };
    !text.is_empty()
        && text.chars().all(plain)
        && starts_value(text)
        && value::read(field, text) == Ok(Test::Is(text.to_owned()))
}
