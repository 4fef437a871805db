//! How far is safe: the ledger in memory, and the store on disk.
//!
//! An offset in the store means that every byte before it was acknowledged by the sink, or was dropped on purpose
//! and counted. The room promises that what [`Ledger`] calls safe only grows, and that what a commit returned for
//! survives a crash. It must not know who reads, what a line is, or where lines go.

#[cfg(test)]
mod damage;
mod door;
mod keeper;
mod ledger;
mod lock;
mod saver;
mod seal;
mod sequence;
mod store;

pub use keeper::{Due, Keeper};
pub use ledger::{Ledger, LedgerError, Safe};
pub use saver::{Saver, Unsaved};
pub use store::{Note, Opened, Store, StoreError};
