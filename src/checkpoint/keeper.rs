//! The keeper: what is known of each stream, joined with the ledger into checkpoints that are due.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
};

use jiff::Timestamp;

use super::{Ledger, LedgerError};
use crate::record::{Checkpoint, LateCut, Span, Stream, TailMark};

/// What is to be saved in one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Checkpoints that changed.
    pub checkpoints: Vec<Checkpoint>,
    /// Streams of which nothing more will come and everything is safe.
    pub finished: Vec<Stream>,
    /// Streams whose files are gone for so long that nothing of them is remembered any more.
    pub forgotten: Vec<Stream>,
}

impl Due {
    /// Whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checkpoints.is_empty() && self.finished.is_empty() && self.forgotten.is_empty()
    }
}

/// Turns settled spans into checkpoints. It holds one entry for each stream that is read, and drops it when the
/// stream rests or has ended, and everything of it is settled.
#[derive(Debug, Default)]
pub struct Keeper {
    ledger: Ledger<Stream, TailMark>,
    known: HashMap<Stream, Checkpoint>,
    /// Late cuts that are not safe yet, in order; those who make them see to it that they are few.
    cuts: HashMap<Stream, VecDeque<LateCut>>,
    /// Streams whose evidence (path, head) changed since the last [`Keeper::due`].
    changed: HashSet<Stream>,
    ended: HashSet<Stream>,
    /// Streams that are forgotten when all of them is settled, until they are opened again.
    resting: HashSet<Stream>,
    forgotten: HashSet<Stream>,
}

impl Keeper {
    /// Begins a stream at the offset in `checkpoint`, or goes on with one that is not settled yet: what of it is under
    /// way stays so, whatever the offset, and its cuts stay.
    pub fn opened(&mut self, checkpoint: Checkpoint) {
        let stream = checkpoint.stream;
        self.ended.remove(&stream);
        self.resting.remove(&stream);
        match (self.ledger.safe_to(stream), self.ledger.next(stream)) {
            (Some(_), Some(next)) if next == checkpoint.offset => self.changed(checkpoint),
            (safe, _) => {
                self.ledger.open(stream, safe.map_or(checkpoint.offset, |safe| safe.min(checkpoint.offset)));
                self.cuts.insert(stream, checkpoint.cuts.iter().map(|at| LateCut::new(*at)).collect());
                self.changed.insert(stream);
                self.known.insert(stream, checkpoint);
            }
        }
    }

    /// Notes a late cut, to be saved before anything that ends there is sent.
    pub fn cut(&mut self, stream: Stream, cut: LateCut) {
        if self.known.contains_key(&stream) {
            self.cuts.entry(stream).or_default().push_back(cut);
            self.changed.insert(stream);
        }
    }

    /// Takes over new evidence for a stream; its offset and mark are the ledger's business and stay.
    pub fn changed(&mut self, evidence: Checkpoint) {
        if let Some(known) = self.known.get_mut(&evidence.stream) {
            let (offset, mark, cuts) = (known.offset, known.mark, std::mem::take(&mut known.cuts));
            *known = Checkpoint { offset, mark, cuts, ..evidence };
            self.changed.insert(known.stream);
        }
    }

    /// Notes that nothing more will come of a stream.
    pub fn ended(&mut self, stream: Stream) {
        self.ended.insert(stream);
    }

    /// Notes that nothing more will come of a stream until it is opened again, where it was left.
    pub fn rested(&mut self, stream: Stream) {
        self.resting.insert(stream);
    }

    /// Notes that a stream's file is gone for good. One that is open is not forgotten: it came back.
    pub fn forgotten(&mut self, stream: Stream) {
        if !self.known.contains_key(&stream) {
            self.forgotten.insert(stream);
        }
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

    /// Where the file of a stream was last seen.
    #[must_use]
    pub fn path(&self, stream: Stream) -> Option<&Path> {
        self.known.get(&stream).map(|known| &*known.path)
    }

    /// Whether everything of a stream that is under way is safe.
    #[must_use]
    pub fn is_settled(&self, stream: Stream) -> bool {
        self.ledger.is_settled(stream)
    }

    /// The streams of which something is under way.
    pub fn unsettled(&self) -> impl Iterator<Item = Stream> + '_ {
        self.ledger.sources().filter(|stream| !self.ledger.is_settled(*stream))
    }

