//! The embedded store: documents in a tantivy index in a data directory; the only door to tantivy.
//!
//! One process writes ([`Writer`]); any number may ask ([`Embedded`]), the writing one included. The room promises
//! that documents and the positions of the streams they came from are committed together or not at all, so after
//! a crash what was committed is known and nothing is indexed twice; that a store it can't open is set aside under
//! another name and never deleted; and that memory and disk use have limits. What a question means is decided by
//! [`store::matches`](crate::store::matches()): each answer is what that would give, and where an index can't tell,
//! the stored documents are read. The room must not know who reads files, what a checkpoint store is, or how a
//! line becomes a document.
//!
//! On disk, `<data_dir>/store` is the index (others may keep files there that belong to it), `<data_dir>/store.lock` is held by the process that writes, and
//! `<data_dir>/store-set-aside-…` is what could not be opened.

mod answers;
mod contains;
mod directory;
mod entry;
mod excluded;
mod histogram;
mod lower;
mod member;
mod positions;
mod retention;
mod schema;
mod settings;
mod term;
#[cfg(test)]
mod tests;
mod tokenizer;
mod verify;
mod writer;

pub use answers::Embedded;
pub use directory::{OpenError, Start, store_dir};
pub use entry::Entry;
pub use retention::Expired;
pub use settings::Settings;
pub use writer::{WriteError, Writer};
