//! The nouns that travel between rooms, and the words that several rooms use for the same thing.
//!
//! A type lives here if and only if it crosses a room's wall. The room promises plain data: nothing in it
//! opens a socket or a thread, nor a file but one with a secret, and it knows of no other room.

mod block;
mod budget;
mod charset;
mod checkpoint;
mod file;
mod form;
pub mod json;
mod labels;
mod late_cut;
mod level;
pub mod members;
mod messages;
mod pieces;
mod secret;
mod sent_line;
mod span;
mod tally;

pub use block::{Block, Part};
pub use budget::{Budget, Permit};
pub use charset::{Charset, Newline};
pub use checkpoint::{Checkpoint, Head, Place, Unpacked};
pub use file::{FileId, Origin, Stream};
pub use form::{Container, Form};
pub use labels::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX, LabelError, Labels, NO_LABELS};
pub use late_cut::LateCut;
pub use level::Level;
pub use messages::{Messages, Run};
pub use pieces::{Piece, Pieces};
pub use secret::{Secret, SecretError};
pub use sent_line::SentLine;
pub use span::{Span, TailMark};
pub use tally::{Account, Amount, Held, Outcome, Tally};
