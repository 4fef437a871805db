//! Writing: documents and positions in, one commit for both.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    path::{Path, PathBuf},
};

use tantivy::{
    Index, IndexWriter, TantivyError,
    indexer::{IndexWriterOptions, LogMergePolicy},
};
use thiserror::Error;

use crate::record::Stream;

use super::{
    Embedded, Entry, Settings,
    directory::{self, Lock, OpenError, Start, store_dir, system_error},
    positions::Positions,
    retention::{self, Expired},
    schema::{Fields, schema},
};

/// tantivy refuses less memory than this for a thread.
const THREAD_BYTES_MIN: u64 = 16 << 20;
/// tantivy refuses more memory than this for a thread.
const THREAD_BYTES_MAX: u64 = 4_000 << 20;
const THREADS_MAX: usize = 8;

/// A segment with this many documents is not merged with others, so that the oldest ones can leave as a whole.
const MERGED_DOCUMENTS_MAX: usize = 1_000_000;

/// Nothing of what was added since the last commit is in the store. The caller adds it again, later.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The disk is full.
    #[error("no space left on the disk of {}; free some, or set a smaller bytes_max; writing goes on by itself", dir.display())]
    Full {
        /// The store.
        dir: PathBuf,
    },
    /// Anything else.
    #[error("can't write the store in {}: {why}", dir.display())]
    Failed {
        /// The store.
        dir: PathBuf,
        /// What went wrong.
        why: String,
    },
}

/// The one that writes into a store.
pub struct Writer {
    index: Index,
    fields: Fields,
    dir: PathBuf,
    settings: Settings,
    /// None after an error, until the next use.
    writer: Option<IndexWriter>,
    positions: Positions,
    added: u64,
    start: Start,
    /// Dropped last: nothing is written without it.
    _lock: Lock,
}

impl Writer {
    /// Opens the store of a data directory, makes it if there is none, and sets one aside that can't be used
    /// ([`Writer::start`] tells which).
    ///
    /// # Errors
    /// If another process writes into it, or the system refuses.
    pub fn open(settings: &Settings, data_dir: &Path) -> Result<Self, OpenError> {
        let (index, positions, start, lock) = directory::open_to_write(data_dir)?;
        let dir = store_dir(data_dir);
        let settings = settings.clone();
        let fields = schema().1;
        let writer = make_writer(&index, &settings).map_err(|error| OpenError::System {
            what: "write into the store in",
            path: dir.clone(),
            source: system_error(&error).unwrap_or_else(|| std::io::Error::other(error)),
        })?;
        Ok(Self { index, fields, dir, settings, writer: Some(writer), positions, added: 0, start, _lock: lock })
    }

    /// What was found when the store was opened.
    #[must_use]
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// The store, to be asked; it answers with what is committed.
    ///
    /// # Errors
    /// If its segments can't be opened.
    pub fn embedded(&self) -> Result<Embedded, OpenError> {
        Embedded::new(&self.index, &self.dir)
    }

    /// The ids of the stream's documents in the store whose lines begin within `range`. It is meant for what was
    /// committed and not confirmed, which is not much.
    ///
    /// # Errors
    /// If the index can't be read; what was added since the last commit stays added.
    pub fn ids(&self, stream: Stream, range: Range<u64>) -> Result<HashSet<String>, WriteError> {
        let found = self.embedded().map_err(|error| error.to_string());
        let found = found.and_then(|store| store.ids(stream, range).map_err(|error| error.to_string()));
        found.map_err(|why| WriteError::Failed { dir: self.dir.clone(), why })
    }

    /// Up to where streams are in the store: what is committed and not yet confirmed.
    #[must_use]
    pub fn positions(&self) -> &HashMap<Stream, u64> {
        self.positions.committed()
    }

