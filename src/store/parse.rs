//! The text that people type, read into a [`Query`].
//!
//! ```text
//! query  = [or]
//! or     = and { "OR" and }
//! and    = not { ["AND"] not }                         side by side is AND, which binds tighter than OR
//! not    = ["-" | "!" | "NOT "] prim
//! prim   = "(" or ")" | ("since" | "until") ":" time | field op | string | word | glob
//! op     = ":" (value | "(" value {("OR" | ",") value} ")") | (">" | ">=" | "<" | "<=") scalar
//! value  = "*" | string | glob | scalar ".." scalar | "5xx" | network | (">" | ">=" | "<" | "<=" | "=") scalar | word
//! field  = [A-Za-z_@][A-Za-z0-9_@.-]* | "`" any name "`"
//! ```
//!
//! A word is compared without case; several words that nothing but punctuation parts are a phrase (`10.0.0.5`), and
//! so is a string in quotes. `foo*` is a word that begins so, `*foo*` a text that stands anywhere. What has no word
//! in it (`->`) asks for nothing. The lexer says what is a field and what is text.
//!
//! Whatever the text, reading it is bounded in time and depth, and never panics.

use std::ops::Range;

use jiff::{Timestamp, Zoned};

use super::{
    alias,
    error::{Fix, Hint, ParseError, quote},
    lexer::{self, Field, Kind, Token, Value},
    query::{Expr, Query, Test, Text},
    time::{self, End},
    value::{self, Refusal},
    words,
};

/// The longest text that is read, in bytes.
pub const BYTES_MAX: usize = 4096;
/// How deep parentheses may stand in each other.
pub const DEPTH_MAX: usize = 32;
/// How many words, strings and values a question may have.
pub const TERMS_MAX: usize = 200;
/// How many hints are given at most; each carries the text once or twice.
pub(super) const HINTS_MAX: usize = 8;

/// A question and what is to be said of its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The question.
    pub query: Query,
    /// Where the text may not mean what was meant.
    pub hints: Vec<Hint>,
    /// For each `field:value`, the question with it as text, to offer where nothing was found (`localhost:9092`).
    pub as_text: Vec<Fix>,
}

/// Reads a question; times without a date or a zone are understood from `now`.
///
/// # Errors
/// Says what is wrong, where, and what would repair it.
pub fn parse(text: &str, now: &Zoned) -> Result<Query, ParseError> {
    read(text, now).map(|parsed| parsed.query)
}

/// Reads a question, and tells where its text may not mean what was meant.
///
/// # Errors
/// As [`parse`].
pub fn read(text: &str, now: &Zoned) -> Result<Parsed, ParseError> {
    if text.len() > BYTES_MAX {
        let mut from = BYTES_MAX;
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        let message = format!("the question has {} bytes; at most {BYTES_MAX} are read", text.len());
        return Err(ParseError { message, span: from..text.len(), fixes: Vec::new() });
    }
    let mut parsed = Parsed::default();
    let tokens = lexer::tokens(text, &mut parsed.hints)?;
    let mut parser = Parser { text, now, tokens: &tokens, at: 0, depth: 0, terms: 0, parsed };
    let mut expr = parser.or()?;
    while let Some(stray) = parser.next() {
        // Only a `)` ends a sequence at the top; it is punctuation, and what follows it goes on.
        parser.hint("this parenthesis was never opened and is ignored", stray.span.clone(), Vec::new());
        let rest = parser.or()?;
        expr = both(expr, rest);
    }
    let mut parsed = parser.parsed;
    parsed.query.expr = expr.unwrap_or_default();
    check_window(text, &parsed.query)?;
    Ok(parsed)
}

fn check_window(text: &str, query: &Query) -> Result<(), ParseError> {
    match (query.since, query.until) {
        (Some(since), Some(until)) if since >= until => Err(ParseError {
            message: format!("the window is empty: it ends at {until}, before it begins at {since}"),
            span: 0..text.len(),
            fixes: Vec::new(),
        }),
        _ => Ok(()),
    }
}

struct Parser<'a> {
    text: &'a str,
    now: &'a Zoned,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    terms: usize,
    parsed: Parsed,
}

