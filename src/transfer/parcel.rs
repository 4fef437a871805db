//! What travels from the desk to the workers and on to the store, and knows its way back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::dead_letter::{Letter, Origin};
use crate::{
    elastic::bulk::Body,
    kafka::{AssignmentId, Record},
    record::{Permit, Span},
};

/// One assignment of a partition, begun anew where its offsets jump back: what the ledger keeps apart.
pub(super) type Slot = (AssignmentId, u32);

/// Adjacent records of one partition, settled together.
#[derive(Debug)]
pub(super) struct Stretch {
    /// From behind the record before the first to behind the last, gaps in the offsets included.
    pub(super) span: Span<Slot>,
    /// How many still have something to do for it: its worker, and every parcel with documents or letters of it.
    holders: AtomicUsize,
}

impl Stretch {
    /// A stretch held once.
    pub(super) fn new(span: Span<Slot>) -> Arc<Self> {
        Arc::new(Self { span, holders: AtomicUsize::new(1) })
    }

    /// One more holder.
    pub(super) fn hold(self: &Arc<Self>) -> Arc<Self> {
        self.holders.fetch_add(1, Ordering::Relaxed);
        Arc::clone(self)
    }

    /// One holder is done; returns whether it was the last, so that the stretch is settled. Whoever drops a
    /// stretch without this never settles it, which is the safe mistake.
    #[must_use]
    pub(super) fn release(&self) -> bool {
        self.holders.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Records for a worker.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) stretch: Arc<Stretch>,
    /// In order, all of one partition.
    pub(super) records: Vec<Record>,
}

/// A bulk body, with what is needed to account for each of its items.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) body: Body,
    /// For each item of the body, which of `origins` it comes from.
    pub(super) items: Vec<u32>,
    pub(super) origins: Vec<Origin>,
    /// What can't even be sent.
    pub(super) letters: Vec<Letter>,
    /// How large what is in `letters` is.
    pub(super) letter_bytes: usize,
    /// Each held once for this parcel.
    pub(super) stretches: Vec<Arc<Stretch>>,
    /// The parcel's share of the budget.
    pub(super) permit: Permit,
}

impl Parcel {
    pub(super) fn new(body: Body, permit: Permit) -> Self {
        let (items, origins, letters, stretches) = Default::default();
        Self { body, items, origins, letters, letter_bytes: 0, stretches, permit }
    }

    /// Keeps the items that are in `kept`, which is in order.
    pub(super) fn keep(&mut self, kept: &[usize]) {
        self.body.retain(|item| kept.binary_search(&item).is_ok());
        self.items = kept.iter().map(|item| self.items[*item]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::{AssignmentId, Body, Parcel, Permit, Span, Stretch};

    #[test]
    fn a_stretch_is_settled_by_its_last_holder() {
        let stretch = Stretch::new(Span { source: (AssignmentId(1), 0), start: 0, end: 1, mark: () });
        let parcel = stretch.hold();
        assert!(!stretch.release());
        assert!(parcel.release());
    }

    #[test]
    fn what_is_kept_keeps_its_origin() {
        let mut parcel = Parcel::new(Body::new(bytesize::ByteSize::mib(1), 10), Permit::none());
        for (number, origin) in [(0, 5), (1, 6), (2, 7)] {
            parcel.body.push("i", None, |out| out.extend_from_slice(format!("{{\"n\":{number}}}").as_bytes()));
            parcel.items.push(origin);
        }
        parcel.keep(&[0, 2]);
        assert_eq!((parcel.items, parcel.body.document(1)), (vec![5, 7], &b"{\"n\":2}"[..]));
    }
}
