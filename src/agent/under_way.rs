//! What was sent to Kafka and is not settled, batch by batch: kept for whoever asks, at the cost of one entry a batch.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::belt::{Account, Belt, Ticket};
use crate::{
    inspect::{Batch, BatchState, Client, Limited, Sending},
    kafka::{Outgoing, Producer},
    record::Amount,
};

/// The batches under way; the budget bounds how many there are.
#[derive(Debug, Default)]
pub(super) struct UnderWay(HashMap<usize, Sent>);

#[derive(Debug)]
struct Sent {
    topic: Arc<str>,
    partition: i32,
    tasks: Vec<Arc<str>>,
    amount: Amount,
    since: Instant,
}

impl UnderWay {
    /// The number of a batch: where its account is, which no other one has as long as it is there.
    pub(super) fn number(account: &Arc<Account>) -> usize {
        Arc::as_ptr(account) as usize
    }

    /// Notes that a batch is sent. What becomes of it until all of it is settled, halves and letters, is still the same one.
    pub(super) fn begin(&mut self, outgoing: &Outgoing<Ticket>) {
        let ticket = &outgoing.ticket;
        let sent = Sent {
            topic: Arc::clone(&outgoing.topic),
            partition: outgoing.partition.unwrap_or(-1),
            tasks: ticket.shares.iter().map(|share| Arc::clone(&share.task)).collect(),
            amount: ticket.amount(),
            since: Instant::now(),
        };
        self.0.insert(Self::number(&ticket.account), sent);
    }

    /// Notes that a batch is settled.
    pub(super) fn end(&mut self, number: usize) {
        self.0.remove(&number);
    }

    fn batches(&self, now: Instant) -> impl Iterator<Item = Batch> + '_ {
        self.0.values().map(move |sent| Batch {
            topic: sent.topic.to_string(),
            partition: sent.partition,
            tasks: sent.tasks.iter().map(ToString::to_string).collect(),
            lines: Some(sent.amount.lines),
            bytes: sent.amount.bytes,
            age_seconds: now.duration_since(sent.since).as_secs_f64(),
            state: BatchState::Sent,
        })
    }
}

impl Belt {
    /// What is on its way to Kafka.
    pub(super) fn sending(&self) -> Sending {
        let now = Instant::now();
        let gathering = self.gatherers.iter().filter_map(|(bin, gatherer)| {
            let (bytes, since) = gatherer.gathering()?;
            Some(Batch {
                topic: bin.topic.to_string(),
                partition: bin.partition,
                tasks: bin.task.iter().map(ToString::to_string).collect(),
                lines: None,
                bytes: bytes as u64,
                age_seconds: now.duration_since(since).as_secs_f64(),
                state: BatchState::Gathering,
            })
        });
        let batches: Vec<Batch> = self.under_way.batches(now).chain(gathering).collect();
        let oldest_first = |batch: &Batch| std::cmp::Reverse((batch.age_seconds * 1e6) as u64);
        let client = |producer: &Producer<Ticket>| Client {
            name: producer.name().to_owned(),
            under_way: producer.under_way(),
            trouble: producer.trouble().borrow().as_ref().map(ToString::to_string),
        };
        Sending {
            clients: self.producers.each().map(client).collect(),
            waits_for_topic: self.is_parked(),
            batches: Limited::first(batches, oldest_first),
        }
    }
}