impl<'a> Parser<'a> {
    /// Branches up to a `)` or the end; none if they ask for nothing.
    fn or(&mut self) -> Result<Option<Expr>, ParseError> {
        let mut branches = Vec::new();
        let mut operator = None;
        loop {
            let begin = self.at;
            let branch = self.and()?;
            let missing = begin == self.at;
            if missing && let Some(token) = operator.or(self.peek_kind(&Kind::Or)) {
                return Err(self.dangling(token, "OR needs something on both sides"));
            }
            branches.extend(branch);
            operator = self.peek_kind(&Kind::Or);
            if operator.is_none() {
                return Ok(any(branches));
            }
            self.at += 1;
        }
    }

    fn and(&mut self) -> Result<Option<Expr>, ParseError> {
        let mut expr = None;
        let mut operator: Option<&Token> = None;
        let mut empty = true;
        loop {
            match self.peek().map(|token| &token.kind) {
                None | Some(Kind::Or | Kind::Close) => {
                    return match operator {
                        Some(token) => Err(self.dangling(token, "AND needs something on both sides")),
                        None => Ok(expr),
                    };
                }
                Some(Kind::And) => {
                    let token = &self.tokens[self.at];
                    if empty || operator.is_some() {
                        return Err(self.dangling(token, "AND needs something on both sides"));
                    }
                    operator = Some(token);
                    self.at += 1;
                }
                Some(_) => {
                    let term = self.not()?;
                    expr = both(expr, term);
                    (operator, empty) = (None, false);
                }
            }
        }
    }

    fn not(&mut self) -> Result<Option<Expr>, ParseError> {
        let mut negated = None;
        while let Some(token) = self.peek_kind(&Kind::Not) {
            negated = if negated.is_some() { None } else { Some(token) };
            self.at += 1;
            if matches!(self.peek().map(|next| &next.kind), None | Some(Kind::Or | Kind::And | Kind::Close)) {
                return Err(self.dangling(token, "NOT needs something behind it"));
            }
        }
        let windows = (self.parsed.query.since, self.parsed.query.until);
        let expr = self.prim()?;
        if let Some(token) = negated
            && windows != (self.parsed.query.since, self.parsed.query.until)
        {
            let fix = Fix::replace(self.text, token.span.clone(), "").labelled("take the negation away");
            let message = "a window can't be negated; since: and until: say the two ends".to_owned();
            return Err(ParseError { message, span: token.span.clone(), fixes: vec![fix] });
        }
        Ok(if negated.is_some() { expr.map(negate) } else { expr })
    }

    fn prim(&mut self) -> Result<Option<Expr>, ParseError> {
        let Some(token) = self.next() else { return Ok(None) };
        match &token.kind {
            Kind::Open => self.group(token),
            Kind::Quoted(content) => {
                self.count_term(&token.span, 1)?;
                if content.contains('*') {
                    self.hint(
                        "a * in quotes is only a character; outside of quotes it stands for any text",
                        token.span.clone(),
                        Vec::new(),
                    );
                }
                Ok(phrase(content))
            }
            Kind::Bare(word) => {
                self.count_term(&token.span, 1)?;
                self.hint_operator(word, &token.span);
                self.bare(word, &token.span)
            }
            Kind::Field(field) => {
                self.count_term(&token.span, field.values.len())?;
                self.field(field, &token.span)
            }
            // The callers leave these where they are.
            Kind::Close | Kind::And | Kind::Or | Kind::Not => Ok(None),
        }
    }

