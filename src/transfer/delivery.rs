//! Delivery: a parcel goes to the store until nothing of it is left to do.
//!
//! | the store says of an item | then |
//! |---|---|
//! | created | done |
//! | there already | done, counted as a duplicate |
//! | not now (429, 5xx, a blocked or missing index) | sent again after a while, with the others of its kind |
//! | never (any other 4xx) | a dead letter; done when Kafka has it |
//! | nothing (no connection, no answer) | the whole parcel is sent again after a while |
//!
//! Only then its stretches are released. There are as many deliveries as requests may be under way; while they
//! wait they hold their parcels, and everything before them waits too.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::sync::{
    Mutex,
    mpsc::{Receiver, Sender},
};
use tracing::warn;

use super::{
    dead_letter::{Content, DeadLetters, Letter},
    parcel::{Parcel, Stretch},
    retry::Backoff,
};
use crate::{
    elastic::bulk::{self, Outcome, Outcomes, Reason},
    metrics::{self, Counter, Gauge, Part, list},
};

/// The status that says nothing but "slower".
const TOO_MANY_REQUESTS: u16 = 429;

/// Delivers parcels, one at a time.
pub(super) struct Delivery {
    sender: Arc<bulk::Sender>,
    letters: Arc<DeadLetters>,
    settled: Sender<Arc<Stretch>>,
    health: Part,
    created: Counter,
    duplicates: Counter,
    retried: Counter,
    dead: Counter,
    waiting: Gauge,
}

impl Delivery {
    pub(super) fn new(
        sender: Arc<bulk::Sender>,
        letters: Arc<DeadLetters>,
        settled: Sender<Arc<Stretch>>,
        health: Part,
    ) -> Self {
        let documents = |outcome| metrics::counter(&list::DOCUMENTS, &[outcome]);
        Self {
            sender,
            letters,
            settled,
            health,
            created: documents("created"),
            duplicates: documents("duplicate"),
            retried: documents("retried"),
            dead: documents("dead_lettered"),
            waiting: metrics::gauge(&list::BACKOFF_SECONDS, &[]),
        }
    }

    /// Delivers until there are no more parcels.
    pub(super) async fn run(self, parcels: Arc<Mutex<Receiver<Parcel>>>) {
        loop {
            let parcel = parcels.lock().await.recv().await;
            let Some(parcel) = parcel else { return };
            self.deliver(parcel).await;
        }
    }

    async fn deliver(&self, mut parcel: Parcel) {
        let mut letters = std::mem::take(&mut parcel.letters);
        let mut backoff = Backoff::default();
        while !parcel.body.is_empty() {
            let asked = match self.sender.send(&mut parcel.body).await {
                Ok(outcomes) => {
                    let before = parcel.body.len();
                    self.sort(&mut parcel, outcomes, &mut letters);
                    if parcel.body.len() < before {
                        backoff.reset();
                    }
                    None
                }
                Err(failed) => {
                    self.retried.increment(parcel.body.len() as u64);
                    warn!(error = %failed, documents = parcel.body.len(), "a bulk request failed and is sent again");
                    self.health.failing(failed.to_string());
                    failed.retry_after
                }
            };
            if !parcel.body.is_empty() {
                self.wait(backoff.next(asked)).await;
            }
        }
        if !letters.is_empty() {
            let count = letters.len() as u64;
            self.letters.put(letters).await;
            self.dead.increment(count);
        }
        for stretch in parcel.stretches {
            if stretch.release() {
                // The desk is there as long as anything is to be settled; if it isn't, nothing is committed.
                let _ = self.settled.send(stretch).await;
            }
        }
    }

    async fn wait(&self, wait: Duration) {
        self.waiting.set(wait.as_secs_f64());
        tokio::time::sleep(wait).await;
        self.waiting.set(0.0);
    }

    /// Leaves in the parcel what has to be sent again, and writes letters for what is refused.
    fn sort(&self, parcel: &mut Parcel, outcomes: Outcomes, letters: &mut Vec<Letter>) {
        self.created.increment(outcomes.created() as u64);
        let (mut again, mut first_reason) = (Vec::new(), None);
        for (item, outcome) in outcomes.others {
            match outcome {
                Outcome::Duplicate => self.duplicates.increment(1),
                Outcome::Again(reason) => {
                    again.push(item);
                    first_reason.get_or_insert(reason);
                }
                Outcome::Refused(reason) => letters.push(letter(parcel, item, *reason)),
            }
        }
        match first_reason {
            Some(reason) if reason.status != TOO_MANY_REQUESTS => {
                warn!(%reason, documents = again.len(), "the store does not take documents now; they are sent again");
                self.health.failing(format!("documents are not taken: {reason}"));
            }
            _ => self.health.ok(),
        }
        self.retried.increment(again.len() as u64);
        parcel.keep(&again);
    }
}

/// The letter for an item that the store refuses.
fn letter(parcel: &Parcel, item: usize, reason: Reason) -> Letter {
    #[derive(Deserialize)]
    struct Action {
        create: Target,
    }
    #[derive(Deserialize)]
    struct Target {
        #[serde(rename = "_index")]
        index: String,
        #[serde(rename = "_id", default)]
        id: String,
    }
    let mut lines = parcel.body.item(item).splitn(2, |byte| *byte == b'\n');
    let action: Action =
        serde_json::from_slice(lines.next().unwrap_or_default()).expect("a body's action is JSON of ours");
    let content = Content::Document {
        index: action.create.index,
        id: action.create.id,
        json: parcel.body.document(item).to_vec(),
    };
    let origin = parcel.origins[parcel.items[item] as usize].clone();
    let reason_type = if reason.kind.is_empty() { format!("http_{}", reason.status) } else { reason.kind };
    Letter { origin, reason_type, reason: reason.text, content }
}
