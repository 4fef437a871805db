//! One line, or one message of several, to one document.

mod passage;

use std::path::Path;

use jiff::Timestamp;

use super::{
    Id, Settings, Tags,
    id::Prefix,
    json::{self, Member},
    level,
    names::Name,
    time::{Clock, Moment},
};
use crate::{
    metrics,
    record::{
        Charset, Form, Level, Part, Stream,
        json::{push_escaped, push_number},
    },
    splitter::container::Iostream,
};
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

/// Makes documents. One for each thread that does; its buffers are used from line to line.
pub struct Builder {
    clock: Clock,
    json: json::Reader,
    source: Prepared,
    form: Form,
    scratch: passage::Scratch,
    /// Documents with each tag, in the order of [`Tags::ALL`].
    tagged: [metrics::Counter; Tags::ALL.len()],
}

/// What all documents of a source have in common, as the bytes that stand in them.
#[derive(Debug, Default)]
struct Prepared {
    id: Prefix,
    read: Moment,
    /// From `log.file.path` to the number of `log.offset`.
    before_offset: Vec<u8>,
    /// From behind that number to the value of `logdrive.time`.
    after_offset: Vec<u8>,
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
            clock: Clock::new(settings.time_zone.clone()),
            json: json::Reader::new(settings),
            source: Prepared::default(),
            form: Form::default(),
            scratch: passage::Scratch::default(),
            tagged: Tags::ALL.map(|(_, name)| metrics::counter(&metrics::list::TAGGED_DOCUMENTS, &[name])),
        }
    }

    /// Prepares what all lines of `source` have in common.
    pub fn source(&mut self, source: &Source) -> Lines<'_> {
        self.clock.begin(source.read_at);
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
        let facts = Facts { offset, part, said: None, is_multiline: false, tags: Tags::NONE };
        self.0.document(id, &mut line[start..end], facts, out)
    }
}

impl Lines<'_> {
    /// [`Lines::build`], for a message whose bytes as they stood in the file are gone: `text` is what is left of them,
    /// as UTF-8 and without a carriage return, and `hash` is the XXH3-64 of what they were.
    pub fn build_hashed(
        &mut self,
        text: &mut [u8],
        hash: u64,
        offset: u64,
        part: Part,
        out: &mut Vec<u8>,
    ) -> Option<Built> {
        let id = self.0.source.id.id_of(offset, hash);
        let is_multiline = text.contains(&b'\n');
        self.0.document(id, text, Facts { offset, part, said: None, is_multiline, tags: Tags::NONE }, out)
    }
}

