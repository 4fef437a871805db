//! The cuts of a stream that its content does not explain, so that they are made again where they were made once.

use std::collections::VecDeque;

use crate::record::LateCut;

/// Where reading has to cut, and where it did. Most files never have any.
#[derive(Debug, Default)]
pub(super) struct Cuts(Option<Box<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    /// Where a reader before this one cut, behind the present offset, in order.
    ahead: VecDeque<u64>,
    /// Where this one cut, as long as it is not safe, in order.
    made: VecDeque<LateCut>,
}

impl Cuts {
    /// What is known of a stream that is read on from `offset`.
    pub(super) fn known(cuts: &[u64], offset: u64) -> Self {
        let ahead: VecDeque<u64> = cuts.iter().copied().filter(|cut| *cut > offset).collect();
        Self((!ahead.is_empty()).then(|| Box::new(Lists { ahead, made: VecDeque::new() })))
    }

    /// How many of `bytes` bytes at `offset` may be read as if nothing stood behind them, because a cut ends them.
    pub(super) fn due(&mut self, offset: u64, bytes: usize) -> Option<usize> {
        let lists = self.0.as_mut()?;
        while lists.ahead.front().is_some_and(|cut| *cut <= offset) {
            lists.ahead.pop_front();
        }
        let left = lists.ahead.front()? - offset;
        usize::try_from(left).ok().filter(|left| *left <= bytes)
    }

    /// Whether another cut may be made. With too many that are not safe, the end is waited for a little longer.
    pub(super) fn have_room(&mut self) -> bool {
        let Some(lists) = &mut self.0 else { return true };
        lists.made.retain(|cut| !cut.is_let_go());
        let waiting = lists.ahead.len() + lists.made.len();
        if waiting == 0 {
            self.0 = None;
        }
        waiting < LateCut::WAITING_MAX
    }

    /// Notes a cut at `at`, behind all others; to be told before what ends there.
    pub(super) fn make(&mut self, at: u64) -> LateCut {
        let cut = LateCut::new(at);
        self.0.get_or_insert_default().made.push_back(cut.clone());
        cut
    }

    /// All places that are not safe as far as is known, in order.
    pub(super) fn places(&self) -> Vec<u64> {
        let Some(lists) = &self.0 else { return Vec::new() };
        lists.made.iter().filter(|cut| !cut.is_let_go()).map(LateCut::at).chain(lists.ahead.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use proptest::prelude::*;

    use super::Cuts;
    use crate::{
        reader::{
            Multiline, Task,
            cut::{Bounds, Cut, Piece, cut},
            reading::Reading,
        },
        record::{LateCut, Part, Run},
    };

    const LINE_MAX: usize = 8;

    /// What a reader and the keeper of its checkpoints know, without any file.
    #[derive(Debug)]
    struct Model {
        reading: Arc<Reading>,
        cuts: Cuts,
        offset: u64,
        in_line: bool,
        kept: Vec<LateCut>,
        /// Offset and cuts on disk.
        saved: (u64, Vec<u64>),
        /// Everything that was ever sent, by where it began; and how far each piece went.
        sent: BTreeMap<u64, (u64, Part)>,
    }

    impl Model {
        /// Reads all of `file` that may go out, as `Tail::send` does.
        fn read(&mut self, file: &[u8], flush: bool) -> Result<(), TestCaseError> {
            loop {
                let rest = &file[self.offset as usize..];
                let text = &rest[..rest.len().min(LINE_MAX)];
                let due = self.cuts.due(self.offset, text.len());
                let (text, is_due) = due.map_or((text, false), |due| (&text[..due], true));
                let goes_on = !is_due && text.len() < rest.len();
                let reading = Arc::clone(&self.reading);
                let flush = flush || is_due;
                let (line_bytes_max, flush_line, flush_message) = (LINE_MAX, flush, flush);
                let bounds = Bounds { reading: &reading, line_bytes_max, goes_on, flush_line, flush_message };
                let piece = match cut(text, self.in_line, bounds) {
                    Cut::Block(piece) => piece,
                    Cut::Late(piece) if is_due => piece,
                    Cut::Late(piece) if self.cuts.have_room() => {
                        // It is kept and saved before what ends there is sent.
                        self.kept.push(self.cuts.make(self.offset + piece.bytes as u64));
                        self.save();
                        piece
                    }
                    Cut::Wait | Cut::Late(..) => return Ok(()),
                    Cut::Grow => return Err(TestCaseError::fail("no line is longer than the text")),
                };
                for message in messages(&text[..piece.bytes], &piece) {
                    let sent = (message.len() as u64, piece.part);
                    let before = self.sent.insert(self.offset, sent);
                    prop_assert!(before.is_none_or(|before| before == sent), "{:?} and {:?}", before, sent);
                    self.offset += message.len() as u64;
                }
                self.in_line = file[self.offset as usize - 1] != b'\n';
            }
        }

        fn settle(&mut self, to: u64) {
            self.saved.0 = self.saved.0.max(to);
            self.kept.retain(|cut| cut.at() > self.saved.0);
            self.save();
        }

        fn save(&mut self) {
            self.saved.1 = self.kept.iter().map(LateCut::at).collect();
        }

        /// Dies, and begins again from what is on disk.
        fn die(&mut self, file: &[u8]) {
            let (offset, cuts) = &self.saved;
            self.cuts = Cuts::known(cuts, *offset);
            self.kept = cuts.iter().map(|at| LateCut::new(*at)).collect();
            self.offset = *offset;
            self.in_line = *offset > 0 && file[*offset as usize - 1] != b'\n';
        }
    }

    /// The messages of a piece, which holds no others than whole ones.
    fn messages<'a>(text: &'a [u8], piece: &Piece) -> Vec<&'a [u8]> {
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        if piece.messages.is_plain() {
            return lines.collect();
        }
        let (mut messages, mut start) = (Vec::new(), 0);
        let mut take = |lines: &mut dyn Iterator<Item = &[u8]>| {
            let end = start + lines.map(<[u8]>::len).sum::<usize>();
            messages.push(&text[start..end]);
            start = end;
        };
        for run in piece.messages.runs() {
            match run {
                Run::Single(count) => (0..count).for_each(|_| take(&mut lines.by_ref().take(1))),
                run => take(&mut lines.by_ref().take(run.lines() as usize)),
            }
        }
        messages
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(Vec<u8>),
        Flush,
        Settle(prop::sample::Index),
        Die,
    }

