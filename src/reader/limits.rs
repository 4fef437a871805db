//! How many files the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// What the process needs beside the files that are read: connections, checkpoints, the store, the library.
const OTHERS: u64 = 256;

/// Raises the process's limit so that `wanted` files can be read at once; how many can be.
pub(super) fn raise_open_files(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHERS;
    let (current, maximum) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let mut there = current;
    if current < needed {
        // The program may be one of many readers of the limit, so no more is asked for than is needed.
        let raised = needed.min(maximum);
        let asked = Rlimit { current: Some(raised), maximum: limit.maximum };
        there = if setrlimit(Resource::Nofile, asked).is_ok() { raised } else { current };
    }
    let possible = possible(wanted, there);
    if possible < wanted {
        warn!(
            limit = there,
            wanted,
            possible,
            "the limit of open files is too low for agent.open_files_max; raise it (LimitNOFILE=, ulimit -n), or lower the setting"
        );
    }
    possible
}

/// How many of `wanted` files can be read at once under a limit: what is left beside the others, at least half of it.
fn possible(wanted: usize, limit: u64) -> usize {
    let left = limit.saturating_sub(OTHERS).max(limit / 2).max(1);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::{possible, raise_open_files};

    #[test]
    fn what_is_left_of_the_limit_is_for_files_that_are_read() {
        assert_eq!(possible(1024, 1 << 20), 1024);
        assert_eq!(possible(1024, 1024), 768);
        assert_eq!(possible(1024, 100), 50);
        assert_eq!(possible(1024, 0), 1);
    }

    #[test]
    fn a_few_files_can_always_be_read() {
        assert_eq!(raise_open_files(8), 8);
    }
}
