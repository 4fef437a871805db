//! Answers on a terminal: the newest at the bottom, as in the file; in colour only where someone looks.

use std::io::{self, Write};

use anyhow::{Context, anyhow};
use jiff::{Zoned, tz::TimeZone};
use serde_json::Value;

use crate::{
    record::Level,
    store::{self, End, Found, Hit, Page, ParseError, Parsed, Query, Store},
};

/// What is asked on the command line.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The question.
    pub query: String,
    /// The window, where the question doesn't say one.
    pub since: Option<String>,
    /// The window's end.
    pub until: Option<String>,
    /// How many hits are shown, the newest.
    pub limit: usize,
    /// Only how many documents match.
    pub count: bool,
    /// How hits are shown.
    pub options: Options,
}

/// How hits are shown.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// In colour.
    pub color: bool,
    /// One JSON document a line.
    pub json: bool,
    /// The zone of the times that are shown and of those in the question; UTC if none.
    pub zone: Option<TimeZone>,
}

/// Asks `store` and writes the answer to `out`, and what is to be said of it to `notes`.
///
/// # Errors
/// If the question can't be read (the message shows where, and what would do), the store doesn't answer, or the
/// answer can't be written.
pub async fn run(
    store: &dyn Store,
    request: &Request,
    out: &mut impl Write,
    notes: &mut impl Write,
) -> anyhow::Result<()> {
    let parsed = read(request)?;
    let query = &parsed.query;
    if request.count {
        let total = store.count(query).await?;
        writeln!(out, "{}{}", total.count, if total.exact { "" } else { "+" })?;
        return Ok(());
    }
    let found = newest(store, query, request.limit).await?;
    print(&found, query, &request.options, out).context("writing hits")?;
    note(&found, &parsed, notes).context("writing notes")
}

fn read(request: &Request) -> anyhow::Result<Parsed> {
    let now = Zoned::now().with_time_zone(request.options.zone.clone().unwrap_or(TimeZone::UTC));
    let mut parsed = store::read(&request.query, &now).map_err(|error| anyhow!(explain(&request.query, &error)))?;
    if parsed.query.since.is_none() && parsed.query.until.is_none() {
        let bound = |name: &str, text: &Option<String>, end| {
            let Some(text) = text else { return Ok(None) };
            let wrong = || {
                anyhow!(
                    "--{name} {text} is not a time\nhint: write 15m, 2d, today, 14:30, 2026-11-20 or 2026-11-20T14:30"
                )
            };
            store::parse_time(text, end, &now).map(Some).ok_or_else(wrong)
        };
        parsed.query.since = bound("since", &request.since, End::Since)?;
        parsed.query.until = bound("until", &request.until, End::Until)?;
    }
    Ok(parsed)
}

/// The newest `limit` hits, in as many pages as it takes.
async fn newest(store: &dyn Store, query: &Query, limit: usize) -> Result<Found, store::StoreError> {
    let mut found = store.find(query, &Page { limit, after: None }).await?;
    while found.hits.len() < limit
        && let Some(after) = found.next.take()
    {
        let page = Page { limit: limit - found.hits.len(), after: Some(after) };
        let more = store.find(query, &page).await?;
        if more.hits.is_empty() {
            break;
        }
        found.hits.extend(more.hits);
        (found.next, found.partial) = (more.next, found.partial.or(more.partial));
    }
    Ok(found)
}

/// A parse error with the place under the text, and what would do.
#[must_use]
pub fn explain(text: &str, error: &ParseError) -> String {
    // Line breaks would part the text from its carets.
    let shown = |part: &str| part.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let before = text[..error.span.start].chars().count();
    let carets = text[error.span.clone()].chars().count().max(1);
    let mut message = format!("{}\n  {}\n  {}{}", error.message, shown(text), " ".repeat(before), "^".repeat(carets));
    for fix in &error.fixes {
        message.push_str("\nhint: ");
        message.push_str(&shown(&fix.query));
    }
    message
}

