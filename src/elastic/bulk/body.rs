//! The body of a bulk request, written once: what has to be sent again is sent from the same bytes.

use std::{io::Write as _, mem, ops::Range};

use bytes::Bytes;
use bytesize::ByteSize;

use super::pool::Buffer;
use crate::record::json::first_escape;

/// What every item begins with; the index's name follows.
const ACTION: &[u8] = br#"{"create":{"_index":""#;

/// Documents with their actions, in the newline-delimited form of the bulk API.
///
/// It has two states. While documents are pushed it owns a buffer; from its first sending on its bytes are shared
/// with the connection, so that sending it again copies nothing.
#[derive(Clone, Debug)]
pub struct Body {
    text: Text,
    /// Where each item ends; it begins where the one before it ends. Never beyond the text.
    ends: Vec<usize>,
    bytes_max: usize,
    items_max: usize,
}

#[derive(Clone, Debug)]
enum Text {
    Open(Buffer),
    Sealed(Bytes),
}

impl Body {
    /// An empty body, full at `bytes_max` bytes or `items_max` items.
    #[must_use]
    pub fn new(bytes_max: ByteSize, items_max: usize) -> Self {
        Self::with_buffer(Buffer::default(), bytes_max, items_max)
    }

    /// [`Body::new`], written into `buffer`.
    pub(super) fn with_buffer(buffer: Buffer, bytes_max: ByteSize, items_max: usize) -> Self {
        let bytes_max = usize::try_from(bytes_max.as_u64()).unwrap_or(usize::MAX);
        Self { text: Text::Open(buffer), ends: Vec::new(), bytes_max, items_max }
    }

    /// Adds a document, to be created in `index` unless its `id` is there already; `write` appends one JSON object
    /// without a newline. An item without an id is given one by the server, and a second one if it is sent again.
    pub fn push(&mut self, index: &str, id: Option<&str>, write: impl FnOnce(&mut Vec<u8>)) {
        let text = self.text.open(self.bytes_max);
        text.extend_from_slice(ACTION);
        push_escaped(text, index);
        if let Some(id) = id {
            text.extend_from_slice(br#"","_id":""#);
            push_escaped(text, id);
        }
        text.extend_from_slice(b"\"}}\n");
        let document_at = text.len();
        write(text);
        debug_assert!(!text[document_at..].contains(&b'\n'), "a newline ends an item");
        text.push(b'\n');
        self.ends.push(text.len());
    }

    /// How many bytes make it full. One document may go beyond.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether it should be sent before another document is pushed. One document may be larger than the limit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes_len() >= self.bytes_max || self.ends.len() >= self.items_max
    }

    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The bytes of an item: its action, a newline, the document, a newline.
    ///
    /// # Panics
    /// If there is no such item.
    #[must_use]
    pub fn item(&self, item: usize) -> &[u8] {
        &self.text.bytes()[self.range(item)]
    }

    /// The document of an item, as it was written.
    ///
    /// # Panics
    /// If there is no such item.
    #[must_use]
    pub fn document(&self, item: usize) -> &[u8] {
        // No byte of an action is a newline: it is escaped in strings.
        let mut lines = self.item(item).split(|byte| *byte == b'\n');
        lines.nth(1).expect("an item is two lines")
    }

    /// The index that an item is to go to, escaped as it stands in a JSON string.
    ///
    /// # Panics
    /// If there is no such item.
    #[must_use]
    pub fn index_of(&self, item: usize) -> &[u8] {
        let name = &self.item(item)[ACTION.len()..];
        let mut is_escaped = false;
        let end = name.iter().position(|byte| {
            let is_end = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            is_end
        });
        &name[..end.expect("a name ends with a quote")]
    }

    /// Moves the items that are in `taken`, which is in order, to a body of their own.
    ///
    /// # Panics
    /// If there is no such item.
    #[must_use]
    pub fn take(&mut self, taken: &[usize]) -> Body {
        let bytes = taken.iter().map(|item| self.range(*item).len()).sum();
        let (mut text, mut ends) = (Vec::with_capacity(bytes), Vec::with_capacity(taken.len()));
        for item in taken {
            text.extend_from_slice(self.item(*item));
            ends.push(text.len());
        }
        self.retain(|item| taken.binary_search(&item).is_err());
        Body { text: Text::Open(text.into()), ends, ..*self }
    }

    /// Keeps the items for which `keep` says so, in order: by moving their bytes together or, if a connection held them, by
    /// copying what is kept, unless that is everything.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let kept: Vec<usize> = (0..self.len()).filter(|item| keep(*item)).collect();
        if kept.len() == self.len() {
            return;
        }
        let all = mem::take(&mut self.ends);
        let ranges = kept.iter().map(|item| item.checked_sub(1).map_or(0, |before| all[before])..all[*item]);
        let mut ends = Vec::with_capacity(kept.len());
        match &mut self.text {
            Text::Open(text) => {
                let mut kept_end = 0;
                for range in ranges {
                    let bytes = range.len();
                    text.copy_within(range, kept_end);
                    kept_end += bytes;
                    ends.push(kept_end);
                }
                text.truncate(kept_end);
            }
            Text::Sealed(bytes) => {
                let mut text = Vec::new();
                for range in ranges {
                    text.extend_from_slice(&bytes[range]);
                    ends.push(text.len());
                }
                self.text = Text::Open(text.into());
            }
        }
        self.ends = ends;
    }

    /// The items in `items` as a body of their own that shares the bytes. Sealed by this.
    pub(super) fn part(&mut self, items: Range<usize>) -> Body {
        let start = items.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        let ends: Vec<usize> = self.ends[items].iter().map(|end| end - start).collect();
        let bytes = self.sealed().slice(start..start + ends.last().copied().unwrap_or(0));
        Body { text: Text::Sealed(bytes), ends, ..*self }
    }

    /// The bytes, to be shared with a connection.
    pub(super) fn sealed(&mut self) -> Bytes {
        if let Text::Open(text) = &mut self.text {
            self.text = Text::Sealed(Bytes::from_owner(mem::take(text)));
        }
        let Text::Sealed(bytes) = &self.text else { unreachable!("it was sealed above") };
        bytes.clone()
    }

    fn range(&self, item: usize) -> Range<usize> {
        item.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[item]
    }
}

