//! Several lines to one message: which lines belong together.
//!
//! A state machine goes over lines, beginning where a message begins, and says where units end (`record::Messages`
//! says what a unit is). It depends on nothing but the lines from there on, and every unit's end is a beginning, so
//! whoever goes on from a unit's end finds the same messages. A message that has reached a limit ends there, and what
//! follows begins another one: nothing is left out. Only that a message has waited long enough for a line that did
//! not come is not for the machine to know; it is told.

mod json;
mod language;
mod patterns;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytesize::ByteSize;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::Deserialize;

use self::{json::Json, language::Language, patterns::Patterns};
use crate::{
    record::{Charset, Container, Messages, Run},
    splitter::{
        self,
        container::{self, Iostream},
    },
};

/// Which lines of a task's files make one message together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Multiline {
    /// Ready-made rules; the first of them that knows a line as the beginning of a message decides where it ends.
    pub preset: Vec<Preset>,
    /// A line that this regular expression matches begins a message.
    pub start: Option<String>,
    /// A line that this matches goes on with the message before it; any other begins one.
    pub r#continue: Option<String>,
    /// A line that this matches is its message's last.
    pub end: Option<String>,
    /// A message with so many lines ends.
    pub lines_max: u32,
    /// A message ends before the line with which it would be longer; none means as long as a line may be.
    pub bytes_max: Option<ByteSize>,
    /// A message whose next line did not come for so long ends.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

/// Rules that come with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Exceptions of Java and other languages of its machine, and of JavaScript, with their stack traces.
    Java,
    /// Tracebacks, up to the line that names the exception.
    Python,
    /// Panics and dumps of goroutines.
    Go,
    /// Lines of Kubernetes' container runtimes; what they cut is joined.
    Cri,
    /// Lines of Docker's json-file driver; what it cut is joined.
    DockerJson,
    /// JSON objects of several lines.
    Json,
}

/// Why lines can't be joined so.
#[derive(Debug, thiserror::Error)]
pub enum MultilineError {
    /// Nothing says which lines belong together.
    #[error("multiline has neither a preset nor a pattern")]
    Nothing,
    /// A pattern is no regular expression.
    #[error("{setting} is no regular expression: {error}")]
    Pattern {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with it.
        error: Box<regex::Error>,
    },
    /// Two presets that exclude each other.
    #[error("the presets {0:?} and {1:?} exclude each other")]
    Containers(&'static str, &'static str),
    /// Patterns beside the preset of a language.
    #[error("patterns and the preset {0:?} exclude each other")]
    Beside(&'static str),
}

impl Default for Multiline {
    fn default() -> Self {
        Self {
            preset: Vec::new(),
            start: None,
            r#continue: None,
            end: None,
            lines_max: 500,
            bytes_max: None,
            timeout: Duration::from_secs(1),
        }
    }
}

impl Preset {
    fn name(self) -> &'static str {
        match self {
            Preset::Java => "java",
            Preset::Python => "python",
            Preset::Go => "go",
            Preset::Cri => Container::Cri.name(),
            Preset::DockerJson => Container::DockerJson.name(),
            Preset::Json => "json",
        }
    }

    fn container(self) -> Option<Container> {
        match self {
            Preset::Cri => Some(Container::Cri),
            Preset::DockerJson => Some(Container::DockerJson),
            Preset::Java | Preset::Python | Preset::Go | Preset::Json => None,
        }
    }
}

impl MultilineError {
    /// The name of the setting to blame.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Containers(..) | Self::Beside(_) => "preset",
            Self::Pattern { setting, .. } => setting,
        }
    }
}

impl Multiline {
    /// What a container runtime put around each line.
    #[must_use]
    pub fn container(&self) -> Option<Container> {
        self.preset.iter().find_map(|preset| preset.container())
    }

    /// Whether messages can be told by these settings.
    ///
    /// # Errors
    /// If not, says why.
    pub fn check(&self) -> Result<(), MultilineError> {
        Grouping::new(self, Charset::UTF_8, usize::MAX).map(drop)
    }
}

/// Settings, ready to be used.
#[derive(Debug)]
pub struct Grouping {
    judges: Vec<Judge>,
    container: Option<Container>,
    charset: Charset,
    lines_max: u32,
    bytes_max: usize,
    /// How long a message waits for its next line.
    pub timeout: Duration,
}

