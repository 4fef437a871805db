//! Letters are replayed: a document goes to its index again, a record back to its topic.
//!
//! A document keeps its `_id`, and a record the identities of its lines, so that replaying twice changes nothing. Only
//! when the store or the topic has it, a `replayed` record is written behind the letter; a crash in between costs a
//! second replay. What is refused again stays as it was, and is offered again.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};

use super::{
    archive,
    writer::{Mail, Post},
};
use crate::{
    batcher::{
        frame::{META_HEADER, VERSION_HEADER},
        lines::LINE_HEADER,
    },
    config::{Config, Target},
    elastic::{
        self,
        bulk::{Body, Outcome, Sender},
    },
    letter::{Held as Content, Kind, Position, Summary, VERSION, Whole, key_of},
    transfer::retry::Backoff,
};

/// Letters that are read ahead.
const AHEAD: usize = 16;
/// How often something is sent that the store doesn't take for now: for about 20 seconds.
const TRIES: u32 = 8;
/// How long Kafka may take for one record.
const KAFKA_LIMIT: Duration = Duration::from_secs(30);
/// Records under way at once.
const AT_ONCE: usize = 64;

/// The headers of ours, packed and line by line; docs/wire-format.md has them.
const HEADERS: [&str; 3] = [VERSION_HEADER, META_HEADER, LINE_HEADER];

/// What became of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its document is in the store now.
    Created,
    /// Its document was there already.
    Present,
    /// Its record is in the topic again that it came from.
    SentBack,
    /// Refused again, with the reason. It stays.
    Refused(String),
    /// The store, or Kafka, doesn't take it now. It stays.
    NotNow(String),
    /// Only a part of it is in the letter; the whole is where it came from. It stays.
    Cut(String),
    /// There is no letter at this position.
    Absent,
}

/// The record that says that a letter was replayed.
#[derive(Serialize)]
struct Note {
    version: u8,
    time: Timestamp,
    kind: Kind,
    letter: Position,
    outcome: &'static str,
}

/// A letter that was sent, and waits for what becomes of it.
#[derive(Clone)]
struct Sent {
    position: Position,
    /// The letter's own key.
    key: Vec<u8>,
}

struct Replay<'a, F> {
    config: &'a Config,
    /// There from the first document on: whoever only sends records back needs no store.
    store: Option<Store>,
    post: Post,
    topic: Arc<str>,
    /// One for each item of the store's body.
    sent: Vec<Sent>,
    tell: F,
}

struct Store {
    sender: Sender,
    body: Body,
}

/// Replays the letters at these positions, and tells what became of each.
///
/// # Errors
/// If Kafka or the store can't be reached. Letters whose fate was not told then stay as they are.
pub async fn replay(config: &Config, positions: BTreeSet<Position>, tell: impl FnMut(Position, Fate)) -> Result<()> {
    let topic: Arc<str> = config.transfer.dead_letter_topic.as_str().into();
    let post = Post::open(&config.kafka)?;
    let mut replay = Replay { config, store: None, post, topic: Arc::clone(&topic), sent: Vec::new(), tell };

    let (found, mut letters) = mpsc::channel(AHEAD);
    let (kafka, wanted) = (config.kafka.clone(), positions.clone());
    let reading = spawn_blocking(move || {
        archive::find(&kafka, &topic, &wanted, |position, value| match found.blocking_send((position, value)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })
    });
    let mut absent = positions;
    while let Some((position, value)) = letters.recv().await {
        if let Some(letter) = Whole::read(&value) {
            absent.remove(&position);
            replay.take(position, letter).await?;
        }
    }
    replay.deliver().await?;
    reading.await.context("reading the letters broke off")??;
    absent.into_iter().for_each(|position| (replay.tell)(position, Fate::Absent));
    Ok(())
}

