//! Lines to documents: what of a line becomes which member of the JSON object that a store indexes.
//!
//! The room turns one message, mostly a line, and the place it came from into one JSON object, its `_id` and its time. It promises
//! that every message becomes a document whatever its bytes are, that the document is valid JSON without a repeated
//! name, that `message` is the line (or, of a JSON line, its own message), and that the same line at the same
//! place always gives the same `_id`. It must not know of Kafka, of any store's protocol, or of who calls it; it
//! does no I/O, and once its buffers have grown it allocates nothing for a line.
//!
//! # The members, in this order
//!
//! | member | what |
//! |---|---|
//! | `@timestamp` | RFC 3339 in UTC, with as many digits as the line has; else when the line was read ([`time`]); of what a container said, when it said it |
//! | `message` | the line without its carriage return; of several lines, all of them with `\n` between; of a JSON line, its `message` or `msg` if that is a string |
//! | `log.level` | a name of [`Level`](crate::record::Level), if the line has a level ([`level`]) |
//! | `log.file.path`, `log.offset` | the file, and where in the stream the line begins, in bytes |
//! | `host.name`, `logdrive.task` | the host that read it and the task that collects it |
//! | `labels.NAME` | what the task says of all its lines |
//! | `logdrive.file`, `logdrive.generation` | the file's identity, and how often the file was truncated |
//! | `logdrive.time` | where `@timestamp` is from: `line`, `field`, `container` or `read` |
//! | `log.iostream` | `stdout` or `stderr`, of what a container said |
//! | `log.flags` | `["multiline"]` if the message has several lines |
//! | `logdrive.part` | of a line that had to be cut only: `first`, `middle` or `last` |
//! | `logdrive.original` | the line as it stood; only where the rules below left something of it out |
//! | `tags` | what was wrong with the line, only if something was ([`Tags`]) |
//!
//! Text in another charset than UTF-8 is decoded, a byte order mark at a file's beginning left out, and what a container
//! runtime put around lines taken off, before anything else is looked at; the id is of the bytes as they stood. What a
//! container says of the time comes before what the line says, since it is exact and has a zone.
//!
//! The members of a JSON line follow, each as the bytes that stood in the line, by these rules ([`json`]):
//!
//! 1. Our names win. A member goes under `fields.<name>` instead if its name is one of ours, lies on the dotted
//!    way to one (`host`, since we have `host.name`) or goes on behind one (`host.name.first`); a store can't have
//!    both. So do `fields` itself, all of `logdrive`, and names that begin with `_` and a small letter, which
//!    stores keep for themselves (`_id`).
//!    Labels of the line's own stay beside the task's, unless a name is in both or the line's are no object: then the
//!    member goes under `fields` as a whole.
//! 2. `message`, or else `msg`, if it is a string, becomes `message`. A line without one keeps its whole text as
//!    `message`, so that a plain search finds it.
//! 3. The first of `@timestamp`, `timestamp`, `time` and `ts` that is a time becomes `@timestamp`; the first of
//!    `log.level`, `level`, `severity` and `lvl` that is a level becomes `log.level`. Apart from `@timestamp` and
//!    `log.level` themselves they also stay what they are.
//! 4. Of a name that occurs again in the same object the last value counts, at any depth.
//! 5. What no store takes is left out alone: a member that is nested too deeply, is one too many, or has a name that is
//!    too long or has an empty dotted part; and a string that is too long loses its end. The limits are in
//!    [`Settings`]. A tag says so, and the whole line is in `logdrive.original`, unless it is the message.
//! 6. A [`Rule`] of the task or topic may name the message, the time and the level, which then come before those of rules 2
//!    and 3; may say in which form and zone times are; and may put the members under a field, where they can keep any name,
//!    or have lines taken as text.
//! 7. A line that is no JSON object, or is longer than the limit, is a text line with a tag.

mod builder;
mod id;
pub mod index_name;
pub mod json;
mod labels;
pub mod level;
mod names;
mod routes;
mod rules;
mod settings;
mod tags;
pub mod time;

pub use builder::{Builder, Built, Decoding, Lines, Passage, Source};
pub use id::Id;
pub use index_name::IndexName;
pub use names::is_free;
pub use rules::{Rule, TimeRule};
pub use settings::Settings;
pub use tags::Tags;
