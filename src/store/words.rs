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
    split(text).map(|(_, word)| word.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::{lower, split};

    #[test]
    fn everything_but_letters_digits_and_underscore_parts_words() {
        assert_eq!(
            lower("java.lang.NullPointerException: 10.0.0.5 can't"),
            ["java", "lang", "nullpointerexception", "10", "0", "0", "5", "can", "t"]
        );
        let text = "  größe_1=x";
        assert!(split(text).all(|(at, word)| text[at..].starts_with(word)));
    }
}