impl<F: FnMut(Position, Fate)> Replay<'_, F> {
    async fn take(&mut self, position: Position, letter: Whole) -> Result<()> {
        let Whole { summary, content } = letter;
        match content {
            _ if summary.cut => (self.tell)(position, Fate::Cut(summary.origin())),
            Content::CutDocument(_) => (self.tell)(position, Fate::Cut(summary.origin())),
            Content::Document(json) => {
                let Some(index) = &summary.index else {
                    (self.tell)(position, Fate::Refused("the letter names no index".to_owned()));
                    return Ok(());
                };
                let body = self.body().await?;
                push(body, index, summary.id.as_deref(), &json);
                let is_full = body.is_full();
                self.sent.push(Sent { position, key: key(&summary) });
                if is_full {
                    self.deliver().await?;
                }
            }
            Content::Record { key, headers, value } => self.send_back(position, &summary, key, headers, value).await?,
        }
        Ok(())
    }

    /// What documents are gathered in.
    async fn body(&mut self) -> Result<&mut Body> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::open(self.config).await?,
        };
        Ok(&mut self.store.insert(store).body)
    }

    /// Sends the documents that wait, for as long as it takes, within limits.
    async fn deliver(&mut self) -> Result<()> {
        let Some(Store { sender, mut body }) = self.store.take() else { return Ok(()) };
        let (mut backoff, mut tries) = (Backoff::default(), 0);
        while !body.is_empty() {
            tries += 1;
            let outcomes = match sender.send(&mut body).await {
                Ok(outcomes) => outcomes,
                Err(failed) if tries < TRIES => {
                    tokio::time::sleep(backoff.next(failed.retry_after)).await;
                    continue;
                }
                Err(failed) => {
                    return Err(anyhow!(failed.error).context("the store took nothing; what was not told of stays"));
                }
            };
            let left = self.sort(outcomes.others, tries >= TRIES).await?;
            if !left.is_empty() {
                tokio::time::sleep(backoff.next(None)).await;
            }
            body.retain(|item| left.binary_search(&item).is_ok());
            self.sent = left.iter().map(|item| self.sent[*item].clone()).collect();
        }
        let body = sender.body();
        self.store = Some(Store { sender, body });
        Ok(())
    }

    /// Tells of each item what became of it, and gives those that have to be sent again, in order.
    async fn sort(&mut self, others: Vec<(usize, Outcome)>, is_last: bool) -> Result<Vec<usize>> {
        let (mut left, mut done) = (Vec::new(), Vec::new());
        let mut others = others.into_iter().peekable();
        for (item, sent) in self.sent.clone().into_iter().enumerate() {
            match others.next_if(|(other, _)| *other == item).map(|(_, outcome)| outcome) {
                None => done.push((sent, "created", Fate::Created)),
                Some(Outcome::Duplicate) => done.push((sent, "duplicate", Fate::Present)),
                Some(Outcome::Refused(reason)) => (self.tell)(sent.position, Fate::Refused(reason.to_string())),
                Some(Outcome::Again(reason) | Outcome::Raced(reason)) if is_last => {
                    (self.tell)(sent.position, Fate::NotNow(reason.to_string()))
                }
                Some(Outcome::Untold) if is_last => {
                    (self.tell)(sent.position, Fate::NotNow("the request failed".to_owned()));
                }
                Some(Outcome::Again(_) | Outcome::Raced(_) | Outcome::Untold) => left.push(item),
            }
        }
        self.note(done).await?;
        Ok(left)
    }

    /// Writes down which letters were replayed, and tells of them.
    async fn note(&mut self, done: Vec<(Sent, &'static str, Fate)>) -> Result<()> {
        let (post, topic) = (&self.post, &self.topic);
        let notes = stream::iter(&done).map(|(sent, outcome, _)| write_note(post, topic, sent, outcome));
        notes.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        done.into_iter().for_each(|(sent, _, fate)| (self.tell)(sent.position, fate));
        Ok(())
    }

    /// Puts a record into its topic again, for the transfer to read it anew.
    async fn send_back(
        &mut self,
        position: Position,
        summary: &Summary,
        key: Option<Vec<u8>>,
        headers: Vec<(String, Option<Vec<u8>>)>,
        value: Vec<u8>,
    ) -> Result<()> {
        // Of others' headers, which a mirror of the topic may have added, a transfer reads none. Without one of ours
        // the record would mean something else.
        let known = |name: &str| HEADERS.iter().copied().find(|known| *known == name);
        if let Some((name, _)) = headers.iter().find(|(name, _)| name.starts_with("logdrive.") && known(name).is_none())
        {
            (self.tell)(position, Fate::Refused(format!("the header {name:?} is not known here; upgrade logdrive")));
            return Ok(());
        }
        let headers = headers.into_iter().filter_map(|(name, value)| Some((known(&name)?, value?))).collect();
        let topic: Arc<str> = summary.topic.as_str().into();
        let partition = summary.partition;
        let mail = Mail { topic: &topic, partition, key, headers, value };
        match timeout(KAFKA_LIMIT, self.post.send(mail)).await {
            Ok(Ok(())) => {
                let sent = Sent { position, key: self::key(summary) };
                self.note(vec![(sent, "sent_back", Fate::SentBack)]).await
            }
            Ok(Err(failed)) => {
                (self.tell)(position, Fate::Refused(failed.error.to_string()));
                Ok(())
            }
            Err(_) => {
                (self.tell)(position, Fate::NotNow(silence(&self.post)));
                Ok(())
            }
        }
    }
}

impl Store {
    async fn open(config: &Config) -> Result<Self> {
        let client = elastic::Client::new(&config.elasticsearch)?;
        let server = client.server().await.context("the store can't be asked who it is")?;
        let is_data_stream = matches!(config.transfer.target(), Target::DataStream(_));
        let sender = Sender::new(client, &server, &config.elasticsearch, is_data_stream);
        let body = sender.body();
        Ok(Self { sender, body })
    }
}

fn push(body: &mut Body, index: &str, id: Option<&str>, json: &str) {
    // In JSON a line break is only ever space between tokens; in a bulk body it ends the document.
    let line = |byte: u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte };
    let id = id.filter(|id| !id.is_empty());
    body.push(index, id, |out| out.extend(json.bytes().map(line)));
}

/// The key that the letter was written with.
fn key(summary: &Summary) -> Vec<u8> {
    key_of(summary.id.as_deref().unwrap_or_default(), || summary.origin())
}

/// Why there is no answer, as far as that is known.
fn silence(post: &Post) -> String {
    post.trouble().map_or_else(|| "kafka says nothing".to_owned(), |error| error.to_string())
}

async fn write_note(post: &Post, topic: &Arc<str>, sent: &Sent, outcome: &'static str) -> Result<()> {
    let Sent { position, key } = sent;
    let note = Note { version: VERSION, time: Timestamp::now(), kind: Kind::Replayed, letter: *position, outcome };
    let value = serde_json::to_vec(&note).expect("text and numbers can be written as JSON");
    let mail = Mail { topic, partition: Some(position.partition), key: Some(key.clone()), headers: Vec::new(), value };
    match timeout(KAFKA_LIMIT, post.send(mail)).await {
        Ok(sent) => sent.map_err(|failed| anyhow!(failed.error)),
        Err(_) => {
            let why = silence(post);
            bail!(
                "that the letter {position} was replayed could not be written down: {why}; replaying it again is harmless"
            )
        }
    }
}
