//! Which documents can have a text somewhere in their message, within words too.
//!
//! A text is a run of word pieces with other characters between: in `*pi/v1/us*`, a word ends with `pi`, the next
//! is `v1`, and the one after it begins with `us`. Each piece is looked for in the dictionary of words; what remains
//! is read to see whether the pieces stand together.

use tantivy::query::{EmptyQuery, Query, RegexQuery};

use crate::store::words;

use super::{
    lower::{all_of, any_of, prefix, term_query},
    schema::Fields,
    term,
};

/// What the index knows of a text.
pub(super) struct Candidates {
    /// All documents that can have it.
    pub query: Box<dyn Query>,
    /// Whether those all have it, unless a word of theirs was cut.
    pub sure: bool,
}

/// The documents that can have `part`, in lower case, in their message.
pub(super) fn candidates(part: &str, fields: &Fields) -> Option<Candidates> {
    let pieces: Vec<(usize, &str)> = words::split(part).collect();
    let mut found = Vec::with_capacity(pieces.len());
    for (at, piece) in &pieces {
        let begins = *at > 0;
        let ends = at + piece.len() < part.len();
        found.push(piece_query(piece, begins, ends, fields)?);
    }
    let sure = pieces.len() == 1 && pieces[0].1.len() == part.len();
    (!found.is_empty()).then(|| Candidates { query: all_of(found), sure })
}

/// Words that have a piece, which stands at their beginning or end where those are known.
fn piece_query(piece: &str, begins: bool, ends: bool, fields: &Fields) -> Option<Box<dyn Query>> {
    let pattern = match (begins, ends) {
        (true, true) => return Some(term_query(fields.message, piece)),
        (true, false) => return Some(prefix(fields.message, piece)),
        (false, true) => format!("{ANY}{piece}"),
        (false, false) => format!("{ANY}{piece}{ANY}"),
    };
    pattern_query(&pattern, fields.message)
}

/// Any text, in the expressions that search a dictionary.
pub(super) const ANY: &str = "(?s:.*)";

/// Terms that fit an expression; none if it is too large to be used.
pub(super) fn pattern_query(pattern: &str, field: tantivy::schema::Field) -> Option<Box<dyn Query>> {
    RegexQuery::from_pattern(pattern, field).ok().map(|query| Box::new(query) as Box<dyn Query>)
}

/// `text` as an expression that fits it and nothing else.
pub(super) fn escape(text: &str, pattern: &mut String) {
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            pattern.push_str(&format!("\\x{{{:x}}}", c as u32));
        } else {
            pattern.push(c);
        }
    }
}

/// The documents that can have `part`, those with cut words included; all documents if the index doesn't tell.
pub(super) fn candidates_and_cut(part: &str, fields: &Fields) -> Option<Box<dyn Query>> {
    let cut = term_query(fields.members, &term::cut("message"));
    candidates(part, fields).map(|found| any_of(vec![found.query, cut]))
}

/// A query that no document answers.
pub(super) fn nothing() -> Box<dyn Query> {
    Box::new(EmptyQuery)
}