impl Builder {
    /// Appends the document of a message with this text and id.
    fn document(&mut self, id: Id, text: &mut [u8], facts: Facts, out: &mut Vec<u8>) -> Option<Built> {
        let Builder { clock, json, source, tagged, .. } = self;
        if facts.part == Part::Last && text.is_empty() {
            return None;
        }
        out.reserve(source.before_offset.len() + source.after_offset.len() + text.len() + 192);
        let (moment, level, tags) = if facts.part == Part::Whole && json::begins(text) {
            if json.read(text) {
                JsonLine::new(json, json.original(text), clock).write(clock, source, facts, out)
            } else {
                let mut facts = facts;
                facts.tags.add(json.tags());
                TextLine { text: json.original(text), facts }.write(clock, source, out)
            }
        } else {
            TextLine { text, facts }.write(clock, source, out)
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
        self.id = Prefix::of(source.stream);
        self.read = source.read_at.into();
        let before = &mut self.before_offset;
        before.clear();
        push_member("log.file.path", source.path.as_os_str().as_encoded_bytes(), before);
        before.extend_from_slice(b",\"log.offset\":");
        let after = &mut self.after_offset;
        after.clear();
        push_member("host.name", source.host.as_bytes(), after);
        push_member("logdrive.task", source.task.as_bytes(), after);
        push_member("logdrive.file", source.stream.file.to_string().as_bytes(), after);
        after.extend_from_slice(b",\"logdrive.generation\":");
        push_number(source.stream.generation.into(), after);
        after.extend_from_slice(b",\"logdrive.time\":\"");
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
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    push_escaped(text, out);
    out.push(b'"');
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
    /// The time of the document, given that of the message's text: what a container runtime says comes first, since
    /// it is exact and has a zone.
    fn moment(&self, of_text: Option<Moment>) -> (Option<Moment>, TimeFrom) {
        match (self.said.and_then(|said| said.moment), of_text) {
            (Some(moment), _) => (Some(moment), TimeFrom::Container),
            (None, Some(moment)) => (Some(moment), TimeFrom::Line),
            (None, None) => (None, TimeFrom::Read),
        }
    }
}

/// A message that is kept as text.
struct TextLine<'a> {
    text: &'a [u8],
    facts: Facts,
}

impl TextLine<'_> {
    fn write(self, clock: &mut Clock, source: &Prepared, out: &mut Vec<u8>) -> (Moment, Option<Level>, Tags) {
        // What a line says of itself stands at its beginning; the other parts of a cut line have none.
        let Self { text, facts } = self;
        let is_beginning = matches!(facts.part, Part::Whole | Part::First);
        let (moment, time) = facts.moment(if is_beginning { clock.of_line(text) } else { None });
        let level = if is_beginning { level::of_line(text) } else { None };
        let mut tags = facts.tags;
        source.begin(clock, moment, out);
        out.push(b'"');
        if !push_escaped(text, out) {
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

/// A line that is a JSON object, and what of it stands for what of the document: a rank, of which the lowest
/// wins, and the value.
struct JsonLine<'a> {
    json: &'a json::Reader,
    original: &'a [u8],
    message: Option<(u8, Member)>,
    moment: Option<(u8, Moment)>,
    level: Option<(u8, Level)>,
}

impl<'a> JsonLine<'a> {
    fn new(json: &'a json::Reader, original: &'a [u8], clock: &mut Clock) -> Self {
        let mut line = Self { json, original, message: None, moment: None, level: None };
        for member in json.members() {
            let value = || &original[member.value(original)];
            match member.name {
                Name::Plain | Name::Ours => (),
                Name::Message(rank) => {
                    if line.message.is_none_or(|(best, _)| rank < best) && value().starts_with(b"\"") {
                        line.message = Some((rank, member));
                    }
                }
                Name::Time(rank) => {
                    if line.moment.is_none_or(|(best, _)| rank < best) {
                        line.moment = clock.of_json(value()).map(|moment| (rank, moment)).or(line.moment);
                    }
                }
                Name::Level(rank) => {
                    if line.level.is_none_or(|(best, _)| rank < best)
                        && let [b'"', word @ .., b'"'] = value()
                    {
                        line.level = Level::parse(word).map(|level| (rank, level)).or(line.level);
                    }
                }
            }
        }
        line
    }

    /// Whether the document has the member elsewhere already; its time only if `has_own_time`.
    fn is_used(&self, member: Member, has_own_time: bool) -> bool {
        match member.name {
            Name::Plain | Name::Ours => false,
            Name::Message(_) => self.message.is_some_and(|(_, message)| message == member),
            Name::Time(rank) => has_own_time && rank == 0 && self.moment.is_some_and(|(best, _)| best == 0),
            Name::Level(rank) => rank == 0 && self.level.is_some_and(|(best, _)| best == 0),
        }
    }

    fn write(
        self,
        clock: &mut Clock,
        source: &Prepared,
        facts: Facts,
        out: &mut Vec<u8>,
    ) -> (Moment, Option<Level>, Tags) {
        let Self { json, original, .. } = self;
        let (moment, time) = facts.moment(self.moment.map(|(_, moment)| moment));
        let level = self.level.map(|(_, level)| level);
        let mut tags = facts.tags;
        tags.add(json.tags());
        source.begin(clock, moment, out);
        match self.message {
            Some((_, member)) => json.push(original, member.value(original), out),
            None => {
                out.push(b'"');
                push_escaped(original, out);
                out.push(b'"');
            }
        }
        source.push(level, &facts, time, out);
        if tags.has(Tags::JSON_DUPLICATE) {
            push_member("logdrive.original", original, out);
        }
        push_tags(tags, out);
        let has_own_time = matches!(time, TimeFrom::Line);
        for member in json.members().filter(|member| !self.is_used(*member, has_own_time)) {
            out.extend_from_slice(if member.name.is_moved() { b",\"fields." } else { b",\"" });
            json.push(original, member.behind_mark(), out);
        }
        out.push(b'}');
        (moment.unwrap_or(source.read), level, tags)
    }
}

#[cfg(test)]
mod tests;
