//! What the agent says of itself when it is asked: the reader is looked at elsewhere, and the agent adds what it knows.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use tokio::task::JoinSet;

use super::{Standing, TaskState, Tasks, belt::Belt};
use crate::{
    inspect::{File, FileState, Files, Question, Questions, Reading, State, Task},
    reader::{Inspector, Seen},
    record::{Budget, FileId, Stream},
};

/// How many look at the reader at once.
const LOOKS_MAX: usize = 2;

/// Questions, and what the reader has to say to them.
pub(super) struct Inquiry {
    questions: Questions,
    inspector: Inspector,
    looks: JoinSet<(Question, Seen)>,
}

impl Inquiry {
    pub(super) fn new(questions: Questions, inspector: Inspector) -> Self {
        Self { questions, inspector, looks: JoinSet::new() }
    }

    /// The next question that only the agent's own answer is missing of; for ever none if nobody can ask. Cancel safe.
    pub(super) async fn next(&mut self) -> (Question, Seen) {
        loop {
            tokio::select! {
                Some(question) = self.questions.next(), if self.looks.len() < LOOKS_MAX => {
                    let inspector = self.inspector.clone();
                    self.looks.spawn(async move {
                        let seen = inspector.look(question.files).await;
                        (question, seen)
                    });
                }
                Some(Ok(looked)) = self.looks.join_next() => return looked,
                else => std::future::pending().await,
            }
        }
    }
}

/// Tells what the agent is doing now.
pub(super) fn answer(question: Question, seen: Seen, tasks: &Tasks, belt: &Belt, budget: &Budget) {
    if question.is_waiting() {
        let state = state(seen, tasks, belt, budget);
        question.answer(state);
    }
}

/// What the agent is doing now.
fn state(seen: Seen, tasks: &Tasks, belt: &Belt, budget: &Budget) -> State {
    let mut state = State::of("agent", budget.in_flight(), budget.bytes_max());
    state.reading = Some(reading(seen, tasks, belt));
    state.sending = Some(belt.sending());
    state
}

fn reading(seen: Seen, tasks: &Tasks, belt: &Belt) -> Reading {
    let each = with_what_is_safe(seen.files, belt);
    let left_out = seen.files_total - each.len();
    let files = Files { total: seen.files_total, left_out, unread_bytes: seen.unread_bytes, each };
    let task = |(name, state): (&Arc<str>, &TaskState)| {
        let status = seen.tasks.get(name).copied().unwrap_or_default();
        let (state, reason) = match &state.standing {
            Standing::Running => ("running", None),
            Standing::Draining => ("draining", None),
            Standing::Refused(why) => ("refused", Some(why.clone())),
        };
        let topic = belt.topic(name).map(|topic| topic.to_string());
        Task { topic, state: state.to_owned(), reason, ..status.told(name, belt.in_flight(name)) }
    };
    Reading { tasks: tasks.each.iter().map(task).collect(), lanes: seen.lanes, files }
}

/// Adds up to where each file is safe. The stream of a file that rests may be closed, and then all that was read is; of an
/// open file that the keeper doesn't know, what the reader tells is still on its way here, and nothing is known. A copy
/// goes on with the stream of the file that it was copied from, so the path counts where the identity doesn't.
fn with_what_is_safe(files: Vec<(FileId, File)>, belt: &Belt) -> Vec<File> {
    let keeper = &belt.keeper;
    let mut streams: HashMap<Cow<'_, str>, Vec<(Stream, u64)>> = HashMap::new();
    for (stream, path, safe) in keeper.streams() {
        streams.entry(path.to_string_lossy()).or_default().push((stream, safe));
    }
    let safe = |id: FileId, file: &File| {
        let at_path = streams.get(file.path.as_str())?;
        at_path.iter().max_by_key(|(stream, _)| (stream.file == id, stream.generation)).map(|(_, safe)| *safe)
    };
    let with_safe = |(id, file): (FileId, File)| {
        // Of a compressed file the text is counted, which is not what was read of it.
        let is_settled = file.state == FileState::Idle && !belt.is_parked();
        let safe = safe(id, &file).or(is_settled.then_some(file.read)).filter(|_| !file.compressed);
        File { safe: safe.map(|safe| safe.min(file.read)), ..file }
    };
    files.into_iter().map(with_safe).collect()
}
