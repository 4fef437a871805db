//! Which partition a file's lines go to: always the same one, so that their order is kept.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::Ticket;
use crate::{kafka::Producer, metrics::Part, record::FileId};

/// How long to wait before a topic is asked for again.
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_LAST: Duration = Duration::from_secs(10);

/// How many partitions each topic has, as far as Kafka has told.
#[derive(Debug, Default)]
pub(super) struct Routes {
    partitions: HashMap<Arc<str>, i32>,
}

impl Routes {
    pub(super) fn learn(&mut self, topic: Arc<str>, partitions: i32) {
        self.partitions.insert(topic, partitions.max(1));
    }

    /// The partition of a file's lines; none if the topic isn't known yet.
    pub(super) fn partition(&self, topic: &str, file: FileId) -> Option<i32> {
        let count = *self.partitions.get(topic)?;
        // An identity is a hash, so its remainder spreads files evenly; below `count`, it fits.
        Some((file.0 % count.unsigned_abs() as u128) as i32)
    }
}

/// Asks Kafka for each topic until it answers, and sends what it says. Ends when all have been answered.
pub(super) fn ask(
    producer: &Arc<Producer<Ticket>>,
    topics: impl Iterator<Item = Arc<str>>,
    kafka: &Part,
    answers: &mpsc::Sender<(Arc<str>, i32)>,
) -> JoinSet<()> {
    let mut asking = JoinSet::new();
    for topic in topics {
        let (producer, kafka, answers) = (Arc::clone(producer), kafka.clone(), answers.clone());
        asking.spawn(async move {
            let mut pause = AGAIN_FIRST;
            loop {
                match producer.partitions(&topic).await {
                    Ok(count) => {
                        kafka.ok();
                        // Nobody listens once the agent stops.
                        let _ = answers.send((topic, count)).await;
                        return;
                    }
                    Err(error) => kafka.failing(format!("topic {topic:?}: {error}")),
                }
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN_LAST);
            }
        });
    }
    asking
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Routes;
    use crate::record::FileId;

    #[test]
    fn a_file_has_one_partition_and_none_before_the_topic_is_known() {
        let mut routes = Routes::default();
        assert_eq!(routes.partition("t", FileId(7)), None);
        routes.learn(Arc::from("t"), 3);
        assert_eq!(routes.partition("t", FileId(7)), Some(1));
        assert!((0..3).contains(&routes.partition("t", FileId(u128::MAX)).expect("known")));
    }
}
