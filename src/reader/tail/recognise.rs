//! Opening a file, and deciding whether it is still the one that it was.

use std::{fs::File, io, path::Path, sync::Arc, time::Instant};

use jiff::Timestamp;
use tracing::{debug, info};

use super::{Stop, Tail};
use crate::{
    metrics::{self, list},
    reader::{
        Event,
        disk::Disk,
        evidence,
        inbox::Skip,
        inflate::{self, Look},
        known::Stray,
        lane::Context,
    },
    record::{Checkpoint, Form, Head, Origin, Stream, TailMark},
};

impl<D: Disk> Tail<D> {
    /// Opens the file under its present name, and recognises it if it was not open before.
    pub(super) async fn open(&mut self, context: &Context) -> Result<(), Stop> {
        let file = match self.from.file.take() {
            Some(file) => file,
            None => File::open(&self.from.path)?,
        };
        let metadata = file.metadata()?;
        if !self.from.is_at(&metadata) {
            return Err(Stop::Elsewhere);
        }
        self.from.progress.saw_size(metadata.len());
        if self.origin.is_none() {
            let look = inflate::look(&file, self.from.unpack)?;
            self.recognise(&file, &look, metadata.len(), context).await?;
        } else if usize::from(self.head.bytes) < Head::BYTES_MAX {
            let look = inflate::look(&file, self.from.unpack)?;
            self.know_packing(look.packing);
            let head = Head::of(&look.text);
            if head != self.head {
                self.head = head;
                self.tell_changed(context).await?;
            }
        }
        self.file = Some(D::adopt(file));
        self.active = Instant::now();
        context.counters(&self.from.task).open.increment(1.0);
        Ok(())
    }

    /// Decides whether the file goes on where its checkpoint says, or begins a new generation.
    async fn recognise(&mut self, file: &File, look: &Look, size: u64, context: &Context) -> Result<(), Stop> {
        let stream = match self.from.known.take() {
            None => {
                match self.from.skip.take() {
                    // Nothing of it is read, and what its offsets would be is not worth unpacking it.
                    Some(skip) if look.packing.is_some() => self.skip_to(skip.end, skip, context),
                    Some(skip) => self.skip(file, skip, context)?,
                    None => (),
                }
                self.from.succession.begin()
            }
            // What stands before the offset of a compressed file is seen on the way there.
            Some(known) if look.packing.is_some() && look.continues(known.head) => known.stream,
            Some(known) if look.packing.is_none() && evidence::agrees(file, &known, size)? => known.stream,
            Some(known) => {
                info!(path = %self.from.path.display(), offset = known.offset, size, "file was rewritten while nobody read it, reading it from its beginning");
                context.counters(&self.from.task).happened("truncated");
                context.table.hand_over(Stray::replaced(known, 0, context.settings.copy_wait));
                (self.offset, self.mark) = (0, TailMark::default());
                self.from.succession.begin()
            }
        };
        self.head = Head::of(&look.text);
        self.know_packing(look.packing);
        self.from.progress.saw_read(self.offset);
        self.begin(stream, context).await
    }

    /// Passes over what of a file is older than anyone cares for, up to the beginning of a line.
    fn skip(&mut self, file: &File, skip: Skip, context: &Context) -> io::Result<()> {
        let limit = context.settings.line_bytes_max as u64;
        let (offset, in_line) = evidence::line_begin(file, skip.end, limit)?;
        self.mark.in_line = in_line;
        self.skip_to(offset, skip, context);
        Ok(())
    }

    fn skip_to(&mut self, offset: u64, skip: Skip, context: &Context) {
        self.offset = offset;
        context.counters(&self.from.task).happened("skipped");
        metrics::counter(&list::SKIPPED_BYTES, &[&self.from.task, skip.reason]).increment(self.offset);
    }

    /// Begins the next generation: the file is not what it was, or is shorter than it was.
    pub(super) async fn restart(&mut self, context: &Context) -> Result<(), Stop> {
        let ended = self.stream().ok_or(Stop::Elsewhere)?;
        let unread = self.from.progress.unread();
        // All that was read of it is sent. What was not may stand in a copy, and is given up if there is none.
        context.table.hand_over(Stray::replaced(self.checkpoint(ended), unread, context.settings.copy_wait));
        debug!(path = %self.from.path.display(), offset = self.offset, "file was truncated, reading it from its beginning");
        context.counters(&self.from.task).happened("truncated");
        (self.offset, self.mark, self.unended) = (0, TailMark::default(), false);
        self.from.progress.restarted();
        self.close(context);
        // Should the path lead elsewhere by now, the next stream begins when the file is found again.
        (self.origin, self.from.known, self.packed) = (None, None, None);
        self.open(context).await
    }

    async fn begin(&mut self, stream: Stream, context: &Context) -> Result<(), Stop> {
        self.set_origin(stream);
        context.send(Event::Opened(self.checkpoint(stream))).await.map_err(|_| Stop::Closed)
    }

    /// Takes over a new name.
    pub(in crate::reader) async fn rename(&mut self, path: Arc<Path>, context: &Context) -> bool {
        self.from.path = path;
        let Some(stream) = self.stream() else { return true };
        self.set_origin(stream);
        self.tell_changed(context).await.is_ok()
    }

    fn set_origin(&mut self, stream: Stream) {
        let (path, task) = (self.from.path.to_path_buf(), Arc::clone(&self.from.task));
        self.origin = Some(Arc::new(Origin { stream, path, task, form: Form::default() }));
    }

    async fn tell_changed(&mut self, context: &Context) -> Result<(), Stop> {
        let Some(stream) = self.stream() else { return Ok(()) };
        context.send(Event::Changed(self.checkpoint(stream))).await.map_err(|_| Stop::Closed)
    }

    pub(super) fn checkpoint(&self, stream: Stream) -> Checkpoint {
        Checkpoint {
            stream,
            task: Arc::clone(&self.from.task),
            offset: self.offset,
            mark: self.mark,
            path: self.from.path.to_path_buf(),
            place: self.from.place,
            head: self.head,
            cuts: Vec::new(),
            updated_ms: Timestamp::now().as_millisecond(),
        }
    }

    /// Lets go of the descriptor; the file is opened again when there is something to read.
    pub(in crate::reader) fn close(&mut self, context: &Context) {
        if self.file.take().is_some() {
            context.counters(&self.from.task).open.decrement(1.0);
        }
        if let Some(packed) = &mut self.packed {
            packed.pause();
        }
    }
}
