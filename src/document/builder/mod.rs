//! One line, or one message of several, to one document.

mod json_line;
mod passage;
mod sent;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    Id, Rule, Settings, Tags, TimeRule,
    id::Prefix,
    json, level,
    rules::{Ruled, Rules},
    time::{Clock, Moment},
};
use crate::{
    metrics,
    record::{
        Charset, Form, Labels, Level, Part, SentLine, Stream,
        json::{push_escaped, push_number},
    },
    splitter::container::Iostream,
};
use json_line::JsonLine;
pub use passage::Passage;

/// Where the lines at hand come from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's identity and its generation.
    pub stream: Stream,
    /// The file's path; what is not UTF-8 in it becomes U+FFFD.
    pub path: &'a Path,
    /// The host that read the file.
    pub host: &'a str,
    /// The task that collects the file.
    pub task: &'a str,
    /// What the task says of all its lines.
    pub labels: &'a Labels,
    /// The Kafka topic that they were in; empty if in none.
    pub topic: &'a str,
    /// When the lines were read.
    pub read_at: Timestamp,
    /// How the lines are to be understood.
    pub form: Form,
}

/// What is to be known of a document besides its JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Built {
    /// Its `_id`.
    pub id: Id,
    /// Its `@timestamp`.
    pub time: Timestamp,
    /// Its `log.level`.
    pub level: Option<Level>,
    /// What was wrong with the line.
    pub tags: Tags,
}

/// What is left of a message whose bytes as they stood in the file are gone.
#[derive(Debug)]
pub struct Decoding<'a> {
    /// Its text, without a carriage return; changed by reading JSON in it.
    pub text: &'a mut [u8],
    /// The XXH3-64 of what its bytes were.
    pub hash: u64,
    /// Whether it is known to be UTF-8 in which nothing has to be escaped in JSON.
    pub is_plain: bool,
}

/// Makes documents. One for each thread that does; its buffers are used from line to line.
pub struct Builder {
    rules: Rules,
    json: json::Reader,
    sent: sent::Remembered,
    source: Prepared,
    form: Form,
    scratch: passage::Scratch,
    /// Documents with each tag, in the order of [`Tags::ALL`].
    tagged: [metrics::Counter; Tags::ALL.len()],
}

/// What all documents of a source have in common, as the bytes that stand in them. Of a source that is like the one
/// before it, only what differs is made anew.
#[derive(Debug, Default)]
struct Prepared {
    path: PathBuf,
    /// From `log.file.path` to the number of `log.offset`.
    before_offset: Vec<u8>,
    host: String,
    task: String,
    labels: Labels,
    /// The stream, once there is one.
    stream: Option<Stream>,
    id: Prefix,
    /// From behind that number to the value of `logdrive.time`.
    after_offset: Vec<u8>,
    /// How much of that the host, the task and its labels take.
    names_end: usize,
    read_at: Timestamp,
    read: Moment,
}

/// What is to be said of a message besides what stands in its text.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Where it begins in the stream, in bytes.
    offset: u64,
    part: Part,
    /// What the container runtime says of it.
    said: Option<Said>,
    /// Its text has several lines.
    is_multiline: bool,
    /// Its text is known to be UTF-8 in which nothing has to be escaped.
    is_plain: bool,
    tags: Tags,
}

/// What a container runtime says of a message.
#[derive(Clone, Copy, Debug)]
struct Said {
    stream: Iostream,
    moment: Option<Moment>,
}

/// Where the time of a document is from.
#[derive(Clone, Copy, Debug)]
enum TimeFrom {
    Line,
    Field,
    Container,
    Read,
}

/// A builder that has a source, ready for its lines.
pub struct Lines<'a>(&'a mut Builder);

impl Builder {
    /// A builder with these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            rules: Rules::new(settings),
            json: json::Reader::new(settings),
            sent: sent::Remembered::default(),
            source: Prepared::default(),
            form: Form::default(),
            scratch: passage::Scratch::default(),
            tagged: Tags::ALL.map(|(_, name)| metrics::counter(&metrics::list::TAGGED_DOCUMENTS, &[name])),
        }
    }

    /// Prepares what all lines of `source` have in common.
    pub fn source(&mut self, source: &Source) -> Lines<'_> {
        let Ruled { rule, clock } = self.rules.choose(source.task, source.topic);
        clock.begin(source.read_at);
        self.json.nest(rule.depth());
        self.source.prepare(source);
        self.form = source.form;
        Lines(self)
    }

    /// Makes one document; for more than one line of a source, [`Builder::source`] is cheaper.
    pub fn build(
        &mut self,
        source: &Source,
        line: &mut [u8],
        offset: u64,
        part: Part,
        out: &mut Vec<u8>,
    ) -> Option<Built> {
        self.source(source).build(line, offset, part, out)
    }
}