    /// What to save: every stream whose watermark or evidence changed, or that is finished, since the last call.
    pub fn due(&mut self) -> Due {
        for (stream, safe) in self.ledger.moved() {
            if let Some(known) = self.known.get_mut(&stream) {
                known.offset = safe.to;
                known.mark = safe.mark.unwrap_or(known.mark);
                self.changed.insert(stream);
            }
        }
        let now = Timestamp::now().as_millisecond();
        let checkpoints = self.changed.drain().filter_map(|stream| {
            let known = self.known.get_mut(&stream)?;
            let cuts = self.cuts.entry(stream).or_default();
            while cuts.front().is_some_and(|cut| cut.at() <= known.offset) {
                cuts.pop_front();
            }
            known.cuts = cuts.iter().map(LateCut::at).collect();
            if cuts.is_empty() {
                self.cuts.remove(&stream);
            }
            known.updated_ms = now;
            Some(known.clone())
        });
        let checkpoints = checkpoints.collect();
        let (known, forgotten) = (&self.known, &mut self.forgotten);
        let forgotten = forgotten.drain().filter(|stream| !known.contains_key(stream)).collect();
        let due = Due { checkpoints, finished: self.forget_finished(), forgotten };
        self.forget_resting();
        due
    }

    /// Marks what could not be saved as due again.
    pub fn still_due(&mut self, unsaved: Due) {
        self.ended.extend(&unsaved.finished);
        self.forgotten.extend(&unsaved.forgotten);
        for checkpoint in unsaved.checkpoints {
            self.changed.insert(checkpoint.stream);
            if self.ledger.safe_to(checkpoint.stream).is_none() {
                self.resting.insert(checkpoint.stream);
            }
            // What has ended since was forgotten, and what is known has newer evidence.
            self.known.entry(checkpoint.stream).or_insert(checkpoint);
        }
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

    /// Each stream that is open, where its file was last seen, and up to where it is safe.
    pub fn streams(&self) -> impl Iterator<Item = (Stream, &Path, u64)> + '_ {
        self.known.iter().filter_map(|(stream, known)| Some((*stream, &*known.path, self.ledger.safe_to(*stream)?)))
    }

    /// Forgets the streams that rest, as what is due of them was handed over to be saved.
    fn forget_resting(&mut self) {
        let ledger = &self.ledger;
        let settled: Vec<Stream> = self.resting.extract_if(|stream| ledger.is_settled(*stream)).collect();
        for stream in settled {
            self.forget(stream);
        }
    }

    fn forget(&mut self, stream: Stream) {
        self.ledger.close(stream);
        self.known.remove(&stream);
        self.cuts.remove(&stream);
    }

