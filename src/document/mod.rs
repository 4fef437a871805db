//! Lines to documents.
