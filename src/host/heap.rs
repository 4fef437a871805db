//! How the C library's allocator shares memory among threads, and gives it back.

/// Has all threads share one heap. To be called before there are other threads.
///
/// glibc gives each of the first threads a heap of its own, and what was freed in one is not used by another. An
/// agent's memory moves from thread to thread: what is known of a file is read from the store by one, taken over by
/// another and ends with a third, so the memory of 20 000 files would be paid for three times. Its threads allocate
/// seldom enough not to wait for each other.
///
/// Source: `mallopt(3)`, `M_ARENA_MAX`. Other C libraries are left as they are.
pub fn share() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes two integers, touches no memory of ours and may be called at any time. A value that it
    // refuses changes nothing, so its answer need not be looked at.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Keeps large buffers apart from small ones: from 2 MiB on, each is mapped by itself and given back when it is freed. And
/// has all threads share two heaps. To be called before there are other threads.
///
/// glibc begins so, but raises the size, up to 32 MiB, to that of any mapped buffer that is freed. From then on a
/// transfer's bodies stand among records that come and go, and what is free between them can't be given back. Records are
/// made by a thread of Kafka's client, copied by another and freed by a worker, so with a heap for each of them each keeps
/// what the others are short of: with two, a transfer of single lines took 10 MiB less at its peak, and no more CPU time.
///
/// Up to 8 MiB that are free at the end of a heap are kept: what a broker answered is freed soon and needed again for the
/// next answer, and to have the pages again each time took a transfer of single lines a twentieth of its CPU time.
///
/// Source: `mallopt(3)`, `M_MMAP_THRESHOLD`, `M_ARENA_MAX` and `M_TRIM_THRESHOLD`. Other C libraries are left as they are.
pub fn part() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: as of `share`: two integers, at any time, and a value that is refused changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 2 << 20);
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 8 << 20);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_can_be_had_and_given_back_by_any_thread_afterwards() {
        super::share();
        super::part();
        let made: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || vec![number; 3_000_000])).collect();
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
        });
        for (number, bytes) in (0_u8..).zip(made) {
            assert!(bytes.iter().all(|byte| *byte == number));
        }
    }
}
