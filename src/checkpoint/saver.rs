//! Saves checkpoints beside the work, one commit at a time.

use std::time::Instant;

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::error;

use super::{Due, Store, StoreError};
use crate::metrics::{self, Counter, Gauge, Histogram, list};

/// Runs commits of a store on a blocking thread and says how they went.
pub struct Saver {
    store: Store,
    running: Option<JoinHandle<Outcome>>,
    /// When everything that was due was last saved.
    saved: Instant,
    age: Gauge,
    took: Histogram,
    succeeded: Counter,
    failed: Counter,
}

/// How a commit went, with what was to be saved.
struct Outcome {
    due: Due,
    result: Result<(), StoreError>,
}

/// A commit that failed; nothing was lost, what was to be saved is due again.
#[derive(Debug)]
pub struct Unsaved {
    /// What was to be saved.
    pub due: Due,
    /// Why it wasn't.
    pub error: StoreError,
}

impl Saver {
    /// A saver for this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            running: None,
            saved: Instant::now(),
            age: metrics::gauge(&list::CHECKPOINT_AGE_SECONDS, &[]),
            took: metrics::histogram(&list::CHECKPOINT_SECONDS, &[]),
            succeeded: metrics::counter(&list::CHECKPOINT_COMMITS, &["saved"]),
            failed: metrics::counter(&list::CHECKPOINT_COMMITS, &["failed"]),
        }
    }

    /// Whether no commit is running.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Begins to save; to be called only when idle. With nothing to save, everything is as saved as it can be.
    pub fn begin(&mut self, due: Due) {
        debug_assert!(self.is_idle(), "one commit at a time");
        if due.is_empty() {
            self.note_saved();
            return;
        }
        let (store, took) = (self.store.clone(), self.took.clone());
        self.running = Some(spawn_blocking(move || {
            let begun = Instant::now();
            let result = store.save(&due);
            took.record(begun.elapsed());
            Outcome { due, result }
        }));
    }

    /// Waits for the commit that is running; for ever if there is none.
    ///
    /// # Errors
    /// If the commit failed. What was to be saved comes back and is to be saved again.
    pub async fn finished(&mut self) -> Result<(), Unsaved> {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let outcome = running.await;
        self.running = None;
        match outcome {
            Ok(Outcome { result: Ok(()), .. }) => {
                self.succeeded.increment(1);
                self.note_saved();
                Ok(())
            }
            Ok(Outcome { due, result: Err(error) }) => {
                self.failed.increment(1);
                error!(error = %error, "can't save checkpoints; files that were begun are read on until a new one has to wait, and what is not saved is sent again after a restart");
                Err(Unsaved { due, error })
            }
            // The runtime is going down, or the commit panicked: the checkpoints stand where they stood.
            Err(error) => {
                self.failed.increment(1);
                error!(error = %error, "saving checkpoints ended early");
                Ok(())
            }
        }
    }

    /// Saves now and waits for it; to be called only when idle.
    ///
    /// # Errors
    /// As [`Saver::finished`].
    pub async fn save(&mut self, due: Due) -> Result<(), Unsaved> {
        self.begin(due);
        if self.is_idle() { Ok(()) } else { self.finished().await }
    }

    /// Sets the metric of how old the last saved state is.
    pub fn report_age(&self) {
        self.age.set(self.saved.elapsed().as_secs_f64());
    }

    fn note_saved(&mut self) {
        self.saved = Instant::now();
        self.age.set(0.0);
    }
}
