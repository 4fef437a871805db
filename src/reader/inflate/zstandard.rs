//! Zstandard (RFC 8878), frame after frame, as bytes come; skippable frames are skipped.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Damage, Step};

/// The largest window that is decoded, as a power of two: 128 MiB, what `zstd -d` takes as well unless told otherwise.
const WINDOW_LOG_MAX: u32 = 27;

/// Whether a file that begins like this is a Zstandard file: a frame, or one that is to be skipped.
pub(super) fn is_zstandard(head: &[u8]) -> bool {
    let skippable = |first: &u8| (0x50..=0x5f).contains(first);
    head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || head.first().is_some_and(skippable) && head[1..].starts_with(&[0x2a, 0x4d, 0x18])
}

/// A decoder; it holds the window that a frame asks for, up to [`WINDOW_LOG_MAX`].
pub(super) struct Zstandard {
    decoder: Decoder<'static>,
    whole: bool,
    /// The last step filled its room, so there may be more text without more input.
    holds: bool,
}

impl Zstandard {
    /// # Errors
    /// If there is no memory for a decoder.
    pub(super) fn new() -> std::io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self { decoder, whole: true, holds: false })
    }

    /// Whether the file may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Makes progress with `input` and `text`; none means that more of one of them is needed.
    pub(super) fn step(&mut self, input: &[u8], text: &mut [u8]) -> Result<Step, Damage> {
        // Asked again and again with nothing to go on, the library takes it for an error.
        if input.is_empty() && (self.whole || !self.holds) {
            return Ok(Step { taken: 0, given: 0 });
        }
        let room = text.len();
        let (mut input, mut text) = (InBuffer::around(input), OutBuffer::around(text));
        let left = self.decoder.run(&mut input, &mut text).map_err(|error| {
            // The library tells its errors by their text only.
            let text = error.to_string();
            Damage(match text.as_str() {
                _ if text.contains("too much memory") => "a frame asks for a window of more than 128 MiB",
                _ if text.contains("checksum") => "the text does not match the checksum behind it",
                _ if text.contains("frame descriptor") => "what follows is no Zstandard frame",
                _ if text.contains("ictionary") => "it was compressed with a dictionary",
                _ => "the compressed bytes are not valid",
            })
        })?;
        self.whole = left == 0;
        self.holds = text.pos() == room;
        Ok(Step { taken: input.pos(), given: text.pos() })
    }
}
