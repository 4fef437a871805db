//! The tasks that run, and those that are wanted: what begins, what is drained and ends, and in which order.
//!
//! A task ends in three steps: the reader lets its files go, what was read is acknowledged, and then it is gone. One
//! whose settings change ends and begins anew; as long as it drains, its successor waits. Tasks that stay as they are
//! are not touched. The newest set that is wanted counts, whatever came between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;
use tracing::{error, info};

use crate::{
    config::{Agent, Change, Task, Wanted},
    inspect::Questions,
    metrics::{self, list},
};

/// What is to be collected, and who is told what became of it.
#[derive(Debug)]
pub struct Control {
    /// What is wanted; if its sender is gone it stays as it is.
    pub wanted: watch::Receiver<Wanted>,
    /// Where the agent tells how its tasks stand.
    pub tasks: watch::Sender<Tasks>,
    /// Who asks what is being done now.
    pub questions: Questions,
}

/// How the tasks stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// The newest set of which nothing is left to do; 0 before the first.
    pub generation: u64,
    /// Each task that is wanted, or not gone yet, by its name.
    pub each: BTreeMap<Arc<str>, TaskState>,
}

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskState {
    /// The set with which it became what it is.
    pub generation: u64,
    /// What is done for it.
    pub standing: Standing,
    /// Bytes of its files that are not safe yet, when that was last summed up.
    pub unread_bytes: u64,
}

/// What is done for a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its files are read.
    Running,
    /// It ends, or changes, when what was read of it is acknowledged.
    Draining,
    /// It can't run, and why.
    Refused(String),
}

/// What the fleet asks for.
pub(super) enum Step {
    /// Begin this task, which goes to this topic.
    Begin(Box<Task>, Arc<str>),
    /// Let the files of this task go.
    Dismiss(Arc<str>),
}

/// Everything that is wanted and that runs.
pub(super) struct Fleet {
    agent: Agent,
    wants: watch::Receiver<Wanted>,
    tells: watch::Sender<Tasks>,
    wanted: Wanted,
    running: BTreeMap<Arc<str>, Running>,
    /// Tasks that end and of which nothing more comes; they may have something under way.
    dismissed: BTreeSet<Arc<str>>,
    refused: BTreeMap<Arc<str>, String>,
}

struct Running {
    task: Task,
    generation: u64,
    unread_bytes: u64,
    /// The reader was told to let its files go.
    is_leaving: bool,
}

impl Running {
    fn new(task: &Task, generation: u64) -> Self {
        Self { task: task.clone(), generation, unread_bytes: 0, is_leaving: false }
    }
}

impl Fleet {
    /// What is `wanted` at first runs already; `agent` is what the configuration says of everything else. What comes
    /// behind it comes on `wants`, and how the tasks stand goes to `tells`.
    pub(super) fn new(
        agent: &Agent,
        wanted: Wanted,
        wants: watch::Receiver<Wanted>,
        tells: watch::Sender<Tasks>,
    ) -> Self {
        let running = |task: &Task| (Arc::clone(&task.name), Running::new(task, wanted.generation));
        let running = wanted.tasks.iter().map(running).collect();
        let (dismissed, refused) = (BTreeSet::new(), BTreeMap::new());
        let fleet = Self { agent: agent.clone(), wants, tells, wanted, running, dismissed, refused };
        fleet.tell();
        fleet
    }

    /// Waits until something else is wanted; for ever if nobody is left who could want something.
    pub(super) async fn changed(&mut self) {
        if self.wants.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.wanted = self.wants.borrow_and_update().clone();
        info!(generation = self.wanted.generation, "the tasks change: {}", self.change());
    }

    /// From what runs, and goes on to, to what is wanted.
    fn change(&self) -> Change {
        let staying = self.running.values().filter(|running| !running.is_leaving);
        Change::between(staying.map(|running| &running.task), &self.wanted.tasks)
    }

