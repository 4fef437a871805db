//! What a line comes from: a file's identity, its generation, and where it was found.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use super::{Form, Labels};

/// The identity of a file, made when it is first seen and kept in the checkpoint store from then on.
///
/// It is opaque: a hash of the machine, the checkpoint store's epoch (random, made with the store), the device,
/// the inode and the birth time. What recognises the file again (inode, fingerprint, tail mark) is evidence that
/// the checkpoint keeps; it is not part of the identity, so a file that is renamed keeps its identity, and a
/// store that was lost can never give two different files the same one.
///
/// Its text form is 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u128);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileId({self})")
    }
}

impl FromStr for FileId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// One run of a file's content: the file between two truncations.
///
/// An offset means something only within a stream; a truncation begins the next generation at offset 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The file.
    pub file: FileId,
    /// How many times the file has been truncated or rewritten since it was first seen.
    pub generation: u32,
}

/// Where a block's lines come from, shared by all blocks read from a stream under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The stream that offsets count in.
    pub stream: Stream,
    /// The file's path when the block was read; any bytes, as the kernel gave them.
    pub path: PathBuf,
    /// The name of the task that collects the file.
    pub task: Arc<str>,
    /// What the task says of all its lines.
    pub labels: Labels,
    /// How the text is to be understood.
    pub form: Form,
}

#[cfg(test)]
mod tests {
    use super::FileId;

    #[test]
    fn a_file_id_reads_back_from_its_text() {
        let id = FileId(0x0123_4567_89ab_cdef);
        assert_eq!(id.to_string(), "00000000000000000123456789abcdef");
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
