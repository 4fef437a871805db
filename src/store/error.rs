//! What is wrong with a question, where, and what would repair it.

use std::ops::Range;

use thiserror::Error;

/// The text is not a question, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong, for a person.
    pub message: String,
    /// Where, in bytes of the text; on character borders.
    pub span: Range<usize>,
    /// Texts that would be accepted, the likeliest first; may be empty.
    pub fixes: Vec<Fix>,
}

/// Something that was accepted but may not mean what was meant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hint {
    /// What the text means as it stands, for a person.
    pub message: String,
    /// Where, in bytes of the text; on character borders.
    pub span: Range<usize>,
    /// Other texts that may be meant.
    pub fixes: Vec<Fix>,
}

/// A whole text to take instead of the one that was given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fix {
    /// What the change does, for a button; the new text itself where that says it best.
    pub label: String,
    /// The text after the change.
    pub query: String,
}

impl Fix {
    /// Puts `new` in place of `span` in `text`.
    pub(super) fn replace(text: &str, span: Range<usize>, new: &str) -> Self {
        let query = format!("{}{new}{}", &text[..span.start], &text[span.end..]);
        let query = query.trim().to_owned();
        let label = if new.is_empty() { "leave it out".to_owned() } else { query.clone() };
        Self { label, query }
    }

    /// The same change under another label.
    pub(super) fn labelled(self, label: &str) -> Self {
        Self { label: label.to_owned(), ..self }
    }
}

/// `text` as a quoted string of the language.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
