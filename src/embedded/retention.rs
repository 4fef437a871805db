//! Which documents have to go so that the store keeps its size.

use std::{collections::HashMap, fs, io, ops::Bound, path::Path};

use tantivy::{Index, ReloadPolicy, SegmentMeta, SegmentReader, Term, query::Query};

use super::{
    lower::range_query,
    schema::{Fields, TIME},
};

/// A segment is rewritten when more than this share of its documents is deleted.
pub(super) const DELETED_SHARE_MAX: f32 = 0.2;

/// How much of the limit is kept when the store has outgrown it, so that deleting is rare.
const KEPT_SHARE: f64 = 0.9;

/// How finely the documents' ages are looked at.
const SLICES: usize = 1_000;

/// What a look at the store's size found, and what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// The size of the store before, in bytes, without what is already deleted and will leave.
    pub bytes: u64,
    /// How many documents were deleted.
    pub documents: u64,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Documents before this time have to go, if any.
    pub delete_before_ns: Option<i64>,
    /// What that comes to.
    pub expired: Expired,
}

/// Looks at the size, and at the ages if it is over `bytes_max`.
pub(super) fn plan(index: &Index, dir: &Path, bytes_max: u64) -> tantivy::Result<Plan> {
    let sizes = index.searchable_segment_metas()?;
    let files = files(dir)?;
    let bytes: u64 = sizes.iter().map(|segment| living_bytes(segment, &files)).sum();
    let expired = Expired { bytes, documents: 0 };
    if bytes <= bytes_max {
        return Ok(Plan { delete_before_ns: None, expired });
    }
    let share = 1.0 - bytes_max as f64 * KEPT_SHARE / bytes as f64;
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let (before_ns, documents) = oldest(reader.searcher().segment_readers(), share)?;
    Ok(Plan { delete_before_ns: Some(before_ns), expired: Expired { bytes, documents } })
}

/// Documents before a time.
pub(super) fn older_than(before_ns: i64, fields: &Fields) -> Box<dyn Query> {
    range_query(Bound::Unbounded, Bound::Excluded(Term::from_field_i64(fields.time, before_ns)))
}

/// A segment's part of the disk, less what its deleted documents take.
fn living_bytes(segment: &SegmentMeta, files: &HashMap<String, u64>) -> u64 {
    let bytes = files.get(&segment.id().uuid_string()).copied().unwrap_or_default();
    (bytes as f64 * f64::from(segment.num_docs()) / f64::from(segment.max_doc().max(1))) as u64
}

/// How many bytes the files of each segment have; they are named after it.
fn files(dir: &Path) -> io::Result<HashMap<String, u64>> {
    let mut sizes = HashMap::new();
    for file in fs::read_dir(dir)? {
        let file = file?;
        let name = file.file_name();
        let Some((segment, _)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        // A file that a merge removes meanwhile counts nothing.
        *sizes.entry(segment.to_owned()).or_default() += file.metadata().map_or(0, |meta| meta.len());
    }
    Ok(sizes)
}

/// A time before which about `share` of the documents lie, at least one of them, and how many do.
fn oldest(segments: &[SegmentReader], share: f64) -> tantivy::Result<(i64, u64)> {
    let mut extent: Option<(i64, i64)> = None;
    each_time(segments, |time| {
        let (first, last) = extent.unwrap_or((time, time));
        extent = Some((first.min(time), last.max(time)));
    })?;
    let Some((mut first, mut last)) = extent else { return Ok((i64::MIN, 0)) };
    // Looks again at the slice in which the border lies, until the slices are fine enough: a few odd times, a clock
    // that was wrong by years, must not make one slice of all the others.
    let mut before = 0_u64;
    let mut wanted = None;
    loop {
        let width = ((i128::from(last) - i128::from(first)) / SLICES as i128 + 1) as i64;
        let mut counts = vec![0_u64; SLICES + 1];
        let mut all = 0_u64;
        each_time(segments, |time| {
            all += 1;
            if time >= first && time <= last {
                counts[((i128::from(time) - i128::from(first)) / i128::from(width)) as usize] += 1;
            }
        })?;
        let wanted = *wanted.get_or_insert(((all as f64 * share) as u64).clamp(1, all.max(1)));
        let mut slice = 0;
        while before + counts[slice] < wanted && slice < SLICES {
            before += counts[slice];
            slice += 1;
        }
        let begin = first.saturating_add(width.saturating_mul(slice as i64));
        let end = begin.saturating_add(width);
        if width == 1 || counts[slice] <= all / SLICES as u64 + 1 {
            return Ok((end, before + counts[slice]));
        }
        (first, last) = (begin, end - 1);
    }
}

fn each_time(segments: &[SegmentReader], mut look: impl FnMut(i64)) -> tantivy::Result<()> {
    for segment in segments {
        let times = segment.fast_fields().i64(TIME)?;
        segment.doc_ids_alive().filter_map(|doc| times.first(doc)).for_each(&mut look);
    }
    Ok(())
}
