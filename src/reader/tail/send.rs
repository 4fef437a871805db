//! What was read goes out: cut into blocks, counted, and handed on.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Stop, Tail};
use crate::{
    reader::{
        Event,
        context::Context,
        cut::{Bounds, Cut, cut},
        disk::Disk,
    },
    record::{Block, Messages, Part, Permit, TailMark},
    splitter,
};

impl<D: Disk> Tail<D> {
    /// Sends what is whole of `text`, which stands at the offset.
    pub(super) async fn send(
        &mut self,
        text: &[u8],
        goes_on: bool,
        mut permit: Permit,
        context: &Context,
    ) -> Result<bool, Stop> {
        let line_bytes_max = context.settings.line_bytes_max;
        // Where another reader cut before, this one cuts too, whatever was written since.
        let due = self.cuts.due(self.offset, text.len());
        let (text, goes_on) = due.map_or((text, goes_on), |due| (&text[..due], false));
        let bounds = Bounds { line_bytes_max, goes_on, flush: self.flush || due.is_some() };
        let mut at = 0;
        let grow = loop {
            match cut(&text[at..], self.mark.in_line, bounds) {
                // A line that doesn't fit behind others is read again from its beginning, with room for it.
                Cut::Grow => break at == 0,
                Cut::Wait => break false,
                Cut::Late(..) if due.is_none() && !self.cuts.have_room() => break false,
                Cut::Late(part, bytes) => {
                    if due.is_none() {
                        self.tell_cut(bytes, context).await?;
                    }
                    context.counters(&self.from.task).cut_late.increment(1);
                    let share = permit.split(bytes + context.settings.block_overhead_bytes);
                    self.send_block(&text[at..at + bytes], part, share, context).await?;
                    at += bytes;
                }
                Cut::Block(part, bytes) => {
                    if part != Part::Whole && bytes == line_bytes_max {
                        context.counters(&self.from.task).too_long.increment(1);
                    }
                    let share = permit.split(bytes + context.settings.block_overhead_bytes);
                    self.send_block(&text[at..at + bytes], part, share, context).await?;
                    at += bytes;
                }
            }
        };
        self.flush = false;
        self.unended = at < text.len();
        self.want = if grow { (self.want * 2).min(line_bytes_max) } else { context.quantum() };
        Ok(goes_on || due.is_some())
    }

    /// Tells of a cut, so many bytes behind the offset, that content alone does not explain. It has to be told
    /// before the block that ends there.
    async fn tell_cut(&mut self, bytes: usize, context: &Context) -> Result<(), Stop> {
        let stream = self.stream().ok_or(Stop::Elsewhere)?;
        let cut = self.cuts.make(self.offset + bytes as u64);
        context.send(Event::Cut(stream, cut)).await.map_err(|_| Stop::Closed)
    }

    async fn send_block(&mut self, text: &[u8], part: Part, permit: Permit, context: &Context) -> Result<(), Stop> {
        let origin = Arc::clone(self.origin.as_ref().ok_or(Stop::Elsewhere)?);
        let lines = if part == Part::Whole { splitter::count(text) } else { 1 };
        let (offset, read_at) = (self.offset, Timestamp::now());
        self.offset += text.len() as u64;
        self.sent += text.len();
        self.mark = TailMark::behind(text);
        self.active = Instant::now();
        context.counters(&self.from.task).read(text.len() as u64, lines);
        let block =
            Block { origin, offset, text: text.to_vec(), lines, part, messages: Messages::default(), read_at, permit };
        context.send(Event::Block(block)).await.map_err(|_| Stop::Closed)?;
        self.from.progress.saw_read(self.offset);
        Ok(())
    }
}
