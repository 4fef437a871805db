//! What a word of a text is: a run of letters, digits and `_`, compared without case.
//!
//! The query parser, the embedded store's tokenizer and the analyzer of the Elasticsearch template follow this
//! definition, so a word, a phrase and a pasted line mean the same everywhere.

/// Whether `c` is part of a word.
#[must_use]
pub fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of `text` as they stand, in order, with the positions in bytes where they begin.
pub fn split(text: &str) -> impl Iterator<Item = (usize, &str)> + '_ {
    text.split(|c| !is_word_char(c)).filter(|word| !word.is_empty()).map(move |word| {
        // The word is a slice of the text, so the difference of their addresses is its position.
        (word.as_ptr() as usize - text.as_ptr() as usize, word)
    })
}

/// The words of `text` in lower case.
#[must_use]
pub fn lower(text: &str) -> Vec<String> {
    split(text).map(|(_, word)| lower_text(word)).collect()
}

/// `text` in lower case, character by character, as Lucene does it: without looking at neighbours (`Σ` is always
/// `σ`), and one character stays one (`İ` is `i`). So a word in lower case is one word, and stays as it is.
#[must_use]
pub fn lower_text(text: &str) -> String {
    text.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::{lower, lower_text, split};

    #[test]
    fn everything_but_letters_digits_and_underscore_parts_words() {
        assert_eq!(
            lower("java.lang.NullPointerException: 10.0.0.5 can't"),
            ["java", "lang", "nullpointerexception", "10", "0", "0", "5", "can", "t"]
        );
        let text = "  größe_1=x";
        assert!(split(text).all(|(at, word)| text[at..].starts_with(word)));
    }

    #[test]
    fn lower_case_neither_parts_a_word_nor_changes_it_again() {
        for c in '\0'..=char::MAX {
            let lower = lower_text(&c.to_string());
            assert_eq!(lower_text(&lower), lower, "{c:?}");
            assert_eq!(super::is_word_char(c), lower.chars().all(super::is_word_char), "{c:?}");
        }
    }
}
