//! Blocks in, documents into the store, and receipts for what is committed.
//!
//! A block is kept until its commit, with its share of the byte budget: if the store can't be written, because the
//! disk is full, all of them are added again. After a crash the store may know more of a stream than its checkpoint
//! does. Then each line up to there is looked up by its id, and one that is in the store is counted as a duplicate,
//! not added; a line that merely stands where another stood is added.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use crate::{
    document::{Builder, Passage, Source},
    embedded::{self, Expired, WriteError, Writer},
    metrics::{self, Counter, list},
    record::{Block, Checkpoint, Held, Span, Stream, TailMark},
};

/// What a block becomes when it is committed.
#[derive(Debug)]
pub(super) struct Receipt {
    /// What is safe now.
    pub span: Span<Stream, TailMark>,
    /// The task that collects the file.
    pub task: Arc<str>,
    /// Its lines, for which the store answers now.
    pub held: Held,
}

/// Everything between the reader and the store.
pub(super) struct Intake {
    desk: Desk,
    /// What was taken since the last commit; the byte budget bounds it.
    pending: Vec<Block>,
    pending_bytes: u64,
    /// Whether the store lost what was added, so that it has to be added again.
    is_lost: bool,
    made: Made,
    outcomes: Outcomes,
}

/// Where lines become documents.
struct Desk {
    writer: Writer,
    builder: Builder,
    host: String,
    /// Ids of the lines that a stream may bring again after a crash; dropped when the stream is past them.
    again: HashMap<Stream, HashSet<String>>,
    text: Vec<u8>,
    json: Vec<u8>,
}

/// What became of lines since the last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Made {
    created: u64,
    duplicate: u64,
    skipped: u64,
}

struct Outcomes {
    created: Counter,
    duplicate: Counter,
    skipped: Counter,
    retried: Counter,
}

impl Intake {
    pub(super) fn new(writer: Writer, builder: Builder, host: String) -> Self {
        let outcome = |name| metrics::counter(&list::DOCUMENTS, &[name]);
        Self {
            desk: Desk { writer, builder, host, again: HashMap::new(), text: Vec::new(), json: Vec::new() },
            pending: Vec::new(),
            pending_bytes: 0,
            is_lost: false,
            made: Made::default(),
            outcomes: Outcomes {
                created: outcome("created"),
                duplicate: outcome("duplicate"),
                skipped: outcome("skipped"),
                retried: outcome("retried"),
            },
        }
    }

    /// How many bytes of text wait for a commit.
    pub(super) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Takes a block. It is kept, whatever happens, until [`Intake::commit`] gives its receipt.
    ///
    /// # Errors
    /// If the store can't be written; commit tries again.
    pub(super) fn take(&mut self, block: Block) -> Result<(), WriteError> {
        self.pending_bytes += block.text.len() as u64;
        self.pending.push(block);
        if self.is_lost {
            return Ok(());
        }
        let Some(block) = self.pending.last() else { return Ok(()) };
        self.desk.add(block, &mut self.made).inspect_err(|_| self.is_lost = true)
    }

    /// Commits what was taken, adding it again where it was lost.
    ///
    /// # Errors
    /// If the store can't be written. Everything is kept, to be tried again later.
    pub(super) fn commit(&mut self) -> Result<Vec<Receipt>, WriteError> {
        if self.is_lost {
            self.outcomes.retried.increment(self.made.created);
            self.made = Made::default();
            for block in &self.pending {
                self.desk.add(block, &mut self.made)?;
            }
            self.is_lost = false;
        }
        self.desk.writer.commit().inspect_err(|_| self.is_lost = true)?;
        let Made { created, duplicate, skipped } = std::mem::take(&mut self.made);
        self.outcomes.created.increment(created);
        self.outcomes.duplicate.increment(duplicate);
        self.outcomes.skipped.increment(skipped);
        self.pending_bytes = 0;
        let receipt =
            |block: Block| Receipt { span: block.span(), task: Arc::clone(&block.origin.task), held: block.held };
        Ok(self.pending.drain(..).map(receipt).collect())
    }

    /// Notes what the checkpoint store has, which the store's commits then need not carry.
    pub(super) fn saved(&mut self, checkpoints: &[Checkpoint]) {
        for checkpoint in checkpoints {
            self.desk.writer.confirmed(checkpoint.stream, checkpoint.offset);
        }
    }