/// Who says where messages end.
#[derive(Debug)]
enum Judge {
    Patterns(Patterns),
    Language(Language),
    Json,
}

/// What is known of a message behind one of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has ended.
    Ended,
    /// Further lines may belong to it. Which judge says so, and what he remembers.
    Open(usize, Memory),
}

/// What a judge remembers of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Nothing,
    Language(u8),
    Json(Json),
}

/// The messages at the beginning of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many bytes they have.
    pub bytes: usize,
    /// How many lines.
    pub lines: u32,
    /// Which lines make one message together.
    pub messages: Messages,
}

impl Grouping {
    /// What `settings` mean for lines in `charset` of up to `line_bytes_max` bytes.
    ///
    /// # Errors
    /// If the settings do not fit each other.
    pub fn new(settings: &Multiline, charset: Charset, line_bytes_max: usize) -> Result<Self, MultilineError> {
        let mut containers = settings.preset.iter().filter(|preset| preset.container().is_some());
        if let (Some(one), Some(other)) = (containers.next(), containers.next()) {
            return Err(MultilineError::Containers(one.name(), other.name()));
        }
        let mut judges = Vec::new();
        if let Some(patterns) = Patterns::new(settings)? {
            if let Some(preset) = settings.preset.iter().find(|preset| preset.container().is_none()) {
                return Err(MultilineError::Beside(preset.name()));
            }
            judges.push(Judge::Patterns(patterns));
        }
        for preset in &settings.preset {
            judges.push(match preset {
                Preset::Java => Judge::Language(Language::new(language::JAVA)),
                Preset::Python => Judge::Language(Language::new(language::PYTHON)),
                Preset::Go => Judge::Language(Language::new(language::GO)),
                Preset::Json => Judge::Json,
                Preset::Cri | Preset::DockerJson => continue,
            });
        }
        let container = settings.container();
        if judges.is_empty() && container.is_none() {
            return Err(MultilineError::Nothing);
        }
        let bytes_max = settings.bytes_max.map_or(usize::MAX, |bytes| bytes.as_u64().try_into().unwrap_or(usize::MAX));
        let (lines_max, timeout) = (settings.lines_max.max(1), settings.timeout);
        Ok(Self { judges, container, charset, lines_max, bytes_max: bytes_max.min(line_bytes_max), timeout })
    }

    /// The whole units at the beginning of `text`, which begins with one. If `is_over`, what is there of the last one
    /// is all there will be of it.
    #[must_use]
    pub fn whole_units(&self, text: &[u8], is_over: bool) -> Group {
        let newline = self.charset.newline();
        let (mut scan, mut decoded) = (Scan::default(), Vec::new());
        for end in splitter::line_ends_by(newline, text) {
            if scan.lines() > 0 && (end - scan.group.bytes > self.bytes_max || scan.lines() >= self.lines_max) {
                scan.close();
            }
            let line = self.decoded(&text[scan.at..end - newline.width()], &mut decoded);
            let piece = self.container.and_then(|container| container::unwrap(container, line));
            match piece {
                Some(piece) => self.take(&mut scan, piece.stream, &piece.text, piece.is_partial, end),
                // A line that is not of the runtime counts as said on standard output, as it stands.
                None => self.take(&mut scan, Iostream::Stdout, line, false, end),
            }
        }
        // No line is so short that it could go on with a message that is so long.
        let is_full = text.len() - scan.group.bytes >= self.bytes_max || scan.lines() >= self.lines_max;
        if scan.lines() > 0 && (is_over || is_full) {
            scan.close();
        }
        scan.group.messages = scan.group.messages.settled();
        scan.group
    }

