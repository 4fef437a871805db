//! Files to blocks of whole lines.
//!
//! One thread finds the files that tasks mean and follows their names; lanes, each a thread with its own ring, read
//! them. What leaves is an [`Event`] over a bounded channel, and a block holds its share of the byte budget, so
//! reading waits when what was read is not yet safe: the files are the buffer. The room promises that the blocks of
//! a stream are adjacent, that a stream is opened before its first block, and that an idle file costs nothing. It
//! must not know where blocks go, nor when they are safe.

mod context;
mod counters;
mod cut;
mod discover;
mod disk;
mod evidence;
mod farewell;
mod identity;
mod inbox;
mod inflate;
mod inspect;
mod kin;
mod known;
mod lane;
mod limits;
mod matcher;
mod multiline;
mod order;
mod own_log;
mod pattern;
mod pread;
mod progress;
mod rate;
mod reading;
mod retrace;
mod ring;
mod schedule;
mod status;
mod succession;
mod survey;
mod table;
mod tail;
mod tallies;
mod watch;

#[cfg(test)]
mod tests;

use std::{io, os::unix::net::UnixStream, sync::Arc, thread, time::Duration};

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use identity::seed;
pub use inspect::{Inspector, Seen};
pub use multiline::{Multiline, MultilineError, Preset};
pub use pattern::{Pattern, PatternError, check_pattern, count_matches};
pub use retrace::{Found, Trace, examine, find_again, position};
pub use status::Status;
pub use survey::{Fate, Fault, Sight, Survey, means, survey};
pub use tallies::Tallies;

use self::{
    context::{Context, Shared},
    discover::{Discover, Means},
    inbox::Inbox,
    known::Known,
    lane::Lane,
    matcher::Matcher,
    order::Order,
    pread::Pread,
    ring::Ring,
    schedule::{Rule, Rules},
    table::Table,
    watch::Watch,
};
use crate::{
    metrics::{self, list},
    record::{Block, Budget, Charset, Checkpoint, Labels, LateCut, Stream},
};

/// How files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Io {
    /// io_uring where the kernel allows it, else `pread`.
    #[default]
    Auto,
    /// io_uring; starting fails where the kernel refuses it.
    Uring,
    /// `pread(2)`.
    Pread,
}

/// Where reading begins in a file that was there, and never seen, when the reader started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// At its first byte. Files that appear later are always read from their first byte.
    #[default]
    Beginning,
    /// At its end.
    End,
}

/// By what a file is known again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// By inode, save on network file systems, where it is by content.
    #[default]
    Auto,
    /// By device, inode and birth; its content is evidence.
    Inode,
    /// By name and content alone.
    Content,
}

/// Whether compressed files are read as their text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip and Zstandard files, known by their first bytes, are read as the text that they hold.
    #[default]
    Auto,
    /// Every file is read as it stands.
    None,
}

