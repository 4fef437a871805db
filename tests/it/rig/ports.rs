//! Ports that nothing uses.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the ports that the kernel gives to outgoing connections, so that none of those takes one meanwhile.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A free port on 127.0.0.1, given to nobody else in this process.
pub fn free() -> u16 {
    static STEPS: AtomicU16 = AtomicU16::new(0);
    // Another run at the same time begins elsewhere.
    let start = (std::process::id() * 97 % u32::from(RANGE.end - RANGE.start)) as u16;
    for _ in RANGE {
        let step = STEPS.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + ((u32::from(start) + u32::from(step)) % u32::from(RANGE.end - RANGE.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free in {RANGE:?}");
}

/// The first of `count` free ports in a row.
pub fn free_run(count: u16) -> u16 {
    loop {
        let first = free();
        let mut others = first + 1..first + count;
        if others.all(|port| RANGE.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            // Nobody else in this process is given the others: each is a step behind the one before.
            (1..count).for_each(|_| _ = free());
            return first;
        }
    }
}
