//! Messages by regular expressions of one's own.

use regex::bytes::Regex;

use super::{Multiline, MultilineError};

/// Which lines begin a message, go on with it, and end it.
#[derive(Debug)]
pub(super) struct Patterns {
    start: Option<Regex>,
    go_on: Option<Regex>,
    end: Option<Regex>,
}

impl Patterns {
    /// The patterns of `settings`; none if there are none.
    pub(super) fn new(settings: &Multiline) -> Result<Option<Self>, MultilineError> {
        let read = |setting, pattern: &Option<String>| {
            let regex = pattern.as_deref().map(Regex::new).transpose();
            regex.map_err(|error| MultilineError::Pattern { setting, error: Box::new(error) })
        };
        let start = read("start", &settings.start)?;
        let go_on = read("continue", &settings.r#continue)?;
        let end = read("end", &settings.end)?;
        let is_any = start.is_some() || go_on.is_some() || end.is_some();
        Ok(is_any.then_some(Self { start, go_on, end }))
    }

    /// Whether a message that begins with `line` may go on.
    pub(super) fn begin(&self, line: &[u8]) -> bool {
        // With a beginning and an end, what lies between two messages is no message of several lines.
        let is_outside = self.end.is_some() && self.go_on.is_none() && !self.is_start(line).unwrap_or(true);
        !is_outside && !self.is_end(line)
    }

    /// Whether a message may go on behind `line`; none if the line begins another one.
    pub(super) fn go_on(&self, line: &[u8]) -> Option<bool> {
        let goes_on = self.go_on.as_ref().is_none_or(|pattern| pattern.is_match(line));
        let belongs = !self.is_start(line).unwrap_or(false) && goes_on;
        belongs.then(|| !self.is_end(line))
    }

    fn is_start(&self, line: &[u8]) -> Option<bool> {
        self.start.as_ref().map(|pattern| pattern.is_match(line))
    }

    fn is_end(&self, line: &[u8]) -> bool {
        self.end.as_ref().is_some_and(|pattern| pattern.is_match(line))
    }
}
