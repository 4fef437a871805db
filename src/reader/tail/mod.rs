//! One file that is followed: where reading stands, whether the file is still the one it was, and what goes out.
//!
//! No bytes of a file are kept between two reads: an unfinished line is read again when there is more of it. Each
//! read begins at the tail mark before the offset, so a file that was truncated and rewritten since is noticed
//! at once, however much was written.

mod cuts;
mod packed;
mod recognise;
mod send;
mod waiting;

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use tokio::sync::Notify;

pub(super) use self::packed::UNPACK_AT_ONCE;
use self::{cuts::Cuts, packed::Packed, waiting::Waiting};
use super::{
    Event,
    context::Context,
    disk::Disk,
    farewell::{self, Held},
    inbox::{Assignment, Inbox},
    inflate::Packing,
    progress::Standing,
};
use crate::record::{Checkpoint, Head, Origin, Place, Stream, TailMark, Unpacked};

/// A file that comes back from its turn.
pub(super) struct Turned<D: Disk> {
    pub(super) tail: Box<Tail<D>>,
    pub(super) buffer: Vec<u8>,
    pub(super) outcome: Outcome,
}

/// What opening a file came to.
pub(super) enum Hold {
    /// It is open.
    Open,
    /// The process or the system has as many open files as it may have.
    NoDescriptor,
    /// It can't be opened.
    Not(Outcome),
}

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
    /// The turn was ended early; the file is to be given up.
    Halted,
    /// The file's end was told; nothing more will come of it.
    Over,
}

/// A file that is followed. Idle ones are many, so what few of them need is boxed.
pub(super) struct Tail<D: Disk> {
    pub(super) from: Assignment,
    /// The stream that is read of the file, or was when it was read before; none of a file that was never read.
    stream: Option<Stream>,
    /// Whether the file was opened since, and still holds the stream.
    is_recognised: bool,
    /// What a compressed file came to when it was read before, until it is recognised.
    unpacked_before: Option<Box<Unpacked>>,
    /// What blocks say of where they come from; there while the file is open.
    origin: Option<Arc<Origin>>,
    /// Opened, and not looked at yet: what is held can be read whatever becomes of its name.
    held: Option<File>,
    /// Open and recognised.
    file: Option<D::File>,
    /// There if the file is compressed: its way to the text that offsets count in.
    packed: Option<Box<Packed>>,
    /// Where the next block begins.
    offset: u64,
    mark: TailMark,
    head: Head,
    /// Where lines were cut, or have to be, because their ends did not come in time.
    cuts: Cuts,
    /// How many bytes of text the next read is for; grows up to the line limit while a line doesn't fit.
    want: usize,
    /// How many bytes of text went out in the last turn.
    pub(super) sent: usize,
    /// When something was last read.
    pub(super) active: Instant,
    /// Bytes behind the offset that are no whole line.
    pub(super) unended: bool,
    /// Send what has no newline, or is no whole message.
    pub(super) flush: bool,
    /// Send what is no whole message.
    flush_message: bool,
    /// How long it has not been sent; none if all was.
    waiting: Option<Box<Waiting>>,
    /// When the last name went.
    pub(super) deleted: Option<Instant>,
    /// The file has a name that was not told yet.
    renamed: bool,
    /// It was told that nothing comes of the stream until it is resumed.
    rested: bool,
    /// The file waits for its turn, or for a descriptor.
    pub(super) queued: bool,
    /// Since when the open file has been read to its end.
    pub(super) quiet: Option<Instant>,
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
    pub(super) fn new(mut from: Assignment, want: usize) -> Self {
        // Idle files are many: what is known of them isn't kept twice.
        let known = from.known.take();
        let (offset, mark, head) = match &known {
            Some(known) => (known.offset, known.mark, known.head),
            None => (0, TailMark::default(), Head::default()),
        };
        let cuts = known.as_ref().map(|known| Cuts::known(&known.cuts, offset)).unwrap_or_default();
        Self {
            from,
            stream: known.as_ref().map(|known| known.stream),
            is_recognised: false,
            unpacked_before: known.and_then(|known| known.unpacked).map(Box::new),
            origin: None,
            held: None,
            file: None,
            packed: None,
            offset,
            mark,
            head,
            cuts,
            want,
            sent: 0,
            active: Instant::now(),
            unended: false,
            flush: false,
            flush_message: false,
            waiting: None,
            deleted: None,
            renamed: false,
            rested: false,
            queued: false,
            quiet: None,
            failed: None,
        }
    }