    fn group(&mut self, open: &Token) -> Result<Option<Expr>, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("parentheses stand in each other more than {DEPTH_MAX} deep");
            return Err(ParseError { message, span: open.span.clone(), fixes: Vec::new() });
        }
        let expr = self.or()?;
        self.depth -= 1;
        if self.next().is_none() {
            let fix = Fix { label: "close it at the end".to_owned(), query: format!("{})", self.text) };
            self.hint(
                "this parenthesis is never closed; it is taken to reach to the end",
                open.span.clone(),
                vec![fix],
            );
        }
        Ok(expr)
    }

    fn field(&mut self, field: &Field, span: &Range<usize>) -> Result<Option<Expr>, ParseError> {
        if !field.exact && matches!(field.name.as_str(), "since" | "until") {
            return self.window(field, span);
        }
        let own = [field.name.as_str()];
        let names = if field.exact { None } else { alias::fields(&field.name) }.unwrap_or(&own);
        let mut tests = Vec::new();
        for name in names {
            for (value, place) in &field.values {
                tests.extend(self.test(name, value, place)?);
            }
        }
        // A short name or a dotted one is surely meant as a field; `localhost:9092` may not be.
        let doubtful = !field.exact && alias::fields(&field.name).is_none() && !field.name.contains('.');
        if doubtful && self.parsed.as_text.len() < HINTS_MAX {
            let text = quote(&self.text[span.clone()]);
            let label = format!("search for the text {text}");
            self.parsed.as_text.push(Fix::replace(self.text, span.clone(), &text).labelled(&label));
        }
        Ok(any(tests))
    }

    fn test(&mut self, name: &str, value: &Value, place: &Range<usize>) -> Result<Option<Expr>, ParseError> {
        let test = match value {
            Value::Quoted(content) if name == "message" => return Ok(phrase(content)),
            Value::Bare(word) if name == "message" && word != "*" => return self.bare(word, place),
            Value::Quoted(content) => Test::Is(content.clone()),
            Value::Bare(word) => value::read(name, word).map_err(|Refusal(message, instead)| ParseError {
                message,
                span: place.clone(),
                fixes: instead.map(|new| Fix::replace(self.text, place.clone(), &new)).into_iter().collect(),
            })?,
        };
        if name == "log.level"
            && let Test::Is(word) = &test
            && let Some(near) = value::nearest_level(word)
        {
            let fix = Fix::replace(self.text, place.clone(), near.name());
            self.hint(&format!("`{word}` is not a level that logdrive knows"), place.clone(), vec![fix]);
        }
        Ok(Some(Expr::Field { name: name.to_owned(), test }))
    }

    fn window(&mut self, field: &Field, span: &Range<usize>) -> Result<Option<Expr>, ParseError> {
        let fail = |message: String, fixes| Err(ParseError { message, span: span.clone(), fixes });
        let out = Fix::replace(self.text, span.clone(), "");
        if self.depth > 0 {
            let moved = Fix {
                query: format!("{} {}", out.query, &self.text[span.clone()]),
                label: "put it at the end".to_owned(),
            };
            return fail(
                format!("`{}:` holds for the whole question, so it can't stand in parentheses", field.name),
                vec![moved],
            );
        }
        let end = if field.name == "since" { End::Since } else { End::Until };
        let bound = match end {
            End::Since => &mut self.parsed.query.since,
            End::Until => &mut self.parsed.query.until,
        };
        if bound.is_some() {
            return fail(format!("`{}:` is given twice", field.name), vec![out.labelled("leave this one out")]);
        }
        let time: Option<Timestamp> = match field.values.as_slice() {
            [(Value::Quoted(text) | Value::Bare(text), _)] => time::parse(text, end, self.now),
            _ => None,
        };
        let Some(time) = time else {
            let examples = [format!("{}:1h", field.name), format!("{}:{}", field.name, time::example(self.now))];
            let fixes = examples.iter().map(|new| Fix::replace(self.text, span.clone(), new)).collect();
            let message = "this is not a time; write 15m, 2d, today, 14:30, 2026-11-20 or 2026-11-20T14:30".to_owned();
            return fail(message, fixes);
        };
        *bound = Some(time);
        Ok(None)
    }

    /// What a word, or several joined by punctuation, asks of the message.
    fn bare(&mut self, word: &str, span: &Range<usize>) -> Result<Option<Expr>, ParseError> {
        if !word.contains('*') {
            return Ok(phrase(word));
        }
        let core = word.trim_matches('*');
        if words::split(core).next().is_none() {
            return Ok((word == "*").then_some(Expr::All));
        }
        if core.contains('*') {
            let (head, _) = core.split_once('*').unwrap_or((core, ""));
            let fixes = vec![
                Fix::replace(self.text, span.clone(), &format!("{head}*")),
                Fix::replace(self.text, span.clone(), &quote(word)).labelled("search for it as text"),
            ];
            let message = "in text, a * can stand at the end of a word or around it, not inside".to_owned();
            return Err(ParseError { message, span: span.clone(), fixes });
        }
        Ok(Some(Expr::Text(if word.starts_with('*') {
            Text::Contains(words::lower_text(core))
        } else if core.ends_with(words::is_word_char) {
            Text::Prefix(words::lower(core))
        } else {
            Text::Phrase(words::lower(core))
        })))
    }

    /// Lower-case operators are worth a word only beside other syntax: `no such file or directory` is a plain text.
    fn hint_operator(&mut self, word: &str, span: &Range<usize>) {
        if self.tokens.iter().all(|token| matches!(token.kind, Kind::Bare(_))) {
            return;
        }
        let (message, new) = match word {
            "||" => ("`||` is only text", "OR"),
            "or" => ("`or` in lower case is a word to search for", "OR"),
            "not" => ("`not` in lower case is a word to search for", "NOT"),
            _ => return,
        };
        let fix = Fix::replace(self.text, span.clone(), new).labelled(&format!("make it the operator {new}"));
        self.hint(message, span.clone(), vec![fix]);
    }

    fn hint(&mut self, message: &str, span: Range<usize>, fixes: Vec<Fix>) {
        if self.parsed.hints.len() < HINTS_MAX {
            self.parsed.hints.push(Hint { message: message.to_owned(), span, fixes });
        }
    }

    fn count_term(&mut self, span: &Range<usize>, terms: usize) -> Result<(), ParseError> {
        self.terms += terms;
        if self.terms <= TERMS_MAX {
            return Ok(());
        }
        let message =
            format!("the question has more than {TERMS_MAX} words and values; a phrase in quotes counts as one");
        let fixes = vec![Fix { label: "search for all of it as a phrase".to_owned(), query: quote(self.text) }];
        Err(ParseError { message, span: span.start..self.text.len(), fixes })
    }

    fn dangling(&self, token: &Token, message: &str) -> ParseError {
        let word = self.text[token.span.clone()].to_owned();
        let fixes = vec![
            Fix::replace(self.text, token.span.clone(), ""),
            Fix::replace(self.text, token.span.clone(), &quote(&word)).labelled("search for it as text"),
        ];
        ParseError { message: message.to_owned(), span: token.span.clone(), fixes }
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn peek_kind(&self, kind: &Kind) -> Option<&'a Token> {
        self.peek().filter(|token| token.kind == *kind)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }
}

