//! What a foreign line says of where it stood: the envelopes of agents that are widespread.
//!
//! | who | host | file | offset |
//! |---|---|---|---|
//! | Filebeat and other Beats, ECS | `host.name` | `log.file.path` | `log.offset` |
//! | Vector | `host` | `file` | `offset`, where `source_type` is `file` |
//!
//! ECS names may be nested or dotted. A member that is missing or of another kind says nothing, and nothing that is said
//! is trusted beyond being shown: no identity depends on it alone.

use crate::record::{SentLine, members};

/// What nothing that stands behind a line's message may say again, or it would count instead.
const OFFSET: &[u8] = b"log.offset";

/// Memory grown for more than this is given back.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// Reads lines one after the other; what lines of our own agents that follow each other say alike is understood once.
#[derive(Debug, Default)]
pub(super) struct Reader {
    last: Envelope,
    /// What stood behind the message of the last line, if that was of our agents' form.
    rest: Vec<u8>,
}

impl Reader {
    /// What `line` says.
    pub(super) fn read(&mut self, line: &[u8]) -> &Envelope {
        let sent = SentLine::of(line);
        if let Some(sent) = sent.filter(|sent| sent.rest == self.rest) {
            self.last.offset = Some(sent.offset);
            return &self.last;
        }
        self.last = Envelope::of(line);
        self.rest.clear();
        self.rest.shrink_to(KEPT_BYTES_MAX);
        if let Some(sent) = sent
            && self.last.offset == Some(sent.offset)
            && sent.rest.windows(OFFSET.len()).all(|window| window != OFFSET)
        {
            self.rest.extend_from_slice(sent.rest);
        }
        &self.last
    }
}

/// What a line says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) host: Option<String>,
    pub(super) path: Option<String>,
    pub(super) offset: Option<u64>,
}

impl Envelope {
    /// Reads what `line` says; nothing, if it is no JSON object.
    pub(super) fn of(line: &[u8]) -> Self {
        if line.first() != Some(&b'{') {
            return Self::default();
        }
        let mut values = Values::default();
        if !members::each(line, |name, value| values.note(name, value)) {
            return Self::default();
        }
        let Values { host_name, host, log_path, log_offset, log, source_type, file, offset } = values;
        let is_vector = text(source_type).as_deref() == Some("file");
        Self {
            host: text(host_name).or_else(|| text(host)).or_else(|| text(member(host, "name"))),
            path: text(log_path)
                .or_else(|| text(member(member(log, "file"), "path")))
                .or_else(|| text(file).filter(|_| is_vector)),
            offset: number(log_offset)
                .or_else(|| number(member(log, "offset")))
                .or_else(|| number(offset).filter(|_| is_vector)),
        }
    }
}

/// The members that mean something, whatever they are. Of a name that occurs twice, the last counts.
#[derive(Default)]
struct Values<'a> {
    host_name: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    log_path: Option<&'a [u8]>,
    log_offset: Option<&'a [u8]>,
    log: Option<&'a [u8]>,
    source_type: Option<&'a [u8]>,
    file: Option<&'a [u8]>,
    offset: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let place = match name {
            b"host.name" => &mut self.host_name,
            b"host" => &mut self.host,
            b"log.file.path" => &mut self.log_path,
            b"log.offset" => &mut self.log_offset,
            b"log" => &mut self.log,
            b"source_type" => &mut self.source_type,
            b"file" => &mut self.file,
            b"offset" => &mut self.offset,
            _ => return,
        };
        *place = Some(value);
    }
}

/// The member `wanted` of a value that is an object.
fn member<'a>(value: Option<&'a [u8]>, wanted: &str) -> Option<&'a [u8]> {
    let mut found = None;
    let is_object = members::each(value?, |name, value| {
        if name == wanted.as_bytes() {
            found = Some(value);
        }
    });
    found.filter(|_| is_object)
}

fn text(value: Option<&[u8]>) -> Option<String> {
    members::text(value?).map(std::borrow::Cow::into_owned)
}

fn number(value: Option<&[u8]>) -> Option<u64> {
    members::number(value?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Envelope, Reader};

    fn of(line: &str) -> (Option<String>, Option<String>, Option<u64>) {
        let Envelope { host, path, offset } = Envelope::of(line.as_bytes());
        (host, path, offset)
    }

    fn said(host: &str, path: &str, offset: u64) -> (Option<String>, Option<String>, Option<u64>) {
        (Some(host.to_owned()), Some(path.to_owned()), Some(offset))
    }

    #[test]
    fn beats_and_vector_say_where_a_line_stood() {
        let beat = r#"{"@timestamp":"2026-11-20T10:00:00.000Z","host":{"name":"web-1","os":{"type":"linux"}},
            "log":{"offset":7,"file":{"path":"/a","inode":"9"}},"message":"x"}"#;
        assert_eq!(of(beat), said("web-1", "/a", 7));
        let dotted = r#"{"host.name":"web-1","log.file.path":"/a","log.offset":7,"message":"x"}"#;
        assert_eq!(of(dotted), said("web-1", "/a", 7));
        let vector = r#"{"file":"/a","host":"web-1","message":"x","offset":7,"source_type":"file"}"#;
        assert_eq!(of(vector), said("web-1", "/a", 7));
    }

    /// Lines of our agents' form and some that are nearly so, as they may follow each other.
    fn lines() -> impl Strategy<Value = Vec<String>> {
        let rest = prop::sample::select(vec![
            r#""host.name":"web-1","log.file.path":"/a"}"#,
            r#""host.name":"web-2","log.file.path":"/b","labels":{"a":"b"}}"#,
            r#""host.name":"web-1","log.file.path":"/a","log.offset":5}"#,
            r#""host.name":"web-1","log":{"offset":5}}"#,
            r#""host.name":"web-1","host.name":7}"#,
            r#""host.name":"web-1""#,
            r#""host.name":}"#,
        ]);
        let message = prop::sample::select(vec!["x", r#"a \"b\""#, r"\u0041", "\t", r#"","log.offset":9,"m":""#]);
        let line = (0_u64..20, message, rest, "T?").prop_map(|(offset, message, rest, time)| {
            let time = format!("2026-11-20{time}10:00:00.123Z");
            format!(r#"{{"@timestamp":"{time}","log.offset":{offset},"message":"{message}",{rest}"#)
        });
        prop::collection::vec(line, 0..20)
    }

    proptest! {
        #[test]
        fn what_a_line_says_does_not_depend_on_those_before_it(lines in lines()) {
            let mut reader = Reader::default();
            for line in lines {
                prop_assert_eq!(reader.read(line.as_bytes()), &Envelope::of(line.as_bytes()), "{}", line);
            }
        }
    }

    #[test]
    fn what_is_missing_or_of_another_kind_says_nothing() {
        let other = r#"{"host":7,"log":"text","file":"/a","offset":7,"source_type":"kafka"}"#;
        for line in ["", "text", "[1]", "{", r#"{"a":1}"#, other, r#"{"log":{"file":7,"offset":-1}}"#] {
            assert_eq!(of(line), (None, None, None), "{line}");
        }
        assert_eq!(of(r#"{"host":{"name":["a"]},"log":{"file":{"path":"/a"}}}"#).1.as_deref(), Some("/a"));
        assert_eq!(of(r#"{"host":"a","host":"b"}"#).0.as_deref(), Some("b"));
    }
}