    /// Adds a document, to be found after the next commit. Waits while the index is busy.
    ///
    /// # Errors
    /// If the index can't be written; then nothing since the last commit is kept.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), WriteError> {
        let document = entry.document(&self.fields);
        let added = self.writer().and_then(|writer| writer.add_document(document));
        added.map_err(|error| self.roll_back(error))?;
        self.added += 1;
        Ok(())
    }

    /// All documents of the stream before `to` were added: with the next commit, this is its position.
    pub fn moved(&mut self, stream: Stream, to: u64) {
        self.positions.moved(stream, to);
    }

    /// The checkpoint store has the stream up to `offset`, so the next commit need not carry its position.
    pub fn confirmed(&mut self, stream: Stream, offset: u64) {
        self.positions.confirmed(stream, offset);
    }

    /// Makes all that was added since the last commit, and the positions with it, durable and visible, or none of it.
    /// Gives the number of documents.
    ///
    /// # Errors
    /// If the index can't be written; then nothing since the last commit is kept.
    pub fn commit(&mut self) -> Result<u64, WriteError> {
        if self.added == 0 && !self.positions.is_moved() {
            return Ok(0);
        }
        self.commit_all()?;
        Ok(std::mem::take(&mut self.added))
    }

    /// Deletes the oldest documents if the store is larger than it may be. To be called now and then, right after
    /// a commit; what was added since is committed with the deletion.
    ///
    /// # Errors
    /// If the index can't be read or written; then nothing since the last commit is kept.
    pub fn expire(&mut self) -> Result<Expired, WriteError> {
        let bytes_max = self.settings.bytes_max.as_u64();
        let plan = retention::plan(&self.index, &self.dir, bytes_max).map_err(|error| self.roll_back(error))?;
        let Some(before_ns) = plan.delete_before_ns else { return Ok(plan.expired) };
        let query = retention::older_than(before_ns, &self.fields);
        let deleted = self.writer().and_then(|writer| writer.delete_query(query).map(|_| ()));
        deleted.map_err(|error| self.roll_back(error))?;
        self.commit_all()?;
        self.added = 0;
        Ok(plan.expired)
    }

    /// Waits for merges under way and lets the store go.
    pub fn close(mut self) {
        if let Some(Err(error)) = self.writer.take().map(IndexWriter::wait_merging_threads) {
            tracing::warn!(error = %error, "the last merge of the store failed; the next start tries again");
        }
    }

    fn commit_all(&mut self) -> Result<(), WriteError> {
        let payload = self.positions.payload();
        let committed = self.writer().and_then(|writer| {
            let mut commit = writer.prepare_commit()?;
            commit.set_payload(&payload);
            commit.commit()
        });
        committed.map_err(|error| self.roll_back(error))?;
        // tantivy syncs the commit's file but not its name.
        directory::sync(&self.dir).map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            self.roll_back(TantivyError::from(error))
        })?;
        self.positions.commit();
        Ok(())
    }

    /// The index's own writer, made anew after an error.
    fn writer(&mut self) -> tantivy::Result<&mut IndexWriter> {
        if self.writer.is_none() {
            self.writer = Some(make_writer(&self.index, &self.settings)?);
        }
        self.writer.as_mut().ok_or_else(|| TantivyError::InternalError("the writer was just made".to_owned()))
    }

    /// Forgets what was added since the last commit, and says why.
    fn roll_back(&mut self, error: TantivyError) -> WriteError {
        // An indexing thread that failed is only noticed here, and only it knows the reason.
        let reason = match &mut self.writer {
            Some(writer) if matches!(error, TantivyError::ErrorInThread(_)) => writer.prepare_commit().err(),
            _ => None,
        };
        let error = reason.unwrap_or(error);
        self.writer = None;
        self.positions.roll_back();
        self.added = 0;
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        if system_error(&error).as_ref().is_some_and(full) {
            return WriteError::Full { dir: self.dir.clone() };
        }
        WriteError::Failed { dir: self.dir.clone(), why: error.to_string() }
    }
}

fn make_writer(index: &Index, settings: &Settings) -> tantivy::Result<IndexWriter> {
    let threads = settings.threads.clamp(1, THREADS_MAX);
    let thread_bytes = settings.memory_bytes_max.as_u64() / threads as u64;
    let options = IndexWriterOptions::builder()
        .num_worker_threads(threads)
        .memory_budget_per_thread(thread_bytes.clamp(THREAD_BYTES_MIN, THREAD_BYTES_MAX) as usize)
        .num_merge_threads(1)
        .build();
    let writer = index.writer_with_options(options)?;
    let mut merging = LogMergePolicy::default();
    merging.set_max_docs_before_merge(MERGED_DOCUMENTS_MAX);
    merging.set_del_docs_ratio_before_merge(retention::DELETED_SHARE_MAX);
    writer.set_merge_policy(Box::new(merging));
    Ok(writer)
}
