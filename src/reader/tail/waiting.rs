//! How long what was not sent has waited for its end.

use std::time::{Duration, Instant};

/// A message that is written slowly, or among whose lines another's lie, waits this many times its timeout at most.
const TIMEOUTS_MAX: u32 = 5;

/// What of a file was read and not sent, because its end did not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// Where it begins.
    offset: u64,
    bytes: usize,
    begun: Instant,
    /// When last something was added.
    grown: Instant,
}

/// What waits no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Overdue {
    /// A message, for its next line.
    pub(super) message: bool,
    /// A line, for its newline.
    pub(super) line: bool,
}

impl Waiting {
    /// Notes that so many bytes at `offset` are left; with none, nothing waits any more.
    pub(super) fn see(waiting: &mut Option<Box<Self>>, offset: u64, bytes: usize, now: Instant) {
        match waiting {
            _ if bytes == 0 => *waiting = None,
            Some(same) if same.offset == offset => {
                if same.bytes != bytes {
                    (same.bytes, same.grown) = (bytes, now);
                }
            }
            _ => *waiting = Some(Box::new(Self { offset, bytes, begun: now, grown: now })),
        }
    }

    /// What waits no more; messages wait for `message`, if there are any of several lines, and lines for `line`.
    pub(super) fn overdue(&self, now: Instant, message: Option<Duration>, line: Duration) -> Overdue {
        let (since_begun, since_grown) = (now.duration_since(self.begun), now.duration_since(self.grown));
        let is_over = |timeout: Duration| since_grown >= timeout || since_begun >= timeout * TIMEOUTS_MAX;
        Overdue { message: message.is_some_and(is_over), line: since_grown >= line }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Overdue, Waiting};

    type Slot = Option<Box<Waiting>>;

    fn see(slot: &mut Slot, offset: u64, bytes: usize, now: Instant) {
        Waiting::see(slot, offset, bytes, now);
    }

    fn overdue(slot: &Slot, now: Instant, message: Option<Duration>, line: Duration) -> Overdue {
        slot.as_ref().expect("something waits").overdue(now, message, line)
    }

    #[test]
    fn a_line_waits_from_when_it_grew_last_and_a_message_not_for_ever() {
        const SECOND: Duration = Duration::from_secs(1);
        let start = Instant::now();
        let mut slot = None;
        see(&mut slot, 7, 0, start);
        assert!(slot.is_none(), "nothing waits");
        let late = start + 60 * SECOND;
        see(&mut slot, 7, 3, late);
        let at = |slot: &Slot, seconds| overdue(slot, late + seconds * SECOND, Some(2 * SECOND), 5 * SECOND);
        assert_eq!(at(&slot, 1), Overdue::default(), "it waits since it is there");
        assert_eq!(at(&slot, 2), Overdue { message: true, line: false });
        see(&mut slot, 7, 4, late + SECOND);
        see(&mut slot, 7, 4, late + 2 * SECOND);
        assert_eq!(at(&slot, 2), Overdue::default());
        assert_eq!(at(&slot, 6), Overdue { message: true, line: true });
        see(&mut slot, 7, 5, late + 9 * SECOND);
        assert_eq!(at(&slot, 10), Overdue { message: true, line: false }, "it began long ago");
        see(&mut slot, 12, 5, late + 10 * SECOND);
        assert_eq!(at(&slot, 11), Overdue::default(), "the next one");
        assert_eq!(overdue(&slot, late + 60 * SECOND, None, 5 * SECOND), Overdue { message: false, line: true });
    }
}
