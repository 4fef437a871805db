//! Who takes what the reader reads: a ledger, checkpoints that are saved now and then, and a life that can end at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::timeout};

use super::{
    Checked,
    receipts::{Fate, Receipts},
    world::World,
};
use crate::{
    checkpoint::Keeper,
    reader::{Event, Io, Reader, Settings, Tallies, Task},
    record::{Block, Budget, Checkpoint, Stream},
};

/// How many bytes may be under way: few, so that backpressure is felt.
const BUDGET: usize = 16 * 1024;

/// How long anything may take on a machine that is busy with something else.
const LIMIT: Duration = Duration::from_secs(15);

/// The reader and what follows it.
pub(super) struct Sink {
    settings: Settings,
    task: Task,
    life: Option<Life>,
    /// What is on disk.
    saved: HashMap<Stream, Checkpoint>,
    pub(super) receipts: Receipts,
    /// Whether blocks become safe; if not, the reader is left to wait.
    pub(super) flows: bool,
    dice: u64,
}

/// What a killed process takes along.
struct Life {
    /// The task was dismissed and has ended.
    has_left: bool,
    reader: Reader,
    events: mpsc::Receiver<Event>,
    budget: Budget,
    keeper: Keeper,
    under_way: Vec<(usize, Block)>,
}

impl Sink {
    pub(super) fn new(world: &World, io: Io, seed: u64) -> Self {
        let settings = Settings {
            io,
            lanes: 1 + (seed % 2) as usize,
            rescan: Duration::from_millis(300),
            block_bytes: 256,
            line_bytes_max: 512,
            idle_flush: Duration::from_millis(250),
            close_after: Duration::from_millis(300),
            deleted_quiet: Duration::from_millis(600),
            free_space_min: 0,
            ..Settings::default()
        };
        let paths = vec![world.dir.join("app.log*").to_string_lossy().into_owned()];
        let task = Task::new("model", paths);
        let saved = HashMap::new();
        Self { settings, task, life: None, saved, receipts: Receipts::default(), flows: true, dice: seed }
    }

    /// Whether somebody reads.
    pub(super) fn runs(&self) -> bool {
        self.life.as_ref().is_some_and(|life| !life.has_left)
    }

    /// How many bytes there are that the reader has still to read.
    pub(super) fn unread(&self) -> u64 {
        self.life.iter().flat_map(|life| life.reader.status().into_values()).map(|status| status.unread_bytes).sum()
    }

    pub(super) fn start(&mut self) {
        if self.life.is_some() {
            return;
        }
        let (sender, events) = mpsc::channel(4);
        let budget = Budget::new(BUDGET);
        let known = self.saved.values().cloned().collect();
        let tasks = std::slice::from_ref(&self.task);
        let started = Reader::start(self.settings.clone(), tasks, known, 42, &budget, &Tallies::default(), sender);
        let (reader, keeper, under_way) = (started.expect("the reader starts"), Keeper::default(), Vec::new());
        self.life = Some(Life { has_left: false, reader, events, budget, keeper, under_way });
    }

    /// Ends in order: what was read becomes safe, and is saved.
    pub(super) async fn stop(&mut self, world: &mut World) -> Checked {
        let Some(mut life) = self.life.take() else { return Ok(()) };
        let stopped = tokio::spawn(life.reader.stop());
        while let Some(event) = life.events.recv().await {
            take(&mut self.receipts, &mut self.saved, &mut life.keeper, &mut life.under_way, world, event)?;
        }
        stopped.await.map_err(|error| error.to_string())?;
        for (number, block) in life.under_way.drain(..) {
            life.keeper.settle(&block.span()).map_err(|error| format!("{error}: {:?}", block.span()))?;
            self.receipts.settle(number, Fate::Safe);
        }
        save(&mut self.saved, &mut life.keeper);
        if life.budget.in_flight() != 0 {
            return Err(format!("{} bytes of the budget were not given back", life.budget.in_flight()));
        }
        self.lose_the_gone(world);
        Ok(())
    }

    /// Ends the task in order: what was read becomes safe.
    pub(super) async fn leave(&mut self, world: &World) -> Checked {
        let Some(life) = self.life.as_ref().filter(|life| !life.has_left && self.flows) else { return Ok(()) };
        life.reader.dismiss(&self.task.name);
        let has_left = |sink: &Self| sink.life.as_ref().is_some_and(|life| life.has_left && life.under_way.is_empty());
        if self.pass_until(world, has_left).await? { Ok(()) } else { Err("the task does not end".to_owned()) }
    }

    /// Begins the task anew, if it has ended.
    pub(super) fn join(&mut self) {
        if let Some(life) = self.life.as_mut().filter(|life| life.has_left) {
            life.has_left = false;
            life.reader.begin(&self.task).expect("it began before");
        }
    }

