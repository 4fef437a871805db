//! Sequences that failed once, and must not again.
