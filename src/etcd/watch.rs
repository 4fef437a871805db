//! What becomes of some keys, from now on: all that is there first, then each change, across whatever happens to etcd.
//!
//! After a lost connection the watch goes on behind what it has seen last. Where that is not possible, because etcd has
//! compacted it away or is another cluster now, everything is read again. So whoever listens misses nothing between two
//! states, and need not know why a state came.

use std::time::{Duration, Instant};

use etcd_client::{Client, Error, EventType, WatchClient, WatchOptions, WatchResponse, WatchStream};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    Entry, Etcd, EtcdError, Snapshot,
    client::{ANSWER_BYTES_MAX, Connection, entry, silent},
    pace::Pace,
};

/// Which keys are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// These; at least one. Those that may not be read are told so when all is read, and not watched until then.
    Keys(Vec<String>),
    /// All that begin with this.
    Prefix(String),
}

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// All that is there; what is not in it is not there. The first thing that is told, and told again after a gap.
    All(Snapshot),
    /// A key has a new value.
    Put(Entry),
    /// A key is gone.
    Deleted {
        /// The key.
        key: String,
        /// When it went, as the cluster counts its writes.
        revision: i64,
    },
    /// Nothing is heard any more, and why. Told once an outage.
    Lost(EtcdError),
    /// Changes are heard again.
    Back,
}

/// A connection that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(15);

/// After so many connections on which nothing new could be heard, all is read again.
const STALLS_MAX: u32 = 5;

/// Tells what becomes of the keys, for as long as anyone listens.
pub async fn watch(etcd: Etcd, range: Range, listener: mpsc::Sender<Heard>) {
    let (marks, forbidden, course) = (Marks::default(), Vec::new(), Course::default());
    let mut watch = Watch { etcd, range, marks, forbidden, listener, is_lost: false, course };
    let (mut pace, mut stalls) = (Pace::default(), 0);
    while !watch.listener.is_closed() {
        let Err(end) = watch.listen().await else { return };
        let course = std::mem::take(&mut watch.course);
        if course.went_well() {
            pace.reset();
        }
        stalls = if course.went_well() { 0 } else { stalls + u32::from(course.begun.is_some()) };
        let error = match end {
            // What is there now has to be read.
            End::Gap => {
                watch.marks = Marks::default();
                sleep(pace.next()).await;
                continue;
            }
            End::Failed(error) => error,
        };
        // A message that can't be taken comes again each time; reading tells which key it is.
        // Nor does one that is too large for the way; what is there now may be smaller than all that led to it.
        if !error.is_of_connection() || stalls >= STALLS_MAX {
            (watch.marks, stalls) = (Marks::default(), 0);
        }
        if !std::mem::replace(&mut watch.is_lost, true) && watch.tell(Heard::Lost(error)).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(pace.next()) => (),
            () = watch.listener.closed() => return,
        }
    }
}

struct Watch {
    etcd: Etcd,
    range: Range,
    marks: Marks,
    /// Keys that we may not read: no watch of them is allowed either, and it would end those of the others.
    forbidden: Vec<String>,
    listener: mpsc::Sender<Heard>,
    is_lost: bool,
    course: Course,
}

/// How it went with one connection.
#[derive(Default)]
struct Course {
    /// Since when all watches were there.
    begun: Option<Instant>,
    /// Something new was heard.
    has_news: bool,
}

impl Course {
    /// Whether the next connection may be tried soon.
    fn went_well(&self) -> bool {
        self.has_news || self.begun.is_some_and(|begun| begun.elapsed() >= STEADY)
    }
}

/// Why a connection's watch ended.
enum End {
    /// It can't go on from where it was.
    Gap,
    Failed(EtcdError),
}

impl From<EtcdError> for End {
    fn from(error: EtcdError) -> Self {
        match error {
            EtcdError::Compacted { .. } => Self::Gap,
            error => Self::Failed(error),
        }
    }
}

/// Nobody listens.
struct Unheard;

