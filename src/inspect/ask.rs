//! Asking a role that is at work: a question waits until the role comes to it, for a limited time.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::State;

/// Questions that wait for the role; more are refused.
const QUESTIONS_MAX: usize = 4;

/// How long an answer may take. A role that is blocked doesn't answer, and that is an answer too.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a role. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<Question>);

/// The questions that a role is to answer.
#[derive(Debug)]
pub struct Questions(mpsc::Receiver<Question>);

/// What somebody wants to know.
#[derive(Debug)]
pub struct Question {
    /// How many files are wanted.
    pub files: usize,
    answer: oneshot::Sender<State>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Others are asking.
    #[error("others are asking already; try again")]
    Busy,
    /// The role did not come to it.
    #[error("no answer within 5 s: the process is starting, or its main loop is blocked")]
    Late,
    /// The role has ended.
    #[error("the process is ending")]
    Over,
}

/// A way to ask, and its other end.
#[must_use]
pub fn channel() -> (Asker, Questions) {
    let (asks, questions) = mpsc::channel(QUESTIONS_MAX);
    (Asker(asks), Questions(questions))
}

impl Asker {
    /// What the process is doing now, with up to so many files.
    ///
    /// # Errors
    /// If the role doesn't answer.
    pub async fn ask(&self, files: usize) -> Result<State, Unanswered> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Question { files, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::Busy,
            mpsc::error::TrySendError::Closed(_) => Unanswered::Over,
        })?;
        match timeout(PATIENCE, answered).await {
            Ok(Ok(state)) => Ok(state),
            Ok(Err(_)) => Err(Unanswered::Over),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

impl Questions {
    /// The next question; none if nobody can ask any more. Cancel safe.
    pub async fn next(&mut self) -> Option<Question> {
        self.0.recv().await
    }
}

impl Question {
    /// Answers. Whoever asked may have gone, and then nobody wants to know.
    pub fn answer(self, state: State) {
        let _ = self.answer.send(state);
    }

    /// Whether whoever asked still waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.answer.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Unanswered, channel};

    #[tokio::test]
    async fn a_question_is_answered_once_and_a_role_that_has_ended_is_told_so() {
        let (asker, mut questions) = channel();
        let role = tokio::spawn(async move {
            let question = questions.next().await.expect("somebody asks");
            assert!(question.is_waiting());
            let files = question.files;
            question.answer(State::of("agent", files, 9));
        });
        assert_eq!(asker.ask(7).await.map(|state| state.in_flight_bytes), Ok(7));
        role.await.expect("it ends");
        assert_eq!(asker.ask(1).await, Err(Unanswered::Over));
    }

    #[tokio::test]
    async fn few_can_wait_for_a_role_that_does_not_come_to_it() {
        let (asker, questions) = channel();
        for _ in 0..super::QUESTIONS_MAX {
            let asker = asker.clone();
            tokio::spawn(async move { asker.ask(1).await });
        }
        while asker.0.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(asker.ask(1).await, Err(Unanswered::Busy));
        drop(questions);
    }
}
