//! Indices that take no documents now, for a reason of their own: blocked, closed, missing, without a shard that is
//! up, or not ours to write to.
//!
//! What is for such an index is held here, and no request is spent on it but a probe of one document, sent less and
//! less often. When the index takes the probe, it gets everything; all other indices go on meanwhile. What is held
//! has a limit. Beyond it everything held for the largest is dropped and its partitions are given back, to be read
//! again from Kafka when the index takes documents: see [`Returns`].

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{
    parcel::{Parcel, Stretch},
    retry::Backoff,
    returns::Returns,
};
use crate::{
    elastic::bulk::Reason,
    inspect::Held,
    kafka::AssignmentId,
    metrics::{self, Counter, Gauge, list},
};

/// An index that stops again so soon after it took a probe goes on with the long waits that it had.
const RELAPSE: Duration = Duration::from_secs(60);
/// So many indices that took a probe are remembered, for that.
const RECOVERED_MAX: usize = 256;

/// An index's name, escaped as it stands in bulk bodies.
pub(super) type Name = Box<[u8]>;

/// The indices that are stopped, and what is held for each.
pub(super) struct Stopped {
    indices: HashMap<Name, Index>,
    /// The waits of indices that took a probe lately.
    recovered: HashMap<Name, (Backoff, Instant)>,
    bytes: usize,
    bytes_max: usize,
    returns: Arc<Returns>,
    indices_now: Gauge,
    documents_now: Gauge,
    partitions_returned: Counter,
}

/// An index that is stopped.
struct Index {
    /// Never empty, unless the only document is the probe that is under way.
    parcels: VecDeque<Parcel>,
    bytes: usize,
    reason: String,
    backoff: Backoff,
    /// When to probe it; none while a probe is under way.
    probe_at: Option<Instant>,
    /// Partitions that were given back because of it.
    returned: HashSet<AssignmentId>,
}

impl Stopped {
    /// No index is stopped; at most `bytes_max` bytes of documents will be held, and a probe for each.
    pub(super) fn new(bytes_max: usize, returns: Arc<Returns>) -> Self {
        Self {
            indices: HashMap::new(),
            recovered: HashMap::new(),
            bytes: 0,
            bytes_max,
            returns,
            indices_now: metrics::gauge(&list::STOPPED_INDICES, &[]),
            documents_now: metrics::gauge(&list::STOPPED_DOCUMENTS, &[]),
            partitions_returned: metrics::counter(&list::RETURNED_PARTITIONS, &[]),
        }
    }

    /// Takes out of `parcel`, which is not sent yet, what is for indices that are stopped.
    pub(super) fn sift(&mut self, parcel: &mut Parcel) {
        if self.indices.is_empty() {
            return;
        }
        let mut held: HashMap<Name, Vec<usize>> = HashMap::new();
        for item in 0..parcel.body.len() {
            let name = parcel.body.index_of(item);
            if self.indices.contains_key(name) {
                held.entry(name.into()).or_default().push(item);
            }
        }
        let names: Vec<Name> = held.into_keys().collect();
        for name in names {
            let items: Vec<usize> = (0..parcel.body.len()).filter(|at| *parcel.body.index_of(*at) == *name).collect();
            let part = parcel.part(&items);
            self.add(&name, part);
        }
        self.keep_within_limit();
        self.show();
    }

    /// Holds `parcel`, which the index `name` did not take for this reason.
    pub(super) fn stop(&mut self, name: &[u8], parcel: Parcel, reason: &Reason, now: Instant) {
        if parcel.is_over() {
            return;
        }
        if !self.indices.contains_key(name) {
            let before = self.recovered.remove(name).filter(|(_, at)| now < *at + RELAPSE);
            let mut backoff = before.map(|(backoff, _)| backoff).unwrap_or_default();
            let index = Index {
                parcels: VecDeque::new(),
                bytes: 0,
                reason: reason.to_string(),
                probe_at: Some(now + backoff.next(None)),
                backoff,
                returned: HashSet::new(),
            };
            warn!(index = %text(name), %reason, "an index takes no documents; those for it are held and tried again");
            self.indices.insert(name.into(), index);
        }
        self.add(name, parcel);
        self.keep_within_limit();
        self.show();
    }

    /// The next probe that is due.
    pub(super) fn probe(&mut self, now: Instant) -> Option<(Name, Parcel)> {
        let is_due = |index: &Index| index.probe_at.is_some_and(|at| at <= now);
        let (name, index) = self.indices.iter_mut().find(|(_, index)| is_due(index))?;
        let first = index.parcels.front_mut()?;
        let probe = if first.body.len() > 1 { first.part(&[0]) } else { index.parcels.pop_front()? };
        let bytes = probe.body.bytes_len();
        index.bytes -= bytes;
        index.probe_at = None;
        self.bytes -= bytes;
        Some((name.clone(), probe))
    }

