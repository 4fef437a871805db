//! Blocks to batches, and the packed format, both directions.
