//! Text into tokens: what is a word, a string, a field with its values, and what is only punctuation.
//!
//! The rules exist so that what people paste needs no escaping: an apostrophe is a letter; a field's name starts
//! with a letter and its value follows without a space (`12:30:01` and `error: disk` are text), and not with
//! `//`, `:` or `\` (`http://…`, `std::vec`, `C:\`); `=`, `/`, `?`, `{`, `[` and all else mean nothing; operators are
//! upper case (`no such file or directory` is text). Parentheses and quotes inside a word belong to the word.

use std::ops::Range;

use super::{
    alias,
    error::{Fix, Hint, ParseError, quote},
    parse::HINTS_MAX,
};

/// A piece of the text with its place in it, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Open,
    Close,
    And,
    Or,
    /// `-`, `!` or `NOT`.
    Not,
    /// A string in quotes, without them.
    Quoted(String),
    /// Anything else up to a space.
    Bare(String),
    Field(Field),
}

/// A field and the values asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    /// In backticks: this very field, no short name.
    pub(super) exact: bool,
    /// One, or several from a list in parentheses; never empty.
    pub(super) values: Vec<(Value, Range<usize>)>,
}

/// A field's value as it is written; a comparison's sign is the beginning of a bare value (`>=500`).
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Quoted(String),
    Bare(String),
}

/// Reads all of `text`; what may not be as meant goes to `hints`.
pub(super) fn tokens(text: &str, hints: &mut Vec<Hint>) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next(hints)? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    /// Where the next token begins at the earliest; on a character border.
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self, hints: &mut Vec<Hint>) -> Result<Option<Token>, ParseError> {
        self.skip_space();
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let kind = match first {
            '(' => self.take(first, Kind::Open),
            ')' => self.take(first, Kind::Close),
            '-' | '!' if self.rest()[1..].starts_with(negatable) => self.take(first, Kind::Not),
            '|' => self.pipe()?,
            _ if is_quote(first) => match self.string() {
                Some(content) => Kind::Quoted(content),
                None => {
                    if hints.len() < HINTS_MAX {
                        hints.push(self.open_quote(first));
                    }
                    self.text_or_keyword()
                }
            },
            _ => match self.field()? {
                Some(field) => Kind::Field(field),
                None => self.text_or_keyword(),
            },
        };
        Ok(Some(Token { kind, span: start..self.at }))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, char: char, kind: Kind) -> Kind {
        self.at += char.len_utf8();
        kind
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// `| count by host` is known but not yet answered; any other `|` is text.
    fn pipe(&mut self) -> Result<Kind, ParseError> {
        const VERBS: [&str; 7] = ["count", "top", "sort", "limit", "fields", "patterns", "stats"];
        let rest = self.rest();
        let verb = rest[1..].trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !VERBS.contains(&verb) {
            return Ok(self.text_or_keyword());
        }
        let span = self.at..self.text.len();
        let fixes = vec![
            Fix::replace(self.text, span.clone(), "").labelled("search without it"),
            Fix::replace(self.text, span.clone(), &quote(rest)).labelled("search for it as text"),
        ];
        Err(ParseError { message: format!("`| {verb}` is not available yet"), span, fixes })
    }

    /// A string in quotes at this place, without them; nothing is consumed where it is never closed.
    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest().char_indices();
        let (_, open) = chars.next()?;
        let closes = |c: char| if open == '"' { c == '"' } else { is_quote(c) && c != '"' };
        let mut content = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if closes(c) => {
                    self.at += at + c.len_utf8();
                    return Some(content);
                }
                '\\' => match chars.clone().next() {
                    Some((_, escaped @ ('"' | '\\'))) => {
                        content.push(escaped);
                        chars.next();
                    }
                    _ => content.push(c),
                },
                _ => content.push(c),
            }
        }
        None
    }

    fn open_quote(&self, open: char) -> Hint {
        let span = self.at..self.at + open.len_utf8();
        let closed = Fix { label: "close it at the end".to_owned(), query: format!("{}\"", self.text) };
        Hint { message: "this quote is never closed, so it is read as text".to_owned(), span, fixes: vec![closed] }
    }

    fn text_or_keyword(&mut self) -> Kind {
        match self.bare(|_| false) {
            "OR" => Kind::Or,
            "AND" => Kind::And,
            "NOT" => Kind::Not,
            word => Kind::Bare(word.to_owned()),
        }
    }

    /// All up to a space, a `)` whose `(` is not among it, or what `ends` says.
    fn bare(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let mut open = 0_usize;
        let end = rest.char_indices().find(|(_, c)| match c {
            '(' => {
                open += 1;
                false
            }
            ')' if open > 0 => {
                open -= 1;
                false
            }
            ')' => true,
            c => c.is_whitespace() || ends(*c),
        });
        let word = &rest[..end.map_or(rest.len(), |(at, _)| at)];
        self.at += word.len();
        word
    }

    /// A field with its values at this place; nothing is consumed where there is none.
    fn field(&mut self) -> Result<Option<Field>, ParseError> {
        let rest = self.rest();
        let Some((name, exact, after)) = field_name(rest) else { return Ok(None) };
        let operator = &rest[after..];
        let value = match operator.strip_prefix(':') {
            Some(value) if starts_value(value) => value,
            None if starts_comparison(operator, name) => operator,
            _ => return Ok(None),
        };
        self.at = self.text.len() - value.len();
        let values = if value.starts_with('(') { self.list()? } else { vec![self.value(|_| false)?] };
        Ok(Some(Field { name: name.to_owned(), exact, values }))
    }

    fn value(&mut self, ends: impl Fn(char) -> bool) -> Result<(Value, Range<usize>), ParseError> {
        let start = self.at;
        let value = match self.peek() {
            Some(quote) if is_quote(quote) => {
                let unclosed = || ParseError {
                    message: "this quote is never closed".to_owned(),
                    span: start..start + quote.len_utf8(),
                    fixes: vec![Fix { label: "close it at the end".to_owned(), query: format!("{}\"", self.text) }],
                };
                let error = unclosed();
                Value::Quoted(self.string().ok_or(error)?)
            }
            _ => Value::Bare(self.bare(ends).to_owned()),
        };
        Ok((value, start..self.at))
    }

    /// `(a OR b)`, `(a, b)`.
    fn list(&mut self) -> Result<Vec<(Value, Range<usize>)>, ParseError> {
        let open = self.at;
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.skip_space();
            let start = self.at;
            match self.peek() {
                None => return Err(self.unclosed_list(open)),
                Some(')' | '(' | ',') => return Err(self.odd_list(start, "a value is missing here")),
                Some(_) => values.push(self.value(|c| c == ',')?),
            }
            self.skip_space();
            let start = self.at;
            if self.rest().starts_with(',') {
                self.at += 1;
            } else if self.rest().starts_with(')') {
                self.at += 1;
                return Ok(values);
            } else if self.rest().is_empty() {
                return Err(self.unclosed_list(open));
            } else if !matches!(self.bare(|c| c == ','), "OR" | "or") {
                let mut error = self.odd_list(start, "values in parentheses are parted by OR or a comma");
                error.fixes.insert(0, Fix::replace(self.text, start..start, "OR ").labelled("put OR between them"));
                return Err(error);
            }
        }
    }

    fn unclosed_list(&self, open: usize) -> ParseError {
        let fixes = vec![Fix { label: "close it at the end".to_owned(), query: format!("{})", self.text) }];
        ParseError { message: "this parenthesis is never closed".to_owned(), span: open..open + 1, fixes }
    }

    fn odd_list(&self, at: usize, message: &str) -> ParseError {
        let end = at + self.text[at..].chars().next().map_or(0, char::len_utf8);
        ParseError { message: message.to_owned(), span: at..end, fixes: Vec::new() }
    }
}

