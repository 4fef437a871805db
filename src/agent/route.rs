//! Which partition a file's lines go to: always the same one, so that their order is kept.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tracing::info;

use super::Ticket;
use crate::{
    kafka::{self, KafkaError, Producer},
    record::Stream,
};

/// How long to wait before a topic is asked for again.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_LAST: Duration = Duration::from_secs(10);
/// How long to wait before a topic is asked for again that is known; a little longer than the answer is remembered.
const AGAIN_KNOWN: Duration = Duration::from_secs(31);

/// How many partitions each topic has, as far as Kafka has told, and who still uses an older number.
#[derive(Debug, Default)]
pub(super) struct Routes {
    partitions: HashMap<Arc<str>, i32>,
    /// Streams that had something under way when their topic's partitions became others, with how many there were. They
    /// stay where they are until all of that is settled, so that what comes later can't arrive earlier.
    pinned: HashMap<(Arc<str>, Stream), i32>,
}

impl Routes {
    /// Notes how many partitions a topic has; `under_way` gives the streams of which not everything is settled.
    pub(super) fn learn(&mut self, topic: &Arc<str>, count: i32, under_way: impl Fn() -> Vec<Stream>) {
        let count = count.max(1);
        let Some(before) = self.partitions.insert(Arc::clone(topic), count).filter(|before| *before != count) else {
            return;
        };
        info!(%topic, before, partitions = count, "the topic has another number of partitions");
        for stream in under_way() {
            self.pinned.entry((Arc::clone(topic), stream)).or_insert(before);
        }
    }

    /// Forgets the topics to which nobody sends any more.
    pub(super) fn retain(&mut self, is_used: impl Fn(&str) -> bool) {
        self.partitions.retain(|topic, _| is_used(topic));
        self.pinned.retain(|(topic, _), _| is_used(topic));
    }

    /// Whether a stream is kept in its old partition.
    pub(super) fn is_pinned(&self) -> bool {
        !self.pinned.is_empty()
    }

    /// Lets streams move of which `is_settled` says that everything is.
    pub(super) fn unpin(&mut self, is_settled: impl Fn(Stream) -> bool) {
        self.pinned.retain(|(_, stream), _| !is_settled(*stream));
    }

    /// The partition of a stream's lines, whose records have `key`; none if the topic isn't known yet. It is the key's, as
    /// Kafka's own clients have it, or, without a key, one that the file's identity chooses.
    pub(super) fn partition(&self, topic: &Arc<str>, stream: Stream, key: Option<&[u8]>) -> Option<i32> {
        let mut count = *self.partitions.get(topic)?;
        if !self.pinned.is_empty() {
            count = self.pinned.get(&(Arc::clone(topic), stream)).copied().unwrap_or(count);
        }
        Some(key.map_or_else(|| spread(stream, count), |key| kafka::partition_of(key, count)))
    }
}

/// An identity is a hash, so its remainder spreads files evenly; below `count`, it fits.
fn spread(stream: Stream, count: i32) -> i32 {
    (stream.file.0 % count.unsigned_abs() as u128) as i32
}

/// What came of asking for a topic: how many partitions it has, or why that isn't known.
pub(super) type Answer = (Arc<str>, Result<i32, KafkaError>);

/// Asks Kafka for each topic, by the producer that sends to it, until it answers, and from then on every now and then,
/// for partitions may be added.
pub(super) struct Asking {
    answers: mpsc::Sender<Answer>,
    /// By topic, and by whether single lines go there.
    each: BTreeMap<(Arc<str>, bool), AbortHandle>,
    /// Ends them all with itself.
    running: JoinSet<()>,
}

impl Asking {
    pub(super) fn new(answers: mpsc::Sender<Answer>) -> Self {
        Self { answers, each: BTreeMap::new(), running: JoinSet::new() }
    }

