//! The nouns that travel between rooms, and the words that several rooms use for the same thing.
//!
//! A type lives here if and only if it crosses a room's wall. The room promises plain data: nothing in it
//! opens a socket or a thread, nor a file but one with a secret, and it knows of no other room.

mod block;
mod budget;
mod checkpoint;
mod file;
mod level;
mod secret;
mod span;

pub use block::{Block, Part};
pub use budget::{Budget, Permit};
pub use checkpoint::{Checkpoint, Head, Place};
pub use file::{FileId, Origin, Stream};
pub use level::Level;
pub use secret::{Secret, SecretError};
pub use span::{Span, TailMark};
