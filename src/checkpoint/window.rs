//! A window on a store: whoever is asked for checkpoints can look in, from the time when the store is open.

use std::sync::{Arc, OnceLock};

use super::Store;

/// A store that may not be open yet. Clones are the same window.
#[derive(Clone, Debug, Default)]
pub struct Window(Arc<OnceLock<Store>>);

impl Window {
    /// Shows a store; the first one that is shown stays.
    pub fn show(&self, store: &Store) {
        self.0.get_or_init(|| store.clone());
    }

    /// The store, if it is open.
    #[must_use]
    pub fn store(&self) -> Option<Store> {
        self.0.get().cloned()
    }
}
