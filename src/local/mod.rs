//! Role: files to the embedded store, in one process.
