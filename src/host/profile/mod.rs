//! A profile of this process: where its threads are while they use a processor, sampled by a timer of the kernel's.
//!
//! One at a time, for a limited time. Nothing is set up before somebody asks. While it runs, the kernel interrupts running threads
//! with SIGPROF. The handler is pprof's: it takes no lock that it could wait for, allocates nothing, and leaves samples
//! out that fall into the C library or the unwinder, whose locks the interrupted code may hold; so time spent there is
//! not shown. Interrupted system calls go on or are begun anew by those who made them.

mod encode;
mod flames;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use pprof::{ProfilerGuardBuilder, Report};
use tokio::time::sleep;

/// The longest time that can be asked for.
pub const SECONDS_MAX: u64 = 60;

/// The most samples a second that can be asked for.
pub const FREQUENCY_MAX: u32 = 999;

/// Where the handler doesn't look around: code that holds locks which unwinding may want.
const NOT_IN: &[&str] = &["libc", "libgcc", "pthread", "vdso"];

static IS_RUNNING: AtomicBool = AtomicBool::new(false);

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Another one is being taken.
    #[error("another profile is being taken; try again when it is done")]
    Busy,
    /// The kernel or the profiler refuses.
    #[error("can't take a profile: {0}")]
    Refused(String),
}

/// What a thread was doing, and how often it was seen doing that.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stack {
    /// The functions, the outermost first; the thread's name stands before them.
    functions: Vec<String>,
    samples: u64,
}

/// A profile that was taken.
#[derive(Clone, Debug)]
pub struct Profile {
    stacks: Vec<Stack>,
    began: SystemTime,
    lasted: Duration,
    frequency: u32,
}

/// Says that no profile is being taken any more, however it ended.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        IS_RUNNING.store(false, Ordering::Release);
    }
}

impl Profile {
    /// Takes a profile for so many seconds, with so many samples for each second of processor time; both are cut to their limits.
    ///
    /// # Errors
    /// If another one is being taken, or the kernel refuses.
    pub async fn take(seconds: u64, frequency: u32) -> Result<Self, ProfileError> {
        if IS_RUNNING.swap(true, Ordering::AcqRel) {
            return Err(ProfileError::Busy);
        }
        let _running = Running;
        let (seconds, frequency) = (seconds.clamp(1, SECONDS_MAX), frequency.clamp(1, FREQUENCY_MAX));
        let refused = |error: pprof::Error| ProfileError::Refused(error.to_string());
        let began = SystemTime::now();
        let lasted = Duration::from_secs(seconds);
        let guard = ProfilerGuardBuilder::default().frequency(frequency as i32).blocklist(NOT_IN).build();
        let guard = guard.map_err(refused)?;
        sleep(lasted).await;
        // Names are looked up in the program's symbols, which takes a while and memory.
        let report = tokio::task::spawn_blocking(move || guard.report().build()).await;
        let report = report.map_err(|error| ProfileError::Refused(error.to_string()))?.map_err(refused)?;
        Ok(Self { stacks: stacks(&report), began, lasted, frequency })
    }

    /// The profile as `pprof` and others read it: `profile.proto`, not compressed.
    #[must_use]
    pub fn to_pprof(&self) -> Vec<u8> {
        encode::profile(self)
    }

    /// The profile as a picture: a flame graph.
    #[must_use]
    pub fn to_svg(&self) -> String {
        flames::svg(self)
    }
}

fn stacks(report: &Report) -> Vec<Stack> {
    let stack = |(frames, samples): (&pprof::Frames, &isize)| {
        let named = frames.frames.iter().rev().flat_map(|inlined| inlined.iter().rev()).map(|symbol| symbol.name());
        let functions = [frames.thread_name.clone()].into_iter().chain(named).collect();
        Stack { functions, samples: u64::try_from(*samples).unwrap_or(0) }
    };
    report.data.iter().map(stack).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        hint::black_box,
        sync::atomic::{AtomicBool, Ordering},
        time::{Duration, UNIX_EPOCH},
    };

    use super::{Profile, ProfileError, Stack};

    static IS_OVER: AtomicBool = AtomicBool::new(false);

    #[inline(never)]
    fn a_function_that_takes_all_the_time() -> u64 {
        (0..1_000_000_u64).fold(1, |sum, number| black_box(sum).wrapping_mul(31).wrapping_add(number))
    }

    #[tokio::test]
    async fn a_profile_names_the_function_that_takes_the_time_and_only_one_is_taken_at_once() {
        let busy = std::thread::spawn(|| {
            while !IS_OVER.load(Ordering::Relaxed) {
                black_box(a_function_that_takes_all_the_time());
            }
        });
        let (first, second) = tokio::join!(Profile::take(2, 200), Profile::take(1, 99));
        IS_OVER.store(true, Ordering::Relaxed);
        busy.join().expect("it ends");
        assert!(matches!(second, Err(ProfileError::Busy)), "{second:?}");
        let profile = first.expect("the kernel allows it");
        let is_named = |stack: &&Stack| stack.functions.iter().any(|name| name.contains("a_function_that_takes"));
        let seen: u64 = profile.stacks.iter().filter(is_named).map(|stack| stack.samples).sum();
        assert!(seen > 5, "{seen} samples of {:?}", profile.stacks);
        assert!(profile.to_svg().contains("a_function_that_takes"));
        assert!(profile.to_pprof().windows(22).any(|bytes| bytes == b"a_function_that_takes_"));
    }

    #[test]
    fn a_profile_is_written_as_pprof_reads_it() {
        let stack = |functions: &[&str], samples| Stack {
            functions: functions.iter().map(|name| (*name).to_owned()).collect(),
            samples,
        };
        let stacks = vec![stack(&["lane-0", "read"], 3), stack(&["lane-0"], 1)];
        let profile = Profile { stacks, began: UNIX_EPOCH, lasted: Duration::from_secs(1), frequency: 100 };
        let bytes = profile.to_pprof();
        // Two value types: (samples, count) and (cpu, nanoseconds), as numbers of texts.
        assert_eq!(bytes[..12], [0x0a, 4, 0x08, 1, 0x10, 2, 0x0a, 4, 0x08, 3, 0x10, 4]);
        // A sample: its places with the innermost first, its values in one packed list.
        assert_eq!(bytes[12..20], [0x12, 11, 0x0a, 2, 5, 6, 0x12, 5]);
        assert_eq!(bytes[20..25], [3, 0x80, 0x87, 0xa7, 0x0e], "3 samples, 30 ms");
        let svg = profile.to_svg();
        assert!(svg.contains("<title>read (3 samples, 75.0%)</title>") && svg.contains("width=\"900.0\""), "{svg}");
    }
}