    /// Deletes the oldest documents of a store that has grown too large; to be called right after a commit.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub(super) fn expire(&mut self) -> Result<Expired, WriteError> {
        debug_assert!(self.pending.is_empty(), "right after a commit");
        self.desk.writer.expire()
    }

    /// Lets the store go.
    pub(super) fn close(self) {
        self.desk.writer.close();
    }
}

impl Desk {
    /// Adds a block's lines to the store.
    fn add(&mut self, block: &Block, made: &mut Made) -> Result<(), WriteError> {
        let Self { writer, builder, host, again, text, json } = self;
        let (stream, span) = (block.origin.stream, block.span());
        let seen = match writer.positions().get(&stream) {
            Some(position) if span.start < *position => {
                let seen = match again.entry(stream) {
                    Entry::Occupied(seen) => seen.into_mut(),
                    Entry::Vacant(none) => none.insert(writer.ids(stream, span.start..*position)?),
                };
                Some(&*seen)
            }
            _ => {
                again.remove(&stream);
                None
            }
        };
        let source = Source {
            stream,
            path: &block.origin.path,
            host,
            task: &block.origin.task,
            labels: &block.origin.labels,
            topic: "",
            read_at: block.read_at,
            form: block.origin.form,
        };
        // Reading JSON changes the bytes, and they may be needed again.
        text.clear();
        text.extend_from_slice(&block.text);
        let passage = Passage { text, offset: span.start, part: block.part, messages: &block.messages };
        builder.source(&source).each(passage, json, |built, json| {
            let Some(built) = built else {
                made.skipped += 1;
                return Ok(());
            };
            let id = built.id.text();
            let id = std::str::from_utf8(&id).expect("an id's text is ASCII");
            if seen.is_some_and(|seen| seen.contains(id)) {
                made.duplicate += 1;
                return Ok(());
            }
            writer.add(&embedded::Entry { id, time: built.time, json })?;
            made.created += 1;
            Ok::<(), WriteError>(())
        })?;
        writer.moved(stream, span.end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::Intake;
    use crate::{
        document::Builder,
        embedded::{Settings, Writer},
        record::{
            Block, Checkpoint, Container, FileId, Form, Head, Labels, Messages, Origin, Part, Permit, Place, Run,
            Stream, TailMark, Tally,
        },
        splitter,
        store::{Found, Page, Query, Store},
    };

    fn intake(dir: &Path) -> Intake {
        let settings = Settings { memory_bytes_max: bytesize::ByteSize::mib(16), ..Settings::default() };
        let writer = Writer::open(&settings, dir).expect("a store");
        Intake::new(writer, Builder::new(&crate::document::Settings::default()), "web-1".to_owned())
    }

    fn stream() -> Stream {
        Stream { file: FileId(7), generation: 0 }
    }

    fn block(offset: u64, text: &str, part: Part) -> Block {
        Block {
            origin: Arc::new(Origin {
                stream: stream(),
                path: "/var/log/a.log".into(),
                task: "up".into(),
                labels: Labels::default(),
                form: Form::default(),
            }),
            offset,
            text: text.as_bytes().to_vec(),
            lines: splitter::count(text.as_bytes()).max(1),
            part,
            messages: Messages::default(),
            read_at: "2026-11-21T10:00:00Z".parse().expect("a time"),
            held: Arc::new(Tally::default()).read(1, text.len() as u64),
            permit: Permit::none(),
        }
    }

    async fn all(intake: &Intake) -> Found {
        let store = intake.desk.writer.embedded().expect("the store");
        store.find(&Query::default(), &Page { limit: 100, after: None }).await.expect("an answer")
    }

    fn messages(found: &Found) -> Vec<&str> {
        found.hits.iter().rev().filter_map(|hit| hit.source["message"].as_str()).collect()
    }

    #[tokio::test]
    async fn the_lines_of_a_block_are_found_after_the_commit_whose_receipt_has_its_span() {
        let dir = tempfile::tempdir().unwrap();
        let mut intake = intake(dir.path());
        intake.take(block(0, "one\n{\"message\":\"two\",\"status\":500}\n", Part::Whole)).unwrap();
        intake.take(block(35, "th", Part::First)).unwrap();
        intake.take(block(37, "ree\n", Part::Last)).unwrap();
        intake.take(block(41, "\n", Part::Last)).unwrap();
        assert_eq!((intake.pending_bytes(), all(&intake).await.total.count), (42, 0));
        let receipts = intake.commit().unwrap();
        assert_eq!(receipts.iter().map(|receipt| receipt.span.end).collect::<Vec<_>>(), [35, 37, 41, 42]);
        assert_eq!(intake.pending_bytes(), 0);
        let found = all(&intake).await;
        assert_eq!(messages(&found), ["one", "two", "th", "ree"]);
        assert_eq!(found.hits[3].source["log.offset"], 0);
        assert_eq!(found.hits[2].source["status"], 500);
    }

    #[tokio::test]
    async fn what_comes_again_after_a_crash_is_not_added_again_but_what_stands_in_its_place_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = intake(dir.path());
        first.take(block(0, "same\nsame\nold\n", Part::Whole)).unwrap();
        first.commit().unwrap();
        // The process dies before the checkpoint is saved.
        drop(first);
        let mut second = intake(dir.path());
        second.take(block(0, "same\n", Part::Whole)).unwrap();
        second.take(block(5, "same\nnew\nmore\n", Part::Whole)).unwrap();
        second.take(block(19, "last\n", Part::Whole)).unwrap();
        assert_eq!((second.made.duplicate, second.made.created), (2, 3));
        second.commit().unwrap();
        let found = all(&second).await;
        let mut messages = messages(&found);
        messages.sort_unstable();
        assert_eq!(messages, ["last", "more", "new", "old", "same", "same"]);
        assert!(second.desk.again.is_empty(), "nothing is remembered of what is behind");
    }

    #[tokio::test]
    async fn a_message_of_several_lines_is_one_document_and_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            "2024-01-01T00:00:00Z stderr P Error\n2024-01-01T00:00:01Z stdout F b\n2024-01-01T00:00:02Z stderr F : c\n";
        let message = || {
            let mut block = block(0, text, Part::Whole);
            let form = Form { container: Some(Container::Cri), ..Form::default() };
            block.origin = Arc::new(Origin { form, ..Origin::clone(&block.origin) });
            assert!(block.messages.push(Run::Mixed(&[0, 1, 0])));
            block
        };
        let mut first = intake(dir.path());
        first.take(message()).unwrap();
        first.commit().unwrap();
        let found = all(&first).await;
        assert_eq!(messages(&found), ["Error: c", "b"]);
        assert_eq!(found.hits[1].source["log.iostream"], "stderr");
        // The process dies before the checkpoint is saved.
        drop(first);
        let mut second = intake(dir.path());
        second.take(message()).unwrap();
        assert_eq!((second.made.duplicate, second.made.created), (2, 0));
    }

