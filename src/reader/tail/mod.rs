//! One file that is followed: where reading stands, whether the file is still the one it was, and what goes out.
//!
//! No bytes of a file are kept between two reads: an unfinished line is read again when there is more of it. Each
//! read begins at the tail mark before the offset, so a file that was truncated and rewritten since is noticed
//! at once, however much was written.

mod packed;
mod recognise;
mod send;

use std::{io, sync::Arc, time::Instant};

use self::packed::Packed;
pub(super) use self::packed::UNPACK_AT_ONCE;
use super::{
    disk::Disk,
    inbox::{Assignment, Inbox},
    inflate::Packing,
    lane::Context,
};
use crate::record::{Checkpoint, Head, Origin, Place, Stream, TailMark};

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
    /// There if the file is compressed: its way to the text that offsets count in.
    packed: Option<Box<Packed>>,
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
            None => (0, TailMark::default(), Head::default()),
        };
        Self {
            from,
            origin: None,
            file: None,
            packed: None,
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
        match &self.packed {
            Some(packed) => from.progress.unpacked(packed.used()),
            None => from.progress.saw_read(self.offset),
        }
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
        self.from.progress.looks();
        let outcome = match self.read_and_send(&mut buffer, context).await {
            Ok(true) => Outcome::More,
            Ok(false) => Outcome::Quiet,
            Err(Stop::Closed) => Outcome::Closed,
            Err(Stop::Elsewhere) => Outcome::Elsewhere,
            Err(Stop::Io(error)) => Outcome::Failed(error),
        };
        // Where inodes say nothing, only opening the path tells whether it leads to the same file.
        if matches!(outcome, Outcome::Quiet) && self.from.place == Place::default() {
            self.close(context);
        }
        if !matches!(outcome, Outcome::Closed) {
            self.from.progress.looked();
        }
        (self, buffer, outcome)
    }

    /// Whether there is more to read at once.
    async fn read_and_send(&mut self, buffer: &mut Vec<u8>, context: &Context) -> Result<bool, Stop> {
        if self.file.is_none() {
            self.open(context).await?;
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
            self.close(context);
            return Ok(true);
        }
        let goes_on = read - marked >= self.want;
        self.send(text, goes_on, permit, context).await
    }

    fn is_marked(&self, before: &[u8]) -> bool {
        before.is_empty() || TailMark::behind(before).hash == self.mark.hash
    }
}
