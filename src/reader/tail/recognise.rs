//! Opening a file, and deciding whether it is still the one that it was.

use std::{fs::File, io, sync::Arc};

use jiff::Timestamp;
use tracing::{debug, info};

use super::{Stop, Tail, cuts::Cuts};
use crate::{
    metrics::{self, list},
    reader::{
        Event,
        context::Context,
        disk::Disk,
        evidence, farewell,
        inbox::Skip,
        inflate::{self, Look},
        known::Stray,
    },
    record::{Checkpoint, Head, Origin, Place, Stream, TailMark},
};

impl<D: Disk> Tail<D> {
    /// Recognises a file that was just opened, if it was not open before.
    pub(super) async fn open(&mut self, file: File, context: &Context) -> Result<(), Stop> {
        let size = file.metadata()?.len();
        self.from.progress.saw_size(size);
        if !self.is_recognised {
            let look = inflate::look(&file, self.from.unpack)?;
            self.recognise(&file, &look, size, context).await?;
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
        Ok(())
    }

    /// Decides whether the file goes on where its checkpoint says, or begins a new generation.
    async fn recognise(&mut self, file: &File, look: &Look, size: u64, context: &Context) -> Result<(), Stop> {
        let known = self.parting();
        let stream = match known {
            None => {
                match self.from.skip.take() {
                    // Nothing of it is read, and what its offsets would be is not worth unpacking it.
                    Some(skip) if look.packing.is_some() => self.skip_to(skip.end, *skip, context),
                    Some(skip) => self.skip(file, *skip, context)?,
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
                self.reset();
                self.leave_to_discovery()?;
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
        let (offset, in_line) = evidence::line_begin(file, skip.end, limit, self.from.reading.newline())?;
        self.mark.in_line = in_line;
        self.skip_to(offset, skip, context);
        Ok(())
    }

    fn skip_to(&mut self, offset: u64, skip: Skip, context: &Context) {
        self.offset = offset;
        context.counters(&self.from.task).happened("skipped");
        metrics::counter(&list::SKIPPED_BYTES, &[&self.from.task, skip.reason]).increment(self.offset);
    }

    /// Begins the next stream: the file is not what it was, or is shorter than it was.
    pub(super) async fn restart(&mut self, context: &Context) -> Result<(), Stop> {
        let ended = self.stream().ok_or(Stop::Elsewhere)?;
        let unread = self.from.progress.unread();
        debug!(path = %self.from.path.display(), offset = self.offset, "file was truncated, reading it from its beginning");
        // All that was read of it is sent. What was not may stand in a copy, and is given up if there is none.
        context.table.hand_over(Stray::replaced(self.checkpoint(ended), unread, context.settings.copy_wait));
        context.counters(&self.from.task).happened("truncated");
        // It may have no name any more.
        let again = self.held().and_then(farewell::reopen);
        self.reset();
        self.leave_to_discovery()?;
        let file = match again {
            Some(file) => file,
            None => File::open(&self.from.path)?,
        };
        if !self.from.is_at(&file.metadata()?) {
            return Err(Stop::Elsewhere);
        }
        self.open(file, context).await
    }

    /// Lets the head grow with a file that was short when it was opened; `text` stands at the offset. It is read
    /// again only when it would be twice as long, so a file that grows slowly costs a few looks and no more.
    pub(super) async fn grow_head(&mut self, text: &[u8], context: &Context) -> Result<(), Stop> {
        let known = usize::from(self.head.bytes);
        if known == Head::BYTES_MAX {
            return Ok(());
        }
        let there = (self.offset + text.len() as u64).min(Head::BYTES_MAX as u64) as usize;
        if there < (2 * known).clamp(1, Head::BYTES_MAX) {
            return Ok(());
        }
        if self.offset == 0 {
            self.head = Head::of(text);
            return self.tell_changed(context).await;
        }
        let Some(file) = &self.file else { return Err(Stop::Elsewhere) };
        let (read, mut begin) = D::read_at(file, Vec::with_capacity(there), 0).await;
        begin.truncate(read?.min(there));
        // If it begins otherwise it was truncated just now, which the next read notices.
        if begin.len() > known && (known == 0 || Head::of(&begin[..known]) == self.head) {
            self.head = Head::of(&begin);
            self.tell_changed(context).await?;
        }
        Ok(())
    }

    /// Forgets what the file was.
    fn reset(&mut self) {
        self.close();
        (self.stream, self.is_recognised, self.unpacked_before, self.packed) = (None, false, None, None);
        (self.offset, self.mark, self.cuts) = (0, TailMark::default(), Cuts::default());
        self.unended = false;
        self.from.progress.restarted();
    }

    /// Where only names and content tell files apart, what a name leads to now may be another known file.
    fn leave_to_discovery(&mut self) -> Result<(), Stop> {
        self.from.is_void = self.from.place == Place::default();
        if self.from.is_void { Err(Stop::Elsewhere) } else { Ok(()) }
    }

    async fn begin(&mut self, stream: Stream, context: &Context) -> Result<(), Stop> {
        self.set_origin(stream);
        context.send(Event::Opened(self.checkpoint(stream))).await.map_err(|_| Stop::Closed)
    }

    /// Tells the new name.
    pub(super) async fn tell_renamed(&mut self, context: &Context) -> Result<(), Stop> {
        let Some(stream) = self.stream() else { return Ok(()) };
        self.set_origin(stream);
        self.tell_changed(context).await
    }

    pub(super) fn set_origin(&mut self, stream: Stream) {
        (self.stream, self.is_recognised, self.unpacked_before) = (Some(stream), true, None);
        let (path, task) = (self.from.path.to_path_buf(), Arc::clone(&self.from.task));
        let (labels, form) = (self.from.reading.labels.clone(), self.from.reading.form);
        self.origin = Some(Arc::new(Origin { stream, path, task, labels, form }));
    }

    pub(super) async fn tell_changed(&mut self, context: &Context) -> Result<(), Stop> {
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
            cuts: self.cuts.places(),
            unpacked: match &self.unpacked_before {
                Some(unpacked) => Some(**unpacked),
                None => self.packed.as_ref().and_then(|packed| packed.unpacked()),
            },
            updated_ms: Timestamp::now().as_millisecond(),
        }
    }
}
