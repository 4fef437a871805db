//! What was read goes out: cut into blocks, counted, and handed on.

use std::{sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Stop, Tail, waiting::Waiting};
use crate::{
    reader::{
        Event,
        context::Context,
        cut::{Bounds, Cut, Piece, cut},
        disk::Disk,
    },
    record::{Block, Permit, TailMark},
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
        let reading = Arc::clone(&self.from.reading);
        let bounds = Bounds {
            reading: &reading,
            line_bytes_max,
            goes_on,
            flush_line: self.flush || due.is_some(),
            flush_message: self.flush || self.flush_message || due.is_some(),
        };
        let mut at = 0;
        let grow = loop {
            match cut(&text[at..], self.mark.in_line, bounds) {
                // A line, or a message, that doesn't fit behind others is read again from its beginning, with room for it.
                Cut::Grow => break at == 0,
                Cut::Wait => break false,
                Cut::Late(..) if due.is_none() && !self.cuts.have_room() => break false,
                Cut::Late(piece) => {
                    if due.is_none() {
                        self.tell_cut(piece.bytes, context).await?;
                    }
                    if piece.part.goes_on() {
                        context.counters(&self.from.task).cut_late.increment(1);
                    }
                    at += self.send_piece(&text[at..], piece, &mut permit, context).await?;
                }
                Cut::Block(piece) => {
                    if piece.part.goes_on() {
                        context.counters(&self.from.task).too_long.increment(1);
                    }
                    at += self.send_piece(&text[at..], piece, &mut permit, context).await?;
                }
            }
        };
        // What is longer than this read is seen whole by a larger one, and is as overdue then.
        (self.flush, self.flush_message) = (self.flush && grow, self.flush_message && grow);
        // Half a character of UTF-16 waits for its other half, however long that takes.
        self.unended = text.len() - at >= reading.newline().width();
        // Of a line that is longer than the read only a part was seen: that it is shorter says nothing.
        if at > 0 || !goes_on {
            Waiting::see(&mut self.waiting, self.offset, text.len() - at, Instant::now());
        }
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

    /// Sends a block that `text` begins with; how many bytes it has.
    async fn send_piece(
        &mut self,
        text: &[u8],
        piece: Piece,
        permit: &mut Permit,
        context: &Context,
    ) -> Result<usize, Stop> {
        let Piece { part, bytes, lines, messages } = piece;
        let text = &text[..bytes];
        let permit = permit.split(bytes + context.settings.block_overhead_bytes);
        let origin = Arc::clone(self.origin.as_ref().ok_or(Stop::Elsewhere)?);
        let (offset, read_at) = (self.offset, Timestamp::now());
        self.offset += bytes as u64;
        self.sent += bytes;
        self.mark = TailMark { in_line: part.goes_on(), ..TailMark::behind(text) };
        self.active = Instant::now();
        let held = context.counters(&self.from.task).read(bytes as u64, lines);
        let block = Block { origin, offset, text: text.to_vec(), lines, part, messages, read_at, held, permit };
        context.send(Event::Block(block)).await.map_err(|_| Stop::Closed)?;
        self.from.progress.saw_read(self.offset);
        Ok(bytes)
    }
}