impl Watch {
    /// Reads, if that has to be, and listens. It ends well only when nobody listens any more.
    async fn listen(&mut self) -> Result<(), End> {
        if !self.marks.is_set() {
            let snapshot = match &self.range {
                Range::Keys(keys) => self.etcd.read(keys).await?,
                Range::Prefix(prefix) => self.etcd.list(prefix).await?,
            };
            let is_forbidden = |(_, error): &&(String, EtcdError)| matches!(error, EtcdError::Refused { .. });
            self.forbidden = snapshot.refused.iter().filter(is_forbidden).map(|(key, _)| key.clone()).collect();
            self.marks = Marks::after(&snapshot, self.watched().len());
            if self.tell(Heard::All(snapshot)).await.is_err() {
                return Ok(());
            }
        }
        let connection = self.etcd.connection().await?;
        let limit = self.etcd.settings().request_timeout;
        let begun = match timeout(limit, self.begin(connection.client.clone())).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(EtcdError::of(&connection.endpoint, &error)),
            Err(_) => Err(silent(&connection.endpoint, limit)),
        };
        let mut stream = match begun {
            Ok(stream) => stream,
            Err(error) => return Err(self.left(&connection, error).await),
        };
        let mut created = 0;
        loop {
            // Before all watches are there an answer is due; afterwards the connection shows by itself that it is alive.
            let answer = tokio::select! {
                answer = stream.message() => answer,
                () = sleep(limit), if created < self.watched().len() => {
                    return Err(self.left(&connection, silent(&connection.endpoint, limit)).await);
                }
                () = self.listener.closed() => return Ok(()),
            };
            let answer = match answer {
                Ok(Some(answer)) => answer,
                Ok(None) => {
                    let reason = "it ended the watch".to_owned();
                    let error = EtcdError::Away { endpoint: connection.endpoint.to_string(), reason };
                    return Err(self.left(&connection, error).await);
                }
                Err(error) => {
                    let error = EtcdError::of(&connection.endpoint, &error);
                    return Err(self.left(&connection, error).await);
                }
            };
            if answer.canceled() {
                return Err(self.cancelled(&connection, &answer).await);
            }
            if answer.created() {
                created += 1;
                if !self.marks.fit(&answer) {
                    return Err(End::Gap);
                }
                if created == self.watched().len() {
                    self.course.begun = Some(Instant::now());
                    if std::mem::take(&mut self.is_lost) && self.tell(Heard::Back).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if self.pass_on(&answer).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Tells what an answer says that is new.
    async fn pass_on(&mut self, answer: &WatchResponse) -> Result<(), Unheard> {
        let watch = usize::try_from(answer.watch_id()).unwrap_or(usize::MAX);
        for event in answer.events() {
            let Some(pair) = event.kv() else { continue };
            if !self.marks.take(watch, pair.mod_revision()) {
                continue;
            }
            self.course.has_news = true;
            let heard = match event.event_type() {
                EventType::Put => Heard::Put(entry(pair)),
                EventType::Delete => {
                    let Entry { key, revision, .. } = entry(pair);
                    Heard::Deleted { key, revision }
                }
            };
            self.tell(heard).await?;
        }
        Ok(())
    }

    async fn tell(&self, heard: Heard) -> Result<(), Unheard> {
        self.listener.send(heard).await.map_err(|_| Unheard)
    }

    /// The server ended one of the watches.
    async fn cancelled(&self, connection: &Connection, answer: &WatchResponse) -> End {
        if answer.compact_revision() > 0 {
            return End::Gap;
        }
        let endpoint = connection.endpoint.to_string();
        let reason = format!("it cancelled the watch: {}", answer.cancel_reason());
        let error = if answer.cancel_reason().contains("permission") {
            EtcdError::Refused { endpoint, reason }
        } else {
            EtcdError::Away { endpoint, reason }
        };
        self.left(connection, error).await
    }

    async fn left(&self, connection: &Connection, error: EtcdError) -> End {
        if error.is_of_connection() {
            self.etcd.leave(connection).await;
        }
        error.into()
    }

    /// What there are watches of, on one connection.
    fn watched(&self) -> Vec<&str> {
        match &self.range {
            Range::Keys(keys) => keys.iter().filter(|key| !self.forbidden.contains(*key)).map(String::as_str).collect(),
            Range::Prefix(prefix) => vec![prefix],
        }
    }

    /// Begins the watches, on one stream. Their numbers are their places.
    async fn begin(&self, client: Client) -> Result<WatchStream, Error> {
        let mut client: WatchClient = client.watch_client().max_decoding_message_size(ANSWER_BYTES_MAX);
        let mut stream: Option<WatchStream> = None;
        for (number, key) in self.watched().into_iter().enumerate() {
            let mut options = WatchOptions::new()
                .with_start_revision(self.marks.from(number))
                .with_watch_id(number as i64)
                .with_progress_notify()
                .with_fragment();
            if matches!(self.range, Range::Prefix(_)) {
                options = options.with_prefix();
            }
            match &mut stream {
                None => stream = Some(client.watch(key, Some(options)).await?),
                Some(stream) => stream.watch(key, Some(options)).await?,
            }
        }
        stream.ok_or_else(|| Error::InvalidArgs("no key is watched".to_owned()))
    }
}

/// How far each watch has come.
#[derive(Debug, Default)]
struct Marks {
    cluster: u64,
    /// The revision of the last event, or the one behind the snapshot.
    revisions: Vec<i64>,
}

impl Marks {
    fn after(snapshot: &Snapshot, watches: usize) -> Self {
        Self { cluster: snapshot.cluster, revisions: vec![snapshot.revision + 1; watches] }
    }

    fn is_set(&self) -> bool {
        !self.revisions.is_empty()
    }

    /// Where a watch begins: with the last event again, for one write may change several keys, of which some came.
    fn from(&self, watch: usize) -> i64 {
        self.revisions.get(watch).copied().unwrap_or(0)
    }

    /// Whether the event is to be told; one that is older than what was told already is not.
    fn take(&mut self, watch: usize, revision: i64) -> bool {
        match self.revisions.get_mut(watch) {
            Some(mark) if revision >= *mark => {
                *mark = revision;
                true
            }
            _ => false,
        }
    }

    /// Whether this is the cluster that was seen before, and knows all that was seen: one that was made anew, or
    /// brought back from a copy, does not.
    fn fit(&self, answer: &WatchResponse) -> bool {
        let Some(header) = answer.header() else { return true };
        let seen = self.revisions.iter().max().copied().unwrap_or(0);
        header.cluster_id() == self.cluster && header.revision() + 1 >= seen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Marks, Snapshot};

    fn marks(revision: i64, watches: usize) -> Marks {
        let snapshot = Snapshot { revision, cluster: 7, entries: Vec::new(), refused: Vec::new() };
        Marks::after(&snapshot, watches)
    }

    #[test]
    fn what_the_snapshot_has_is_not_told_again_and_one_write_of_two_keys_is_told_whole() {
        let mut marks = marks(10, 2);
        assert!(!marks.take(0, 10) && marks.take(0, 11) && marks.take(0, 11));
        assert_eq!((marks.from(0), marks.from(1)), (11, 11), "each watch goes on where it was");
        assert!(marks.take(1, 15) && !marks.take(2, 16));
        assert_eq!((marks.from(0), marks.from(1)), (11, 15));
    }

    proptest! {
        #[test]
        fn an_older_revision_never_follows_a_newer_one(revisions in prop::collection::vec(1_i64..30, 0..60)) {
            let mut marks = marks(5, 1);
            let told: Vec<_> = revisions.iter().copied().filter(|revision| marks.take(0, *revision)).collect();
            prop_assert!(told.is_sorted() && told.iter().all(|revision| *revision > 5));
            prop_assert_eq!(told.last(), revisions.iter().filter(|revision| **revision > 5).max());
        }
    }
}
