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
