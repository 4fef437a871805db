//! The keeper: what is known of each stream, joined with the ledger into checkpoints that are due.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{Ledger, LedgerError};
use crate::record::{Checkpoint, Span, Stream, TailMark};

/// Turns settled spans into checkpoints. It holds one entry for each stream that is read, and drops it when the
/// stream has ended and everything of it is settled.
#[derive(Debug, Default)]
pub struct Keeper {
    ledger: Ledger<Stream, TailMark>,
    known: HashMap<Stream, Checkpoint>,
    /// Streams whose evidence (path, head) changed since the last [`Keeper::due`].
    changed: HashSet<Stream>,
    ended: HashSet<Stream>,
}

impl Keeper {
    /// Begins a stream at the offset in `checkpoint`.
    pub fn opened(&mut self, checkpoint: Checkpoint) {
        self.ledger.open(checkpoint.stream, checkpoint.offset);
        self.changed.insert(checkpoint.stream);
        self.known.insert(checkpoint.stream, checkpoint);
    }

    /// Takes over new evidence for a stream; its offset and mark are the ledger's business and stay.
    pub fn changed(&mut self, evidence: Checkpoint) {
        if let Some(known) = self.known.get_mut(&evidence.stream) {
            let (offset, mark) = (known.offset, known.mark);
            *known = Checkpoint { offset, mark, ..evidence };
            self.changed.insert(known.stream);
        }
    }

    /// Notes that nothing more will come of a stream.
    pub fn ended(&mut self, stream: Stream) {
        self.ended.insert(stream);
    }

    /// Notes that a span is under way.
    ///
    /// # Errors
    /// As [`Ledger::take`].
    pub fn take(&mut self, span: &Span<Stream, TailMark>) -> Result<(), LedgerError> {
        self.ledger.take(span)
    }

    /// Notes that a span is safe.
    ///
    /// # Errors
    /// As [`Ledger::settle`].
    pub fn settle(&mut self, span: &Span<Stream, TailMark>) -> Result<(), LedgerError> {
        self.ledger.settle(span)
    }

    /// The checkpoints to save: of every stream whose watermark or evidence changed since the last call.
    pub fn due(&mut self) -> Vec<Checkpoint> {
        for (stream, safe) in self.ledger.moved() {
            if let Some(known) = self.known.get_mut(&stream) {
                known.offset = safe.to;
                known.mark = safe.mark.unwrap_or(known.mark);
                self.changed.insert(stream);
            }
        }
        let now = Timestamp::now().as_millisecond();
        let due = self.changed.drain().filter_map(|stream| {
            let known = self.known.get_mut(&stream)?;
            known.updated_ms = now;
            Some(known.clone())
        });
        let due = due.collect();
        self.forget_ended();
        due
    }

    /// Marks checkpoints that could not be saved as due again.
    pub fn still_due(&mut self, unsaved: &[Checkpoint]) {
        self.changed.extend(unsaved.iter().map(|checkpoint| checkpoint.stream).filter(|s| self.known.contains_key(s)));
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_all_settled(&self) -> bool {
        self.ledger.is_all_settled()
    }

    /// Up to where each open stream is safe.
    pub fn safe(&self) -> impl Iterator<Item = (Stream, u64)> + '_ {
        self.ledger.sources().filter_map(|stream| self.ledger.safe_to(stream).map(|to| (stream, to)))
    }

    fn forget_ended(&mut self) {
        let (ledger, known) = (&mut self.ledger, &mut self.known);
        self.ended.retain(|stream| {
            let settled = ledger.is_settled(*stream);
            if settled {
                ledger.close(*stream);
                known.remove(stream);
            }
            !settled
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Keeper;
    use crate::record::{Checkpoint, FileId, Head, Place, Span, Stream, TailMark};

    fn checkpoint(offset: u64) -> Checkpoint {
        let stream = Stream { file: FileId(1), generation: 0 };
        let (task, path) = (Arc::from("t"), "/a".into());
        let (place, head, mark) = (Place::default(), Head::default(), TailMark::default());
        Checkpoint { stream, task, offset, mark, path, place, head, cuts: Vec::new(), updated_ms: 0 }
    }

    #[test]
    fn a_checkpoint_is_due_when_the_watermark_or_the_path_changed_and_not_before() {
        let mut keeper = Keeper::default();
        keeper.opened(checkpoint(10));
        assert_eq!(keeper.due().len(), 1, "a stream is saved when it is opened");
        let span = Span { source: checkpoint(0).stream, start: 10, end: 20, mark: TailMark::behind(b"x\n") };
        keeper.take(&span).expect("adjacent");
        assert!(keeper.due().is_empty());
        keeper.settle(&span).expect("under way");
        let due = keeper.due();
        assert_eq!((due[0].offset, due[0].mark), (20, TailMark::behind(b"x\n")));
        keeper.changed(Checkpoint { path: "/b".into(), ..checkpoint(0) });
        let due = keeper.due();
        assert_eq!((due[0].offset, due[0].path.to_str()), (20, Some("/b")));
        keeper.still_due(&due);
        assert_eq!(keeper.due().len(), 1, "what could not be saved is due again");
    }

    #[test]
    fn an_ended_stream_is_forgotten_only_when_all_of_it_is_settled() {
        let mut keeper = Keeper::default();
        keeper.opened(checkpoint(0));
        let span = Span { source: checkpoint(0).stream, start: 0, end: 5, mark: TailMark::default() };
        keeper.take(&span).expect("adjacent");
        keeper.ended(span.source);
        keeper.due();
        assert_eq!(keeper.safe().count(), 1);
        keeper.settle(&span).expect("still known");
        assert_eq!(keeper.due()[0].offset, 5);
        assert_eq!(keeper.safe().count(), 0);
    }
}