    /// From now on these are the topics.
    pub(super) fn follow(&mut self, topics: impl Iterator<Item = ((Arc<str>, bool), Arc<Producer<Ticket>>)>) {
        let mut before = std::mem::take(&mut self.each);
        for (topic, producer) in topics {
            let asked = before.remove(&topic);
            let asked =
                asked.unwrap_or_else(|| self.running.spawn(ask(Arc::clone(&topic.0), producer, self.answers.clone())));
            self.each.insert(topic, asked);
        }
        before.values().for_each(AbortHandle::abort);
        // What was aborted is taken out.
        while self.running.try_join_next().is_some() {}
    }
}

async fn ask(topic: Arc<str>, producer: Arc<Producer<Ticket>>, answers: mpsc::Sender<Answer>) {
    let mut pause = AGAIN_FIRST;
    loop {
        let answer = producer.partitions(&topic).await;
        let wait = if answer.is_ok() { AGAIN_KNOWN } else { pause };
        // Nobody listens once the agent stops.
        if answers.send((Arc::clone(&topic), answer)).await.is_err() {
            return;
        }
        sleep(wait).await;
        pause = (pause * 2).min(AGAIN_LAST);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Routes;
    use crate::record::{FileId, Stream};

    fn stream(file: u128) -> Stream {
        Stream { file: FileId(file), generation: 0 }
    }

    #[test]
    fn a_file_has_one_partition_and_none_before_the_topic_is_known() {
        let (mut routes, topic) = (Routes::default(), Arc::from("t"));
        assert_eq!(routes.partition(&topic, stream(7), None), None);
        routes.learn(&topic, 3, Vec::new);
        assert_eq!(routes.partition(&topic, stream(7), None), Some(1));
        assert!((0..3).contains(&routes.partition(&topic, stream(u128::MAX), None).expect("known")));
    }

    #[test]
    fn a_file_moves_to_another_partition_only_when_nothing_of_it_is_under_way() {
        let (mut routes, topic, other) = (Routes::default(), Arc::from("t"), Arc::from("other"));
        routes.learn(&other, 2, Vec::new);
        routes.learn(&topic, 2, || vec![stream(7)]);
        assert!(!routes.is_pinned(), "what is new moves nobody");
        routes.learn(&topic, 2, || vec![stream(7)]);
        assert!(!routes.is_pinned(), "what is the same moves nobody");
        routes.learn(&topic, 5, || vec![stream(7), stream(8)]);
        assert_eq!(
            (routes.partition(&topic, stream(7), None), routes.partition(&topic, stream(9), None)),
            (Some(1), Some(4))
        );
        routes.learn(&topic, 6, || vec![stream(7)]);
        assert_eq!(routes.partition(&topic, stream(7), None), Some(1), "it still is where it was at first");
        assert_eq!(routes.partition(&other, stream(7), None), Some(1));
        routes.unpin(|which| which == stream(8));
        assert!(routes.is_pinned());
        routes.unpin(|_| true);
        assert_eq!(routes.partition(&topic, stream(8), None), Some(2));
        assert!(!routes.is_pinned());
    }

    #[test]
    fn a_key_decides_for_all_files_that_have_it_and_they_too_move_only_when_nothing_is_under_way() {
        let (mut routes, topic, key) = (Routes::default(), Arc::from("t"), Some(&b"foobar"[..]));
        routes.learn(&topic, 3, Vec::new);
        // The hash of "foobar", as Kafka's own clients have it, without its sign.
        let of_key = |count: i32| Some((0x7fff_ffff & -790_332_482_i32) % count);
        assert_eq!([7, 8].map(|file| routes.partition(&topic, stream(file), key)), [of_key(3); 2]);
        routes.learn(&topic, 8, || vec![stream(7)]);
        assert_ne!(of_key(3), of_key(8), "else it tells nothing");
        let both = [7, 8].map(|file| routes.partition(&topic, stream(file), key));
        assert_eq!(both, [of_key(3), of_key(8)]);
        routes.unpin(|_| true);
        assert_eq!(routes.partition(&topic, stream(7), key), of_key(8));
    }
}
