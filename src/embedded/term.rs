//! How a member of a document becomes terms of the index.
//!
//! All members but the message share one indexed field. A term there is the member's name, a zero byte, a letter
//! for the kind, and for values the value:
//!
//! | term | says |
//! |---|---|
//! | `user.name␀e` | the member is there and not null |
//! | `user.name␀sjane` | it is the text `Jane`, or has it in a list; in lower case |
//! | `secure␀btrue` | it is a truth value |
//! | `user.agent␀c` | its text is longer than [`VALUE_BYTES_MAX`], and indexed by its beginning |
//! | `message␀c` | it has a word that is indexed by its beginning |
//! | `message␀o` | a member that has a field of its own has another type than that field |

use crate::store::words;

use super::tokenizer;

/// The most bytes of a text value that are indexed; what is cut ends at a character.
pub(super) const VALUE_BYTES_MAX: usize = 1024;

/// Names whose texts are few, so that whether one is there is asked of the texts, and costs no term in each document.
const FEW_VALUES: [&str; 5] = ["host.name", "log.file.path", "log.level", "logdrive.task", "logdrive.file"];

/// Whether a name can be part of a term. Members with other names are answered from the stored documents.
pub(super) fn indexable(name: &str) -> bool {
    !name.contains('\0') && name.len() <= VALUE_BYTES_MAX
}

/// Whether a name can be that of a column of numbers, in which dots part the levels.
pub(super) fn has_column(name: &str) -> bool {
    indexable(name) && !name.contains(['\\', '\u{1}']) && name.split('.').all(|part| !part.is_empty())
}

/// Whether presence of the member is told by its texts instead of a term of its own.
pub(super) fn has_few_values(name: &str) -> bool {
    FEW_VALUES.contains(&name)
}

/// The term of a member that is there.
pub(super) fn exists(name: &str) -> String {
    format!("{name}\0e")
}

/// What all terms of a member's text begin with.
pub(super) fn text_prefix(name: &str) -> String {
    format!("{name}\0s")
}

/// The term of a text, and whether the text is longer than that.
pub(super) fn text(name: &str, value: &str) -> (String, bool) {
    let mut term = text_prefix(name);
    let lower = words::lower_text(value);
    let kept = tokenizer::cut(&lower, VALUE_BYTES_MAX);
    term.push_str(kept);
    (term, kept.len() < lower.len())
}

/// Whether a question about this value, in lower case, may concern values that were cut.
pub(super) fn may_be_cut(lower: &str) -> bool {
    lower.len() + 4 > VALUE_BYTES_MAX
}

/// The term of a truth value.
pub(super) fn truth(name: &str, value: bool) -> String {
    format!("{name}\0b{value}")
}

/// The term of a member of which something was cut.
pub(super) fn cut(name: &str) -> String {
    format!("{name}\0c")
}

/// The term of a member whose type is not that of the field made for it.
pub(super) fn odd(name: &str) -> String {
    format!("{name}\0o")
}
