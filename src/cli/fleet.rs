//! An agent as one of a fleet: the tasks of its file and those of etcd made one set, and told to etcd how they fare.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle};
use tracing::{info, warn};

use super::presence;
use crate::{
    agent::{self, Tasks},
    config::{
        Agent, Change, Config, Task, Wanted,
        remote::{LeftOut, Remote, View, merge},
    },
    etcd::Etcd,
    metrics::{self, list},
    registry::{self, Key, Registration, TaskState},
};

/// Where tasks come from beside the file.
pub(super) struct Fleet {
    agent: Agent,
    etcd: Etcd,
    remote: Remote,
    view: watch::Receiver<View>,
}

impl Fleet {
    /// None if there is no etcd in the configuration. What was kept of an earlier run is known at once.
    pub(super) fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(etcd) = presence::etcd(config)? else { return Ok(None) };
        let remote = Remote::open(config, presence::address(config));
        let view = remote.view();
        Ok(Some(Self { agent: config.agent.clone(), etcd, remote, view }))
    }

    /// The way to etcd; whoever else goes it shares the connection.
    pub(super) fn etcd(&self) -> Etcd {
        self.etcd.clone()
    }

    /// What is known of the keys of etcd.
    pub(super) fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// What is wanted before anything is heard of etcd.
    pub(super) fn first(&self, local: &Wanted) -> Wanted {
        let tasks = joined(&self.agent, &local.tasks, &self.view.borrow(), &mut Vec::new());
        Wanted { tasks: tasks.into(), generation: local.generation }
    }

    /// Follows etcd and the file, and tells what is wanted of both.
    pub(super) fn follow(self, mut local: watch::Receiver<Wanted>, wants: watch::Sender<Wanted>) -> JoinHandle<()> {
        let Self { agent, etcd, remote, mut view } = self;
        tokio::spawn(async move {
            let mut told = Vec::new();
            let join = async {
                loop {
                    let tasks = {
                        let (local, view) = (local.borrow_and_update(), view.borrow_and_update());
                        joined(&agent, &local.tasks, &view, &mut told)
                    };
                    wants.send_if_modified(|wanted| {
                        let changes = !Change::between(wanted.tasks.iter(), &tasks).is_empty();
                        if changes {
                            *wanted = Wanted { tasks: tasks.into(), generation: wanted.generation + 1 };
                        }
                        changes
                    });
                    tokio::select! {
                        Ok(()) = local.changed() => (),
                        Ok(()) = view.changed() => (),
                        else => return,
                    }
                }
            };
            tokio::join!(remote.follow(etcd), join);
        })
    }
}

/// The tasks of both. What is left out is told once.
fn joined(agent: &Agent, local: &[Task], view: &View, told: &mut Vec<LeftOut>) -> Vec<Task> {
    let merged = merge(agent, local, &view.keys);
    for LeftOut { task, key, reason } in merged.left_out.iter().filter(|one| !told.contains(one)) {
        warn!(task, key, reason, "a task of etcd is left out");
    }
    if merged.left_out.is_empty() && !told.is_empty() {
        info!("no task of etcd is left out any more");
    }
    metrics::gauge(&list::REMOTE_LEFT_OUT, &[]).set(merged.left_out.len() as f64);
    *told = merged.left_out;
    merged.tasks
}

/// Adds to a registration how an agent's keys and tasks stand.
pub(super) fn tell(registration: &mut Registration, tasks: &Tasks, view: Option<&View>) {
    registration.generation = tasks.generation;
    registration.tasks_total = tasks.each.len();
    registration.unread_bytes = tasks.each.values().map(|task| task.unread_bytes).sum();
    registration.tasks = tasks.each.iter().map(task).collect();
    registration.keys = view.map_or_else(Vec::new, |view| {
        let key = |state: &crate::config::remote::KeyState| Key {
            key: state.key.clone(),
            revision: state.revision,
            canary: state.is_canary,
            refused_revision: state.refused.as_ref().map(|(revision, _)| *revision),
            reason: state.refused.as_ref().map(|(_, why)| why.clone()),
        };
        view.keys.iter().map(key).collect()
    });
}

fn task((name, task): (&Arc<str>, &agent::TaskState)) -> registry::Task {
    let (state, reason) = match &task.standing {
        agent::Standing::Running => (TaskState::Running, None),
        agent::Standing::Draining => (TaskState::Draining, None),
        agent::Standing::Refused(why) => (TaskState::Refused, Some(why.clone())),
    };
    let (name, generation, unread_bytes) = (name.to_string(), task.generation, task.unread_bytes);
    registry::Task { name, generation, state, reason, unread_bytes }
}
