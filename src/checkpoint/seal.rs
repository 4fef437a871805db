//! How a checkpoint and the store's own state stand on disk: a version, the fields, a checksum.
//!
//! A record is `version (1) · fields · XXH3-64 of the key and all before (8)`; numbers are little-endian. The
//! checksum covers the key, so that a record found under another key is refused too.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

/// The key of the store's own state; checkpoints have keys of 17 bytes.
pub(super) const STATE_KEY: &[u8] = b"state";
/// What the keys of checkpoints begin with.
pub(super) const FILE_PREFIX: &[u8] = b"f";

/// Why a record was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum SealError {
    #[error("a record was written in format version {0}, and this program reads version {VERSION}")]
    Version(u8),
    #[error("a record's checksum is wrong")]
    Checksum,
    #[error("a record has a wrong length")]
    Length,
}

/// The store's own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Random, made with the store.
    pub epoch: u128,
    /// How many commits there were.
    pub sequence: u64,
}

/// The key of `file`'s checkpoint.
pub(super) fn key(file: FileId) -> [u8; 17] {
    let mut key = [FILE_PREFIX[0]; 17];
    key[1..].copy_from_slice(&file.0.to_be_bytes());
    key
}

pub(super) fn write_state(state: State) -> Vec<u8> {
    let mut record = vec![VERSION];
    record.extend(state.epoch.to_le_bytes());
    record.extend(state.sequence.to_le_bytes());
    seal(STATE_KEY, record)
}

pub(super) fn read_state(record: &[u8]) -> Result<State, SealError> {
    let mut fields = Fields(open(STATE_KEY, record)?);
    let state = State { epoch: u128::from_le_bytes(fields.take()?), sequence: u64::from_le_bytes(fields.take()?) };
    fields.end(state)
}

pub(super) fn write(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { stream, task, offset, mark, path, place, head, cuts, updated_ms } = checkpoint;
    let path = path.as_os_str().as_bytes();
    let mut record = Vec::with_capacity(96 + task.len() + path.len());
    record.push(VERSION);
    record.extend(stream.generation.to_le_bytes());
    record.extend(offset.to_le_bytes());
    record.extend(mark.bytes.to_le_bytes());
    record.push(u8::from(mark.in_line));
    record.extend(mark.hash.to_le_bytes());
    record.extend(place.device.to_le_bytes());
    record.extend(place.inode.to_le_bytes());
    record.extend(place.birth_ns.to_le_bytes());
    record.extend(head.bytes.to_le_bytes());
    record.extend(head.hash.to_le_bytes());
    record.extend(updated_ms.to_le_bytes());
    for text in [task.as_bytes(), path] {
        record.extend((text.len() as u32).to_le_bytes());
        record.extend(text);
    }
    record.extend((cuts.len() as u32).to_le_bytes());
    record.extend(cuts.iter().flat_map(|cut| cut.to_le_bytes()));
    seal(&key(stream.file), record)
}

/// The checkpoint that stands under `key`.
pub(super) fn read(key: &[u8], record: &[u8]) -> Result<Checkpoint, SealError> {
    let mut fields = Fields(open(key, record)?);
    let file = key.strip_prefix(FILE_PREFIX).and_then(|id| id.try_into().ok()).ok_or(SealError::Length)?;
    let generation = u32::from_le_bytes(fields.take()?);
    let offset = u64::from_le_bytes(fields.take()?);
    let mark = TailMark {
        bytes: u16::from_le_bytes(fields.take()?),
        in_line: fields.take::<1>()? != [0],
        hash: u64::from_le_bytes(fields.take()?),
    };
    let place = Place {
        device: u64::from_le_bytes(fields.take()?),
        inode: u64::from_le_bytes(fields.take()?),
        birth_ns: i64::from_le_bytes(fields.take()?),
    };
    let head = Head { bytes: u16::from_le_bytes(fields.take()?), hash: u64::from_le_bytes(fields.take()?) };
    let updated_ms = i64::from_le_bytes(fields.take()?);
    let task = String::from_utf8(fields.text()?.to_vec()).map_err(|_| SealError::Checksum)?.into();
    let path = PathBuf::from(OsString::from_vec(fields.text()?.to_vec()));
    let stream = Stream { file: FileId(u128::from_be_bytes(file)), generation };
    let count = u32::from_le_bytes(fields.take()?);
    let cuts = (0..count).map(|_| fields.take().map(u64::from_le_bytes)).collect::<Result<_, _>>()?;
    fields.end(Checkpoint { stream, task, offset, mark, path, place, head, cuts, updated_ms })
}