    /// A probe was not taken: for a reason of the index, or for none if nothing was learned of it.
    pub(super) fn not_taken(&mut self, name: &[u8], probe: Parcel, reason: Option<&Reason>, now: Instant) {
        let Some(index) = self.indices.get_mut(name) else { return };
        if let Some(reason) = reason {
            index.reason = reason.to_string();
        }
        index.probe_at = Some(now + index.backoff.next(None));
        let bytes = probe.body.bytes_len();
        index.bytes += bytes;
        self.bytes += bytes;
        index.parcels.push_front(probe);
    }

    /// A probe was taken: the index gets what was held for it.
    pub(super) fn taken(&mut self, name: &[u8], now: Instant) -> VecDeque<Parcel> {
        let Some(index) = self.indices.remove(name) else { return VecDeque::new() };
        self.bytes -= index.bytes;
        self.recovered.retain(|_, (_, at)| now < *at + RELAPSE);
        if self.recovered.len() < RECOVERED_MAX {
            self.recovered.insert(name.into(), (index.backoff, now));
        }
        info!(index = %text(name), read_again = index.returned.len(), "an index takes documents again");
        self.returns.read_again(index.returned);
        self.show();
        index.parcels
    }

    /// When the next probe is due.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.indices.values().filter_map(|index| index.probe_at).min()
    }

    /// The indices that are stopped, for whoever asks.
    pub(super) fn held(&self) -> Vec<Held> {
        let held = |(name, index): (&Name, &Index)| Held {
            index: text(name).into_owned(),
            reason: index.reason.clone(),
            documents: index.parcels.iter().map(|parcel| parcel.body.len()).sum(),
            bytes: index.bytes,
            partitions: index.returned.len(),
        };
        self.indices.iter().map(held).collect()
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// What is wrong with the indices that are stopped, in words for a person.
    pub(super) fn trouble(&self) -> Option<String> {
        let (name, index) = self.indices.iter().min_by_key(|(name, _)| *name)?;
        let others = match self.indices.len() - 1 {
            0 => String::new(),
            1 => ", and 1 other index takes none".to_owned(),
            others => format!(", and {others} other indices take none"),
        };
        Some(format!("the index {} takes no documents: {}{others}; all others go on", text(name), index.reason))
    }

    fn add(&mut self, name: &[u8], parcel: Parcel) {
        // What is over is read again, or by someone else.
        if parcel.is_over() {
            return;
        }
        let Some(index) = self.indices.get_mut(name) else { return };
        let bytes = parcel.body.bytes_len();
        index.bytes += bytes;
        self.bytes += bytes;
        index.parcels.push_back(parcel);
    }

    /// Drops what is held for the largest, and gives its partitions back, until there is no more than the limit.
    fn keep_within_limit(&mut self) {
        while self.bytes > self.bytes_max {
            let largest = self.indices.iter_mut().filter(|(_, index)| !index.is_bare());
            let Some((name, index)) = largest.max_by_key(|(_, index)| index.bytes) else { return };
            let partitions = index.drop_all();
            warn!(
                index = %text(name), partitions = partitions.len(),
                "too much is held for an index that takes no documents; its partitions pause, and are read again later"
            );
            self.partitions_returned.increment(partitions.len() as u64);
            self.returns.give_back(&partitions);
            for index in self.indices.values_mut() {
                index.forget_what_is_over();
            }
            self.bytes = self.indices.values().map(|index| index.bytes).sum();
        }
    }

    fn show(&self) {
        let parcels = || self.indices.values().flat_map(|index| &index.parcels);
        self.returns.stall(partitions(parcels()));
        self.indices_now.set(self.indices.len() as f64);
        self.documents_now.set(parcels().map(|parcel| parcel.body.len()).sum::<usize>() as f64);
    }
}

impl Index {
    /// Whether nothing is held for it but one document to probe it with.
    fn is_bare(&self) -> bool {
        self.parcels.iter().all(|parcel| parcel.stretches.is_empty())
    }

    /// Drops everything but one document, which is no longer of any stretch, and says which partitions it was of.
    fn drop_all(&mut self) -> HashSet<AssignmentId> {
        let partitions = partitions(&self.parcels);
        for stretch in self.parcels.iter().flat_map(|parcel| &parcel.stretches) {
            stretch.end_slot();
        }
        self.returned.extend(&partitions);
        let probe = self.parcels.drain(..).next().map(|mut first| {
            let mut probe = first.part(&[0]);
            // One document an index; the budget is for the many.
            probe.disown();
            probe
        });
        self.parcels.extend(probe);
        self.count();
        partitions
    }

    fn forget_what_is_over(&mut self) {
        if self.parcels.iter().any(|parcel| !parcel.is_over()) {
            self.parcels.retain(|parcel| !parcel.is_over());
        } else {
            // One stays, to probe with.
            self.parcels.truncate(1);
        }
        self.count();
    }

    fn count(&mut self) {
        self.bytes = self.parcels.iter().map(|parcel| parcel.body.bytes_len()).sum();
    }
}

fn partitions<'a>(parcels: impl IntoIterator<Item = &'a Parcel>) -> HashSet<AssignmentId> {
    let of = |stretch: &Arc<Stretch>| stretch.span.source.0;
    parcels.into_iter().flat_map(|parcel| &parcel.stretches).map(of).collect()
}

/// An index's name, for people.
pub(super) fn text(name: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(name)
}
