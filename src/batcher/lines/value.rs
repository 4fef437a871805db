//! What a record's value is: a message as it stood in the file, or as JSON.
//!
//! The JSON has these members, in this order, with the names of the Elastic Common Schema:
//!
//! | member | what |
//! |---|---|
//! | `@timestamp` | when it was read: RFC 3339, UTC, milliseconds |
//! | `log.offset` | where the message begins in the file, in bytes |
//! | `message` | its text: decoded, without carriage returns at the lines' ends, what is no text replaced by U+FFFD |
//! | `host.name`, `log.file.path` | where it was read |
//! | `labels` | an object with the task's labels; only if it has some |
//! | `logdrive.part` | of a line that had to be cut only: `first`, `middle` or `last` |

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{Numbered, Sender, Value};
use crate::record::{
    Block, Charset, Labels, Newline, Part,
    json::{push_escaped, push_number},
};

/// What stands between the offset and the message.
pub(super) const MESSAGE: &[u8] = b",\"message\":\"";

/// Memory grown for a line longer than this is given back.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// What is used from message to message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// A line as UTF-8.
    decoded: Vec<u8>,
}

/// How the messages of a block become values.
pub(super) struct Form<'a> {
    block: &'a Block,
    newline: Newline,
    json: Option<Json<'a>>,
}

struct Json<'a> {
    block: &'a Block,
    sender: &'a Sender,
    /// Up to the number of the offset.
    head: Vec<u8>,
    /// The member `labels`, with its comma; empty without labels.
    labels: Vec<u8>,
}

impl<'a> Form<'a> {
    pub(super) fn of(block: &'a Block, value: Value, sender: &'a Sender) -> Self {
        let json = (value == Value::Json).then(|| {
            let head = format!("{{\"@timestamp\":\"{:.3}\",\"log.offset\":", block.read_at);
            Json { block, sender, head: head.into_bytes(), labels: labels_of(&block.origin.labels) }
        });
        Self { block, newline: block.origin.form.charset.newline(), json }
    }

    /// Appends the value of the message that has these lines of the block and begins at `offset`.
    pub(super) fn write(&self, message: &[Numbered], offset: u64, scratch: &mut Scratch, out: &mut Vec<u8>) {
        match &self.json {
            Some(json) => json.write(message, offset, scratch, out),
            None => {
                for (at, (_, line)) in message.iter().enumerate() {
                    if at > 0 {
                        out.extend_from_slice(self.newline.bytes());
                    }
                    out.extend_from_slice(&self.block.text[line.clone()]);
                }
            }
        }
    }

    /// XXH3-64 of the message's bytes as they stood, if the value doesn't have them.
    pub(super) fn hash(&self, message: &[Numbered]) -> Option<u64> {
        self.json.as_ref()?;
        let text = &self.block.text;
        let [(_, line)] = message else {
            let mut hash = Xxh3::new();
            for (at, (_, line)) in message.iter().enumerate() {
                if at > 0 {
                    hash.update(self.newline.bytes());
                }
                hash.update(&text[line.clone()]);
            }
            return Some(hash.digest());
        };
        Some(xxh3_64(&text[line.clone()]))
    }
}

impl Json<'_> {
    fn write(&self, message: &[Numbered], offset: u64, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let Self { block, sender, head, labels } = self;
        let charset = block.origin.form.charset;
        out.extend_from_slice(head);
        push_number(offset, out);
        out.extend_from_slice(MESSAGE);
        for (at, (_, range)) in message.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b"\\n");
            }
            let mut line = &block.text[range.clone()];
            if block.offset + range.start as u64 == 0 {
                line = line.strip_prefix(charset.mark()).unwrap_or(line);
            }
            push_line(line, charset, block.part, scratch, out);
        }
        out.push(b'"');
        push_member("host.name", sender.host.as_bytes(), out);
        push_member("log.file.path", block.origin.path.as_os_str().as_encoded_bytes(), out);
        out.extend_from_slice(labels);
        if let Some(name) = part_name(block.part) {
            push_member("logdrive.part", name.as_bytes(), out);
        }
        out.push(b'}');
    }
}

fn labels_of(labels: &Labels) -> Vec<u8> {
    let mut out = Vec::new();
    if !labels.is_empty() {
        out.extend_from_slice(b",\"labels\":");
        serde_json::to_writer(&mut out, labels).expect("strings go into memory, which takes them");
    }
    out
}

/// Appends a line's text as the inside of a JSON string.
fn push_line(line: &[u8], charset: Charset, part: Part, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let line = if charset.is_utf8() {
        line
    } else {
        scratch.decoded.clear();
        scratch.decoded.shrink_to(KEPT_BYTES_MAX);
        charset.decode(line, &mut scratch.decoded);
        &scratch.decoded
    };
    let line = if part.goes_on() { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
    push_escaped(line, out);
}

pub(super) fn push_member(name: &str, text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    push_escaped(text, out);
    out.push(b'"');
}

/// What a part is called; whole lines are not.
pub(super) fn part_name(part: Part) -> Option<&'static str> {
    match part {
        Part::Whole => None,
        Part::First => Some("first"),
        Part::Middle => Some("middle"),
        Part::Last => Some("last"),
    }
}
