//! The JSON of the API: what is answered, and what is said where there is no answer.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::store::{self, Cursor, Fix, Found, Hint, Hit, Parsed, Query, Total};

/// `api/search`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Page {
    /// Newest first.
    pub(super) hits: Vec<Row>,
    /// To be sent back as `cursor` for the next page; null if this is the last.
    pub(super) next: Option<String>,
    pub(super) total: Total,
    /// Why the answer may be incomplete.
    pub(super) partial: Option<String>,
    pub(super) took_ms: f64,
    /// How the question was understood.
    pub(super) question: Question,
}

/// `api/parse`, and a part of each answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    /// The question in its plain form, without its window.
    pub(super) query: String,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// Whether the window is the text's own, rather than that of the parameters.
    pub(super) window_in_text: bool,
    pub(super) hints: Vec<Hint>,
    /// What to ask where nothing was found: fields as text.
    pub(super) as_text: Vec<Fix>,
}

/// A hit.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) time: Timestamp,
    pub(super) source: Map<String, Value>,
    /// Where the question's words stand in `message`: begin and end, in UTF-16 code units as JavaScript counts.
    pub(super) highlights: Vec<(usize, usize)>,
    /// Fields that were cut, and how many bytes they have in the store.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) cut: Map<String, Value>,
}

/// Why there is no answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) message: String,
    /// Where in `q`, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) span: Option<std::ops::Range<usize>>,
    /// Questions that would be answered.
    #[serde(default)]
    pub(super) fixes: Vec<Fix>,
}

/// What kind of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    /// `q` is no question.
    BadQuery,
    /// Another parameter is wrong.
    BadRequest,
    /// The store can't answer this kind of question.
    Unsupported,
    /// The store can't be reached; asking again may help.
    Away,
    /// The answer took too long.
    TooSlow,
    /// The store answered something that is no answer.
    Failed,
}

impl Code {
    /// The outcome's name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Code::BadQuery => "bad_query",
            Code::BadRequest => "bad_request",
            Code::Unsupported => "unsupported",
            Code::Away => "away",
            Code::TooSlow => "too_slow",
            Code::Failed => "failed",
        }
    }
}

impl Problem {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span: None, fixes: Vec::new() }
    }
}

impl From<store::ParseError> for Problem {
    fn from(error: store::ParseError) -> Self {
        Self { code: Code::BadQuery, message: error.message, span: Some(error.span), fixes: error.fixes }
    }
}

impl From<store::StoreError> for Problem {
    fn from(error: store::StoreError) -> Self {
        let code = match &error {
            store::StoreError::Away(_) => Code::Away,
            store::StoreError::Unsupported(_) => Code::Unsupported,
            store::StoreError::Failed(_) => Code::Failed,
        };
        Problem::new(code, error.to_string())
    }
}

impl Question {
    pub(super) fn new(parsed: Parsed, window_in_text: bool) -> Self {
        let Parsed { query, hints, as_text } = parsed;
        let (since, until) = (query.since, query.until);
        let query = store::print(&Query { since: None, until: None, ..query });
        Self { query, since, until, window_in_text, hints, as_text }
    }
}

impl Page {
    /// The page's JSON; strings of more than `cut_bytes` bytes are cut, if that is given.
    pub(super) fn new(found: Found, query: &Query, cut_bytes: Option<usize>, question: Question, took_ms: f64) -> Self {
        let Found { hits, next, total, partial } = found;
        let hits = hits.into_iter().map(|hit| Row::new(hit, query, cut_bytes)).collect();
        Self { hits, next: next.map(|next| cursor_text(&next)), total, partial, took_ms, question }
    }
}

impl Row {
    fn new(hit: Hit, query: &Query, cut_bytes: Option<usize>) -> Self {
        let Hit { id, time, mut source } = hit;
        let mut cut = Map::new();
        for (name, value) in &mut source {
            if let (Value::String(text), Some(limit)) = (value, cut_bytes)
                && text.len() > limit
            {
                cut.insert(name.clone(), text.len().into());
                text.truncate(text.floor_char_boundary(limit));
            }
        }
        let message = source.get("message").and_then(Value::as_str).unwrap_or_default();
        let mut utf16 = Utf16 { text: message, bytes: 0, units: 0 };
        let places = store::highlights(query, message);
        let highlights = places.into_iter().map(|place| (utf16.at(place.start), utf16.at(place.end))).collect();
        Self { id, time, highlights, source, cut }
    }
}

/// Counts UTF-16 code units along a text, forwards only.
struct Utf16<'a> {
    text: &'a str,
    bytes: usize,
    units: usize,
}

impl Utf16<'_> {
    fn at(&mut self, byte: usize) -> usize {
        self.units += self.text[self.bytes..byte].chars().map(char::len_utf16).sum::<usize>();
        self.bytes = byte;
        self.units
    }
}

/// A cursor as an opaque word for links.
pub(super) fn cursor_text(cursor: &Cursor) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{} {} {}", cursor.time_ns, cursor.offset, cursor.path))
}

/// Reads [`cursor_text`].
pub(super) fn read_cursor(text: &str) -> Option<Cursor> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = text.splitn(3, ' ');
    let (time_ns, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Cursor { time_ns, offset, path: parts.next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        let cursor = Cursor { time_ns: -1, offset: u64::MAX, path: "/var/log/my app/größe.log".to_owned() };
        assert_eq!(read_cursor(&cursor_text(&cursor)), Some(cursor));
        for nonsense in ["", "!", "AAAA", "MSAyIA==", &BASE64_URL_SAFE_NO_PAD.encode("1 -2 /a")] {
            assert_eq!(read_cursor(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn highlights_count_as_javascript_counts_and_a_long_text_is_cut_on_a_character() {
        let query =
            Query { expr: store::Expr::Text(store::query::Text::Phrase(vec!["disk".to_owned()])), ..Query::default() };
        let source = json!({ "message": "💥ä disk äää disk" });
        let hit = Hit { id: "1".to_owned(), time: Timestamp::UNIX_EPOCH, source: source.as_object().unwrap().clone() };
        let row = Row::new(hit, &query, Some(15));
        assert_eq!(row.source["message"], "💥ä disk ä");
        assert_eq!(row.cut["message"], 23);
        assert_eq!(row.highlights, [(4, 8)]);
    }
}
