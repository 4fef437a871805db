//! What travels from the desk to the workers and on to the store, and knows its way back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::retry::Backoff;
use crate::{
    elastic::bulk::Body,
    kafka::{AssignmentId, Records},
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
    pub(super) records: Records,
}

/// A bulk body, with what is needed to account for each of its items.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) body: Body,
    /// For each item of the body, which of `records` it comes from.
    items: Vec<u32>,
    records: Vec<Spot>,
    /// The partitions of `stretches`, one for each, which stay known when those are given up.
    partitions: Vec<Of>,
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

/// The partition of a stretch, and what of it is in a parcel.
#[derive(Clone, Debug)]
struct Of {
    topic: Arc<str>,
    partition: i32,
    /// The time of the oldest document, in milliseconds since 1970; none if there is no document.
    oldest_ms: Option<i64>,
}

/// Where a record is: a parcel may be of very many.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Which of the parcel's partitions.
    partition: u32,
    offset: u64,
    timestamp_ms: Option<i64>,
}

impl Of {
    fn new(origin: &Origin) -> Self {
        Self { topic: Arc::clone(&origin.topic), partition: origin.partition, oldest_ms: None }
    }
}

impl Parcel {
    pub(super) fn new(body: Body, permit: Permit) -> Self {
        let (items, records, partitions, letters, stretches) = Default::default();
        let backoff = Backoff::default();
        Self { body, items, records, partitions, letters, letter_bytes: 0, stretches, permit, backoff, races: 0 }
    }

    /// What is packed next is of the record at `origin`, which is in `stretch`.
    pub(super) fn begin(&mut self, stretch: &Arc<Stretch>, origin: &Origin) {
        if self.stretches.last().is_none_or(|last| !Arc::ptr_eq(last, stretch)) {
            self.stretches.push(stretch.hold());
            self.partitions.push(Of::new(origin));
        }
        self.place(origin);
    }

    /// What is packed next is of the record at `origin`, of the partition that was named last.
    fn place(&mut self, origin: &Origin) {
        let partition = (self.partitions.len() as u32).saturating_sub(1);
        self.records.push(Spot { partition, offset: origin.offset, timestamp_ms: origin.timestamp_ms });
    }

    /// The item that was pushed last is of the record that was begun last, and of this time.
    pub(super) fn note_item(&mut self, time_ms: i64) {
        self.items.push((self.records.len() as u32).saturating_sub(1));
        if let Some(of) = self.partitions.last_mut() {
            of.oldest_ms = Some(of.oldest_ms.map_or(time_ms, |oldest| oldest.min(time_ms)));
        }
    }

    /// Each topic that documents are of, with the time of the oldest, in milliseconds since 1970; a topic may be named
    /// more than once.
    pub(super) fn oldest(&self) -> impl Iterator<Item = (&Arc<str>, i64)> {
        self.partitions.iter().filter_map(|of| Some((&of.topic, of.oldest_ms?)))
    }

    /// Where an item's record was read.
    ///
    /// # Panics
    /// If there is no such item.
    pub(super) fn origin_of(&self, item: usize) -> Origin {
        let Spot { partition, offset, timestamp_ms } = self.records[self.items[item] as usize];
        let of = &self.partitions[partition as usize];
        Origin { topic: Arc::clone(&of.topic), partition: of.partition, offset, timestamp_ms }
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
        // Which of them is the oldest is not known any more; none is older than the oldest of all.
        let (mut last, mut oldest_ms) = (None, i64::MAX);
        for item in taken {
            let record = self.items[*item];
            if last != Some(record) {
                let of = self.origin_of(*item);
                let place = self.records[record as usize].partition as usize;
                match self.stretches.get(place) {
                    Some(stretch) => part.begin(stretch, &of),
                    None => {
                        part.partitions.push(Of::new(&of));
                        part.place(&of);
                    }
                }
                oldest_ms = self.partitions[place].oldest_ms.unwrap_or(i64::MAX);
                last = Some(record);
            }
            part.note_item(oldest_ms);
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
        let stretch = Stretch::new(span(5));
        for (number, offset) in [(0, 5), (1, 6), (2, 7)] {
            parcel.begin(&stretch, &origin(offset));
            parcel.body.push("i", None, |out| out.extend_from_slice(format!("{{\"n\":{number}}}").as_bytes()));
            parcel.note_item(0);
        }
        parcel.keep(&[0, 2]);
        assert_eq!((parcel.origin_of(0), parcel.origin_of(1)), (origin(5), origin(7)));
        assert_eq!(parcel.body.document(1), b"{\"n\":2}");
    }

    #[test]
    fn a_part_holds_only_the_stretches_that_its_items_are_of() {
        let mut parcel = Parcel::new(Body::new(bytesize::ByteSize::mib(1), 10), Permit::none());
        let stretches: Vec<_> = (0..3).map(|start| Stretch::new(span(start))).collect();
        for stretch in &stretches {
            parcel.begin(stretch, &origin(stretch.span.start));
            for _ in 0..2 {
                parcel.body.push("i", None, |out| out.extend_from_slice(b"{}"));
                parcel.note_item(0);
            }
        }
        let part = parcel.part(&[2, 4, 5]);
        let offsets = |parcel: &Parcel| -> Vec<u64> {
            (0..parcel.body.len()).map(|item| parcel.origin_of(item).offset).collect()
        };
        assert_eq!((offsets(&part), offsets(&parcel)), (vec![1, 2, 2], vec![0, 0, 1]));
        assert_eq!((part.body.len(), parcel.body.len(), part.stretches.len()), (3, 3, 2));
        let held: Vec<usize> = stretches.iter().map(|stretch| stretch.holders.load(Ordering::Relaxed)).collect();
        assert_eq!(held, [2, 3, 3]);
        parcel.disown();
        let disowned = parcel.part(&[1, 2]);
        assert_eq!((disowned.items.len(), disowned.stretches.len(), offsets(&disowned)), (2, 0, vec![0, 1]));
        assert_eq!(disowned.origin_of(1), origin(1));
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
