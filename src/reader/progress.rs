//! What discovery and a lane both know of a file: how far it was read, since when it is behind, and how it stands.

use std::{
    sync::atomic::{
        AtomicBool, AtomicI64, AtomicU8, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    time::Duration,
};

use jiff::Timestamp;

use crate::{inspect::FileState, record::Checkpoint};

/// How a file stands with its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Standing {
    /// It has no descriptor, and needs none.
    #[default]
    Idle,
    /// It has a descriptor.
    Open,
    /// It has something to read, and no descriptor is free for it.
    Waiting,
    /// It could not be read.
    Failed,
}

/// What discovery and a lane both know of a file. Each value is right by itself; together they may be of different
/// moments.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// A wake is waiting in the inbox.
    pub(super) announced: AtomicBool,
    /// Bytes of the file that were read, in its present generation.
    read: AtomicU64,
    /// The file's size when it was last seen.
    size: AtomicU64,
    /// How often the lane began to look at the file, and which of these looks is done.
    begun: AtomicU64,
    done: AtomicU64,
    /// The lane has let the file go.
    gone: AtomicBool,
    /// The file is compressed: `read` counts what of its bytes was unpacked, not text.
    packed: AtomicBool,
    standing: AtomicU8,
    /// The file lost a name before all of it was read.
    draining: AtomicBool,
    /// Since when the oldest byte that was not read waits, in milliseconds since 1970; 0 if none does.
    behind_ms: AtomicI64,
    /// A size that the file had at a later time: when so much was read, whatever is left is younger than that.
    sample_bytes: AtomicU64,
    sample_ms: AtomicI64,
}

impl Progress {
    pub(super) fn saw_size(&self, size: u64) {
        self.size.store(size, Relaxed);
    }

    /// So many bytes of text were read; what a compressed file's text comes from is told by [`Self::unpacked`].
    pub(super) fn saw_read(&self, read: u64) {
        if self.packed.load(Relaxed) {
            return;
        }
        self.read.store(read, Relaxed);
        self.size.fetch_max(read, Relaxed);
    }

    /// So many bytes of a compressed file became text, or never will; from now on only this counts.
    pub(super) fn unpacked(&self, read: u64) {
        self.packed.store(true, Relaxed);
        self.read.store(read, Relaxed);
    }

    /// So much was read before, of what is known.
    pub(super) fn resumed(&self, known: &Checkpoint) {
        match known.unpacked {
            Some(unpacked) if known.offset == unpacked.text => self.unpacked(unpacked.bytes),
            _ => self.saw_read(known.offset),
        }
    }

