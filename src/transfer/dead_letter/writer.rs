//! Writes letters, and whatever else of them goes to Kafka, each with an answer of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, stream};
use tokio::sync::{
    OnceCell,
    mpsc::{self, Receiver},
    oneshot,
};
use tracing::{debug, warn};

use crate::{
    kafka::{self, Delivered, Failed, KafkaError, Outgoing, Producer, Settings},
    letter::Letter,
    metrics::{self, list},
};

/// Letters of one caller under way at once.
const AT_ONCE: usize = 64;
/// Answers that wait to be given to their letters; each letter waits for one.
const ANSWERS: usize = 1024;
/// A letter that is still too large when it was cut to this many bytes is not the letter's fault.
const CUT_BYTES_MIN: usize = 64;

/// Writes letters.
pub(in crate::transfer) struct DeadLetters {
    settings: Settings,
    post: Post,
    topic: Arc<str>,
    /// Filled when it was seen to that the topic is there, before the first letter.
    seen_to: OnceCell<()>,
    /// Letters that were handed to [`DeadLetters::put`] and are not in Kafka yet.
    waiting: AtomicUsize,
}

impl DeadLetters {
    /// Opens the topic for writing; it need not be there before the first letter.
    pub(in crate::transfer) fn open(settings: &Settings, topic: &str) -> Result<Self, KafkaError> {
        let post = Post::open(settings)?;
        Ok(Self {
            settings: settings.clone(),
            post,
            topic: Arc::from(topic),
            seen_to: OnceCell::new(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Writes letters, and returns when Kafka has them all. It never gives up.
    pub(in crate::transfer) async fn put(&self, letters: Vec<Letter>) {
        self.waiting.fetch_add(letters.len(), Ordering::Relaxed);
        // If that fails the letters wait, and say what for.
        self.seen_to.get_or_init(|| kafka::see_to(&self.settings, &self.topic, "the dead-letter topic")).await;
        stream::iter(letters).for_each_concurrent(AT_ONCE, |letter| self.put_one(letter)).await;
    }

    async fn put_one(&self, letter: Letter) {
        let mut keep = None;
        loop {
            let value = letter.write(keep);
            match self
                .post
                .send(Mail { topic: &self.topic, partition: None, key: Some(letter.key()), headers: Vec::new(), value })
                .await
            {
                Ok(()) => break,
                Err(failed) => {
                    let bytes = (keep.unwrap_or_else(|| letter.content.bytes()) / 2).max(CUT_BYTES_MIN);
                    warn!(error = %failed.error, bytes, "a dead letter is cut, because its topic doesn't take it");
                    keep = Some(bytes);
                }
            }
        }
        debug!(reason = letter.reason, topic = %letter.origin.topic, offset = letter.origin.offset, "dead letter");
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        metrics::counter(&list::DEAD_LETTERS, &[&letter.reason_type]).increment(1);
    }

    /// What keeps letters from being written, if anything does. Without a letter nothing does, whatever the producer
    /// says: it learns that Kafka is back only by sending something.
    pub(in crate::transfer) fn trouble(&self) -> Option<KafkaError> {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.post.trouble()
    }
}

/// A producer whose senders wait for their own answers.
pub(super) struct Post {
    producer: Producer<Ticket>,
}

/// A record to be sent.
pub(super) struct Mail<'a> {
    pub(super) topic: &'a Arc<str>,
    /// None leaves the choice to the key.
    pub(super) partition: Option<i32>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Vec<(&'static str, Vec<u8>)>,
    pub(super) value: Vec<u8>,
}

/// Who waits for a letter's answer.
type Ticket = oneshot::Sender<Result<(), Box<Failed>>>;

impl Post {
    pub(super) fn open(settings: &Settings) -> Result<Self, KafkaError> {
        let mut settings = settings.clone();
        settings.settings.entry("compression.type".to_owned()).or_insert_with(|| "lz4".to_owned());
        let (sender, answers) = mpsc::channel(ANSWERS);
        let producer = Producer::new(&settings, sender)?;
        tokio::spawn(pass_on(answers));
        Ok(Self { producer })
    }

    /// Sends one record, and returns when all in-sync replicas have it. It never gives up.
    ///
    /// # Errors
    /// If the topic will never take it.
    pub(super) async fn send(&self, mail: Mail<'_>) -> Result<(), Box<Failed>> {
        let (ticket, answer) = oneshot::channel();
        let Mail { topic, partition, key, headers, value } = mail;
        let topic = Arc::clone(topic);
        self.producer
            .send(Outgoing { topic, partition, key, value, headers, pieces: Default::default(), ticket })
            .await;
        match answer.await {
            Ok(answer) => answer,
            // The producer is gone: the process ends, and what the record is of is not settled.
            Err(_) => std::future::pending().await,
        }
    }

    /// What keeps records from being taken, if anything does.
    pub(super) fn trouble(&self) -> Option<KafkaError> {
        self.producer.trouble().borrow().clone()
    }
}

/// Gives each letter its answer.
async fn pass_on(mut answers: Receiver<Delivered<Ticket>>) {
    while let Some(Delivered { ticket, result }) = answers.recv().await {
        // A letter whose writer is gone needs none.
        let _ = ticket.send(result.map(drop));
    }
}