/// How to read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How bytes come from a file.
    pub io: Io,
    /// Threads that read; 0 for one for each four cores, at least one.
    pub lanes: usize,
    /// How often everything is looked at, whatever the kernel told; default 30 s.
    pub rescan: Duration,
    /// Longer lines are cut into parts, in bytes with the newline; default 1 MiB.
    pub line_bytes_max: usize,
    /// How long a last line without a newline waits before it goes out as it is; default 5 s.
    pub idle_flush: Duration,
    /// How much is read of a file in its turn, in bytes; default 256 KiB.
    pub block_bytes: usize,
    /// What a block costs beside its text, in bytes of the budget; default 256.
    pub block_overhead_bytes: usize,
    /// A descriptor is closed when its file was quiet for so long; default 5 s.
    pub close_after: Duration,
    /// A deleted file that was read to its end is let go when it was quiet for so long; default 10 s.
    pub deleted_quiet: Duration,
    /// A deleted file is let go after so long, whatever of it was not read; default 10 min.
    pub deleted_grace: Duration,
    /// With fewer bytes free in its file system, a deleted file is let go at once; default 256 MiB.
    pub free_space_min: u64,
    /// So long a copy of a truncated file is waited for, and a copy of one that stays as it is, is held back; default
    /// 10 s.
    pub copy_wait: Duration,
    /// By what a file is known again.
    pub identity: Identity,
    /// How many files may be open at once; default 1024.
    pub open_files_max: usize,
    /// Whether the files that this process's own log goes to are read; default no.
    pub own_log: bool,
    /// The most that all tasks together read, in bytes a second; none means no limit.
    pub rate: Option<u64>,
    /// What is known of a file that is gone is forgotten after so long; default 7 days.
    pub forget_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            io: Io::Auto,
            lanes: 0,
            rescan: Duration::from_secs(30),
            line_bytes_max: 1024 * 1024,
            idle_flush: Duration::from_secs(5),
            block_bytes: 256 * 1024,
            block_overhead_bytes: 256,
            close_after: Duration::from_secs(5),
            deleted_quiet: Duration::from_secs(10),
            deleted_grace: Duration::from_secs(600),
            free_space_min: 256 * 1024 * 1024,
            copy_wait: Duration::from_secs(10),
            identity: Identity::Auto,
            open_files_max: 1024,
            own_log: false,
            rate: None,
            forget_after: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Which files to read, under one name.
#[derive(Clone, Debug)]
pub struct Task {
    /// The task's name, unique among the tasks.
    pub name: Arc<str>,
    /// What the task says of all its lines.
    pub labels: Labels,
    /// Globs: `*` and `?` stay within a directory, `**` does not, `[…]` and `{a,b}` work; relative to the working directory.
    pub paths: Vec<String>,
    /// Globs of files to leave out; one without a slash holds in every directory.
    pub exclude: Vec<String>,
    /// Where to begin in a file that was never seen.
    pub start_at: StartAt,
    /// A file that was never seen, and last written longer ago than this, is read from its end; none means never.
    pub ignore_older: Option<Duration>,
    /// How the files' bytes stand for characters.
    pub charset: Charset,
    /// Which lines make one message together; none means that each is one.
    pub multiline: Option<Multiline>,
    /// The most that the task reads, in bytes a second; none means no limit.
    pub rate: Option<u64>,
    /// Whether older files are read to their ends before newer ones.
    pub oldest_first: bool,
    /// Whether compressed files are read as their text.
    pub compression: Compression,
}

impl Task {
    /// A task that reads all of `paths`.
    #[must_use]
    pub fn new(name: &str, paths: Vec<String>) -> Self {
        Self {
            name: name.into(),
            labels: Labels::default(),
            paths,
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            ignore_older: None,
            charset: Charset::UTF_8,
            multiline: None,
            rate: None,
            oldest_first: false,
            compression: Compression::Auto,
        }
    }
}

/// What a reader tells.
#[derive(Debug)]
pub enum Event {
    /// A stream begins, or goes on at the checkpoint's offset, maybe in another file than before. The checkpoint has to
    /// be saved before anything more of the stream is sent, so that no two streams can ever be taken for one: a file
    /// that is emptied and written anew while nobody reads has to be known as one that was read.
    Opened(Checkpoint),
    /// The file has another path or a longer head; offset and mark are of no meaning here.
    Changed(Checkpoint),
    /// A line, or a message of several, is cut at this place because its end did not come in time. It has to be
    /// saved before the block that ends there is sent, so that no text is ever sent under two identities.
    Cut(Stream, LateCut),
    /// Lines, or a part of a line.
    Block(Block),
    /// Nothing more will come of the stream until it is resumed: all of its file was read for now.
    Rested(Stream),
    /// A stream that rested goes on, at the checkpoint's offset.
    Resumed(Checkpoint),
    /// The stream's file is gone for so long that its checkpoint is of no use any more.
    Forgotten(Stream),
    /// Nothing more will come of the stream. If its file goes on as a newer generation, that one was opened before.
    Ended(Stream),
    /// No block of this task comes any more; its streams rest.
    Dismissed(Arc<str>),
}