impl Lines<'_> {
    /// Appends the document of one line in UTF-8, a JSON object without a newline, to `out`.
    ///
    /// `line` has the line's bytes without its newline, and is changed by reading JSON in it; `offset` is where it
    /// begins in the stream. None, and nothing appended, if there is nothing to index: the empty rest of a line
    /// whose parts went before it.
    pub fn build(&mut self, line: &mut [u8], offset: u64, part: Part, out: &mut Vec<u8>) -> Option<Built> {
        let id = self.0.source.id.id(offset, line);
        let is_ended = !part.goes_on() && line.last() == Some(&b'\r');
        let end = line.len() - usize::from(is_ended);
        let start = if offset == 0 && line[..end].starts_with(Charset::UTF_8.mark()) { 3 } else { 0 };
        let facts = Facts { offset, part, said: None, is_multiline: false, is_plain: false, tags: Tags::NONE };
        self.0.document(id, &mut line[start..end], facts, out)
    }
}

impl Lines<'_> {
    /// [`Lines::build`], for a message whose bytes as they stood in the file are gone.
    pub fn build_decoded(
        &mut self,
        message: Decoding<'_>,
        offset: u64,
        part: Part,
        out: &mut Vec<u8>,
    ) -> Option<Built> {
        let Decoding { text, hash, is_plain } = message;
        let id = self.0.source.id.id_of(offset, hash);
        let is_multiline = !is_plain && text.contains(&b'\n');
        let facts = Facts { offset, part, said: None, is_multiline, is_plain, tags: Tags::NONE };
        self.0.document(id, text, facts, out)
    }
}

impl Builder {
    /// Appends the document of a message with this text and id.
    fn document(&mut self, id: Id, text: &mut [u8], facts: Facts, out: &mut Vec<u8>) -> Option<Built> {
        let Builder { rules, json, sent, source, tagged, .. } = self;
        let Ruled { rule, clock } = rules.current();
        if facts.part == Part::Last && text.is_empty() {
            return None;
        }
        out.reserve(source.before_offset.len() + source.after_offset.len() + text.len() + 192);
        let (moment, level, tags) = if facts.part == Part::Whole && rule.json && json::begins(text) {
            JsonText { text, facts, rule }.write((json, sent), clock, source, out)
        } else {
            TextLine { text, facts, rule }.write(clock, source, out)
        };
        if tags != Tags::NONE {
            count(tags, tagged);
        }
        Some(Built { id, time: moment.timestamp(), level, tags })
    }
}

#[cold]
fn count(tags: Tags, tagged: &[metrics::Counter]) {
    for ((tag, _), counter) in Tags::ALL.into_iter().zip(tagged) {
        if tags.has(tag) {
            counter.increment(1);
        }
    }
}

impl Prepared {
    fn prepare(&mut self, source: &Source) {
        if self.stream.is_none() || self.read_at != source.read_at {
            (self.read_at, self.read) = (source.read_at, source.read_at.into());
        }
        if self.stream.is_none() || self.path != source.path {
            self.path.as_mut_os_string().clear();
            self.path.as_mut_os_string().push(source.path);
            let before = &mut self.before_offset;
            before.clear();
            push_member("log.file.path", source.path.as_os_str().as_encoded_bytes(), before);
            before.extend_from_slice(b",\"log.offset\":");
        }
        let names = (source.host, source.task, source.labels);
        if self.stream.is_none() || names != (&self.host, &self.task, &self.labels) {
            source.host.clone_into(&mut self.host);
            source.task.clone_into(&mut self.task);
            self.labels.clone_from(source.labels);
            let after = &mut self.after_offset;
            after.clear();
            push_member("host.name", source.host.as_bytes(), after);
            push_member("logdrive.task", source.task.as_bytes(), after);
            for (name, value) in source.labels.iter() {
                push_named(["labels.", name], value.as_bytes(), after);
            }
            self.names_end = after.len();
            self.stream = None;
        }
        if self.stream != Some(source.stream) {
            self.stream = Some(source.stream);
            self.id = Prefix::of(source.stream);
            let after = &mut self.after_offset;
            after.truncate(self.names_end);
            after.extend_from_slice(b",\"logdrive.file\":\"");
            push_hex(source.stream.file.0, after);
            after.extend_from_slice(b"\",\"logdrive.generation\":");
            push_number(source.stream.generation.into(), after);
            after.extend_from_slice(b",\"logdrive.time\":\"");
        }
    }