    fn forget_finished(&mut self) -> Vec<Stream> {
        let ledger = &self.ledger;
        let finished: Vec<Stream> = self.ended.extract_if(|stream| ledger.is_settled(*stream)).collect();
        for stream in &finished {
            self.forget(*stream);
        }
        finished
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Keeper;
    use crate::record::{Checkpoint, FileId, Head, LateCut, Place, Span, Stream, TailMark};

    fn checkpoint(offset: u64) -> Checkpoint {
        let stream = Stream { file: FileId(1), generation: 0 };
        let (task, path) = (Arc::from("t"), "/a".into());
        let (place, head, mark) = (Place::default(), Head::default(), TailMark::default());
        Checkpoint { stream, task, offset, mark, path, place, head, cuts: Vec::new(), unpacked: None, updated_ms: 0 }
    }

    #[test]
    fn a_checkpoint_is_due_when_the_watermark_or_the_path_changed_and_not_before() {
        let mut keeper = Keeper::default();
        keeper.opened(checkpoint(10));
        assert_eq!(keeper.due().checkpoints.len(), 1, "a stream is saved when it is opened");
        let span = Span { source: checkpoint(0).stream, start: 10, end: 20, mark: TailMark::behind(b"x\n") };
        keeper.take(&span).expect("adjacent");
        assert!(keeper.due().is_empty());
        keeper.settle(&span).expect("under way");
        let due = keeper.due().checkpoints;
        assert_eq!((due[0].offset, due[0].mark), (20, TailMark::behind(b"x\n")));
        keeper.changed(Checkpoint { path: "/b".into(), ..checkpoint(0) });
        let due = keeper.due();
        assert_eq!((due.checkpoints[0].offset, due.checkpoints[0].path.to_str()), (20, Some("/b")));
        keeper.still_due(due);
        assert_eq!(keeper.due().checkpoints.len(), 1, "what could not be saved is due again");
    }

    #[test]
    fn a_late_cut_is_kept_until_everything_before_it_is_safe_and_then_let_go() {
        let mut keeper = Keeper::default();
        keeper.opened(Checkpoint { cuts: vec![14, 30], ..checkpoint(10) });
        keeper.due();
        let made = LateCut::new(40);
        keeper.cut(checkpoint(0).stream, made.clone());
        assert_eq!(keeper.due().checkpoints[0].cuts, [14, 30, 40]);
        let span = |start, end| Span { source: checkpoint(0).stream, start, end, mark: TailMark::default() };
        for (start, end, left) in [(10, 20, &[30, 40][..]), (20, 40, &[])] {
            keeper.take(&span(start, end)).expect("adjacent");
            keeper.settle(&span(start, end)).expect("under way");
            assert_eq!(keeper.due().checkpoints[0].cuts, left);
        }
        assert!(made.is_let_go());
    }

    #[test]
    fn a_stream_that_is_opened_again_goes_on_and_what_is_under_way_still_holds_it_back() {
        let mut keeper = Keeper::default();
        keeper.opened(checkpoint(0));
        let span = |start, end| Span { source: checkpoint(0).stream, start, end, mark: TailMark::default() };
        keeper.take(&span(0, 5)).expect("adjacent");
        keeper.ended(checkpoint(0).stream);
        keeper.opened(Checkpoint { path: "/b".into(), ..checkpoint(5) });
        let due = keeper.due();
        assert_eq!((due.checkpoints[0].offset, due.checkpoints[0].path.to_str()), (0, Some("/b")));
        keeper.take(&span(5, 9)).expect("adjacent");
        keeper.settle(&span(5, 9)).expect("under way");
        assert!(keeper.due().is_empty(), "it has not ended, and the first bytes are not safe");
        keeper.settle(&span(0, 5)).expect("under way");
        assert_eq!(keeper.due().checkpoints[0].offset, 9);
    }

    #[test]
    fn a_stream_that_rests_is_saved_and_forgotten_and_goes_on_where_it_was_left() {
        let mut keeper = Keeper::default();
        keeper.opened(checkpoint(0));
        let stream = checkpoint(0).stream;
        let span = |start, end| Span { source: stream, start, end, mark: TailMark::default() };
        keeper.take(&span(0, 5)).expect("adjacent");
        keeper.rested(stream);
        keeper.due();
        assert_eq!(keeper.safe().count(), 1, "not all of it is settled");
        keeper.settle(&span(0, 5)).expect("still known");
        let due = keeper.due();
        assert_eq!((due.checkpoints[0].offset, keeper.safe().count(), keeper.known.len()), (5, 0, 0));
        keeper.still_due(due);
        let again = keeper.due();
        assert_eq!((again.checkpoints[0].offset, keeper.known.len()), (5, 0), "what could not be saved is due again");
        keeper.opened(checkpoint(5));
        keeper.take(&span(5, 9)).expect("adjacent");
        keeper.due();
        assert_eq!(keeper.safe().collect::<Vec<_>>(), [(stream, 5)]);
    }

    #[test]
    fn an_ended_stream_is_forgotten_only_when_all_of_it_is_settled() {
        let mut keeper = Keeper::default();
        keeper.opened(checkpoint(0));
        let span = Span { source: checkpoint(0).stream, start: 0, end: 5, mark: TailMark::default() };
        keeper.take(&span).expect("adjacent");
        keeper.ended(span.source);
        assert!(keeper.due().finished.is_empty());
        assert_eq!(keeper.safe().count(), 1);
        keeper.settle(&span).expect("still known");
        let due = keeper.due();
        assert_eq!((due.checkpoints[0].offset, &due.finished[..]), (5, &[span.source][..]));
        assert_eq!((keeper.safe().count(), keeper.due().is_empty()), (0, true));
        keeper.still_due(due.clone());
        assert_eq!(keeper.due().finished, due.finished, "what could not be saved is due again");
        assert!(keeper.due().is_empty());
    }
}