fn phrase(text: &str) -> Option<Expr> {
    let words = words::lower(text);
    (!words.is_empty()).then_some(Expr::Text(Text::Phrase(words)))
}

fn negate(expr: Expr) -> Expr {
    match expr {
        Expr::Not(inner) => *inner,
        expr => Expr::Not(Box::new(expr)),
    }
}

/// Both hold; conjunctions are kept flat, and what always holds is left out.
fn both(left: Option<Expr>, right: Option<Expr>) -> Option<Expr> {
    match (left, right) {
        (None | Some(Expr::All), Some(expr)) | (Some(expr), None | Some(Expr::All)) => Some(expr),
        (None, None) => None,
        (Some(left), Some(right)) => {
            let mut all = match left {
                Expr::And(all) => all,
                left => vec![left],
            };
            match right {
                Expr::And(more) => all.extend(more),
                right => all.push(right),
            }
            Some(Expr::And(all))
        }
    }
}

/// One holds; disjunctions are kept flat.
fn any(branches: Vec<Expr>) -> Option<Expr> {
    let mut flat = Vec::with_capacity(branches.len());
    for branch in branches {
        match branch {
            Expr::Or(inner) => flat.extend(inner),
            branch => flat.push(branch),
        }
    }
    if flat.len() > 1 { Some(Expr::Or(flat)) } else { flat.pop() }
}

#[cfg(test)]
mod tests;
