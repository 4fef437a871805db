//! Which stream a file begins: always one that never was.
//!
//! A stream is a run of content, and a file may hold several in its life: it is truncated and written anew. The rule:
//!
//! - Only the file itself begins streams under its own identity, each with a higher generation than any before.
//! - A file's first stream has generation 0 if nothing but its place decides its identity. Every other stream has a
//!   higher one. All are saved before anything of them is sent, so no two runs of content can ever be taken for one,
//!   whenever the process dies.
//! - A file that goes on with another one's stream, as a copy does, leaves its own generation 0 for ever.

use crate::record::{FileId, Stream};

/// The streams that a file has still to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Succession {
    file: FileId,
    next: u32,
}

impl Succession {
    /// For a file with the identity that its place gives it, of which generations up to `newest` are known.
    pub(super) fn after(file: FileId, newest: Option<u32>) -> Self {
        Self { file, next: newest.map_or(0, |newest| newest.saturating_add(1)) }
    }

    /// For a file whose place says nothing, under a random identity that nothing had before.
    pub(super) fn random(file: FileId) -> Self {
        Self { file, next: 1 }
    }

    /// The file goes on with `stream`, whoever began it; what it begins itself comes later.
    pub(super) fn go_on(&mut self, stream: Stream) {
        let past = if stream.file == self.file { stream.generation.saturating_add(1) } else { 1 };
        self.next = self.next.max(past);
    }

    /// Begins a stream.
    pub(super) fn begin(&mut self) -> Stream {
        let stream = Stream { file: self.file, generation: self.next };
        // Four billion truncations of one file are out of reach.
        self.next = self.next.saturating_add(1);
        stream
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::Succession;
    use crate::record::{FileId, Stream};

    /// What happens to one of a few files.
    #[derive(Clone, Debug)]
    enum Step {
        Truncate(u128),
        /// The second file goes on with the stream of the first, which is truncated.
        Copy(u128, u128),
        /// Everything that was saved is loaded; what was not saved was never sent.
        Restart,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0_u128..4).prop_map(Step::Truncate),
            2 => (0_u128..4, 0_u128..8).prop_map(|(from, to)| Step::Copy(from, to)),
            1 => Just(Step::Restart),
        ];
        prop::collection::vec(step, 1..80)
    }

    proptest! {
        #[test]
        fn no_stream_is_ever_begun_twice_by_different_content(steps in steps()) {
            let mut files: HashMap<u128, (Succession, Stream)> = HashMap::new();
            let mut begun = HashSet::new();
            let mut saved: HashMap<u128, u32> = HashMap::new();
            let mut begin = |succession: &mut Succession, saved: &mut HashMap<u128, u32>| {
                let stream = succession.begin();
                let newest = saved.entry(stream.file.0).or_default();
                *newest = (*newest).max(stream.generation);
                (stream, begun.insert(stream))
            };
            for step in steps {
                match step {
                    Step::Truncate(file) => {
                        let fresh = Succession::after(FileId(file), saved.get(&file).copied());
                        let mut succession = files.remove(&file).map_or(fresh, |(succession, _)| succession);
                        let (stream, is_new) = begin(&mut succession, &mut saved);
                        prop_assert!(is_new, "{stream:?} was begun before");
                        files.insert(file, (succession, stream));
                    }
                    Step::Copy(from, to) => {
                        // Only a file that was never seen goes on with another one's stream.
                        if files.contains_key(&to) || saved.contains_key(&to) {
                            continue;
                        }
                        let Some((mut original, stream)) = files.remove(&from) else { continue };
                        let mut copy = Succession::after(FileId(to), None);
                        copy.go_on(stream);
                        prop_assert!(copy.clone().begin().generation > 0, "it is saved before it is sent");
                        files.insert(to, (copy, stream));
                        let (next, is_new) = begin(&mut original, &mut saved);
                        prop_assert!(is_new, "{next:?} was begun before");
                        files.insert(from, (original, next));
                    }
                    Step::Restart => {
                        for (file, (succession, stream)) in &mut files {
                            *succession = Succession::after(FileId(*file), saved.get(file).copied());
                            succession.go_on(*stream);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_random_identity_is_saved_before_anything_of_it_is_sent() {
        let mut succession = Succession::random(FileId(7));
        assert_eq!((succession.begin().generation, succession.begin().generation), (1, 2));
    }
}
