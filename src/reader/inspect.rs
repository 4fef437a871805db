//! What each file and lane is doing now, for whoever asks: what is kept anyway is looked at, and lanes answer by message.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Status,
    inbox::{Command, Inbox},
    progress::Standing,
    table::{Shared, Table},
};
use crate::{
    inspect::{File, Lane},
    metrics::{self, list},
    record::FileId,
};

/// A lane that doesn't answer for so long is blocked.
const LANE_PATIENCE: Duration = Duration::from_secs(1);

/// Looks at a reader, from any task. Clones look at the same one.
#[derive(Clone, Debug)]
pub struct Inspector {
    pub(super) table: Arc<Table>,
    pub(super) lanes: Vec<Arc<Inbox>>,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The lanes.
    pub lanes: Vec<Lane>,
    /// How the files of each task stand.
    pub tasks: HashMap<Arc<str>, Status>,
    /// The files that are most behind, and of those that are not, open ones first. Up to where they are safe is not
    /// the reader's to know.
    pub files: Vec<(FileId, File)>,
    /// How many files there are.
    pub files_total: usize,
    /// Bytes of all files that were not read.
    pub unread_bytes: u64,
}

impl Seen {
    /// Sets the metric of the files that are behind, and of all others of each task together.
    pub fn report_files(&self) {
        let rows = self.unread_by_file().into_iter();
        let row = |((task, path), bytes): ((&str, &str), u64)| (vec![task.to_owned(), path.to_owned()], bytes as f64);
        metrics::replace(&list::FILE_UNREAD_BYTES, rows.map(row).collect());
    }

    /// By task and path. A file that is deleted and not read to its end, and the one that was made in its place, have
    /// one path, and are one here.
    fn unread_by_file(&self) -> BTreeMap<(&str, &str), u64> {
        let mut unread: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (task, status) in &self.tasks {
            let behind = self.files.iter().map(|(_, file)| file).filter(|file| file.unread_bytes > 0);
            let mut others = status.unread_bytes;
            for file in behind.filter(|file| *file.task == **task) {
                *unread.entry((task, &file.path)).or_default() += file.unread_bytes;
                others = others.saturating_sub(file.unread_bytes);
            }
            unread.insert((task, metrics::OTHERS), others);
        }
        unread
    }
}

impl Inspector {
    /// Looks at the lanes, and at up to `files_max` files.
    pub async fn look(&self, files_max: usize) -> Seen {
        let table = Arc::clone(&self.table);
        let files = tokio::task::spawn_blocking(move || table.look(|files| most_behind(files, files_max)));
        let lanes = self.lanes.iter().enumerate().map(|(lane, inbox)| ask(lane, inbox));
        let (files, lanes) = tokio::join!(files, join_all(lanes));
        // Looking can't fail unless the runtime is going down.
        Seen { lanes, ..files.unwrap_or_default() }
    }
}

async fn ask(lane: usize, inbox: &Inbox) -> Lane {
    let (answer, answered) = oneshot::channel();
    inbox.push(Command::Describe(answer));
    match timeout(LANE_PATIENCE, answered).await {
        Ok(Ok(told)) => Lane { lane, ..told },
        Ok(Err(_)) | Err(_) => Lane { lane, ..Lane::default() },
    }
}

/// One pass over all files that keeps the first ones, so that it takes little time and memory however many there are.
pub(super) fn most_behind(files: &HashMap<FileId, Shared>, max: usize) -> Seen {
    let mut first = BinaryHeap::with_capacity(max);
    let mut tasks: HashMap<Arc<str>, Status> = HashMap::new();
    let now_ms = Timestamp::now().as_millisecond();
    for (id, file) in files {
        let unread = file.progress.unread();
        match tasks.get_mut(&file.task) {
            Some(status) => status.add(&file.progress, now_ms),
            None => tasks.entry(Arc::clone(&file.task)).or_default().add(&file.progress, now_ms),
        }
        let is_open = file.progress.standing() != Standing::Idle;
        let place = Reverse((unread, is_open, Reverse(*id)));
        if first.len() < max {
            first.push(place);
        } else if first.peek().is_some_and(|last| place < *last) {
            first.pop();
            first.push(place);
        }
    }
    // Ascending in what is reversed: the one that is most behind comes first.
    let first = first.into_sorted_vec().into_iter().map(|Reverse((_, _, Reverse(id)))| id);
    let files_shown = first.filter_map(|id| Some((id, file(id, files.get(&id)?, now_ms)))).collect();
    let unread_bytes = tasks.values().map(|status| status.unread_bytes).sum();
    Seen { lanes: Vec::new(), tasks, files: files_shown, files_total: files.len(), unread_bytes }
}

fn file(id: FileId, Shared { task, path, lane, progress }: &Shared, now_ms: i64) -> File {
    File {
        id: id.to_string(),
        path: path.to_string_lossy().into_owned(),
        task: task.to_string(),
        lane: *lane,
        state: progress.state(),
        size: progress.size(),
        read: progress.read(),
        safe: None,
        unread_bytes: progress.unread(),
        oldest_unread_seconds: progress.oldest_unread(now_ms).map(|age| age.as_secs_f64()),
        compressed: progress.is_packed(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::Path, sync::Arc};

    use super::{FileId, Shared, Standing, most_behind};
    use crate::reader::progress::Progress;

    fn shared(size: u64, read: u64, standing: Standing) -> Shared {
        let progress = Arc::new(Progress::default());
        progress.saw_read(read);
        progress.saw_size(size);
        progress.stands(standing);
        Shared { task: "t".into(), path: Path::new("/a").into(), lane: 0, progress }
    }

    #[test]
    fn those_most_behind_come_first_then_open_ones_and_the_totals_are_of_all() {
        let files = HashMap::from([
            (FileId(1), shared(9, 9, Standing::Idle)),
            (FileId(2), shared(9, 9, Standing::Open)),
            (FileId(3), shared(9, 4, Standing::Idle)),
            (FileId(4), shared(9, 2, Standing::Failed)),
            (FileId(5), shared(9, 9, Standing::Idle)),
        ]);
        let seen = most_behind(&files, 4);
        let ids: Vec<u128> = seen.files.iter().map(|(id, _)| id.0).collect();
        assert_eq!((ids, seen.files_total, seen.unread_bytes), (vec![4, 3, 2, 1], 5, 12));
        assert!(most_behind(&files, 0).files.is_empty());
    }

    #[test]
    fn files_of_one_path_have_one_series_and_all_that_have_none_are_one_together() {
        let mut files: HashMap<FileId, Shared> =
            (1..=5).map(|id| (FileId(id), shared(10 * id as u64, 0, Standing::Open))).collect();
        let other: Arc<Path> = Path::new("/b").into();
        files.get_mut(&FileId(4)).expect("it is there").path = other;
        let seen = most_behind(&files, 3);
        let unread: Vec<_> = seen.unread_by_file().into_iter().collect();
        assert_eq!(unread, [(("t", "(others)"), 30), (("t", "/a"), 80), (("t", "/b"), 40)]);
    }
}