    /// The line as the judges see it: UTF-8, without a byte order mark and without a carriage return.
    fn decoded<'a>(&self, line: &'a [u8], decoded: &'a mut Vec<u8>) -> &'a [u8] {
        let line = line.strip_prefix(self.charset.mark()).unwrap_or(line);
        let line = if self.charset.is_utf8() {
            line
        } else {
            decoded.clear();
            self.charset.decode(line, decoded);
            decoded
        };
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Adds a line, which ends at `end`, to the unit at hand, or closes it before the line and begins another.
    fn take(&self, scan: &mut Scan, stream: Iostream, line: &[u8], is_partial: bool, end: usize) {
        let joined = match scan.streams[stream as usize] {
            // Whatever was cut goes on, and its beginning has decided to which message it belongs.
            Said { state, number, is_inside: true } => Some((number, self.feed(state, line))),
            Said { state: State::Open(judge, memory), number, .. } => {
                self.go_on(judge, memory, line).map(|state| (number, state))
            }
            Said { state: State::Ended, .. } => None,
        };
        let (number, state) = joined.unwrap_or_else(|| {
            scan.streams[stream as usize].state = State::Ended;
            if scan.lines() > 0 && scan.is_whole() {
                scan.close();
            }
            (scan.begin(), self.begin(line))
        });
        scan.streams[stream as usize] = Said { state, number, is_inside: is_partial };
        scan.numbers.push(number);
        scan.at = end;
        if scan.is_whole() {
            scan.close();
        }
    }

    /// The state behind the first line of a message.
    fn begin(&self, line: &[u8]) -> State {
        for (index, judge) in self.judges.iter().enumerate() {
            let memory = match judge {
                Judge::Patterns(patterns) => patterns.begin(line).then_some(Memory::Nothing),
                Judge::Language(language) => language.begin(line).map(Memory::Language),
                Judge::Json => Json::begin(line).map(Memory::Json),
            };
            if let Some(memory) = memory {
                return State::Open(index, memory);
            }
        }
        State::Ended
    }

    /// The state behind a further line; none if the line does not belong to the message.
    fn go_on(&self, judge: usize, memory: Memory, line: &[u8]) -> Option<State> {
        let open = match (&self.judges[judge], memory) {
            (Judge::Patterns(patterns), _) => patterns.go_on(line)?.then_some(Memory::Nothing),
            (Judge::Language(language), Memory::Language(state)) => language.go_on(state, line)?.map(Memory::Language),
            (Judge::Json, Memory::Json(json)) => json.go_on(line)?.map(Memory::Json),
            // A judge remembers what is his.
            (Judge::Language(_) | Judge::Json, _) => None,
        };
        Some(open.map_or(State::Ended, |memory| State::Open(judge, memory)))
    }

    /// The state behind a further piece of a line. Patterns look at the first piece alone: runtimes cut every 16 KiB.
    fn feed(&self, state: State, piece: &[u8]) -> State {
        match state {
            State::Open(judge, Memory::Json(json)) => {
                json.feed(piece).map_or(State::Ended, |json| State::Open(judge, Memory::Json(json)))
            }
            state => state,
        }
    }
}

/// A walk over lines.
#[derive(Default)]
struct Scan {
    /// What is whole.
    group: Group,
    /// Where the next line begins.
    at: usize,
    /// For each line of the unit at hand the number of its message.
    numbers: Vec<i32>,
    /// How many messages the unit at hand has.
    begun: i32,
    streams: [Said; 2],
}

/// Where the last message of a stream stands.
#[derive(Clone, Copy)]
struct Said {
    state: State,
    number: i32,
    /// Its last line was only a piece of one.
    is_inside: bool,
}

impl Default for Said {
    fn default() -> Self {
        Self { state: State::Ended, number: 0, is_inside: false }
    }
}

impl Scan {
    /// How many lines the unit at hand has.
    fn lines(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// Whether every message of the unit at hand has ended.
    fn is_whole(&self) -> bool {
        self.streams.iter().all(|said| said.state == State::Ended && !said.is_inside)
    }

    fn begin(&mut self) -> i32 {
        self.begun += 1;
        self.begun - 1
    }

    /// Ends the unit at hand, and all of its messages, before the line that comes next.
    fn close(&mut self) {
        let lines = self.lines();
        let run = match (lines, self.begun) {
            (1, _) => Run::Single(1),
            (_, 1) => Run::Joined(lines),
            _ => Run::Mixed(&self.numbers),
        };
        let is_run = self.group.messages.push(run);
        debug_assert!(is_run, "messages are numbered as they begin");
        self.group.bytes = self.at;
        self.group.lines += lines;
        self.numbers.clear();
        (self.begun, self.streams) = Default::default();
    }
}
