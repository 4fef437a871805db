//! The buffers of bodies, used again: one has megabytes, and to have them from the system anew for each body would cost a
//! tenth of a transfer's CPU time, and, freed by another thread than asked for them, memory several times over.

use std::{
    mem,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

/// So many buffers are kept: as many as a transfer has full bodies by default. Of more, which are there only while bodies go
/// off half empty, each would hold the memory of a full one.
const KEPT_MAX: usize = 4;
/// A buffer that a body of a large document made larger than this is not kept.
const BYTES_MAX: usize = 16 << 20;

/// Buffers that nobody uses now.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer that goes back to its pool when it is dropped, if it is of one.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    pool: Option<Pool>,
}

impl Pool {
    /// An empty buffer, with or without memory.
    pub(super) fn buffer(&self) -> Buffer {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Buffer { bytes, pool: Some(self.clone()) }
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX && (1..=BYTES_MAX).contains(&bytes.capacity()) {
            kept.push(bytes);
        }
    }
}

impl From<Vec<u8>> for Buffer {
    /// A buffer of no pool.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, pool: None }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        self.bytes.clone().into()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give_back(mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, KEPT_MAX, Pool};

    #[test]
    fn a_buffer_that_was_given_back_is_empty_and_used_again() {
        let pool = Pool::default();
        let mut buffer = pool.buffer();
        buffer.extend_from_slice(b"text");
        let (place, copy) = (buffer.as_ptr(), buffer.clone());
        drop(buffer);
        assert_eq!(*copy, b"text");
        drop(copy);
        let again = pool.buffer();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert_eq!(pool.buffer().capacity(), 0, "the copy was of no pool");
    }

    #[test]
    fn only_some_buffers_are_kept_and_no_huge_one() {
        let pool = Pool::default();
        let buffers: Vec<_> = (0..KEPT_MAX + 3)
            .map(|_| {
                let mut buffer = pool.buffer();
                buffer.reserve(10);
                buffer
            })
            .collect();
        drop(buffers);
        assert_eq!(pool.0.lock().expect("no test panics with it").len(), KEPT_MAX);
        let pool = Pool::default();
        pool.buffer().reserve(BYTES_MAX + 1);
        assert_eq!(pool.buffer().capacity(), 0);
    }
}
