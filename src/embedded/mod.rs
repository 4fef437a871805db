//! The only door to tantivy: a store in this process.