    /// Ends at once. Of what was under way some is in Kafka, of each stream the first.
    pub(super) async fn kill(&mut self, world: &mut World) {
        let Some(life) = self.life.take() else { return };
        drop(life.events);
        life.reader.stop().await;
        let mut cut_off: HashMap<Stream, bool> = HashMap::new();
        for (number, block) in life.under_way {
            let roll = self.roll();
            let gone = cut_off.entry(block.origin.stream).or_default();
            *gone |= roll.is_multiple_of(4);
            if !*gone {
                self.receipts.settle(number, Fate::Safe);
            }
        }
        self.receipts.died();
        self.lose_the_gone(world);
    }

    /// A file that had no name any more was only there as long as the reader had it open.
    fn lose_the_gone(&self, world: &mut World) {
        for run in (0..world.runs.len()).filter(|run| !world.holds(*run)).collect::<Vec<_>>() {
            self.receipts.lose(world, run, true);
        }
    }

    /// Saves what is due.
    pub(super) fn save(&mut self) {
        if let Some(life) = &mut self.life {
            save(&mut self.saved, &mut life.keeper);
        }
    }

    /// Takes what comes, for so long.
    pub(super) async fn pass(&mut self, world: &World, time: Duration) -> Checked {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let Some(life) = self.life.as_mut().filter(|_| self.flows) else {
                tokio::time::sleep(left).await;
                continue;
            };
            if let Ok(event) = timeout(left.min(Duration::from_millis(20)), life.events.recv()).await {
                let event = event.ok_or("the reader ended by itself")?;
                life.has_left |= matches!(event, Event::Dismissed(_));
                take(&mut self.receipts, &mut self.saved, &mut life.keeper, &mut life.under_way, world, event)?;
            }
            self.acknowledge()?;
        }
        Ok(())
    }

    /// Makes some of what is under way safe, in any order.
    fn acknowledge(&mut self) -> Checked {
        let (roll, other) = (self.roll() as usize, self.roll());
        let Some(life) = &mut self.life else { return Ok(()) };
        let waits = life.budget.in_flight() * 2 > life.budget.bytes_max();
        if !life.under_way.is_empty() && (waits || other % 3 > 0) {
            let (number, block) = life.under_way.swap_remove(roll % life.under_way.len());
            life.keeper.settle(&block.span()).map_err(|error| format!("{error}: {:?}", block.span()))?;
            self.receipts.settle(number, Fate::Safe);
        }
        if other.is_multiple_of(8) {
            save(&mut self.saved, &mut life.keeper);
        }
        Ok(())
    }

    /// Takes what comes until `met`; whether it was within the limit.
    pub(super) async fn pass_until(&mut self, world: &World, met: impl Fn(&Self) -> bool) -> Checked<bool> {
        let begun = Instant::now();
        while !met(self) {
            if begun.elapsed() > LIMIT {
                return Ok(false);
            }
            self.pass(world, Duration::from_millis(5)).await?;
        }
        Ok(true)
    }

    /// What is known and saved, for a report.
    pub(super) fn describe(&self, world: &World) -> String {
        let saved = self
            .saved
            .values()
            .map(|known| format!("saved {:?} at {} under {}", known.stream, known.offset, known.path.display()));
        let runs = (0..world.runs.len()).map(|run| self.receipts.describe(world, run));
        saved.chain(runs).collect::<Vec<_>>().join("\n")
    }

    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }
}

/// Takes over what the reader tells, as the agent does.
fn take(
    receipts: &mut Receipts,
    saved: &mut HashMap<Stream, Checkpoint>,
    keeper: &mut Keeper,
    under_way: &mut Vec<(usize, Block)>,
    world: &World,
    event: Event,
) -> Checked {
    let first_saved = event.must_be_saved_first();
    match event {
        Event::Opened(checkpoint) | Event::Resumed(checkpoint) => keeper.opened(checkpoint),
        Event::Rested(stream) => keeper.rested(stream),
        Event::Cut(stream, cut) => keeper.cut(stream, cut),
        Event::Changed(checkpoint) => keeper.changed(checkpoint),
        Event::Ended(stream) => keeper.ended(stream),
        Event::Forgotten(stream) => keeper.forgotten(stream),
        Event::Dismissed(_) => (),
        Event::Block(block) => {
            keeper.take(&block.span()).map_err(|error| format!("{error}: {:?}", block.span()))?;
            under_way.push((receipts.note(world, &block)?, block));
        }
    }
    if first_saved {
        save(saved, keeper);
    }
    Ok(())
}

/// Saves what is due, as the store does: a finished stream leaves when there is a newer generation of its file.
fn save(saved: &mut HashMap<Stream, Checkpoint>, keeper: &mut Keeper) {
    let due = keeper.due();
    saved.extend(due.checkpoints.into_iter().map(|checkpoint| (checkpoint.stream, checkpoint)));
    due.forgotten.iter().for_each(|stream| drop(saved.remove(stream)));
    for stream in due.finished {
        if saved.keys().any(|other| other.file == stream.file && other.generation > stream.generation) {
            saved.remove(&stream);
        }
    }
}
