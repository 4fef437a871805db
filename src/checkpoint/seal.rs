//! How a checkpoint and the store's own state stand on disk: a version, the fields, a checksum.
//!
//! A record is `version (1) · fields · XXH3-64 of the key and all before (8)`; numbers are little-endian. The
//! checksum covers the key, so that a record found under another key is refused too.
//!
//! | version | key of a checkpoint | fields |
//! |---|---|---|
//! | 1 | `f` · file (16, big-endian) | the generation first, neither cuts nor what was unpacked |
//! | 2 | `f` · file (16) · generation (4, big-endian) | cuts, then what was unpacked, last |
//!
//! Version 1 kept one checkpoint a file; it is read, and written anew as version 2 when the store is opened.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark, Unpacked};

/// The version that is written. Those before it are read.
const VERSION: u8 = 2;

/// The key of the store's own state; checkpoints have other ones.
pub(super) const STATE_KEY: &[u8] = b"state";
/// What the keys of checkpoints begin with.
pub(super) const FILE_PREFIX: &[u8] = b"f";

/// Why a record was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum SealError {
    #[error(
        "it was written by a newer version of this program, in record format {0}, and this one reads formats up to {VERSION}"
    )]
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
    /// Whether the store was written in an older version of the format.
    pub is_old: bool,
}

/// The key of a stream's checkpoint. The generations of a file follow each other.
pub(super) fn key(stream: Stream) -> [u8; 21] {
    let mut key = [FILE_PREFIX[0]; 21];
    key[1..17].copy_from_slice(&stream.file.0.to_be_bytes());
    key[17..].copy_from_slice(&stream.generation.to_be_bytes());
    key
}

pub(super) fn write_state(state: State) -> Vec<u8> {
    let mut record = vec![VERSION];
    record.extend(state.epoch.to_le_bytes());
    record.extend(state.sequence.to_le_bytes());
    seal(STATE_KEY, record)
}

pub(super) fn read_state(record: &[u8]) -> Result<State, SealError> {
    let (version, mut fields) = open(STATE_KEY, record)?;
    let (epoch, sequence) = (u128::from_le_bytes(fields.take()?), u64::from_le_bytes(fields.take()?));
    fields.end(State { epoch, sequence, is_old: version < VERSION })
}

pub(super) fn write(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { stream, task, offset, mark, path, place, head, cuts, unpacked, updated_ms } = checkpoint;
    let path = path.as_os_str().as_bytes();
    let mut record = Vec::with_capacity(96 + task.len() + path.len());
    record.push(VERSION);
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
    // No compressed file has no bytes.
    let (bytes, text) = unpacked.map_or((0, 0), |unpacked| (unpacked.bytes, unpacked.text));
    record.extend(bytes.to_le_bytes());
    record.extend(text.to_le_bytes());
    seal(&key(*stream), record)
}

/// The checkpoint that stands under `key`.
pub(super) fn read(key: &[u8], record: &[u8]) -> Result<Checkpoint, SealError> {
    let (version, mut fields) = open(key, record)?;
    let stream = read_stream(version, key, &mut fields)?;
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
    let count = if version == 1 { 0 } else { u32::from_le_bytes(fields.take()?) };
    let cuts = (0..count).map(|_| fields.take().map(u64::from_le_bytes)).collect::<Result<_, _>>()?;
    let unpacked = if version == 1 { None } else { read_unpacked(&mut fields)? };
    fields.end(Checkpoint { stream, task, offset, mark, path, place, head, cuts, unpacked, updated_ms })
}

fn read_unpacked(fields: &mut Fields<'_>) -> Result<Option<Unpacked>, SealError> {
    let (bytes, text) = (u64::from_le_bytes(fields.take()?), u64::from_le_bytes(fields.take()?));
    Ok((bytes > 0).then_some(Unpacked { bytes, text }))
}

