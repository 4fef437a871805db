//! Words for the index, parted and lowered as [`words`](crate::store::words) says.
//!
//! A word longer than [`WORD_BYTES_MAX`] is indexed by its beginning, never dropped. Such a document carries a mark
//! ([`term::cut`](super::term)), so that a question about a long word is answered from the stored text.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::store::words;

/// The most bytes of a word that are indexed; what is cut ends at a character.
pub(super) const WORD_BYTES_MAX: usize = 256;

/// `word`, or its beginning if it is too long for the index.
pub(super) fn cut(word: &str, bytes_max: usize) -> &str {
    &word[..word.floor_char_boundary(bytes_max)]
}

/// Whether a question about `word` may concern words that were cut.
pub(super) fn may_be_cut(word: &str) -> bool {
    // A word is cut at a character, up to three bytes before the limit.
    word.len() + 4 > WORD_BYTES_MAX
}

/// Whether a word of `text` is cut in the index.
pub(super) fn cuts(text: &str) -> bool {
    // A character in lower case may be longer than before, by half at most; asking early costs little.
    text.len() > WORD_BYTES_MAX / 2 && words::split(text).any(|(_, word)| word.len() > WORD_BYTES_MAX / 2)
}

/// The tokenizer.
#[derive(Clone, Default)]
pub(super) struct Words {
    token: Token,
}

/// The words of one text.
pub(super) struct Stream<'a> {
    text: &'a str,
    /// Where to look for the next word, in bytes.
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = Stream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Stream<'a> {
        self.token.reset();
        Stream { text, at: 0, token: &mut self.token }
    }
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let Some((start, word)) = words::split(rest).next() else { return false };
        self.token.offset_from = self.at + start;
        self.token.offset_to = self.token.offset_from + word.len();
        self.token.position = self.token.position.wrapping_add(1);
        self.at = self.token.offset_to;
        self.token.text.clear();
        if word.is_ascii() {
            self.token.text.push_str(cut(word, WORD_BYTES_MAX));
            self.token.text.make_ascii_lowercase();
        } else {
            self.token.text.push_str(cut(&words::lower_text(word), WORD_BYTES_MAX));
        }
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::{WORD_BYTES_MAX, Words};
    use crate::store::words;
    use proptest::prelude::*;
    use tantivy::tokenizer::{TokenStream, Tokenizer};

    fn tokens(text: &str) -> Vec<(String, usize)> {
        let (mut words, mut found) = (Words::default(), Vec::new());
        let mut stream = words.token_stream(text);
        while stream.advance() {
            found.push((stream.token().text.clone(), stream.token().position));
        }
        found
    }

    proptest! {
        #[test]
        fn tokens_are_the_words_in_lower_case_at_adjacent_positions(text in "[ a-zA-Z0-9_/.:äÖßΣİ\u{1e9e}\n-]{0,60}") {
            let expected: Vec<_> = words::lower(&text).into_iter().enumerate().map(|(at, word)| (word, at)).collect();
            prop_assert_eq!(tokens(&text), expected);
        }
    }

    #[test]
    fn a_word_of_forty_bytes_and_more_is_kept_and_one_over_the_limit_is_cut_at_a_character() {
        assert_eq!(tokens(&"x".repeat(200))[0].0.len(), 200);
        assert_eq!(tokens(&"x".repeat(2_000))[0].0.len(), WORD_BYTES_MAX);
        assert_eq!(tokens(&"語".repeat(2_000))[0].0.len(), WORD_BYTES_MAX / 3 * 3);
    }
}
