//! How much space file systems have, asked of each with a limit of time.
//!
//! A file system whose server is away may not answer for days, and nothing can take the question back. So it is asked
//! by a thread that can be left behind. One that is left behind is not followed by another: its file system is not
//! asked again until it has answered, and there are never more than [`STUCK_MAX`] of them.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::warn;

/// How many questions may be without an answer, each with its thread. From then on nobody is asked.
const STUCK_MAX: usize = 16;

/// How many may be found stuck in one round; who comes after them has no answer in it. So a round ends.
const STUCK_IN_A_ROUND_MAX: u32 = 3;

/// What such a thread needs is next to nothing.
const STACK_BYTES: usize = 128 << 10;

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Space {
    pub(super) size_bytes: f64,
    pub(super) free_bytes: f64,
    /// What those who are not root may still write.
    pub(super) avail_bytes: f64,
    pub(super) files: f64,
    pub(super) files_free: f64,
}

/// How a file system is asked, by its mount point.
pub(super) type Ask = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

/// Asks the kernel.
pub(super) fn of_kernel(mount_point: &Path) -> io::Result<Space> {
    let told = rustix::fs::statfs(mount_point)?;
    let block_bytes = told.f_bsize as f64;
    Ok(Space {
        size_bytes: told.f_blocks as f64 * block_bytes,
        free_bytes: told.f_bfree as f64 * block_bytes,
        avail_bytes: told.f_bavail as f64 * block_bytes,
        files: told.f_files as f64,
        files_free: told.f_ffree as f64,
    })
}

/// Asks, and knows who has not answered.
pub(super) struct Asker {
    ask: Arc<Ask>,
    limit: Duration,
    under_way: UnderWay,
}

impl Asker {
    pub(super) fn new(ask: Arc<Ask>, limit: Duration) -> Self {
        Self { ask, limit, under_way: UnderWay::default() }
    }

    /// What each says, in the order given; none of those that say nothing, or not in time. Whoever is likely to answer
    /// should stand before those who are not.
    pub(super) fn all(&self, mount_points: &[PathBuf]) -> Vec<Option<Space>> {
        let mut answers = vec![None; mount_points.len()];
        let stuck: BTreeSet<PathBuf> = self.under_way.lock().iter().cloned().collect();
        let asked = (0..).zip(mount_points).filter(|(_, path)| !stuck.contains(*path));
        let mut rest: Vec<(usize, PathBuf)> = asked.map(|(number, path)| (number, path.clone())).collect();
        let until = Instant::now() + self.limit * STUCK_IN_A_ROUND_MAX;
        while !rest.is_empty() && Instant::now() < until && self.under_way.lock().len() < STUCK_MAX {
            let heard = self.some(&rest, &mut answers);
            if let Some((_, path)) = rest.get(heard) {
                let mount_point = path.display();
                warn!(%mount_point, "a file system does not tell its space in time; it is asked again when it has");
            }
            rest.drain(..(heard + 1).min(rest.len()));
        }
        answers
    }

    /// Asks one after the other until one does not answer; how many did.
    fn some(&self, asked: &[(usize, PathBuf)], answers: &mut [Option<Space>]) -> usize {
        let Some((_, first)) = asked.first() else { return 0 };
        // Without room for an answer that nobody waits for, a thread that was left behind ends with its first one.
        let (tells, told) = sync_channel(0);
        self.under_way.begin(first);
        let questions = Questions {
            ask: Arc::clone(&self.ask),
            under_way: self.under_way.clone(),
            paths: asked.iter().map(|(_, path)| path.clone()).collect(),
            tells,
        };
        if let Err(error) =
            thread::Builder::new().name("statfs".to_owned()).stack_size(STACK_BYTES).spawn(move || questions.put())
        {
            self.under_way.end(first);
            warn!(%error, "no thread can be started to ask file systems for their space");
            return asked.len();
        }
        for (heard, (number, _)) in asked.iter().enumerate() {
            match told.recv_timeout(self.limit) {
                Ok(answer) => answers[*number] = answer.ok(),
                // It ended without having been asked all: as if this one had not answered.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return heard,
            }
        }
        asked.len()
    }
}

/// What a thread has to ask.
struct Questions {
    ask: Arc<Ask>,
    under_way: UnderWay,
    paths: Vec<PathBuf>,
    tells: SyncSender<io::Result<Space>>,
}