    /// What is to be done now so that what runs becomes what is wanted; what waits for something else is not in it.
    pub(super) fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let Change { removed, changed, .. } = self.change();
        for name in removed.into_iter().chain(changed.into_iter().map(|task| task.name)) {
            if let Some(running) = self.running.get_mut(&name) {
                running.is_leaving = true;
                steps.push(Step::Dismiss(name));
            }
        }
        self.refused.clear();
        let all = Agent { tasks: self.wanted.tasks.to_vec(), ..self.agent.clone() };
        let topics = match all.topics() {
            Ok(topics) => topics,
            // Whoever wants tasks sees to it that they are valid; without topics nothing can begin.
            Err(error) => {
                for task in self.wanted.tasks.iter().filter(|task| !self.running.contains_key(&task.name)) {
                    self.refused.insert(Arc::clone(&task.name), error.to_string());
                }
                Vec::new()
            }
        };
        for (task, topic) in all.tasks.into_iter().zip(topics) {
            if self.running.contains_key(&task.name) {
                continue;
            }
            self.running.insert(Arc::clone(&task.name), Running::new(&task, self.wanted.generation));
            steps.push(Step::Begin(Box::new(task), topic));
        }
        self.tell();
        steps
    }

    /// Notes that a task could not begin.
    pub(super) fn refuse(&mut self, task: &Arc<str>, why: &anyhow::Error) {
        error!(task = %task, error = %format!("{why:#}"), "the task can't be collected");
        metrics::counter(&list::ERRORS, &["agent", "task"]).increment(1);
        self.running.remove(task);
        self.refused.insert(Arc::clone(task), format!("{why:#}"));
        self.tell();
    }

    /// Notes that the reader has let a task's files go.
    pub(super) fn dismissed(&mut self, task: &Arc<str>) {
        self.dismissed.insert(Arc::clone(task));
    }

    /// Ends the tasks of which nothing more comes and of which `is_drained` says that everything is safe.
    pub(super) fn ended(&mut self, is_drained: impl Fn(&Arc<str>) -> bool) -> Vec<Arc<str>> {
        let ended: Vec<Arc<str>> = self.dismissed.extract_if(.., |name| is_drained(name)).collect();
        for task in &ended {
            self.running.remove(task);
            info!(task = %task, "the task has ended, and all that was read of it is safe");
        }
        ended
    }

    /// How the tasks stand, as was told last.
    pub(super) fn tasks(&self) -> watch::Ref<'_, Tasks> {
        self.tells.borrow()
    }

    /// Whether a task waits for what was read of it to be safe.
    pub(super) fn has_leaving(&self) -> bool {
        !self.dismissed.is_empty()
    }

    /// Notes how far behind each task is, and tells how they stand.
    pub(super) fn saw(&mut self, unread_bytes: impl Fn(&Arc<str>) -> u64) {
        for (name, running) in &mut self.running {
            running.unread_bytes = unread_bytes(name);
        }
        self.tell();
    }

    fn tell(&self) {
        let state = |running: &Running| TaskState {
            generation: running.generation,
            standing: if running.is_leaving { Standing::Draining } else { Standing::Running },
            unread_bytes: running.unread_bytes,
        };
        let refused = |why: &String| TaskState {
            generation: self.wanted.generation,
            standing: Standing::Refused(why.clone()),
            unread_bytes: 0,
        };
        let mut each: BTreeMap<_, _> =
            self.refused.iter().map(|(name, why)| (Arc::clone(name), refused(why))).collect();
        each.extend(self.running.iter().map(|(name, running)| (Arc::clone(name), state(running))));
        let is_done = each.values().all(|state| state.standing != Standing::Draining);
        self.tells.send_if_modified(|told| {
            let generation = if is_done { self.wanted.generation } else { told.generation };
            let now = Tasks { generation, each };
            let is_new = *told != now;
            *told = now;
            is_new
        });
    }
}
