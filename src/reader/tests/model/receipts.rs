//! What came out of the reader, and the verdict on it: nothing lost, nothing changed, nothing under two identities.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Checked, world::World};
use crate::{
    record::{Block, Part, Stream},
    splitter,
};

/// How far a block got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Handed over by the reader, and not safe yet.
    UnderWay,
    /// In Kafka, whether or not anybody has been told.
    Safe,
    /// Lost with the process that held it.
    Dropped,
}

/// A block that was handed over.
struct Receipt {
    stream: Stream,
    offset: u64,
    text: Vec<u8>,
    part: Part,
    /// The run that it is from; none as long as its text is in several.
    run: Option<usize>,
    fate: Fate,
}

/// All blocks that were handed over, in order.
#[derive(Default)]
pub(super) struct Receipts {
    all: Vec<Receipt>,
    /// The run that each stream is known to hold.
    runs: HashMap<Stream, usize>,
}

impl Receipts {
    /// Notes a block; gives its number.
    ///
    /// # Errors
    /// If it is not what stands in the file there.
    pub(super) fn note(&mut self, world: &World, block: &Block) -> Checked<usize> {
        let (stream, offset) = (block.origin.stream, block.offset);
        let candidates: Vec<usize> = world.runs_with(offset, &block.text).collect();
        let run = match (&candidates[..], self.runs.get(&stream)) {
            ([], _) => {
                let text = String::from_utf8_lossy(&block.text);
                return Err(format!("changed: {stream:?} has at {offset} what no file ever had there: {text:?}"));
            }
            (all, Some(run)) if all.contains(run) => Some(*run),
            ([one], _) => Some(*one),
            _ => None,
        };
        let text = block.text.clone();
        self.all.push(Receipt { stream, offset, text, part: block.part, run, fate: Fate::UnderWay });
        if let Some(run) = run.filter(|run| self.runs.insert(stream, *run) != Some(*run)) {
            self.resolve(world, stream, run);
        }
        Ok(self.all.len() - 1)
    }

    /// What came of the stream before, and might have been of several runs, is of this one.
    fn resolve(&mut self, world: &World, stream: Stream, run: usize) {
        for receipt in self.all.iter_mut().filter(|receipt| receipt.stream == stream && receipt.run.is_none()) {
            if world.runs_with(receipt.offset, &receipt.text).any(|other| other == run) {
                receipt.run = Some(run);
            }
        }
    }

    pub(super) fn settle(&mut self, number: usize, fate: Fate) {
        self.all[number].fate = fate;
    }

    /// The process died, and what was not in Kafka went with it.
    pub(super) fn died(&mut self) {
        for receipt in self.all.iter_mut().filter(|receipt| receipt.fate == Fate::UnderWay) {
            receipt.fate = Fate::Dropped;
        }
    }

    /// Which bytes of a run were handed over and not dropped; with `safe_only`, which of them are safe.
    ///
    /// A stream that goes on in the run may have begun in another one with the same text, which nobody can tell.
    pub(super) fn came(&self, world: &World, run: usize, safe_only: bool) -> Vec<bool> {
        let text = &world.runs[run].text;
        let mut came = vec![false; text.len()];
        let mine = self.all.iter().filter(|receipt| receipt.run == Some(run));
        let streams: BTreeSet<Stream> = mine.map(|receipt| receipt.stream).collect();
        for receipt in self.all.iter().filter(|receipt| streams.contains(&receipt.stream)) {
            let counts = receipt.fate == Fate::Safe || (receipt.fate == Fate::UnderWay && !safe_only);
            let from = receipt.offset as usize;
            if counts && text.get(from..).is_some_and(|rest| rest.starts_with(&receipt.text)) {
                came[from..from + receipt.text.len()].fill(true);
            }
        }
        came
    }

    /// Whether everything of a run came that could.
    pub(super) fn has_all(&self, world: &World, run: usize) -> bool {
        let lost = &world.runs[run].lost;
        self.came(world, run, false).iter().zip(lost).all(|(came, lost)| *came || *lost)
    }

    /// Notes that nobody can read any more what did not come of a run.
    pub(super) fn lose(&self, world: &mut World, run: usize, safe_only: bool) {
        let came = self.came(world, run, safe_only);
        for (lost, came) in world.runs[run].lost.iter_mut().zip(came) {
            *lost |= !came;
        }
    }

    /// What came of a run, for a report.
    pub(super) fn describe(&self, world: &World, run: usize) -> String {
        let here = world.slots.iter().position(|slot| slot.is_some_and(|held| held.run == run));
        let mut text = format!("run {run}, {} bytes, in slot {here:?}:", world.runs[run].text.len());
        for receipt in self.all.iter().filter(|receipt| receipt.run == Some(run)) {
            let Receipt { stream, offset, fate, part, .. } = receipt;
            let (file, generation) = (stream.file.0 as u16, stream.generation);
            let end = offset + receipt.text.len() as u64;
            text.push_str(&format!(" {file:04x}.{generation}:{offset}-{end} {part:?} {fate:?};"));
        }
        text
    }

    /// The verdict, when everything that could come did; unless `is_strict`, copies may come twice.
    pub(super) fn verdict(&self, world: &World, is_strict: bool) -> Checked {
        for run in 0..world.runs.len() {
            if !self.has_all(world, run) {
                let came = self.came(world, run, false);
                let lost = &world.runs[run].lost;
                let missing: Vec<usize> = (0..came.len()).filter(|at| !came[*at] && !lost[*at]).collect();
                let (first, last) = (missing[0], missing[missing.len() - 1]);
                let text = String::from_utf8_lossy(&world.runs[run].text[first..(last + 1).min(first + 60)]);
                return Err(format!("lost: run {run}, {} bytes from {first} to {last}: {text:?}", missing.len()));
            }
        }
        for (run, documents) in self.documents().into_iter().filter(|(run, _)| is_strict || !world.runs[*run].made_anew)
        {
            once(run, &documents)?;
        }
        Ok(())
    }

    /// For each run, the documents that its text became: where each begins and ends, and in which streams it came.
    fn documents(&self) -> HashMap<usize, BTreeMap<(u64, u64), BTreeSet<Stream>>> {
        let mut all: HashMap<usize, BTreeMap<_, BTreeSet<_>>> = HashMap::new();
        let sent = self.all.iter().filter(|receipt| receipt.fate != Fate::Dropped);
        for (run, receipt) in sent.filter_map(|receipt| Some((receipt.run?, receipt))) {
            let ends: Vec<usize> = match receipt.part {
                Part::Whole => splitter::line_ends(&receipt.text).collect(),
                _ => vec![receipt.text.len()],
            };
            let mut start = receipt.offset;
            for end in ends {
                let end = receipt.offset + end as u64;
                all.entry(run).or_default().entry((start, end)).or_default().insert(receipt.stream);
                start = end;
            }
        }
        all
    }
}

/// Each byte of a run is in one document, and each document in one stream.
fn once(run: usize, documents: &BTreeMap<(u64, u64), BTreeSet<Stream>>) -> Checked {
    let mut behind = 0;
    for ((start, end), streams) in documents {
        if streams.len() > 1 {
            return Err(format!("twice: run {run} from {start} to {end} came in {streams:?}"));
        }
        if *start < behind {
            return Err(format!("twice: run {run} was cut in two ways before {behind} and at {start} to {end}"));
        }
        behind = *end;
    }
    Ok(())
}