    #[tokio::test]
    async fn once_a_checkpoint_is_saved_nothing_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut intake = intake(dir.path());
        intake.take(block(0, "one\n", Part::Whole)).unwrap();
        intake.commit().unwrap();
        assert_eq!(intake.desk.writer.positions().len(), 1);
        intake.saved(&[Checkpoint {
            stream: stream(),
            task: "up".into(),
            offset: 4,
            mark: TailMark::default(),
            path: "/var/log/a.log".into(),
            place: Place::default(),
            head: Head::default(),
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 0,
        }]);
        assert_eq!(intake.desk.writer.positions().len(), 0);
    }

    #[tokio::test]
    async fn what_the_store_lost_is_added_again_by_the_next_commit() {
        let dir = tempfile::tempdir().unwrap();
        let mut intake = intake(dir.path());
        intake.take(block(0, "one\n", Part::Whole)).unwrap();
        // The index can't be written: a directory stands where its commit has to go.
        let meta = dir.path().join("store/meta.json");
        std::fs::rename(&meta, dir.path().join("meta.json")).unwrap();
        std::fs::create_dir_all(meta.join("in the way")).unwrap();
        let error = intake.commit().expect_err("there is no room").to_string();
        assert!(error.starts_with("can't write the store in "), "{error}");
        intake.take(block(4, "two\n", Part::Whole)).unwrap();
        assert!(intake.commit().is_err(), "still no room");
        std::fs::remove_dir_all(&meta).unwrap();
        std::fs::rename(dir.path().join("meta.json"), &meta).unwrap();
        assert_eq!(intake.commit().unwrap().len(), 2);
        let found = all(&intake).await;
        assert_eq!(messages(&found), ["one", "two"]);
    }
}