    /// Goes on with a file that had lost its last name and has one again.
    pub(super) fn revive(&mut self, from: Assignment) {
        match &self.packed {
            Some(packed) => from.progress.unpacked(packed.used()),
            None => from.progress.saw_read(self.offset),
        }
        (self.from.path, self.from.progress, self.deleted) = (from.path, from.progress, None);
        self.from.progress.stands(if self.is_open() { Standing::Open } else { Standing::Idle });
    }

    /// Whether something waits no more for its end, and is to be sent as it is in the next turn.
    pub(super) fn is_overdue(&mut self, idle_flush: Duration) -> bool {
        let Some(waiting) = self.waiting.as_ref().filter(|_| self.unended) else { return false };
        let overdue = waiting.overdue(Instant::now(), self.from.reading.message_timeout(), idle_flush);
        self.flush |= overdue.line;
        self.flush_message |= overdue.message;
        overdue.line || overdue.message
    }

    /// What is known of the stream, with the offset up to which it was read, be it from before; none if nothing is.
    pub(super) fn parting(&self) -> Option<Checkpoint> {
        self.stream.map(|stream| self.checkpoint(stream))
    }

    /// The stream, once the file was recognised.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.stream.filter(|_| self.is_recognised)
    }

    /// Opens the file under its present name, if that still leads to it.
    pub(super) fn hold(&mut self) -> Hold {
        let held = self.try_hold();
        if held.is_err() {
            // There is nothing to be seen where the path leads: whoever asked need not wait, and may wake it again.
            Inbox::attend(&self.from.progress);
            self.from.progress.looks();
            self.from.progress.looked();
        }
        match held {
            Ok(()) => Hold::Open,
            Err(Stop::Io(error)) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE) => Hold::NoDescriptor,
                _ => Hold::Not(Outcome::Failed(error)),
            },
            Err(_) => Hold::Not(Outcome::Elsewhere),
        }
    }

    fn try_hold(&mut self) -> Result<(), Stop> {
        let file = match self.from.file.take() {
            Some(file) => file,
            None if self.from.is_void => return Err(Stop::Elsewhere),
            None => File::open(&self.from.path)?,
        };
        let metadata = file.metadata()?;
        if !self.from.is_at(&metadata) {
            return Err(Stop::Elsewhere);
        }
        self.from.progress.saw_size(metadata.len());
        self.from.progress.stands(Standing::Open);
        self.held = Some(file);
        self.active = Instant::now();
        Ok(())
    }

    /// Whether the file has a descriptor.
    pub(super) fn is_open(&self) -> bool {
        self.held.is_some() || self.file.is_some()
    }

    /// Lets go of the descriptor; the file is opened again when there is something to read.
    pub(super) fn close(&mut self) {
        // Idle files are many, and keep little.
        (self.held, self.file, self.origin) = (None, None, None);
        self.from.progress.stands(Standing::Idle);
        if let Some(packed) = &mut self.packed {
            packed.pause();
        }
    }

    /// Whether something becomes of the file as time passes, though nothing is written to it.
    pub(super) fn needs_minding(&self) -> bool {
        self.unended || self.deleted.is_some() || self.waits_to_unpack()
    }

    /// What the open file takes up.
    pub(super) fn held(&self) -> Option<Held> {
        let held = self.held.as_ref().map(File::as_raw_fd);
        let descriptor = held.or_else(|| self.file.as_ref().map(AsRawFd::as_raw_fd))?;
        Some(Held { descriptor, place: self.from.place })
    }

    /// Notes how large the open file is, for what is left of it, and how old that is.
    pub(super) fn see_size(&self) {
        if let Some(size) = self.held().and_then(farewell::size) {
            self.from.progress.sample(size);
        }
    }

    /// The stream that now rests, of a file that is closed; told once.
    pub(super) fn rest(&mut self) -> Option<Stream> {
        let rests = !self.is_open() && !self.queued && !self.rested;
        let stream = self.stream().filter(|_| rests)?;
        self.rested = true;
        Some(stream)
    }

    /// Tells that a stream that rested goes on.
    async fn resume(&mut self, context: &Context) -> Result<(), Stop> {
        let Some(stream) = self.stream().filter(|_| std::mem::take(&mut self.rested)) else { return Ok(()) };
        context.send(Event::Resumed(self.checkpoint(stream))).await.map_err(|_| Stop::Closed)
    }

    /// Takes over a new name, which the next turn tells.
    pub(super) fn rename(&mut self, path: Arc<Path>) {
        self.from.path = path;
        self.renamed = true;
    }

    /// Reads once and sends what is whole. The buffer comes back to be used again.
    pub(super) async fn turn(mut self: Box<Self>, mut buffer: Vec<u8>, context: &Context, halt: &Notify) -> Turned<D> {
        Inbox::attend(&self.from.progress);
        self.sent = 0;
        self.from.progress.looks();
        let outcome = tokio::select! {
            biased;
            done = self.read_and_send(&mut buffer, context) => match done {
                Ok(true) => Outcome::More,
                Ok(false) => Outcome::Quiet,
                Err(Stop::Closed) => Outcome::Closed,
                Err(Stop::Elsewhere) => Outcome::Elsewhere,
                Err(Stop::Io(error)) => Outcome::Failed(error),
            },
            () = halt.notified() => Outcome::Halted,
        };
        // Where inodes say nothing, only opening the path tells whether it still leads to the same file.
        if matches!(outcome, Outcome::Quiet) && self.from.place == Place::default() {
            self.close();
        }
        if !matches!(outcome, Outcome::Closed | Outcome::Halted) {
            self.from.progress.looked();
        }
        Turned { tail: self, buffer, outcome }
    }

    /// The last turn: tells that nothing more will come.
    pub(super) async fn end(self: Box<Self>, context: &Context) -> Turned<D> {
        if let Some(stream) = self.stream() {
            // If nobody takes events any more, the lane is about to end.
            let _ = context.send(Event::Ended(stream)).await;
        }
        Turned { tail: self, buffer: Vec::new(), outcome: Outcome::Over }
    }

    /// Whether there is more to read at once.
    async fn read_and_send(&mut self, buffer: &mut Vec<u8>, context: &Context) -> Result<bool, Stop> {
        if let Some(file) = self.held.take() {
            self.open(file, context).await?;
            if let Some(stream) = self.stream().filter(|_| self.origin.is_none()) {
                self.set_origin(stream);
            }
        }
        self.resume(context).await?;
        if std::mem::take(&mut self.renamed) {
            self.tell_renamed(context).await?;
        }
        if self.packed.is_some() {
            return self.read_packed(context).await;
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
        if self.offset == 0 && self.from.unpack && Packing::of(text).is_some() {
            // It was empty when it was opened.
            self.close();
            return Ok(true);
        }
        let goes_on = read - marked >= self.want;
        self.grow_head(text, context).await?;
        self.send(text, goes_on, permit, context).await
    }

    fn is_marked(&self, before: &[u8]) -> bool {
        before.is_empty() || TailMark::behind(before).hash == self.mark.hash
    }
}
