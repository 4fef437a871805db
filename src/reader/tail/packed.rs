//! A compressed file is read as its text: sequentially, with its decoder kept between turns.
//!
//! Text that was unpacked and not sent stays here until the next turn, as going back would mean to begin again. So
//! beside the budget each lane holds at most [`UNPACK_AT_ONCE`] times a line of the largest size, and the windows
//! of so many decoders; further compressed files wait. A file that is closed while it waits for more gives all of
//! that back, and is unpacked again up to its offset when there is more, a few megabytes a turn.

use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tracing::warn;

use super::{Stop, Tail};
use crate::reader::{
    context::Context,
    disk::Disk,
    inflate::{Packing, Pause, Seek, Sought, Unpack},
};
use crate::record::Unpacked;

/// How many compressed files a lane unpacks at once; a decoder takes 32 KiB (gzip) to 128 MiB (the largest Zstandard).
pub(in crate::reader) const UNPACK_AT_ONCE: usize = 2;

/// How many inputs are read in a turn, so that a file that holds little text doesn't hold up others.
const INPUTS_A_TURN: usize = 64;

/// How many steps towards an offset are taken in a turn.
const STEPS_A_TURN: usize = 64;

/// The way from a compressed file to its text.
pub(super) struct Packed {
    packing: Packing,
    stage: Stage,
    /// Unpacked and not sent yet; it stands at the tail's offset.
    text: Vec<u8>,
    /// How many bytes of the file were used when last a decoder was there.
    used: u64,
    /// The right to have a decoder.
    slot: Option<OwnedSemaphorePermit>,
    /// The damage was told of.
    told: bool,
    /// What the file came to, once all of it was read.
    unpacked: Option<Unpacked>,
}

enum Stage {
    /// There is no decoder yet, or none any more.
    Paused,
    Seeking(Box<Seek>),
    Reading(Box<Unpack>),
    /// All of the file was read, or can't be.
    Over,
}

/// How the input goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Fed,
    /// The file ends here.
    Ends,
    /// The file is shorter than what was read of it.
    Shrunk,
}

/// What a turn came to.
enum Turn {
    More,
    Quiet,
    Rewritten,
}

impl Packed {
    pub(super) fn new(packing: Packing) -> Self {
        Self { packing, stage: Stage::Paused, text: Vec::new(), used: 0, slot: None, told: false, unpacked: None }
    }

    /// How many bytes of the file became text.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Gives back what is held in memory; it is unpacked again if there is more.
    pub(super) fn pause(&mut self) {
        if !matches!(self.stage, Stage::Over) {
            self.stage = Stage::Paused;
        }
        (self.text, self.slot) = (Vec::new(), None);
    }

    /// What the file came to, once all of it was read.
    pub(super) fn unpacked(&self) -> Option<Unpacked> {
        self.unpacked
    }

    /// All of the file is read that can be, and its text ends at `offset`.
    fn finish(&mut self, used: u64, offset: u64) {
        (self.stage, self.used) = (Stage::Over, used);
        self.unpacked = Some(Unpacked { bytes: used, text: offset });
        (self.text, self.slot) = (Vec::new(), None);
    }

    /// Reads the next input of the decoder.
    async fn feed<D: Disk>(unpack: &mut Unpack, file: &D::File) -> Result<Input, Stop> {
        let (read, mut input) = D::read_at(file, unpack.buffer(), unpack.wants_at()).await;
        input.truncate(read?);
        let ends = input.is_empty();
        unpack.feed(input);
        if !ends {
            return Ok(Input::Fed);
        }
        Self::end::<D>(file, unpack.wants_at()).await
    }

    /// What it means that nothing stands at `offset`.
    async fn end<D: Disk>(file: &D::File, offset: u64) -> Result<Input, Stop> {
        if offset == 0 {
            return Ok(Input::Ends);
        }
        let (read, _) = D::read_at(file, Vec::with_capacity(1), offset - 1).await;
        Ok(if read? == 0 { Input::Shrunk } else { Input::Ends })
    }
}

impl<D: Disk> Tail<D> {
    /// Remembers how the file is compressed, which its first bytes said.
    pub(super) fn know_packing(&mut self, packing: Option<Packing>) {
        match (&self.packed, packing) {
            (Some(packed), Some(packing)) if packed.packing == packing && self.offset > 0 => (),
            (_, packing) => self.packed = packing.map(|packing| Box::new(Packed::new(packing))),
        }
        let Some(packed) = &mut self.packed else { return };
        self.from.progress.unpacked(packed.used);
        if self.stream.is_none() && self.offset > 0 {
            // It is passed over.
            packed.finish(self.from.progress.size(), self.offset);
            self.from.progress.unpacked(packed.used);
        }
    }

    /// Whether the file could not be read in its turn because other files are being unpacked.
    pub(in crate::reader) fn waits_to_unpack(&self) -> bool {
        self.packed.as_ref().is_some_and(|packed| matches!(packed.stage, Stage::Paused)) && !self.queued
    }

    /// Unpacks once and sends what is whole; whether there is more to do at once.
    pub(super) async fn read_packed(&mut self, context: &Context) -> Result<bool, Stop> {
        let Some(mut packed) = self.packed.take() else { return Ok(false) };
        let before = packed.unpacked;
        let turned = self.turn_packed(&mut packed, context).await;
        self.from.progress.unpacked(packed.used);
        let is_told = packed.unpacked == before;
        self.packed = Some(packed);
        if !is_told {
            self.tell_changed(context).await?;
        }
        match turned? {
            Turn::More => Ok(true),
            Turn::Quiet => Ok(false),
            Turn::Rewritten => {
                self.packed = None;
                self.restart(context).await?;
                Ok(true)
            }
        }
    }

