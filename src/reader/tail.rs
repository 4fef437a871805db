//! One file that is followed: where reading stands, whether the file is still the one it was, and what goes out.
//!
//! No bytes of a file are kept between two reads: an unfinished line is read again when there is more of it. Each
//! read begins at the tail mark before the offset, so a file that was truncated and rewritten since is noticed
//! at once, however much was written.

use std::{fs::File, io, os::unix::fs::FileExt, path::PathBuf, sync::Arc, time::Instant};

use jiff::Timestamp;
use tracing::{debug, info};

use super::{
    Event,
    cut::{Bounds, Cut, cut},
    disk::Disk,
    identity,
    inbox::{Assignment, Inbox},
    lane::Context,
};
use crate::{
    record::{Block, Checkpoint, Head, Origin, Part, Permit, Stream, TailMark},
    splitter,
};

/// What a turn came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// There is more to read now.
    More,
    /// Everything that can be sent now was sent.
    Quiet,
    /// The path leads to no file, or to another one; whoever watches names will say where the file went.
    Elsewhere,
    /// The file could not be read; it is tried again when it changes, and at each rescan.
    Failed(io::Error),
    /// Nobody takes blocks any more.
    Closed,
}

/// A file that is followed.
pub(super) struct Tail<D: Disk> {
    pub(super) from: Assignment,
    /// Made when the file is first opened; none before.
    origin: Option<Arc<Origin>>,
    pub(super) file: Option<D::File>,
    /// Where the next block begins.
    offset: u64,
    mark: TailMark,
    head: Head,
    /// How many bytes of text the next read is for; grows up to the line limit while a line doesn't fit.
    want: usize,
    /// When something was last read.
    pub(super) active: Instant,
    /// Bytes behind the offset that are no whole line.
    pub(super) unended: bool,
    /// Send what has no newline.
    pub(super) flush: bool,
    /// The last name is gone.
    pub(super) deleted: bool,
    /// The file waits for its turn.
    pub(super) queued: bool,
    /// The last failure, so that it is told once.
    pub(super) failed: Option<io::ErrorKind>,
}

/// Why a turn ends early.
enum Stop {
    Closed,
    Elsewhere,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Stop::Elsewhere,
            _ => Stop::Io(error),
        }
    }
}

impl<D: Disk> Tail<D> {
    pub(super) fn new(from: Assignment, want: usize) -> Self {
        let (offset, mark, head) = match &from.known {
            Some(known) => (known.offset, known.mark, known.head),
            None => (from.start, TailMark::default(), Head::default()),
        };
        Self {
            from,
            origin: None,
            file: None,
            offset,
            mark,
            head,
            want,
            active: Instant::now(),
            unended: false,
            flush: false,
            deleted: false,
            queued: false,
            failed: None,
        }
    }

    /// Goes on with a file that had lost its last name and has one again.
    pub(super) fn revive(&mut self, from: Assignment) {
        from.progress.saw_read(self.offset);
        (self.from.path, self.from.progress, self.deleted) = (from.path, from.progress, false);
    }

    /// What is known of the stream, with the offset up to which it was read; none if it was never opened.
    pub(super) fn parting(&self) -> Option<Checkpoint> {
        self.stream().map(|stream| self.checkpoint(stream))
    }

