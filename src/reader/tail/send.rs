//! What was read goes out: cut into blocks, counted, and handed on.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Stop, Tail};
use crate::{
    reader::{
        Event,
        cut::{Bounds, Cut, cut},
        disk::Disk,
        lane::Context,
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
        let bounds = Bounds { line_bytes_max: context.settings.line_bytes_max, goes_on, flush: self.flush };
        let mut at = 0;
        let grow = loop {
            match cut(&text[at..], self.mark.in_line, bounds) {
                // A line that doesn't fit behind others is read again from its beginning, with room for it.
                Cut::Grow => break at == 0,
                Cut::Wait => break false,
                Cut::Block(part, bytes) => {
                    let share = permit.split(bytes + context.settings.block_overhead_bytes);
                    self.send_block(&text[at..at + bytes], part, share, context).await?;
                    at += bytes;
                }
            }
        };
        self.flush = false;
        self.unended = at < text.len();
        self.want = if grow { (self.want * 2).min(context.settings.line_bytes_max) } else { context.quantum() };
        Ok(goes_on)
    }

    async fn send_block(&mut self, text: &[u8], part: Part, permit: Permit, context: &Context) -> Result<(), Stop> {
        let origin = Arc::clone(self.origin.as_ref().ok_or(Stop::Elsewhere)?);
        let lines = if part == Part::Whole { splitter::count(text) } else { 1 };
        let (offset, read_at) = (self.offset, Timestamp::now());
        self.offset += text.len() as u64;
        self.mark = TailMark::behind(text);
        self.active = Instant::now();
        context.counters(&self.from.task).read(text.len() as u64, lines, part, self.flush);
        let block =
            Block { origin, offset, text: text.to_vec(), lines, part, messages: Messages::default(), read_at, permit };
        context.send(Event::Block(block)).await.map_err(|_| Stop::Closed)?;
        self.from.progress.saw_read(self.offset);
        Ok(())
    }
}