    /// Appends what stands before the message.
    fn begin(&self, clock: &mut Clock, moment: Option<Moment>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"@timestamp\":\"");
        clock.write(moment.unwrap_or(self.read), out);
        out.extend_from_slice(b"\",\"message\":");
    }

    /// Appends what stands behind the message and before the tags.
    fn push(&self, level: Option<Level>, facts: &Facts, time: TimeFrom, out: &mut Vec<u8>) {
        if let Some(level) = level {
            out.extend_from_slice(b",\"log.level\":\"");
            out.extend_from_slice(level.name().as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(&self.before_offset);
        push_number(facts.offset, out);
        out.extend_from_slice(&self.after_offset);
        out.extend_from_slice(match time {
            TimeFrom::Line => b"line\"",
            TimeFrom::Field => b"field\"",
            TimeFrom::Container => b"container\"",
            TimeFrom::Read => b"read\"",
        });
        if let Some(said) = facts.said {
            push_member("log.iostream", said.stream.name().as_bytes(), out);
        }
        if facts.is_multiline {
            out.extend_from_slice(b",\"log.flags\":[\"multiline\"]");
        }
    }
}

/// Appends `,"name":"text"`; what is not UTF-8 in the text becomes U+FFFD.
fn push_member(name: &str, text: &[u8], out: &mut Vec<u8>) {
    push_named([name, ""], text, out);
}

/// [`push_member`], of a name in two pieces.
fn push_named(name: [&str; 2], text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    name.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
    out.extend_from_slice(b"\":\"");
    push_escaped(text, out);
    out.push(b'"');
}

/// Appends the 32 hexadecimal digits of a file's identity.
fn push_hex(file: u128, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    out.extend(file.to_be_bytes().into_iter().flat_map(digits));
}

fn push_tags(tags: Tags, out: &mut Vec<u8>) {
    if tags == Tags::NONE {
        return;
    }
    let mut separator = &b",\"tags\":[\""[..];
    for name in tags.names() {
        out.extend_from_slice(separator);
        out.extend_from_slice(name.as_bytes());
        separator = b"\",\"";
    }
    out.extend_from_slice(b"\"]");
}

impl Facts {
    /// The time of the document, given that of the message's text and where it is from: what a container runtime says
    /// comes first, since it is exact and has a zone; and none of both counts if the rule is to take that of the reading.
    fn moment(&self, rule: &Rule, of_text: Option<Moment>, from: TimeFrom) -> (Option<Moment>, TimeFrom) {
        match (rule.time, self.said.and_then(|said| said.moment), of_text) {
            (TimeRule::Line, Some(moment), _) => (Some(moment), TimeFrom::Container),
            (TimeRule::Line, None, Some(moment)) => (Some(moment), from),
            (TimeRule::Line, None, None) | (TimeRule::Read, ..) => (None, TimeFrom::Read),
        }
    }
}

/// A message that is to be read as JSON.
struct JsonText<'a> {
    text: &'a mut [u8],
    facts: Facts,
    rule: &'a Rule,
}

impl JsonText<'_> {
    fn write(
        self,
        (json, sent): (&mut json::Reader, &mut sent::Remembered),
        clock: &mut Clock,
        source: &Prepared,
        out: &mut Vec<u8>,
    ) -> (Moment, Option<Level>, Tags) {
        let Self { text, mut facts, rule } = self;
        let line = SentLine::of(text).filter(|_| json.takes(text) && sent::is_plain(rule, source, &facts));
        if let Some((moment, level)) = line.and_then(|line| sent.write(&line, &facts, clock, source, out)) {
            return (moment, level, Tags::NONE);
        }
        let digits = line.map(|line| line.digits.len());
        if json.read(text) {
            let line = JsonLine::new(json, json.original(text), rule, clock);
            if let Some(digits) = digits {
                sent.learn(&line, digits, source);
            }
            line.write(clock, source, facts, out)
        } else {
            facts.tags.add(json.tags());
            TextLine { text: json.original(text), facts, rule }.write(clock, source, out)
        }
    }
}

/// A message that is kept as text.
struct TextLine<'a> {
    text: &'a [u8],
    facts: Facts,
    rule: &'a Rule,
}

impl TextLine<'_> {
    fn write(self, clock: &mut Clock, source: &Prepared, out: &mut Vec<u8>) -> (Moment, Option<Level>, Tags) {
        // What a line says of itself stands at its beginning; the other parts of a cut line have none.
        let Self { text, facts, rule } = self;
        let is_beginning = matches!(facts.part, Part::Whole | Part::First);
        let has_time = is_beginning && rule.time == TimeRule::Line;
        let (moment, time) = facts.moment(rule, if has_time { clock.of_line(text) } else { None }, TimeFrom::Line);
        let level = if is_beginning { level::of_line(text) } else { None };
        let mut tags = facts.tags;
        source.begin(clock, moment, out);
        out.push(b'"');
        if facts.is_plain {
            out.extend_from_slice(text);
        } else if !push_escaped(text, out) {
            tags.add(Tags::INVALID_UTF8);
        }
        out.push(b'"');
        source.push(level, &facts, time, out);
        match facts.part {
            Part::Whole => (),
            Part::First => push_member("logdrive.part", b"first", out),
            Part::Middle => push_member("logdrive.part", b"middle", out),
            Part::Last => push_member("logdrive.part", b"last", out),
        }
        push_tags(tags, out);
        out.push(b'}');
        (moment.unwrap_or(source.read), level, tags)
    }
}

#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod tests;