fn note(found: &Found, parsed: &Parsed, notes: &mut impl Write) -> io::Result<()> {
    let shown = found.hits.len() as u64;
    let total = found.total;
    if total.count > shown {
        let more = if total.exact { "" } else { "at least " };
        writeln!(notes, "the newest {shown} of {more}{} hits; --limit shows more", total.count)?;
    }
    if let Some(partial) = &found.partial {
        writeln!(notes, "the answer may be incomplete: {}", visible(partial))?;
    }
    for hint in &parsed.hints {
        let fixes: Vec<&str> = hint.fixes.iter().map(|fix| fix.query.as_str()).collect();
        let fixes = if fixes.is_empty() { String::new() } else { format!(": {}", fixes.join("  or  ")) };
        writeln!(notes, "hint: {}{}", hint.message, visible(&fixes))?;
    }
    if found.hits.is_empty() {
        writeln!(notes, "nothing found")?;
        for fix in &parsed.as_text {
            writeln!(notes, "hint: to {}: {}", visible(&fix.label), visible(&fix.query))?;
        }
    }
    Ok(())
}

/// Writes the hits, oldest first.
///
/// # Errors
/// If `out` can't be written.
pub fn print(found: &Found, query: &Query, options: &Options, out: &mut impl Write) -> io::Result<()> {
    for hit in found.hits.iter().rev() {
        if options.json {
            print_json(hit, out)?;
        } else {
            print_line(hit, query, options, out)?;
        }
    }
    out.flush()
}

fn print_json(hit: &Hit, out: &mut impl Write) -> io::Result<()> {
    let mut document = serde_json::Map::new();
    document.insert("_id".to_owned(), Value::String(hit.id.clone()));
    document.extend(hit.source.clone());
    writeln!(out, "{}", safe_json(&Value::Object(document).to_string()))
}

/// JSON in which no character can command a terminal. JSON lets control characters above ASCII stand as they are; here
/// they are escaped, and so are the marks that turn the direction of writing. Line breaks between tokens must be gone.
#[must_use]
pub fn safe_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unsafe(c) { out.push_str(&format!("\\u{:04x}", c as u32)) } else { out.push(c) }
    }
    out
}

fn print_line(hit: &Hit, query: &Query, options: &Options, out: &mut impl Write) -> io::Result<()> {
    let paint = Paint(options.color);
    let zone = options.zone.clone().unwrap_or(TimeZone::UTC);
    let time = hit.time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
    let text = |name: &str| store::field(&hit.source, name).and_then(Value::as_str).unwrap_or_default();
    let file = text("log.file.path");
    let level = text("log.level");
    let place = format!("{} {}", visible(text("host.name")), visible(file.rsplit('/').next().unwrap_or(file)));
    let level_color = Level::parse(level.as_bytes()).map_or("", color);
    write!(
        out,
        "{} {} {} ",
        paint.with("2", &time),
        paint.with("36", place.trim()),
        paint.with(level_color, &format!("{:<5}", visible(level)))
    )?;
    let message = text("message").trim_end_matches(['\n', '\r']);
    let mut at = 0;
    for range in store::highlights(query, message) {
        write!(out, "{}", indented(&message[at..range.start]))?;
        write!(out, "{}", paint.with("1;33", &indented(&message[range.clone()])))?;
        at = range.end;
    }
    writeln!(out, "{}", indented(&message[at..]))
}

/// Escape sequences of the terminal, or none.
struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::Trace | Level::Debug => "2",
        Level::Info => "32",
        Level::Notice => "36",
        Level::Warn => "33",
        Level::Error => "31",
        Level::Critical | Level::Fatal => "1;31",
    }
}

/// The further lines of a message stand under its first.
fn indented(text: &str) -> String {
    text.split('\n')
        .map(|line| visible(line.strip_suffix('\r').unwrap_or(line)))
        .collect::<Vec<String>>()
        .join("\n    ")
}

/// Log text with everything made visible that a terminal would obey: escape sequences, other control characters
/// and marks that turn the direction of writing.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(c),
            // Unicode has a picture for each of these, in the same order.
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\x7f' => out.push('\u{2421}'),
            _ if is_unsafe(c) => out.push_str(&format!("<U+{:04X}>", c as u32)),
            _ => out.push(c),
        }
    }
    out
}

/// Control characters, and those of U+200E to U+2069 that change how text around them is shown.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
