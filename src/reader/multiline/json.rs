//! JSON objects that were written over several lines.

/// How far an object has come that is not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Json {
    /// How many braces and brackets are open.
    depth: u32,
    in_string: bool,
    /// The next byte of the string stands for itself.
    escaped: bool,
}

impl Json {
    /// The object that `line` begins and does not end.
    pub(super) fn begin(line: &[u8]) -> Option<Self> {
        if line.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        Self::default().line(line)
    }

    /// The object behind a further line, none if it is whole; none at all if nothing in an object looks like the line.
    pub(super) fn go_on(self, line: &[u8]) -> Option<Option<Self>> {
        let text = line.trim_ascii_start();
        let is_json = match text.first() {
            None => true,
            Some(b't' | b'f' | b'n') => [&b"true"[..], b"false", b"null"].iter().any(|word| text.starts_with(word)),
            Some(first) => b"{}[],:\"-0123456789".contains(first),
        };
        is_json.then(|| self.line(line))
    }

    /// A string does not go on behind the end of a line, and what does is no JSON.
    fn line(self, line: &[u8]) -> Option<Self> {
        self.feed(line).filter(|json| !json.in_string)
    }

    /// The object behind so many bytes more; none if it is whole.
    pub(super) fn feed(mut self, bytes: &[u8]) -> Option<Self> {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => (),
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => (),
            }
        }
        (self.depth > 0 || self.in_string).then_some(self)
    }
}
