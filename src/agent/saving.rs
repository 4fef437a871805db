//! Saves checkpoints beside the work, and holds back what may not be sent before they are on disk.
//!
//! Most checkpoints follow what was sent: if they are lost, lines are sent again under the same identities. Some go
//! first, because identities depend on them: new generations of files, and cuts that content alone does not explain.
//! While one of those is not on disk, sealed batches wait, and so does reading. All that came meanwhile is saved at once.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    checkpoint::{Keeper, Saver, Store},
    metrics::Part,
};

/// How long to wait after a failure before what holds batches back is saved again.
const AGAIN: Duration = Duration::from_millis(500);

/// The saver, and what waits for it.
pub(super) struct Saving {
    saver: Saver,
    health: Part,
    gate: Gate,
}

/// Whether something is not on disk that has to be before anything more is sent.
#[derive(Debug, Default)]
struct Gate {
    /// It was told since the last commit began.
    is_wanted: bool,
    /// It is in the commit that runs.
    is_awaited: bool,
    /// The last commit failed: the next one begins with the next tick, not at once.
    has_failed: bool,
}

impl Saving {
    pub(super) fn new(store: Store, health: Part) -> Self {
        health.ok();
        Self { saver: Saver::new(store), health, gate: Gate::default() }
    }

    /// Notes that something was told that has to be on disk before anything more is sent.
    pub(super) fn want(&mut self) {
        self.gate.is_wanted = true;
    }

    /// Whether nothing may be sent now.
    pub(super) fn holds(&self) -> bool {
        self.gate.holds()
    }

    /// Begins to save what is due, unless something is being saved.
    pub(super) fn begin(&mut self, keeper: &mut Keeper) {
        if self.saver.is_idle() {
            self.saver.begin(keeper.due());
            self.gate.began();
            if self.saver.is_idle() {
                // There was nothing to save.
                self.gate.ended(true);
            }
        }
    }

    /// Begins to save what batches wait for, if that did not fail just now.
    pub(super) fn hurry(&mut self, keeper: &mut Keeper) {
        if self.gate.is_wanted && !self.gate.has_failed {
            self.begin(keeper);
        }
    }

    /// Waits for the commit that runs; for ever if there is none. Cancel safe.
    pub(super) async fn finished(&mut self, keeper: &mut Keeper) {
        let result = self.saver.finished().await;
        self.gate.ended(result.is_ok());
        match result {
            Ok(()) => self.health.ok(),
            Err(unsaved) => {
                self.health.failing(unsaved.error.to_string());
                keeper.still_due(unsaved.due);
            }
        }
    }

    /// Once in a while: saves what is due.
    pub(super) fn tick(&mut self, keeper: &mut Keeper) {
        self.begin(keeper);
        self.saver.report_age();
    }

    /// Waits until everything is on disk that has to be, however often it takes.
    pub(super) async fn clear(&mut self, keeper: &mut Keeper) {
        while self.holds() {
            self.begin(keeper);
            if !self.saver.is_idle() {
                self.finished(keeper).await;
            }
            if self.gate.has_failed {
                sleep(AGAIN).await;
            }
        }
    }

    /// Saves what is left, at the end.
    pub(super) async fn end(mut self, keeper: &mut Keeper) -> anyhow::Result<()> {
        if !self.saver.is_idle() {
            self.finished(keeper).await;
        }
        let saved = self.saver.save(keeper.due()).await;
        saved.map_err(|unsaved| anyhow::Error::from(unsaved.error).context("can't save the last checkpoints"))
    }
}

impl Gate {
    fn holds(&self) -> bool {
        self.is_wanted || self.is_awaited
    }

    fn began(&mut self) {
        (self.is_awaited, self.is_wanted) = (self.is_wanted, false);
    }

    fn ended(&mut self, is_saved: bool) {
        self.is_wanted |= self.is_awaited && !is_saved;
        (self.is_awaited, self.has_failed) = (false, !is_saved);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Gate, Saving};
    use crate::{
        checkpoint::{Keeper, Store},
        metrics::Health,
        record::{Checkpoint, FileId, Head, LateCut, Place, Stream, TailMark},
    };

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            stream: Stream { file: FileId(1), generation: 1 },
            task: "t".into(),
            offset: 0,
            mark: TailMark::default(),
            path: PathBuf::from("/a"),
            place: Place::default(),
            head: Head::default(),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 0,
        }
    }

    #[tokio::test]
    async fn what_identities_depend_on_is_on_disk_before_anything_more_is_sent() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a new store").store;
        let mut saving = Saving::new(store.clone(), Health::default().part("checkpoints"));
        let mut keeper = Keeper::default();
        assert!(!saving.holds());
        keeper.opened(checkpoint());
        saving.want();
        saving.hurry(&mut keeper);
        // A cut that comes while a commit runs is not in that one.
        keeper.cut(checkpoint().stream, LateCut::new(7));
        saving.want();
        saving.finished(&mut keeper).await;
        assert!(saving.holds());
        saving.hurry(&mut keeper);
        assert!(saving.holds(), "it is not on disk yet");
        saving.finished(&mut keeper).await;
        assert!(!saving.holds());
        assert_eq!(store.load().expect("readable")[0].cuts, [7]);
        saving.want();
        saving.clear(&mut keeper).await;
        assert!(!saving.holds(), "there was nothing to save");
    }

    #[test]
    fn a_commit_that_fails_holds_everything_back_until_one_succeeds() {
        let mut gate = Gate { is_wanted: true, ..Gate::default() };
        gate.began();
        gate.ended(false);
        assert!(gate.holds() && gate.has_failed);
        gate.began();
        assert!(gate.holds());
        gate.ended(true);
        assert!(!gate.holds() && !gate.has_failed);
        gate.began();
        gate.ended(false);
        assert!(!gate.holds(), "nothing depends on what follows what was sent");
    }
}