fn checksum(key: &[u8], record: &[u8]) -> [u8; 8] {
    let mut hash = Xxh3::new();
    hash.update(key);
    hash.update(record);
    hash.digest().to_le_bytes()
}

fn seal(key: &[u8], mut record: Vec<u8>) -> Vec<u8> {
    record.extend(checksum(key, &record));
    record
}

/// The fields of a sealed record.
fn open<'a>(key: &[u8], record: &'a [u8]) -> Result<&'a [u8], SealError> {
    let (body, seal) = record.split_last_chunk::<8>().map(|(body, seal)| (body, *seal)).ok_or(SealError::Length)?;
    if seal != checksum(key, body) {
        return Err(SealError::Checksum);
    }
    match body.split_first() {
        Some((&VERSION, fields)) => Ok(fields),
        Some((other, _)) => Err(SealError::Version(*other)),
        None => Err(SealError::Length),
    }
}

/// What is left to read of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SealError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(SealError::Length)?;
        self.0 = rest;
        Ok(*field)
    }

    fn text(&mut self) -> Result<&'a [u8], SealError> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(SealError::Length)?;
        self.0 = rest;
        Ok(text)
    }

    fn end<T>(self, value: T) -> Result<T, SealError> {
        if self.0.is_empty() { Ok(value) } else { Err(SealError::Length) }
    }
}

#[cfg(test)]
mod tests {
    use super::{SealError, State, key, read, read_state, seal, write, write_state};
    use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};
    use proptest::prelude::*;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    prop_compose! {
        fn checkpoints()(
            ids in any::<(u128, u32, u64, u64, i64, i64, u64)>(),
            mark in any::<(u16, bool, u64)>(),
            head in any::<(u16, u64)>(),
            task in ".{0,20}",
            path in proptest::collection::vec(any::<u8>(), 0..80),
        ) -> Checkpoint {
            Checkpoint {
                stream: Stream { file: FileId(ids.0), generation: ids.1 },
                task: task.into(),
                offset: ids.2,
                mark: TailMark { bytes: mark.0, in_line: mark.1, hash: mark.2 },
                path: OsString::from_vec(path).into(),
                place: Place { device: ids.3, birth_ns: ids.4, inode: ids.6 },
                head: Head { bytes: head.0, hash: head.1 },
                cuts: Vec::from(&ids.2.to_le_bytes()[..1]).into_iter().map(u64::from).collect(),
                updated_ms: ids.5,
            }
        }
    }

    proptest! {
        #[test]
        fn a_checkpoint_reads_back_and_no_changed_byte_goes_unnoticed(
            checkpoint in checkpoints(),
            at in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let (key, mut record) = (key(checkpoint.stream.file), write(&checkpoint));
            prop_assert_eq!(read(&key, &record), Ok(checkpoint));
            let at = at.index(record.len());
            prop_assert!(read(&key, &record[..at]).is_err());
            record[at] ^= flip;
            prop_assert!(read(&key, &record).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic_even_if_their_checksum_is_right(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            version in 0_u8..3,
        ) {
            let key = key(FileId(1));
            prop_assert!(read(&key, &bytes).is_err());
            let body = [vec![version], bytes].concat();
            let sealed = seal(&key, body);
            match read(&key, &sealed) {
                Ok(checkpoint) => prop_assert_eq!(write(&checkpoint).len(), sealed.len()),
                Err(SealError::Version(other)) => prop_assert!(other == version && version != 1),
                Err(_) => (),
            }
        }
    }

    #[test]
    fn the_state_reads_back() {
        let state = State { epoch: u128::MAX / 3, sequence: 77 };
        assert_eq!(read_state(&write_state(state)), Ok(state));
        assert_eq!(read_state(b""), Err(SealError::Length));
    }
}
