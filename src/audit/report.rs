//! What an audit found, as data.

use serde::Serialize;

/// What is known of an audit as a whole.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The topics that were read.
    pub topics: Vec<String>,
    /// How many records of them.
    pub records: u64,
    /// The files, by path; those of which something has to be told come with what that is.
    pub files: Vec<FileReport>,
    /// Records that tell of no file, as others write them and `headers = false` does. They are not audited.
    pub untold: u64,
    /// Records whose headers can't be read, and that are no dead letters.
    pub unreadable: u64,
    /// Dead letters of documents that can't be told to be of one file or another.
    pub lost_letters: u64,
    /// Streams that have a checkpoint here and no record in Kafka any more.
    pub unseen: u64,
    /// What of the question could not be looked at, and why; without such, what is not in [`Report::files`] as a
    /// difference is proven.
    pub unprovable: Vec<String>,
    /// What has to be known besides.
    pub remarks: Vec<String>,
}

/// What an audit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that the transfer is done with is there once, or a dead letter.
    Proven,
    /// No difference was found, and not everything could be looked at.
    Unprovable,
    /// Something is not there, or there more than once.
    Different,
}

/// What was found of one stream: a file, or what it was between two truncations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The task that collected it.
    pub task: String,
    /// The file's path, as the first record that was read names it.
    pub path: String,
    /// The file's identity.
    pub file: String,
    /// How often it was truncated.
    pub generation: u32,
    /// The first byte that records hold.
    pub start: u64,
    /// One past the last one.
    pub end: u64,
    /// Lines that records hold; a message of several counts as one. They are `indexed`, `dead_lettered`, `under_way` or
    /// `missing`.
    pub written: u64,
    /// Lines that the store has.
    pub indexed: u64,
    /// Lines that it has not, and that are dead letters.
    pub dead_lettered: u64,
    /// Lines that it has not yet: the transfer is not done with their records.
    pub under_way: u64,
    /// Lines that it has not though the transfer is done with them.
    pub missing: u64,
    /// Documents beyond the first of a line.
    pub doubled: u64,
    /// Documents where no line begins.
    pub stray: u64,
    /// Bytes that no record holds, between others or before the checkpoint.
    pub absent_bytes: u64,
    /// Bytes of the file that the agent has not sent; known only on its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsent_bytes: Option<u64>,
    /// What is to be told of places in it.
    pub differences: Vec<Difference>,
    /// How many more there are than are listed.
    pub unlisted: u64,
}

/// Something to be told of a place in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// Adjacent lines that the store has not.
    Missing {
        /// Where the first begins.
        start: u64,
        /// Where the last ends.
        end: u64,
        /// How many they are.
        lines: u64,
        /// The beginning of the first one's text; none where all of a long stretch is missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A stretch whose documents were only counted, since there are too many differences to look at each.
    Counted {
        /// Where it begins.
        start: u64,
        /// Where it ends.
        end: u64,
        /// How many lines it has that should be in the store.
        lines: u64,
        /// How many documents are.
        documents: u64,
    },
    /// A line with more than one document.
    Doubled {
        /// Where it begins.
        offset: u64,
        /// The index of each document.
        indices: Vec<String>,
        /// The `_id` of each.
        ids: Vec<String>,
    },
    /// A document where no line begins.
    Stray {
        /// Its `log.offset`.
        offset: u64,
        /// Its index.
        index: String,
        /// Its `_id`.
        id: String,
    },
    /// A line that is a dead letter.
    DeadLetter {
        /// Where it begins.
        offset: u64,
        /// Where the letter lies, as `logdrive dead-letters show` takes it.
        letter: String,
        /// The reason's name, and why, in words.
        reason: String,
    },
    /// Lines of a record that is a dead letter as a whole.
    DeadRecord {
        /// Where the first begins.
        start: u64,
        /// Where the last ends.
        end: u64,
        /// How many they are.
        lines: u64,
    },
    /// Bytes that no record holds.
    Absent {
        /// The first one.
        start: u64,
        /// One past the last one.
        end: u64,
        /// How many documents the store has of them all the same.
        documents: u64,
    },
}

impl Report {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match () {
            () if self.files.iter().any(FileReport::is_different) => Verdict::Different,
            () if self.unprovable.is_empty() => Verdict::Proven,
            () => Verdict::Unprovable,
        }
    }
}

impl FileReport {
    /// Whether something is not as it should be.
    #[must_use]
    pub fn is_different(&self) -> bool {
        self.missing + self.doubled + self.stray + self.absent_bytes > 0
    }

    /// Adds something to be told, if there is room for it.
    pub(super) fn tell(&mut self, difference: Difference, limit: usize) {
        if self.differences.len() < limit {
            self.differences.push(difference);
        } else {
            self.unlisted += 1;
        }
    }
}
