//! What gathers blocks for a partition: those of several tasks into packed records, or a task's into sets of single lines.

use std::{sync::Arc, time::Instant};

use super::belt::{Account, Ticket, outgoing};
use crate::{
    batcher::{
        self, Batch, Batcher,
        lines::{LineBatch, LineBatcher, Style},
    },
    kafka::Outgoing,
    record::Block,
};

/// One for each topic, partition and key, and of single lines for each task.
pub(super) enum Gatherer {
    Packed(Box<Batcher>),
    Lines(Box<LineBatcher>),
}

/// What was gathered.
pub(super) enum Gathered {
    Packed(Batch),
    Lines(LineBatch),
}

impl Gatherer {
    /// One for records of this style; packed ones if there is none.
    pub(super) fn new(settings: &batcher::Settings, style: Option<Style>, sender: &batcher::Sender) -> Self {
        match style {
            None => Self::Packed(Box::new(Batcher::new(settings, sender.clone()))),
            Some(style) => Self::Lines(Box::new(LineBatcher::new(settings, style, sender.clone()))),
        }
    }

    /// Adds a block, whose records get `key` if they are single lines; returns what this filled.
    pub(super) fn push(&mut self, block: Block, key: Option<&[u8]>, now: Instant) -> Vec<Gathered> {
        match self {
            Self::Packed(batcher) => batcher.push(block, now).into_iter().map(Gathered::Packed).collect(),
            Self::Lines(batcher) => batcher.push(block, key, now).into_iter().map(Gathered::Lines).collect(),
        }
    }

    /// When what is being gathered is due.
    pub(super) fn due_at(&self) -> Option<Instant> {
        match self {
            Self::Packed(batcher) => batcher.due_at(),
            Self::Lines(batcher) => batcher.due_at(),
        }
    }

    /// How many bytes of text are being gathered, and since when; none if there are none.
    pub(super) fn gathering(&self) -> Option<(usize, Instant)> {
        match self {
            Self::Packed(batcher) => batcher.gathering(),
            Self::Lines(batcher) => batcher.gathering(),
        }
    }

    /// What is being gathered, if it is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Gathered> {
        match self {
            Self::Packed(batcher) => batcher.due(now).map(Gathered::Packed),
            Self::Lines(batcher) => batcher.due(now).map(Gathered::Lines),
        }
    }

    /// What is being gathered, as far as it went.
    pub(super) fn seal(&mut self) -> Option<Gathered> {
        match self {
            Self::Packed(batcher) => batcher.seal().map(Gathered::Packed),
            Self::Lines(batcher) => batcher.seal().map(Gathered::Lines),
        }
    }
}

impl Gathered {
    /// What is to be sent, with the ticket that accounts for it.
    pub(super) fn outgoing(self, topic: &Arc<str>, partition: i32) -> Outgoing<Ticket> {
        match self {
            Self::Packed(Batch { packed, spans, shares, permit }) => {
                let account = Arc::new(Account { spans });
                outgoing(topic, Some(partition), packed, Ticket { account, shares, permit, trial: None })
            }
            Self::Lines(LineBatch { buffer, pieces, spans, share, permit }) => {
                let account = Arc::new(Account { spans });
                Outgoing {
                    topic: Arc::clone(topic),
                    partition: Some(partition),
                    key: None,
                    value: buffer,
                    headers: Vec::new(),
                    pieces,
                    ticket: Ticket { account, shares: vec![share], permit, trial: None },
                }
            }
        }
    }
}
