//! What the transfer says of itself when it is asked: the desk of partitions, the delivery of requests.
//!
//! Each answers between two events of its own loop. One that is blocked leaves its part of the answer out.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{
    inspect::{Consuming, Indexing, Questions, State},
    record::Budget,
};

/// A part that doesn't answer for so long is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks a part of the role.
pub(super) struct Asks<T>(mpsc::Sender<oneshot::Sender<T>>);

/// Where those who ask a part wait for its answers.
pub(super) type Asked<T> = mpsc::Receiver<oneshot::Sender<T>>;

/// A way to ask a part, and its other end.
pub(super) fn part<T>() -> (Asks<T>, Asked<T>) {
    let (asks, asked) = mpsc::channel(1);
    (Asks(asks), asked)
}

impl<T> Asks<T> {
    async fn ask(&self) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let ask = async {
            self.0.send(answer).await.ok()?;
            answered.await.ok()
        };
        timeout(PATIENCE, ask).await.ok().flatten()
    }
}

/// Answers questions, one after the other, until nobody can ask any more.
pub(super) async fn answer(mut questions: Questions, desk: Asks<Consuming>, delivery: Asks<Indexing>, budget: Budget) {
    while let Some(question) = questions.next().await {
        let (consuming, indexing) = tokio::join!(desk.ask(), delivery.ask());
        let state = State::of("transfer", budget.in_flight(), budget.bytes_max());
        question.answer(State { consuming, indexing, ..state });
    }
}

/// Who asks next; for ever nobody if nobody can any more. Cancel safe.
pub(super) async fn next<T>(asked: &mut Asked<T>) -> oneshot::Sender<T> {
    match asked.recv().await {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}