    fn step() -> impl Strategy<Value = Step> {
        let text = proptest::collection::vec(prop_oneof![1 => Just(b'\n'), 6 => Just(b'x')], 1..12);
        prop_oneof![
            4 => text.prop_map(Step::Write),
            4 => Just(Step::Flush),
            2 => any::<prop::sample::Index>().prop_map(Step::Settle),
            2 => Just(Step::Die),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_ever_sent_under_two_identities_wherever_it_dies_and_whatever_was_written_since(
            steps in proptest::collection::vec(step(), 0..60),
            start in prop_oneof![Just(None), Just(Some("^xx".to_owned()))],
        ) {
            let mut task = Task::new("t", Vec::new());
            task.multiline = start.map(|start| Multiline { start: Some(start), lines_max: 3, ..Multiline::default() });
            let reading = Reading::of(&task, LINE_MAX).expect("a pattern");
            let mut model = Model {
                reading,
                cuts: Cuts::default(), offset: 0, in_line: false, kept: Vec::new(), saved: (0, Vec::new()), sent: BTreeMap::new(),
            };
            let mut file = Vec::new();
            for step in steps {
                match step {
                    Step::Write(text) => file.extend(text),
                    Step::Flush => model.read(&file, true)?,
                    Step::Settle(pick) => {
                        let ends: Vec<u64> = model.sent.iter().map(|(at, (bytes, _))| at + bytes).collect();
                        let ends: Vec<u64> = ends.into_iter().filter(|end| *end <= model.offset).collect();
                        if !ends.is_empty() {
                            model.settle(ends[pick.index(ends.len())]);
                        }
                    }
                    Step::Die => model.die(&file),
                }
                model.read(&file, false)?;
                prop_assert!(model.kept.len() <= LateCut::WAITING_MAX);
            }
            // What was sent covers the file without a gap or an overlap, up to where reading stands.
            let mut at = 0;
            for (from, (bytes, _)) in &model.sent {
                prop_assert_eq!(*from, at);
                at += bytes;
            }
            prop_assert!(at >= model.offset);
        }
    }

    #[test]
    fn too_many_cuts_that_are_not_safe_leave_no_room_for_another() {
        let mut cuts = Cuts::known(&[3, 9], 5);
        let mut kept: Vec<LateCut> = (0..).map_while(|at| cuts.have_room().then(|| cuts.make(20 + at))).collect();
        assert_eq!((kept.len(), cuts.places()[0]), (LateCut::WAITING_MAX - 1, 20));
        kept.remove(0);
        assert!(cuts.have_room(), "the first became safe");
        assert_eq!((cuts.due(5, 3), cuts.due(5, 4), cuts.due(9, 100)), (None, Some(4), None));
    }
}