/// The name of a field at the start of `text`, whether it is in backticks, and where what follows it begins.
fn field_name(text: &str) -> Option<(&str, bool, usize)> {
    if let Some(quoted) = text.strip_prefix('`') {
        let (name, _) = quoted.split_once('`')?;
        return (!name.is_empty()).then_some((name, true, name.len() + 2));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '@')) {
        return None;
    }
    let end = text.find(|c| !is_name_char(c)).unwrap_or(text.len());
    let name = &text[..end];
    name.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_').then_some((name, false, end))
}

/// Whether `name` reads as a field's name without backticks.
pub(super) fn is_plain_name(name: &str) -> bool {
    field_name(name).is_some_and(|(found, exact, _)| !exact && found.len() == name.len())
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '.' | '-')
}

/// Whether what stands behind `field:` is a value, and not the rest of a text with a colon in it.
pub(super) fn starts_value(text: &str) -> bool {
    !text.starts_with("//")
        && !text.starts_with(|c: char| c.is_whitespace() || matches!(c, ':' | '\\' | ')'))
        && !text.is_empty()
}

/// Whether `>500` and the like compare; what is compared starts with a digit, or is a level (`a->b` is text).
fn starts_comparison(text: &str, name: &str) -> bool {
    let value = text.trim_start_matches(['<', '>']);
    let signs = text.len() - value.len();
    let value = value.strip_prefix('=').unwrap_or(value);
    let ordinal = alias::fields(name).unwrap_or(&[name]) == ["log.level"];
    let number = value.strip_prefix('-').unwrap_or(value);
    signs == 1
        && (number.starts_with(|c: char| c.is_ascii_digit()) || ordinal && value.starts_with(char::is_alphabetic))
}

/// Whether a `-` before this character is a negation: `->`, `--flag`, `- ` and `!=` are text.
fn negatable(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '-' | '!' | '=' | '>' | '<' | '|' | '&' | ')')
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟')
}