/// The stream of the record under `key`, whose generation stood among the fields once.
fn read_stream(version: u8, key: &[u8], fields: &mut Fields<'_>) -> Result<Stream, SealError> {
    let mut key = Fields(key.strip_prefix(FILE_PREFIX).ok_or(SealError::Length)?);
    let file = FileId(u128::from_be_bytes(key.take()?));
    let generation = if version == 1 { u32::from_le_bytes(fields.take()?) } else { u32::from_be_bytes(key.take()?) };
    key.end(Stream { file, generation })
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

/// The version and the fields of a sealed record.
fn open<'a>(key: &[u8], record: &'a [u8]) -> Result<(u8, Fields<'a>), SealError> {
    let (body, seal) = record.split_last_chunk::<8>().map(|(body, seal)| (body, *seal)).ok_or(SealError::Length)?;
    if seal != checksum(key, body) {
        return Err(SealError::Checksum);
    }
    match body.split_first() {
        Some((&version @ 1..=VERSION, fields)) => Ok((version, Fields(fields))),
        Some((0, _)) => Err(SealError::Checksum),
        Some((newer, _)) => Err(SealError::Version(*newer)),
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

/// Records as version 1 wrote them, and as a version to come may.
#[cfg(test)]
pub(super) mod old {
    use super::{STATE_KEY, State, VERSION, seal};
    use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};

    pub(in crate::checkpoint) fn old_state(state: State) -> Vec<u8> {
        seal(STATE_KEY, [&[1][..], &state.epoch.to_le_bytes(), &state.sequence.to_le_bytes()].concat())
    }

    pub(in crate::checkpoint) fn newer_state() -> Vec<u8> {
        seal(STATE_KEY, vec![VERSION + 1])
    }

    pub(in crate::checkpoint) fn old_checkpoint() -> Checkpoint {
        Checkpoint {
            stream: Stream { file: FileId(7), generation: 3 },
            task: "t".into(),
            offset: 10,
            mark: TailMark { bytes: 4, in_line: true, hash: 5 },
            path: "/a".into(),
            place: Place { device: 1, inode: 2, birth_ns: 3 },
            head: Head { bytes: 10, hash: 6 },
            cuts: Vec::new(),
            unpacked: None,
            updated_ms: 9,
        }
    }

    pub(in crate::checkpoint) fn old_record() -> (Vec<u8>, Vec<u8>) {
        let key = [b"f", &7_u128.to_be_bytes()[..]].concat();
        let fields: [&[u8]; 16] = [
            &[1],
            &3_u32.to_le_bytes(),
            &10_u64.to_le_bytes(),
            &4_u16.to_le_bytes(),
            &[1],
            &5_u64.to_le_bytes(),
            &1_u64.to_le_bytes(),
            &2_u64.to_le_bytes(),
            &3_i64.to_le_bytes(),
            &10_u16.to_le_bytes(),
            &6_u64.to_le_bytes(),
            &9_i64.to_le_bytes(),
            &1_u32.to_le_bytes(),
            b"t",
            &2_u32.to_le_bytes(),
            b"/a",
        ];
        (key.clone(), seal(&key, fields.concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::old::{old_checkpoint, old_record};
    use super::{SealError, State, VERSION, key, read, read_state, seal, write, write_state};
    use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark, Unpacked};
    use proptest::prelude::*;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};

    prop_compose! {
        fn checkpoints()(
            ids in any::<(u128, u32, u64, u64, i64, i64, u64)>(),
            mark in any::<(u16, bool, u64)>(),
            head in any::<(u16, u64)>(),
            task in ".{0,20}",
            path in proptest::collection::vec(any::<u8>(), 0..80),
            cuts in proptest::collection::vec(any::<u64>(), 0..4),
            unpacked in proptest::option::of((1..u64::MAX, any::<u64>())),
        ) -> Checkpoint {
            Checkpoint {
                stream: Stream { file: FileId(ids.0), generation: ids.1 },
                task: task.into(),
                offset: ids.2,
                mark: TailMark { bytes: mark.0, in_line: mark.1, hash: mark.2 },
                path: OsString::from_vec(path).into(),
                place: Place { device: ids.3, birth_ns: ids.4, inode: ids.6 },
                head: Head { bytes: head.0, hash: head.1 },
                cuts,
                unpacked: unpacked.map(|(bytes, text)| Unpacked { bytes, text }),
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
            let (key, mut record) = (key(checkpoint.stream), write(&checkpoint));
            prop_assert_eq!(read(&key, &record), Ok(checkpoint));
            let at = at.index(record.len());
            prop_assert!(read(&key, &record[..at]).is_err());
            record[at] ^= flip;
            prop_assert!(read(&key, &record).is_err());
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic_even_if_their_checksum_is_right(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
            version in 0_u8..4,
        ) {
            let key = key(Stream { file: FileId(1), generation: 0 });
            let key = if version == 1 { &key[..17] } else { &key };
            prop_assert!(read(key, &bytes).is_err());
            let body = [vec![version], bytes].concat();
            let sealed = seal(key, body);
            match read(key, &sealed) {
                // Version 1 had the generation among its fields, and no number of cuts.
                Ok(checkpoint) => prop_assert_eq!(write(&checkpoint).len(), sealed.len()),
                Err(SealError::Version(newer)) => prop_assert!(newer == version && version > 2),
                Err(_) => (),
            }
        }
    }

    #[test]
    fn the_state_reads_back() {
        let state = State { epoch: u128::MAX / 3, sequence: 77, is_old: false };
        assert_eq!(read_state(&write_state(state)), Ok(state));
        assert_eq!(read_state(b""), Err(SealError::Length));
    }

    #[test]
    fn what_an_older_version_wrote_is_read_and_what_a_newer_one_wrote_is_told_from_damage() {
        let expected = old_checkpoint();
        let (key, record) = old_record();
        assert_eq!(read(&key, &record), Ok(expected));
        let (key, record) = (b"f", [&[VERSION + 1][..], b"whatever"].concat());
        let refused = read(key, &seal(key, record)).expect_err("it is newer");
        assert!(refused.to_string().contains("written by a newer version of this program"), "{refused}");
        let state = [&[1][..], &7_u128.to_le_bytes(), &8_u64.to_le_bytes()].concat();
        assert_eq!(read_state(&seal(super::STATE_KEY, state)), Ok(State { epoch: 7, sequence: 8, is_old: true }));
    }
}