impl Event {
    /// Whether this has to be on disk before anything that comes behind it is sent.
    #[must_use]
    pub fn must_be_saved_first(&self) -> bool {
        match self {
            Event::Opened(_) | Event::Cut(..) => true,
            Event::Changed(_)
            | Event::Block(_)
            | Event::Rested(_)
            | Event::Resumed(_)
            | Event::Ended(_)
            | Event::Forgotten(_)
            | Event::Dismissed(_) => false,
        }
    }
}

/// Why reading can't begin.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// A pattern can't be used.
    #[error("task {task:?}: {error}")]
    Pattern {
        /// The task's name.
        task: Arc<str>,
        /// What is wrong with the pattern.
        error: PatternError,
    },
    /// Lines can't be joined so.
    #[error("task {task:?}: {error}")]
    Multiline {
        /// The task's name.
        task: Arc<str>,
        /// What is wrong.
        error: MultilineError,
    },
    /// io_uring was asked for, and the kernel refuses it.
    #[error(
        "the kernel or a container's seccomp profile refuses io_uring ({0}): set agent.io to \"auto\" or \"pread\", or allow io_uring_setup, io_uring_enter and io_uring_register"
    )]
    NoUring(io::Error),
    /// The kernel gives no inotify instance, thread or descriptor.
    #[error("can't start reading: {0}; raise fs.inotify.max_user_instances or the limit of open files")]
    Start(#[from] io::Error),
}

/// Threads that read.
#[derive(Debug)]
pub struct Reader {
    stop: CancellationToken,
    wake: UnixStream,
    threads: Vec<thread::JoinHandle<()>>,
    table: Arc<Table>,
    lanes: Vec<Arc<Inbox>>,
    settings: Settings,
}

