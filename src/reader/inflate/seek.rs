//! The way to an offset of the text: through everything before it, and past the mark that must stand there.

use std::io;

use super::{Damage, Packing, Pause, Unpack};
use crate::record::TailMark;

/// A search for an offset in the text of a compressed file.
pub struct Seek {
    unpack: Unpack,
    at: u64,
    goal: u64,
    mark: TailMark,
    /// The last bytes before `at`, as many as the mark covers.
    behind: Vec<u8>,
}

/// How a search stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// It is still on its way; ask again, it goes a bounded piece at a time.
    Going,
    /// The input is used up. If the file ends there, its text is shorter than the offset, or not all there yet.
    Hungry,
    /// Everything before the offset is behind it, and ends as the mark says; [`Seek::into_unpack`] goes on from there.
    Reached,
    /// Other text stands before the offset.
    Differs,
    /// The file can't be read as far as the offset.
    Damaged(Damage),
}

impl Seek {
    /// How much text a step goes through at most.
    const STEP_BYTES: usize = 64 * 1024;

    /// Begins a search for `goal`, in bytes of text, with `mark` before it.
    ///
    /// # Errors
    /// If there is no memory for a decoder.
    pub fn new(packing: Packing, goal: u64, mark: TailMark) -> io::Result<Self> {
        Ok(Self { unpack: Unpack::new(packing)?, at: 0, goal, mark, behind: Vec::new() })
    }

    /// The decoder, to be fed when the search is hungry.
    pub fn unpack(&mut self) -> &mut Unpack {
        &mut self.unpack
    }

    /// The decoder; the next text it yields stands at the offset if that was reached.
    #[must_use]
    pub fn into_unpack(self) -> Unpack {
        self.unpack
    }

    /// Goes on. `text` is used for what is passed.
    pub fn step(&mut self, text: &mut Vec<u8>) -> Sought {
        text.clear();
        let left = self.goal - self.at;
        if left == 0 {
            return self.judge();
        }
        let pause = self.unpack.unpack(text, usize::try_from(left).unwrap_or(usize::MAX).min(Self::STEP_BYTES));
        self.pass(text);
        match pause {
            Pause::Full if self.at == self.goal => self.judge(),
            Pause::Full => Sought::Going,
            Pause::Hungry => Sought::Hungry,
            Pause::Damaged(damage) => Sought::Damaged(damage),
        }
    }

    fn pass(&mut self, text: &[u8]) {
        self.at += text.len() as u64;
        let marked = usize::from(self.mark.bytes);
        let kept = &text[text.len().saturating_sub(marked)..];
        let drop = (self.behind.len() + kept.len()).saturating_sub(marked);
        self.behind.drain(..drop);
        self.behind.extend_from_slice(kept);
    }

    fn judge(&self) -> Sought {
        let same = self.mark.bytes == 0 || TailMark::behind(&self.behind).hash == self.mark.hash;
        if same { Sought::Reached } else { Sought::Differs }
    }
}