    /// The stream, once the file was opened.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.origin.as_ref().map(|origin| origin.stream)
    }

    /// Reads once and sends what is whole. The buffer comes back to be used again.
    pub(super) async fn turn(mut self, mut buffer: Vec<u8>, context: &Context) -> (Self, Vec<u8>, Outcome) {
        Inbox::attend(&self.from.progress);
        let outcome = match self.read_and_send(&mut buffer, context).await {
            Ok(true) => Outcome::More,
            Ok(false) => Outcome::Quiet,
            Err(Stop::Closed) => Outcome::Closed,
            Err(Stop::Elsewhere) => Outcome::Elsewhere,
            Err(Stop::Io(error)) => Outcome::Failed(error),
        };
        (self, buffer, outcome)
    }

    /// Whether there is more to read at once.
    async fn read_and_send(&mut self, buffer: &mut Vec<u8>, context: &Context) -> Result<bool, Stop> {
        if self.file.is_none() {
            self.open(context).await?;
        }
        let marked = usize::from(self.mark.bytes);
        let capacity = self.want + TailMark::BYTES_MAX;
        if buffer.capacity() < capacity {
            *buffer = Vec::with_capacity(capacity);
        }
        let permit = context.take_budget(self.want).await.ok_or(Stop::Closed)?;
        let Some(file) = &self.file else { return Err(Stop::Elsewhere) };
        let (read, filled) = D::read_at(file, std::mem::take(buffer), self.offset - marked as u64).await;
        *buffer = filled;
        let read = read?.min(buffer.len());
        if read < marked || !self.is_marked(&buffer[..marked]) {
            self.restart(context).await?;
            return Ok(true);
        }
        let text = &buffer[marked..read.min(marked + self.want)];
        let goes_on = read - marked >= self.want;
        self.send(text, goes_on, permit, context).await
    }

    /// Sends what is whole of `text`, which stands at the offset.
    async fn send(&mut self, text: &[u8], goes_on: bool, mut permit: Permit, context: &Context) -> Result<bool, Stop> {
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
        let block = Block { origin, offset, text: text.to_vec(), lines, part, read_at, permit };
        context.send(Event::Block(block)).await.map_err(|_| Stop::Closed)?;
        self.from.progress.saw_read(self.offset);
        Ok(())
    }

    fn is_marked(&self, before: &[u8]) -> bool {
        before.is_empty() || TailMark::behind(before).hash == self.mark.hash
    }

    /// Opens the file under its present name, and recognises it if it was not open before.
    async fn open(&mut self, context: &Context) -> Result<(), Stop> {
        let file = File::open(&self.from.path)?;
        let metadata = file.metadata()?;
        if identity::place(&metadata) != self.from.place {
            return Err(Stop::Elsewhere);
        }
        self.from.progress.saw_size(metadata.len());
        let head = if usize::from(self.head.bytes) < Head::BYTES_MAX || self.origin.is_none() {
            read_head(&file)?
        } else {
            self.head
        };
        if self.origin.is_none() {
            self.recognise(&file, head, metadata.len(), context).await?;
        } else if head != self.head {
            self.head = head;
            self.tell_changed(context).await?;
        }
        self.file = Some(D::adopt(file));
        self.active = Instant::now();
        context.counters(&self.from.task).open.increment(1.0);
        Ok(())
    }

    /// Decides whether the file goes on where its checkpoint says, or begins a new generation.
    async fn recognise(&mut self, file: &File, head: Head, size: u64, context: &Context) -> Result<(), Stop> {
        let fresh = Stream { file: self.from.id, generation: 0 };
        let stream = match &self.from.known {
            None => fresh,
            Some(known) if self.is_unchanged(file, known, size)? => known.stream,
            Some(known) => {
                info!(path = %self.from.path.display(), offset = known.offset, size, "file was rewritten while nobody read it, reading it from its beginning");
                context.counters(&self.from.task).happened("truncated");
                (self.offset, self.mark) = (0, TailMark::default());
                Stream { generation: known.stream.generation + 1, ..known.stream }
            }
        };
        self.head = head;
        self.from.progress.saw_read(self.offset);
        self.begin(stream, context).await
    }

    fn is_unchanged(&self, file: &File, known: &Checkpoint, size: u64) -> io::Result<bool> {
        if size < known.offset {
            return Ok(false);
        }
        let mut head = vec![0; usize::from(known.head.bytes)];
        let mut before = vec![0; usize::from(known.mark.bytes)];
        let marked_from = known.offset.saturating_sub(before.len() as u64);
        let read = file.read_exact_at(&mut head, 0).and_then(|()| file.read_exact_at(&mut before, marked_from));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
            Ok(()) => Ok((head.is_empty() || Head::of(&head) == known.head) && self.is_marked(&before)),
        }
    }

    /// Begins the next generation: the file is not what it was, or is shorter than it was.
    async fn restart(&mut self, context: &Context) -> Result<(), Stop> {
        let ended = self.stream().ok_or(Stop::Elsewhere)?;
        let stream = Stream { generation: ended.generation + 1, ..ended };
        let given_up = self.from.progress.unread();
        debug!(path = %self.from.path.display(), offset = self.offset, "file was truncated, reading it from its beginning");
        let counters = context.counters(&self.from.task);
        counters.happened("truncated");
        counters.abandoned.increment(given_up);
        (self.offset, self.mark, self.unended) = (0, TailMark::default(), false);
        self.from.progress.restarted();
        self.close(context);
        let file = File::open(&self.from.path)?;
        if identity::place(&file.metadata()?) != self.from.place {
            return Err(Stop::Elsewhere);
        }
        self.head = read_head(&file)?;
        context.send(Event::Ended(ended)).await.map_err(|_| Stop::Closed)?;
        self.begin(stream, context).await
    }

    async fn begin(&mut self, stream: Stream, context: &Context) -> Result<(), Stop> {
        self.set_origin(stream);
        context.send(Event::Opened(self.checkpoint(stream))).await.map_err(|_| Stop::Closed)
    }

    /// Takes over a new name.
    pub(super) async fn rename(&mut self, path: PathBuf, context: &Context) -> bool {
        self.from.path = path;
        let Some(stream) = self.stream() else { return true };
        self.set_origin(stream);
        self.tell_changed(context).await.is_ok()
    }

    fn set_origin(&mut self, stream: Stream) {
        let (path, task) = (self.from.path.clone(), Arc::clone(&self.from.task));
        self.origin = Some(Arc::new(Origin { stream, path, task }));
    }

    async fn tell_changed(&mut self, context: &Context) -> Result<(), Stop> {
        let Some(stream) = self.stream() else { return Ok(()) };
        context.send(Event::Changed(self.checkpoint(stream))).await.map_err(|_| Stop::Closed)
    }

    fn checkpoint(&self, stream: Stream) -> Checkpoint {
        Checkpoint {
            stream,
            task: Arc::clone(&self.from.task),
            offset: self.offset,
            mark: self.mark,
            path: self.from.path.clone(),
            place: self.from.place,
            head: self.head,
            updated_ms: Timestamp::now().as_millisecond(),
        }
    }

    /// Lets go of the descriptor; the file is opened again when there is something to read.
    pub(super) fn close(&mut self, context: &Context) {
        if self.file.take().is_some() {
            context.counters(&self.from.task).open.decrement(1.0);
        }
    }
}

fn read_head(file: &File) -> io::Result<Head> {
    let mut buffer = [0; Head::BYTES_MAX];
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(Head::of(&buffer[..filled]))
}