    /// The file's size when it was last seen.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Relaxed)
    }

    pub(super) fn restarted(&self) {
        self.packed.store(false, Relaxed);
        self.read.store(0, Relaxed);
        self.size.store(0, Relaxed);
        self.sample_bytes.store(0, Relaxed);
    }

    /// Notes that the lane looks at the file now.
    pub(super) fn looks(&self) {
        self.begun.fetch_add(1, AcqRel);
    }

    /// Notes that the lane has looked: if the file held something else, its old stream was handed over.
    pub(super) fn looked(&self) {
        self.done.store(self.begun.load(Acquire), Release);
    }

    /// Notes that the lane lets the file go; its stream was handed over.
    pub(super) fn let_go(&self) {
        self.gone.store(true, Release);
    }

    /// Whether the lane has let the file go.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Acquire)
    }

    /// How often the lane has begun to look.
    pub(super) fn looks_begun(&self) -> u64 {
        self.begun.load(Acquire)
    }

    /// Whether the lane has looked since `before`, a number of looks begun.
    pub(super) fn has_looked_since(&self, before: u64) -> bool {
        self.done.load(Acquire) > before
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(super) fn unread(&self) -> u64 {
        self.size().saturating_sub(self.read())
    }

    /// There may be something to read that was written at `since_ms` or before.
    pub(super) fn fell_behind(&self, since_ms: i64) {
        // The first one counts: what was written before is older.
        let _ = self.behind_ms.compare_exchange(0, since_ms.max(1), Relaxed, Relaxed);
    }

    /// All of the file was read, except what was written since it was last announced.
    pub(super) fn caught_up(&self) {
        let since = if self.announced.load(Relaxed) { Timestamp::now().as_millisecond() } else { 0 };
        self.behind_ms.store(since, Relaxed);
        self.sample_bytes.store(0, Relaxed);
        self.draining.store(false, Relaxed);
    }

    /// Whether [`Self::sample`] is due, to tell how old the oldest unread byte is.
    pub(super) fn wants_sample(&self) -> bool {
        self.read() >= self.sample_bytes.load(Relaxed)
    }

    /// The file is `size` bytes long now, and not all of it was read.
    pub(super) fn sample(&self, size: u64) {
        self.saw_size(size);
        let now = Timestamp::now().as_millisecond();
        if self.sample_bytes.swap(size, Relaxed) == 0 {
            self.fell_behind(now);
        } else {
            self.behind_ms.store(self.sample_ms.load(Relaxed), Relaxed);
        }
        self.sample_ms.store(now, Relaxed);
    }

    /// How long the oldest byte that was not read has been waiting, at least; none if there is none.
    pub(super) fn oldest_unread(&self, now_ms: i64) -> Option<Duration> {
        let since = self.behind_ms.load(Relaxed);
        (since != 0).then(|| Duration::from_millis(now_ms.saturating_sub(since).try_into().unwrap_or(0)))
    }

    pub(super) fn stands(&self, standing: Standing) {
        self.standing.store(standing as u8, Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        let value = self.standing.load(Relaxed);
        [Standing::Open, Standing::Waiting, Standing::Failed]
            .into_iter()
            .find(|standing| *standing as u8 == value)
            .unwrap_or(Standing::Idle)
    }

    /// The file lost a name; it is drained if not all of it was read.
    pub(super) fn lost_a_name(&self) {
        if self.behind_ms.load(Relaxed) != 0 {
            self.draining.store(true, Relaxed);
        }
    }

    /// Whether the file is compressed, so that [`Self::read`] counts its own bytes and not its text's.
    pub(super) fn is_packed(&self) -> bool {
        self.packed.load(Relaxed)
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// How the file stands, to whoever asks.
    pub(super) fn state(&self) -> FileState {
        match self.standing() {
            Standing::Failed => FileState::Failed,
            _ if self.is_draining() => FileState::Draining,
            Standing::Waiting => FileState::Waiting,
            Standing::Open => FileState::Open,
            Standing::Idle => FileState::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering::Relaxed, time::Duration};

    use super::{Progress, Standing};

    #[test]
    fn the_oldest_unread_byte_is_as_old_as_the_last_size_that_was_read_past() {
        let progress = Progress::default();
        assert_eq!(progress.oldest_unread(1000), None);
        progress.fell_behind(100);
        progress.fell_behind(500);
        assert_eq!(progress.oldest_unread(1000), Some(Duration::from_millis(900)));
        progress.sample(10);
        progress.sample_ms.store(700, Relaxed);
        progress.saw_read(9);
        assert!(!progress.wants_sample());
        progress.saw_read(10);
        assert!(progress.wants_sample());
        progress.sample(20);
        assert_eq!(progress.oldest_unread(1000), Some(Duration::from_millis(300)));
        progress.caught_up();
        assert_eq!(progress.oldest_unread(1000), None);
        progress.announced.store(true, Relaxed);
        progress.caught_up();
        assert!(progress.oldest_unread(i64::MAX).is_some(), "what was written meanwhile was not read");
    }

    #[test]
    fn a_file_that_lost_a_name_is_drained_until_all_of_it_was_read() {
        let progress = Progress::default();
        progress.lost_a_name();
        assert!(!progress.is_draining());
        progress.fell_behind(1);
        progress.lost_a_name();
        assert!(progress.is_draining());
        progress.caught_up();
        assert!(!progress.is_draining());
        for standing in [Standing::Open, Standing::Waiting, Standing::Failed, Standing::Idle] {
            progress.stands(standing);
            assert_eq!(progress.standing(), standing);
        }
    }
}
