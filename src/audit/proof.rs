//! The proof: documents are counted for each span of each file; where a count is not what it should be, for each stretch
//! of the span; and stretches that still differ are looked at line by line ([`closer`](super::closer)).

use std::{collections::HashSet, ops::Range, path::Path};

use super::{
    AuditError, Progress, Question,
    closer::{self, Closer},
    gather::Gathered,
    letters::Note,
    report::{Difference, FileReport, Report},
    trail::{Fate, Stretch, Trail},
};
use crate::{
    elastic::places::{Held, Places},
    kafka,
    reader::{self, Found},
    record::{Checkpoint, Stream},
};

/// So many files are counted at once.
const FILES_AT_ONCE: usize = 256;
/// The most differences that are listed of all files together.
const LISTED_MAX: usize = 10_000;

/// What a proof is made of.
pub(super) struct Proof<'a> {
    pub(super) settings: &'a kafka::Settings,
    pub(super) question: &'a Question,
    pub(super) gathered: &'a Gathered,
    pub(super) places: &'a Places,
    /// Whether a line has one document within one index, since its `_id` is made of it.
    pub(super) is_once: bool,
}

/// A stretch of a file that has to be counted.
struct Part {
    /// Which file, by its number in the report.
    file: usize,
    stream: Stream,
    range: Range<u64>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Lines {
        messages: Option<u64>,
        fate: Fate,
    },
    /// Bytes that no record holds.
    Hole,
}

/// What a count says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// All is as it should be: so many lines are in the store, are letters, are under way.
    Agrees { indexed: u64, dead: u64, under_way: u64 },
    /// It is, if no line is there twice in these bytes.
    Doubtful(Range<u64>),
    /// It is not, or can't be told.
    Differs,
}