    async fn turn_packed(&mut self, packed: &mut Packed, context: &Context) -> Result<Turn, Stop> {
        let Some(file) = &self.file else { return Err(Stop::Elsewhere) };
        if let Stage::Over = packed.stage {
            let (read, _) = D::read_at(file, Vec::with_capacity(1), packed.used).await;
            if read? == 0 {
                let shrunk = Packed::end::<D>(file, packed.used).await? == Input::Shrunk;
                return Ok(if shrunk { Turn::Rewritten } else { Turn::Quiet });
            }
            // Something was added to a file that was whole.
            (packed.stage, packed.unpacked) = (Stage::Paused, None);
        }
        if let Stage::Paused = packed.stage {
            packed.slot = context.may_unpack();
            if packed.slot.is_none() {
                return Ok(Turn::Quiet);
            }
            packed.stage = Stage::Seeking(Box::new(Seek::new(packed.packing, self.offset, self.mark)?));
        }
        self.active = Instant::now();
        match std::mem::replace(&mut packed.stage, Stage::Paused) {
            Stage::Seeking(seek) => self.seek(packed, seek, context).await,
            Stage::Reading(unpack) => self.read_on(packed, unpack, context).await,
            Stage::Paused | Stage::Over => Ok(Turn::Quiet),
        }
    }

    /// Goes on towards the offset, past the text that was read before.
    async fn seek(&mut self, packed: &mut Packed, mut seek: Box<Seek>, context: &Context) -> Result<Turn, Stop> {
        let Some(file) = &self.file else { return Err(Stop::Elsewhere) };
        for _ in 0..STEPS_A_TURN {
            match seek.step(&mut packed.text) {
                Sought::Going => continue,
                Sought::Reached => {
                    packed.text.clear();
                    packed.stage = Stage::Reading(Box::new(seek.into_unpack()));
                    return Ok(Turn::More);
                }
                Sought::Differs => return Ok(Turn::Rewritten),
                Sought::Damaged(damage) => {
                    packed.used = seek.unpack().used();
                    self.give_up_packed(packed, &damage.to_string(), context);
                    return Ok(Turn::Quiet);
                }
                Sought::Hungry => (),
            }
            let fed = Packed::feed::<D>(seek.unpack(), file).await?;
            packed.used = seek.unpack().used();
            match fed {
                Input::Fed => (),
                Input::Shrunk => return Ok(Turn::Rewritten),
                Input::Ends if seek.unpack().is_whole() => return Ok(Turn::Rewritten),
                Input::Ends => {
                    packed.stage = Stage::Seeking(seek);
                    return Ok(Turn::Quiet);
                }
            }
        }
        packed.stage = Stage::Seeking(seek);
        Ok(Turn::More)
    }

    /// Unpacks what a turn is for, and sends what is whole of it.
    async fn read_on(&mut self, packed: &mut Packed, mut unpack: Box<Unpack>, context: &Context) -> Result<Turn, Stop> {
        let permit = context.take_budget(self.want.max(packed.text.len())).await.ok_or(Stop::Closed)?;
        let Some(file) = &self.file else { return Err(Stop::Elsewhere) };
        let (mut damage, mut ends) = (None, false);
        for _ in 0..INPUTS_A_TURN {
            match unpack.unpack(&mut packed.text, self.want) {
                Pause::Full => break,
                Pause::Damaged(found) => {
                    damage = Some(found);
                    break;
                }
                Pause::Hungry => match Packed::feed::<D>(&mut unpack, file).await? {
                    Input::Fed => (),
                    Input::Shrunk => return Ok(Turn::Rewritten),
                    Input::Ends => {
                        ends = true;
                        break;
                    }
                },
            }
        }
        packed.used = unpack.used();
        let over = damage.is_some() || ends;
        // Nothing comes behind the damage, so what stands before it doesn't wait for its end.
        self.flush |= damage.is_some();
        let whole = ends && unpack.is_whole();
        if ends && !whole {
            (self.flush, self.flush_message) = (false, false);
        }
        let sent_from = self.offset;
        let more = self.send(&packed.text, !over, permit, context).await?;
        packed.text.drain(..(self.offset - sent_from) as usize);
        // Half a character of UTF-16 is no text.
        let rest = packed.text.len() >= self.from.reading.newline().width();
        // A line whose end is still to be compressed is no unended one.
        self.unended = rest && (whole || damage.is_some());
        match damage {
            Some(damage) if !rest => self.give_up_packed(packed, &damage.to_string(), context),
            None if whole && !rest => packed.finish(unpack.used(), self.offset),
            _ => packed.stage = Stage::Reading(unpack),
        }
        Ok(if more { Turn::More } else { Turn::Quiet })
    }

    /// Leaves a file whose rest can't be read.
    fn give_up_packed(&self, packed: &mut Packed, damage: &str, context: &Context) {
        let (size, used) = (self.from.progress.size(), packed.used);
        if !std::mem::replace(&mut packed.told, true) {
            let counters = context.counters(&self.from.task);
            counters.happened("damaged");
            counters.abandoned.increment(size.saturating_sub(used));
            warn!(
                path = %self.from.path.display(), at = used, bytes = size.saturating_sub(used), text = self.offset,
                "compressed file is damaged: {damage}; its text up to there was read, what is behind can't be"
            );
        }
        packed.finish(size.max(used), self.offset);
    }
}
