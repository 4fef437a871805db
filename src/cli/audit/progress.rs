//! How far an audit has come, on a terminal's last line.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use crate::audit::Progress;

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(200);

/// The line. Nothing is shown where nobody looks.
pub(super) struct Line {
    is_terminal: bool,
    shown: Option<Instant>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), shown: None }
    }

    pub(super) fn show(&mut self, step: Progress) {
        if !self.is_terminal || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let text = match step {
            Progress::Letters(read) => format!("dead letters read: {read}"),
            Progress::Records(read, all) => format!("records read: {read} of {all}"),
            Progress::Files(done, all) => format!("files counted: {done} of {all}"),
            Progress::Stretches(done, all) => format!("stretches looked at line by line: {done} of {all}"),
        };
        // Whether anyone sees it changes nothing.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }

    /// Clears it.
    pub(super) fn end(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