impl Text {
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Open(text) => text,
            Text::Sealed(bytes) => bytes,
        }
    }

    /// The text as a buffer that can be written to: a copy, if a connection held it.
    fn open(&mut self, capacity: usize) -> &mut Vec<u8> {
        if let Text::Sealed(bytes) = self {
            *self = Text::Open(bytes.to_vec().into());
        }
        let Text::Open(text) = self else { unreachable!("it was opened above") };
        if text.capacity() == 0 {
            // One allocation a body: a buffer that doubles would copy its megabytes and leave half of them unused.
            text.reserve_exact(capacity + capacity / 16);
        }
        text
    }
}

/// Appends the inside of a JSON string. Names and ids hardly ever need escaping.
fn push_escaped(text: &mut Vec<u8>, word: &str) {
    if first_escape(word.as_bytes()).is_none() {
        text.extend_from_slice(word.as_bytes());
    } else {
        let quoted = serde_json::Value::from(word).to_string();
        write!(text, "{}", &quoted[1..quoted.len() - 1]).expect("a Vec takes every write");
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;
    use proptest::prelude::*;

    use super::Body;

    fn body_of(documents: &[String]) -> Body {
        let mut body = Body::new(ByteSize::mib(1), 1000);
        for (at, document) in documents.iter().enumerate() {
            body.push("logs", Some(&at.to_string()), |out| out.extend_from_slice(document.as_bytes()));
        }
        body
    }

    #[test]
    fn an_item_is_its_action_and_its_document() {
        let mut body = Body::new(ByteSize::mib(1), 1000);
        body.push("logs-a", Some("x1"), |out| out.extend_from_slice(b"{\"a\":1}"));
        body.push("odd\"\\\n", None, |out| out.extend_from_slice(b"{}"));
        assert_eq!(body.item(0), b"{\"create\":{\"_index\":\"logs-a\",\"_id\":\"x1\"}}\n{\"a\":1}\n");
        assert_eq!(body.item(1), b"{\"create\":{\"_index\":\"odd\\\"\\\\\\n\"}}\n{}\n");
        assert_eq!((body.document(0), body.document(1)), (&b"{\"a\":1}"[..], &b"{}"[..]));
        assert_eq!((body.index_of(0), body.index_of(1)), (&b"logs-a"[..], &br#"odd\"\\\n"#[..]));
        assert_eq!(body.sealed().len(), body.bytes_len());
    }

    #[test]
    fn a_body_is_full_at_its_bytes_or_its_items() {
        let mut body = Body::new(ByteSize::b(60), 2);
        assert!(!body.is_full());
        body.push("i", None, |out| out.extend_from_slice(b"{}"));
        assert!(!body.is_full());
        body.push("i", None, |out| out.extend_from_slice(b"{}"));
        assert!(body.is_full());
        let mut body = Body::new(ByteSize::b(60), 2);
        body.push("i", None, |out| out.extend_from_slice(&[b' '; 60]));
        assert!(body.is_full());
    }

    #[test]
    fn sending_again_copies_nothing() {
        let mut body = body_of(&["{\"a\":1}".to_owned(), "{\"a\":2}".to_owned()]);
        let first = body.sealed();
        assert_eq!(first.as_ptr(), body.sealed().as_ptr());
        let second = body.part(1..2);
        assert_eq!(second.document(0), b"{\"a\":2}");
        body.retain(|_| true);
        assert_eq!(first.as_ptr(), body.sealed().as_ptr());
        body.retain(|item| item == 1);
        assert_eq!((body.item(0), body.len()), (second.item(0), 1));
    }

    proptest! {
        #[test]
        fn what_is_retained_or_parted_is_as_it_was(
            documents in prop::collection::vec("[a-z]{0,9}", 1..20),
            keep in prop::collection::vec(any::<bool>(), 20),
            cuts in (0..20_usize, 0..20_usize),
            hold in any::<bool>(),
        ) {
            let original = body_of(&documents);
            let mut body = original.clone();
            // A connection that still holds the bytes must not see them move.
            let held = hold.then(|| body.sealed());
            let kept: Vec<usize> = (0..documents.len()).filter(|item| keep[*item]).collect();
            body.retain(|item| keep[item]);
            prop_assert_eq!(body.len(), kept.len());
            for (at, item) in kept.iter().enumerate() {
                prop_assert_eq!(body.item(at), original.item(*item));
            }
            if let Some(held) = held {
                prop_assert_eq!(held, original.clone().sealed());
            }

            let mut rest = original.clone();
            let taken = rest.take(&kept);
            prop_assert_eq!((taken.len(), rest.len()), (kept.len(), documents.len() - kept.len()));
            for (at, item) in kept.iter().enumerate() {
                prop_assert_eq!(taken.item(at), original.item(*item));
            }

            let (from, to) = (cuts.0.min(cuts.1).min(documents.len()), cuts.0.max(cuts.1).min(documents.len()));
            let part = original.clone().part(from..to);
            prop_assert_eq!(part.len(), to - from);
            for item in from..to {
                prop_assert_eq!(part.item(item - from), original.item(item));
            }
        }
    }
}
