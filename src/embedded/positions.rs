//! Up to where each stream is in the store, as a commit carries it.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::record::Stream;

/// The positions, committed and not yet committed.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// What the last commit says.
    committed: HashMap<Stream, u64>,
    /// What moved since; it becomes true with the next commit.
    moved: HashMap<Stream, u64>,
}

/// What is written into a commit. Entries leave it when the checkpoint store has them, so it stays small.
#[derive(Deserialize, Serialize)]
struct Payload {
    positions: BTreeMap<String, u64>,
}

impl Positions {
    /// Reads what a commit carries; nothing is a store without a commit.
    ///
    /// # Errors
    /// If it is not what this program writes.
    pub(super) fn read(payload: Option<&str>) -> Result<Self, String> {
        let Some(payload) = payload else { return Ok(Self::default()) };
        let payload: Payload = serde_json::from_str(payload).map_err(|error| error.to_string())?;
        let entry = |(key, position): (String, u64)| {
            let (file, generation) = key.split_once('.')?;
            Some((Stream { file: file.parse().ok()?, generation: generation.parse().ok()? }, position))
        };
        let committed = payload.positions.into_iter().map(entry).collect::<Option<HashMap<_, _>>>();
        Ok(Self { committed: committed.ok_or("a stream's name is not one")?, moved: HashMap::new() })
    }

    /// What the next commit carries.
    pub(super) fn payload(&self) -> String {
        let entry = |(stream, position): (&Stream, &u64)| (format!("{}.{}", stream.file, stream.generation), *position);
        let positions = self.committed.iter().chain(&self.moved).map(entry).collect();
        serde_json::to_string(&Payload { positions }).expect("a map of texts and numbers can be written")
    }

    /// The first byte of the stream that is not in the store, as far as is known.
    pub(super) fn get(&self, stream: Stream) -> Option<u64> {
        self.moved.get(&stream).or_else(|| self.committed.get(&stream)).copied()
    }

    /// All that is committed.
    pub(super) fn committed(&self) -> &HashMap<Stream, u64> {
        &self.committed
    }

    /// Whether anything waits for a commit.
    pub(super) fn is_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// The stream is in the store up to `to` with the next commit. A position never goes back.
    pub(super) fn moved(&mut self, stream: Stream, to: u64) {
        if self.get(stream).is_none_or(|at| at < to) {
            self.moved.insert(stream, to);
        }
    }

    /// A commit succeeded.
    pub(super) fn commit(&mut self) {
        self.committed.extend(self.moved.drain());
    }

    /// A commit failed.
    pub(super) fn roll_back(&mut self) {
        self.moved.clear();
    }

    /// The checkpoint store has the stream up to `offset`, so commits need not carry it any longer.
    pub(super) fn confirmed(&mut self, stream: Stream, offset: u64) {
        if self.committed.get(&stream).is_some_and(|at| *at <= offset) {
            self.committed.remove(&stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;
    use crate::record::{FileId, Stream};

    #[test]
    fn positions_survive_a_commit_and_leave_it_when_they_are_confirmed() {
        let (a, b) = (Stream { file: FileId(1), generation: 0 }, Stream { file: FileId(2), generation: 7 });
        let mut positions = Positions::default();
        positions.moved(a, 10);
        positions.moved(b, 20);
        positions.moved(b, 15);
        let payload = positions.payload();
        positions.roll_back();
        assert_eq!((positions.get(a), positions.is_moved()), (None, false));

        let mut positions = Positions::read(Some(&payload)).unwrap();
        assert_eq!((positions.get(a), positions.get(b)), (Some(10), Some(20)));
        positions.confirmed(a, 9);
        positions.confirmed(b, 20);
        assert_eq!((positions.get(a), positions.get(b)), (Some(10), None));
        assert!(Positions::read(Some("{}")).is_err());
        assert!(Positions::read(Some(r#"{"positions":{"x":1}}"#)).is_err());
        assert_eq!(Positions::read(None).unwrap().committed().len(), 0);
    }
}