impl Questions {
    /// The first of them is under way already.
    fn put(self) {
        for (number, path) in self.paths.iter().enumerate() {
            let answer = (self.ask)(path);
            // The next one is under way before this one has ended: so there are never fewer than threads.
            let next = self.paths.get(number + 1);
            next.inspect(|next| self.under_way.begin(next));
            self.under_way.end(path);
            if self.tells.send(answer).is_err() {
                next.inspect(|next| self.under_way.end(next));
                return;
            }
        }
    }
}

/// The mount points that were asked, and have not answered: one for each thread, so that one may be there twice.
#[derive(Clone, Default)]
struct UnderWay(Arc<Mutex<Vec<PathBuf>>>);

impl UnderWay {
    fn begin(&self, path: &Path) {
        self.lock().push(path.to_owned());
    }

    fn end(&self, path: &Path) {
        let mut paths = self.lock();
        if let Some(at) = paths.iter().position(|one| one == path) {
            paths.swap_remove(at);
        }
    }

    /// The list is whole between any two statements.
    fn lock(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        path::{Path, PathBuf},
        sync::{
            Arc, Condvar, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::{Asker, STUCK_MAX, Space, of_kernel};

    const ANSWER: Space = Space { size_bytes: 5.0, free_bytes: 4.0, avail_bytes: 3.0, files: 2.0, files_free: 1.0 };

    /// File systems below `/hung` don't answer while it is closed; `/broken` answers with an error.
    #[derive(Default)]
    struct Gate {
        is_open: Mutex<bool>,
        opened: Condvar,
        asked: AtomicUsize,
        let_go: AtomicUsize,
    }

    impl Gate {
        fn ask(&self, path: &Path) -> io::Result<Space> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if path.starts_with("/hung") {
                let is_open = self.is_open.lock().expect("no panic");
                drop(self.opened.wait_while(is_open, |is_open| !*is_open).expect("no panic"));
                self.let_go.fetch_add(1, Ordering::SeqCst);
            }
            if path == Path::new("/broken") { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(ANSWER) }
        }

        fn open(&self) {
            *self.is_open.lock().expect("no panic") = true;
            self.opened.notify_all();
        }
    }

    fn asker(limit: Duration) -> (Arc<Gate>, Asker) {
        let gate = Arc::new(Gate::default());
        let asks = Arc::clone(&gate);
        (gate, Asker::new(Arc::new(move |path: &Path| asks.ask(path)), limit))
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn one_that_hangs_is_without_an_answer_and_the_others_have_theirs() {
        let (gate, asker) = asker(Duration::from_millis(50));
        let mounts = paths(&["/", "/hung", "/broken", "/data"]);
        let expected = [Some(ANSWER), None, None, Some(ANSWER)];
        assert_eq!(asker.all(&mounts), expected);
        assert_eq!(gate.asked.load(Ordering::SeqCst), 4);
        assert_eq!(asker.all(&mounts), expected);
        assert_eq!(gate.asked.load(Ordering::SeqCst), 7, "the one that hangs is not asked again");
        gate.open();
        // It is asked again as soon as its first question was answered.
        while asker.all(&mounts) != [Some(ANSWER), Some(ANSWER), None, Some(ANSWER)] {}
    }

    #[test]
    fn however_many_hang_a_round_ends_and_threads_are_few() {
        let (gate, asker) = asker(Duration::from_millis(5));
        let names: Vec<PathBuf> = (0..100).map(|number| PathBuf::from(format!("/hung/{number}"))).collect();
        for _ in 0..30 {
            assert!(asker.all(&names).iter().all(Option::is_none));
            assert!(gate.asked.load(Ordering::SeqCst) <= STUCK_MAX);
        }
        // The last of them may just have been started.
        while gate.asked.load(Ordering::SeqCst) < STUCK_MAX {}
        gate.open();
        while gate.let_go.load(Ordering::SeqCst) < STUCK_MAX {}
    }

    #[test]
    fn the_kernel_knows_the_space_of_the_root() {
        let root = of_kernel(Path::new("/")).expect("it answers");
        assert!(root.size_bytes > 0.0 && root.free_bytes <= root.size_bytes && root.avail_bytes <= root.free_bytes);
        assert!(of_kernel(Path::new("/no/such/place")).is_err());
    }
}
