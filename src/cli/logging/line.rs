//! An event as one line: what is written with line breaks in it can't be taken for several.

use std::io::{self, Write};

/// Where lines go.
pub(super) struct OneLine<W> {
    out: W,
    /// A person reads along, for whom line breaks are as they should be.
    is_terminal: bool,
}

impl<W: Write> OneLine<W> {
    pub(super) fn to(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal }
    }
}

impl<W: Write> Write for OneLine<W> {
    /// Takes an event whole, as it is formatted, with the line break at its end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        if self.is_terminal || !text.contains(&b'\n') {
            self.out.write_all(event)?;
        } else {
            let mut line = text.split(|byte| *byte == b'\n').collect::<Vec<&[u8]>>().join(&br"\n"[..]);
            line.push(b'\n');
            self.out.write_all(&line)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