impl Reader {
    /// Starts to read what `tasks` mean: known files where their checkpoints say, others from their beginning.
    ///
    /// What is read is noted in `tallies`. `seed` stands for the machine and the epoch of its checkpoint store; it goes into the identity of new files.
    ///
    /// # Errors
    /// If a pattern can't be used, or the kernel refuses what is needed.
    pub fn start(
        settings: Settings,
        tasks: &[Task],
        known: Vec<Checkpoint>,
        seed: u128,
        budget: &Budget,
        tallies: &Tallies,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, ReaderError> {
        let matchers = tasks.iter().map(|task| Matcher::of(task, settings.line_bytes_max));
        let matchers = matchers.collect::<Result<Vec<_>, _>>()?;
        let uring = choose(settings.io)?;
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (stop, table) = (CancellationToken::new(), Arc::new(Table::new(wake.try_clone()?)));
        let means = Means {
            table: Arc::clone(&table),
            stop: stop.clone(),
            settings: settings.clone(),
            events: events.clone(),
            watch: Watch::new(woken)?,
        };
        let mut discover = Discover::new(matchers, Known::new(seed, known), means);
        let mut threads = Vec::new();
        let lanes = lane_count(settings.lanes);
        let open_max = limits::raise_open_files(settings.open_files_max) / lanes;
        let rules = Rules::new(settings.rate, tasks, settings.block_bytes);
        let shared = Shared {
            budget: budget.clone(),
            tallies: tallies.clone(),
            events,
            stop: stop.clone(),
            table: Arc::clone(&table),
        };
        for index in 0..lanes {
            let inbox = Arc::new(Inbox::default());
            discover.lanes.push(Arc::clone(&inbox));
            let context = Context::new(index, settings.clone(), open_max, shared.clone());
            let rules = rules.clone();
            let thread = thread::Builder::new().name(format!("lane-{index}"));
            threads.push(thread.spawn(move || run_lane(uring, context, rules, inbox))?);
        }
        let inboxes = discover.lanes.clone();
        threads.push(thread::Builder::new().name("discover".to_owned()).spawn(move || discover.run())?);
        Ok(Self { stop, wake, threads, table, lanes: inboxes, settings })
    }

    /// Begins to read what one more task means. None of the same name may be read.
    ///
    /// # Errors
    /// If a pattern can't be used.
    pub fn begin(&self, task: &Task) -> Result<(), ReaderError> {
        let matcher = Matcher::of(task, self.settings.line_bytes_max)?;
        self.table.order(Order::Begin(matcher, Rule::of(task, self.settings.block_bytes)));
        Ok(())
    }

    /// Ends a task: its files are let go where reading stands, but those that were deleted are read to their ends
    /// first. When no block of it comes any more, [`Event::Dismissed`] says so, also if there was no such task. A task
    /// of the same name that begins then goes on where this one stopped.
    pub fn dismiss(&self, task: &Arc<str>) {
        self.table.order(Order::Dismiss(Arc::clone(task)));
    }

    /// Ends reading. What was read is on the channel, which closes behind it.
    pub async fn stop(self) {
        self.stop.cancel();
        // A byte, or closing the socket if it can't be written, wakes the thread that waits on it.
        let _ = io::Write::write(&mut &self.wake, &[0]);
        drop(self.wake);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in self.threads {
                if thread.join().is_err() {
                    tracing::error!("a reading thread ended in a panic; what it read and sent is safe");
                }
            }
        });
        // The join itself can't fail unless the runtime is going down, which ends the threads' work as well.
        let _ = joined.await;
    }

    /// How each task's files stand, and which `files_max` files are most behind; nothing of the lanes. A task without files
    /// is not in it.
    #[must_use]
    pub fn see(&self, files_max: usize) -> Seen {
        self.table.look(|files| inspect::most_behind(files, files_max))
    }

    /// Who can tell what each file and lane is doing, also while the reader stops.
    #[must_use]
    pub fn inspector(&self) -> Inspector {
        Inspector { table: Arc::clone(&self.table), lanes: self.lanes.clone() }
    }
}

/// Whether io_uring is used.
fn choose(io: Io) -> Result<bool, ReaderError> {
    let uring = match (io, probe_ring()) {
        (Io::Pread, _) => false,
        (_, Ok(())) => true,
        (Io::Uring, Err(error)) => return Err(ReaderError::NoUring(error)),
        (Io::Auto, Err(error)) => {
            info!(error = %error, "io_uring is refused here, reading with pread");
            false
        }
    };
    let backend = if uring { "uring" } else { "pread" };
    metrics::gauge(&list::IO_BACKEND, &[backend]).set(1.0);
    Ok(uring)
}

/// Whether a ring can be made. On a thread of its own: a runtime can't be dropped inside another one.
fn probe_ring() -> io::Result<()> {
    let probe = thread::Builder::new().name("probe".to_owned()).spawn(|| ring::runtime().map(drop))?;
    probe.join().unwrap_or_else(|_| Err(io::Error::other("the probe for io_uring panicked")))
}

fn run_lane(uring: bool, context: Context, rules: Rules, inbox: Arc<Inbox>) {
    let started = if uring {
        ring::runtime().map(|runtime| runtime.block_on(Lane::<Ring>::new(context, rules, inbox).run()))
    } else {
        pread::runtime().map(|runtime| runtime.block_on(Lane::<Pread>::new(context, rules, inbox).run()))
    };
    if let Err(error) = started {
        tracing::error!(error = %error, "a lane could not start; raise the limits of open files and locked memory");
    }
}

fn lane_count(wanted: usize) -> usize {
    let cores = thread::available_parallelism().map(usize::from).unwrap_or(1);
    if wanted > 0 { wanted } else { (cores / 4).max(1) }
}
