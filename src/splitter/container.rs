//! What a container runtime put around a line: when it was said, on which stream, and whether it goes on.

use std::borrow::Cow;

use serde::Deserialize;

use crate::record::Container;

/// A line as a container runtime wrote it, or a part of one: runtimes cut lines every 16 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// When it was said, as it stands there: RFC 3339.
    pub time: Cow<'a, str>,
    /// Where it was said.
    pub stream: Iostream,
    /// The line goes on in the next piece of the same stream.
    pub is_partial: bool,
    /// What was said, without the line's end.
    pub text: Cow<'a, [u8]>,
}

/// The two streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iostream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Iostream {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Iostream::Stdout => "stdout",
            Iostream::Stderr => "stderr",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Iostream::Stdout),
            b"stderr" => Some(Iostream::Stderr),
            _ => None,
        }
    }
}

/// Takes off what the runtime put around `line`, which has no newline. None if the line is not as the runtime writes
/// lines.
#[must_use]
pub fn unwrap(container: Container, line: &[u8]) -> Option<Piece<'_>> {
    match container {
        Container::Cri => cri(line),
        Container::DockerJson => docker_json(line),
    }
}

/// `TIME STREAM TAGS TEXT`, where the first of the tags, which colons part, is `P` or `F`. An empty text may have
/// lost the blank before it.
fn cri(line: &[u8]) -> Option<Piece<'_>> {
    let (time, rest) = word(line)?;
    let time = std::str::from_utf8(time).ok().filter(|time| time.starts_with(|first: char| first.is_ascii_digit()))?;
    let (stream, rest) = word(rest)?;
    let stream = Iostream::of(stream)?;
    let (tags, text) = word(rest).unwrap_or((rest, &[]));
    let is_partial = match tags.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    Some(Piece { time: Cow::Borrowed(time), stream, is_partial, text: Cow::Borrowed(text) })
}

/// What stands before the first blank, and what stands behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr::memchr(b' ', text)?;
    Some((&text[..blank], &text[blank + 1..]))
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

fn docker_json(line: &[u8]) -> Option<Piece<'_>> {
    let DockerLine { log, stream, time } = serde_json::from_slice(line).ok()?;
    let stream = Iostream::of(stream.as_bytes())?;
    let is_partial = !log.ends_with('\n');
    let text = match log {
        Cow::Borrowed(log) => Cow::Borrowed(log.strip_suffix('\n').unwrap_or(log).as_bytes()),
        Cow::Owned(mut log) => {
            log.truncate(log.len() - usize::from(!is_partial));
            Cow::Owned(log.into_bytes())
        }
    };
    Some(Piece { time, stream, is_partial, text })
}

#[cfg(test)]
mod tests {
    use super::{Iostream, unwrap};
    use crate::record::Container;
    use proptest::prelude::*;

    type Read = Option<(String, Iostream, bool, Vec<u8>)>;

    fn read(container: Container, line: &[u8]) -> Read {
        let piece = unwrap(container, line)?;
        Some((piece.time.into_owned(), piece.stream, piece.is_partial, piece.text.into_owned()))
    }

    fn some(time: &str, stream: Iostream, is_partial: bool, text: &[u8]) -> Read {
        Some((time.to_owned(), stream, is_partial, text.to_vec()))
    }

    #[test]
    fn a_cri_line_is_time_stream_tags_and_text() {
        const TIME: &str = "2016-10-06T00:17:09.669794202Z";
        let cri = |rest: &[u8]| read(Container::Cri, &[TIME.as_bytes(), b" ", rest].concat());
        assert_eq!(cri(b"stdout F a  line "), some(TIME, Iostream::Stdout, false, b"a  line "));
        assert_eq!(cri(b"stderr P a \xff"), some(TIME, Iostream::Stderr, true, b"a \xff"));
        assert_eq!(cri(b"stdout F:more a"), some(TIME, Iostream::Stdout, false, b"a"));
        assert_eq!(cri(b"stdout F "), some(TIME, Iostream::Stdout, false, b""));
        assert_eq!(cri(b"stdout F"), some(TIME, Iostream::Stdout, false, b""));
        for bad in [&b""[..], b"stdout", b"stdout X a", b"stdin F a", b"stdoutF a"] {
            assert_eq!(cri(bad), None, "{bad:?}");
        }
        assert_eq!(read(Container::Cri, b"level=info stdout F a"), None);
    }

    #[test]
    fn a_docker_line_is_an_object_whose_log_ends_in_a_newline_if_the_line_does() {
        let docker = |line: &str| read(Container::DockerJson, line.as_bytes());
        let line = r#"{"log":"a \"b\"\u0009é\n","stream":"stderr","attrs":{"x":"y"},"time":"2024-01-01T00:00:00.1Z"}"#;
        assert_eq!(docker(line), some("2024-01-01T00:00:00.1Z", Iostream::Stderr, false, "a \"b\"\té".as_bytes()));
        let line = r#"{"time":"T","stream":"stdout","log":"part"}"#;
        assert_eq!(docker(line), some("T", Iostream::Stdout, true, b"part"));
        for bad in ["", "{}", r#"{"log":1,"stream":"stdout","time":""}"#, r#"{"log":"a\n","stream":"x","time":""}"#] {
            assert_eq!(docker(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_none_and_never_a_panic(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            for container in Container::ALL {
                let _ = unwrap(container, &line);
            }
        }

        #[test]
        fn what_a_runtime_wrote_is_read_back(text in "[^\n]{0,40}", is_partial in any::<bool>()) {
            let tag = if is_partial { "P" } else { "F" };
            let cri = format!("2024-01-01T00:00:00Z stdout {tag} {text}");
            let end = if is_partial { "" } else { "\n" };
            let docker = serde_json::json!({ "log": format!("{text}{end}"), "stream": "stdout", "time": "T" });
            for (container, line) in [(Container::Cri, cri), (Container::DockerJson, docker.to_string())] {
                let (_, _, partial, read) = read(container, line.as_bytes()).expect("it is as they write it");
                prop_assert_eq!((partial, read), (is_partial, text.as_bytes().to_vec()));
            }
        }
    }
}
