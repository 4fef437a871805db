//! A cut that content alone does not explain: a line or a message whose end did not come in time.

use std::sync::Arc;

/// Where a stream was cut because the end of a line, or of a message of several lines, did not come in time.
///
/// Whoever reads the stream again has to cut it at the same place, or the same text would go out under another
/// identity. So the place is saved before anything that ends there is sent. Its clones are shared between the one
/// who made the cut and the one who keeps it until everything before it is safe.
#[derive(Clone, Debug)]
pub struct LateCut {
    at: u64,
    kept: Arc<()>,
}

impl LateCut {
    /// The most cuts of a stream that may wait until everything before them is safe.
    pub const WAITING_MAX: usize = 16;

    /// A cut at the offset `at` of its stream.
    #[must_use]
    pub fn new(at: u64) -> Self {
        Self { at, kept: Arc::new(()) }
    }

    /// The offset in the stream.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Whether nobody else keeps it any more.
    #[must_use]
    pub fn is_let_go(&self) -> bool {
        Arc::strong_count(&self.kept) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::LateCut;

    #[test]
    fn a_cut_is_let_go_when_its_keeper_drops_it() {
        let made = LateCut::new(7);
        let kept = made.clone();
        assert_eq!((made.at(), made.is_let_go()), (7, false));
        drop(kept);
        assert!(made.is_let_go());
    }
}
