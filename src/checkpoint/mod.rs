//! How far is safe: the ledger in memory, and the store on disk.
//!
//! An offset in the store means that every byte before it was acknowledged by the sink, or was dropped on purpose
//! and counted. The room promises that what [`Ledger`] calls safe only grows, and that what a commit returned for
//! survives a crash. It must not know who reads, what a line is, or where lines go.

#[cfg(test)]
mod damage;
mod door;
mod exchange;
mod keeper;
mod ledger;
mod lock;
mod lost;
mod saver;
mod seal;
mod sequence;
mod store;
mod window;

pub use exchange::{ExchangeError, read_line, write_line};
pub use keeper::{Due, Keeper};
pub use ledger::{Ledger, LedgerError, Safe};
pub use lost::Lost;
pub use saver::{Saver, Unsaved};
pub use store::{Note, Opened, Store, StoreError};
pub use window::Window;