impl Proof<'_> {
    /// Adds the files to the report.
    pub(super) async fn add_to(
        &self,
        report: &mut Report,
        checkpoints: &[Checkpoint],
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), AuditError> {
        let trails = &self.gathered.trails.streams;
        let mut streams: Vec<(Stream, &Trail)> = trails.iter().map(|(stream, trail)| (*stream, trail)).collect();
        streams.retain(|(_, trail)| self.wants(trail.paths.iter().map(|path| &**path)));
        streams.sort_unstable_by(|(a, one), (b, other)| (&one.paths, a).cmp(&(&other.paths, b)));
        let mut closer = Vec::new();
        for (at, some) in streams.chunks(FILES_AT_ONCE).enumerate() {
            progress(Progress::Files(at * FILES_AT_ONCE, streams.len()));
            let mut parts = Vec::new();
            for (stream, trail) in some {
                let known = checkpoints.iter().find(|known| known.stream == *stream);
                self.parts(report, (*stream, trail), known, &mut parts);
            }
            self.count(report, parts, &mut closer).await?;
        }
        let known = checkpoints.iter().filter(|known| {
            let is_asked = self.question.task.as_deref().is_none_or(|task| task == &*known.task);
            known.offset > 0 && is_asked && self.wants([&*known.path].into_iter())
        });
        if self.question.since.is_none() {
            report.unseen = known.filter(|known| !trails.contains_key(&known.stream)).count() as u64;
        }
        self.look_closer(report, closer, progress).await?;
        for file in &mut report.files {
            file.differences.sort_by_key(Difference::start);
        }
        Ok(())
    }

    fn wants<'p>(&self, mut paths: impl Iterator<Item = &'p Path>) -> bool {
        let files = &self.question.files;
        files.is_empty() || paths.any(|path| files.iter().any(|pattern| pattern.matches(path)))
    }

    /// Begins the report of a file, and says what of it has to be counted.
    fn parts(
        &self,
        report: &mut Report,
        (stream, trail): (Stream, &Trail),
        known: Option<&Checkpoint>,
        parts: &mut Vec<Part>,
    ) {
        let Some((start, end, is_exact)) = trail.extent() else { return };
        let file = report.files.len();
        let path = trail.paths.first().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let (task, id) = (trail.task.to_string(), stream.file.to_string());
        let mut told =
            FileReport { task, path, file: id, generation: stream.generation, start, end, ..FileReport::default() };
        for span in trail.spans() {
            let what = What::Lines { messages: span.messages, fate: span.fate };
            parts.push(Part { file, stream, range: span.start..span.end, what });
        }
        let mut holes = trail.holes();
        if let Some(known) = known.filter(|_| self.question.until.is_none()) {
            told.unsent_bytes = unsent(known);
            if is_exact && known.offset > end {
                holes.push((end, known.offset));
            }
        }
        let partitions: HashSet<_> =
            trail.stretches.values().filter_map(|known| known.place.map(|at| (at.topic, at.partition))).collect();
        if self.gathered.is_trimmed && partitions.len() > 1 && !holes.is_empty() {
            report.unprovable.push(format!(
                "{} was sent to {} partitions, of which some had records removed: {} bytes between others may have been in \
                 them",
                told.path,
                partitions.len(),
                holes.iter().map(|(start, end)| end - start).sum::<u64>()
            ));
        } else {
            let what = What::Hole;
            parts.extend(holes.into_iter().map(|(start, end)| Part { file, stream, range: start..end, what }));
        }
        report.files.push(told);
    }

    /// Counts the documents of parts, and those of the stretches of parts that differ. Stretches that differ still, or
    /// whose text is needed, come into `closer`.
    async fn count(&self, report: &mut Report, parts: Vec<Part>, closer: &mut Vec<Closer>) -> Result<(), AuditError> {
        let held = self.held(&parts).await?;
        let mut finer = Vec::new();
        for (part, held) in parts.iter().zip(held) {
            let What::Lines { messages, fate } = part.what else {
                self.add_hole(&mut report.files[part.file], &part.range, held.count);
                continue;
            };
            report.files[part.file].written += messages.unwrap_or(0);
            if !self.accept(&mut report.files[part.file], part, (messages, fate), &held).await? {
                report.files[part.file].written -= messages.unwrap_or(0);
                let stretches = self.gathered.trails.streams[&part.stream].stretches.range(part.range.clone());
                finer.extend(stretches.map(|(start, stretch)| (part.file, part.stream, *start, *stretch)));
            }
        }
        let parts: Vec<Part> =
            finer.iter().map(|(file, stream, start, stretch)| Part::of(*file, *stream, *start, stretch)).collect();
        let held = self.held(&parts).await?;
        for ((part, held), (file, stream, start, stretch)) in parts.iter().zip(held).zip(finer) {
            let told = &mut report.files[file];
            told.written += stretch.messages.unwrap_or(0);
            if !self.accept(told, part, (stretch.messages, stretch.fate), &held).await? {
                told.written -= stretch.messages.unwrap_or(0);
                closer.push(Closer { file, stream, start, stretch, held: held.count });
            }
        }
        Ok(())
    }

    async fn held(&self, parts: &[Part]) -> Result<Vec<Held>, AuditError> {
        let stretches: Vec<_> = parts.iter().map(|part| (part.stream, part.range.clone())).collect();
        Ok(self.places.count(&stretches).await?)
    }

    /// Adds a part to its file's report if the count of its documents agrees; whether it does.
    async fn accept(
        &self,
        told: &mut FileReport,
        part: &Part,
        (messages, fate): (Option<u64>, Fate),
        held: &Held,
    ) -> Result<bool, AuditError> {
        let Part { stream, range, .. } = part;
        let letters = || self.gathered.letters.of(*stream, range.start, range.end);
        let doubtful = if self.is_once { held.doubtful.clone() } else { Some(range.clone()) };
        let answer = match answer(messages, fate, held.count, letters().count() as u64, doubtful) {
            Answer::Doubtful(bytes) => {
                if !self.is_each_once(*stream, bytes).await? {
                    return Ok(false);
                }
                answer(messages, fate, held.count, letters().count() as u64, None)
            }
            answer => answer,
        };
        let Answer::Agrees { indexed, dead, under_way } = answer else { return Ok(false) };
        (told.indexed, told.dead_lettered) = (told.indexed + indexed, told.dead_lettered + dead);
        told.under_way += under_way;
        if fate == Fate::Dead {
            let Range { start, end } = *range;
            told.tell(Difference::DeadRecord { start, end, lines: dead }, self.question.limit);
        } else {
            letters().for_each(|(offset, note)| told.tell(note.difference(offset), self.question.limit));
        }
        Ok(true)
    }

    /// Whether no two documents of these bytes are of one line.
    async fn is_each_once(&self, stream: Stream, bytes: Range<u64>) -> Result<bool, AuditError> {
        // In pieces of what a store lists at once, as they were written.
        let stretches = self.gathered.trails.streams[&stream].stretches.range(..bytes.end).rev();
        let pieces = stretches.take_while(|(_, stretch)| stretch.end > bytes.start);
        for (start, stretch) in pieces {
            let piece = (*start).max(bytes.start)..stretch.end.min(bytes.end);
            let placed = self.places.list(&(stream, piece)).await?;
            if placed.windows(2).any(|pair| pair[0].offset == pair[1].offset) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add_hole(&self, told: &mut FileReport, range: &Range<u64>, documents: u64) {
        let Range { start, end } = *range;
        told.absent_bytes += end - start;
        told.tell(Difference::Absent { start, end, documents }, self.question.limit);
    }

    async fn look_closer(
        &self,
        report: &mut Report,
        all: Vec<Closer>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(), AuditError> {
        let count = all.len();
        let mut listed = 0;
        for (at, some) in all.chunks(closer::AT_ONCE).enumerate() {
            let done = at * closer::AT_ONCE;
            progress(Progress::Stretches(done, count));
            let limit = if listed < LISTED_MAX { self.question.limit } else { 0 };
            let looked = if done < closer::LOOKED_MAX { self.look(some).await? } else { self.count_only(some) };
            for (file, lines, outcome) in looked {
                let told = &mut report.files[file];
                told.written += lines.written;
                told.indexed += outcome.indexed;
                told.dead_lettered += outcome.dead;
                match lines.fate {
                    Fate::Settled => told.missing += outcome.absent,
                    Fate::UnderWay => told.under_way += outcome.absent,
                    Fate::Dead => told.dead_lettered += outcome.absent,
                }
                told.doubled += outcome.doubled;
                told.stray += outcome.stray;
                for difference in outcome.differences {
                    listed += usize::from(told.differences.len() < limit);
                    told.tell(difference, limit);
                }
            }
        }
        Ok(())
    }
}

impl Part {
    fn of(file: usize, stream: Stream, start: u64, stretch: &Stretch) -> Self {
        let what = What::Lines { messages: stretch.messages, fate: stretch.fate };
        Self { file, stream, range: start..stretch.end, what }
    }
}

impl Note {
    pub(super) fn difference(&self, offset: u64) -> Difference {
        Difference::DeadLetter { offset, letter: self.letter.to_string(), reason: self.reason.clone() }
    }
}

impl Difference {
    fn start(&self) -> u64 {
        match self {
            Self::Missing { start, .. }
            | Self::Counted { start, .. }
            | Self::DeadRecord { start, .. }
            | Self::Absent { start, .. } => *start,
            Self::Doubled { offset, .. } | Self::Stray { offset, .. } | Self::DeadLetter { offset, .. } => *offset,
        }
    }
}

/// What a count of documents says of so many messages, some of which are letters.
fn answer(messages: Option<u64>, fate: Fate, held: u64, letters: u64, doubtful: Option<Range<u64>>) -> Answer {
    let Some(messages) = messages else { return Answer::Differs };
    let agrees = match fate {
        Fate::Settled => held + letters == messages,
        Fate::UnderWay => held + letters <= messages,
        Fate::Dead => held == 0,
    };
    match (agrees, doubtful.filter(|_| held > 0)) {
        (false, _) => Answer::Differs,
        (true, Some(bytes)) => Answer::Doubtful(bytes),
        (true, None) if fate == Fate::Dead => Answer::Agrees { indexed: 0, dead: messages, under_way: 0 },
        (true, None) => Answer::Agrees { indexed: held, dead: letters, under_way: messages - held - letters },
    }
}

/// How much of a file is not safe in Kafka, if that can be told.
fn unsent(known: &Checkpoint) -> Option<u64> {
    match reader::examine(known) {
        Found::Same(size) => Some(size.saturating_sub(known.offset)),
        Found::Rewritten(size) => Some(size),
        Found::Packed | Found::Gone | Found::Unreadable(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Answer, Fate, answer};

    proptest! {
        /// Nothing agrees unless each message is a document, a letter, or not yet due.
        #[test]
        fn a_count_agrees_only_if_every_message_is_accounted_for(
            messages in proptest::option::of(0_u64..20),
            fate in prop_oneof![Just(Fate::Settled), Just(Fate::UnderWay), Just(Fate::Dead)],
            held in 0_u64..25,
            letters in 0_u64..5,
            doubtful in proptest::option::of(Just(0_u64..9)),
        ) {
            match answer(messages, fate, held, letters, doubtful.clone()) {
                Answer::Agrees { indexed, dead, under_way } => {
                    prop_assert_eq!(Some(indexed + dead + under_way), messages);
                    prop_assert_eq!(indexed, held);
                    prop_assert!(fate == Fate::UnderWay || under_way == 0);
                    prop_assert!(doubtful.is_none() || held == 0);
                }
                Answer::Doubtful(bytes) => prop_assert_eq!(Some(bytes), doubtful),
                Answer::Differs => prop_assert!(messages.is_none_or(|messages| held + letters != messages || fate == Fate::Dead)),
            }
        }
    }
}
