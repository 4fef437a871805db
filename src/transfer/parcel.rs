//! What travels from the desk to the workers and on to the store, and knows its way back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::retry::Backoff;
use crate::{
    elastic::bulk::Body,
    kafka::{AssignmentId, Record},
    letter::{Letter, Origin},
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
    /// Shared by the stretches of a slot: whether its partition went, or is going to be read again.
    is_over: Arc<AtomicBool>,
}

impl Stretch {
    /// A stretch held once, of a slot of its own.
    #[cfg(test)]
    pub(super) fn new(span: Span<Slot>) -> Arc<Self> {
        Self::of(span, Arc::default())
    }

    /// A stretch held once, of a slot whose end `is_over` tells.
    pub(super) fn of(span: Span<Slot>, is_over: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { span, holders: AtomicUsize::new(1), is_over })
    }

    /// Whether settling it changes nothing any more, so that what is left of it need not be delivered.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Nothing more of its slot needs to be delivered: its partition will be read again.
    pub(super) fn end_slot(&self) {
        self.is_over.store(true, Ordering::Release);
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
    /// For each of `origins`, which of `stretches` it is in.
    places: Vec<u32>,
    /// What can't even be sent.
    pub(super) letters: Vec<Letter>,
    /// How large what is in `letters` is.
    pub(super) letter_bytes: usize,
    /// Each held once for this parcel.
    pub(super) stretches: Vec<Arc<Stretch>>,
    /// The parcel's share of the budget.
    pub(super) permit: Permit,
    /// How long it waits before it is sent again.
    pub(super) backoff: Backoff,
    /// How often it was sent again for documents whose new fields were in the way of others'.
    pub(super) races: u8,
}

impl Parcel {
    pub(super) fn new(body: Body, permit: Permit) -> Self {
        let (items, origins, places, letters, stretches) = Default::default();
        let backoff = Backoff::default();
        Self { body, items, origins, places, letters, letter_bytes: 0, stretches, permit, backoff, races: 0 }
    }

    /// What is packed next is of the record at `origin`, which is in `stretch`.
    pub(super) fn begin(&mut self, stretch: &Arc<Stretch>, origin: Origin) {
        if self.stretches.last().is_none_or(|last| !Arc::ptr_eq(last, stretch)) {
            self.stretches.push(stretch.hold());
        }
        self.place(origin);
    }

    /// What is packed next is of the record at `origin`, in the last stretch, or in none if there is none.
    fn place(&mut self, origin: Origin) {
        self.origins.push(origin);
        self.places.push((self.stretches.len() as u32).saturating_sub(1));
    }

    /// Forgets whose the documents are: nothing waits for them any more.
    pub(super) fn disown(&mut self) {
        (self.permit, self.stretches) = (Permit::none(), Vec::new());
    }

    /// Keeps the items that are in `kept`, which is in order.
    pub(super) fn keep(&mut self, kept: &[usize]) {
        self.body.retain(|item| kept.binary_search(&item).is_ok());
        self.items = kept.iter().map(|item| self.items[*item]).collect();
    }

    /// Parts with the items in `taken`, which is in order: a parcel of their own, which holds only their stretches
    /// and takes its share of the permit along.
    pub(super) fn part(&mut self, taken: &[usize]) -> Parcel {
        let body = self.body.take(taken);
        let permit = self.permit.split(body.bytes_len());
        let mut part = Parcel::new(body, permit);
        part.backoff = self.backoff.clone();
        part.races = self.races;
        let mut last = None;
        for item in taken {
            let origin = self.items[*item];
            if last != Some(origin) {
                let of = self.origins[origin as usize].clone();
                match self.stretches.get(self.places[origin as usize] as usize) {
                    Some(stretch) => part.begin(stretch, of),
                    None => part.place(of),
                }
                last = Some(origin);
            }
            part.items.push(part.origins.len() as u32 - 1);
        }
        let mut item = 0;
        self.items.retain(|_| {
            item += 1;
            taken.binary_search(&(item - 1)).is_err()
        });
        part
    }

    /// Whether none of what is in it needs to be delivered any more.
    pub(super) fn is_over(&self) -> bool {
        !self.stretches.is_empty() && self.stretches.iter().all(|stretch| stretch.is_over())
    }
}

#[cfg(test)]
mod tests {
    use super::{AssignmentId, Body, Ordering, Origin, Parcel, Permit, Slot, Span, Stretch};

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

    #[test]
    fn a_part_holds_only_the_stretches_that_its_items_are_of() {
        let mut parcel = Parcel::new(Body::new(bytesize::ByteSize::mib(1), 10), Permit::none());
        let stretches: Vec<_> = (0..3).map(|start| Stretch::new(span(start))).collect();
        for stretch in &stretches {
            parcel.begin(stretch, origin(stretch.span.start));
            for _ in 0..2 {
                parcel.body.push("i", None, |out| out.extend_from_slice(b"{}"));
                parcel.items.push(parcel.origins.len() as u32 - 1);
            }
        }
        let part = parcel.part(&[2, 4, 5]);
        let offsets = |parcel: &Parcel| -> Vec<u64> {
            parcel.items.iter().map(|origin| parcel.origins[*origin as usize].offset).collect()
        };
        assert_eq!((offsets(&part), offsets(&parcel)), (vec![1, 2, 2], vec![0, 0, 1]));
        assert_eq!((part.body.len(), parcel.body.len(), part.stretches.len()), (3, 3, 2));
        let held: Vec<usize> = stretches.iter().map(|stretch| stretch.holders.load(Ordering::Relaxed)).collect();
        assert_eq!(held, [2, 3, 3]);
        parcel.disown();
        let disowned = parcel.part(&[1, 2]);
        assert_eq!((disowned.items.len(), disowned.stretches.len(), offsets(&disowned)), (2, 0, vec![0, 1]));
        stretches[1].end_slot();
        assert!(!part.is_over());
        stretches[2].end_slot();
        assert!(part.is_over() && !disowned.is_over());
    }

    fn span(start: u64) -> Span<Slot> {
        Span { source: (AssignmentId(1), 0), start, end: start + 1, mark: () }
    }

    fn origin(offset: u64) -> Origin {
        Origin { topic: "app".into(), partition: 0, offset, timestamp_ms: None }
    }
}
