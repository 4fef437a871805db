//! The document of a line that one of our agents sent as JSON (`value = "json"`) without its headers, made without reading
//! it as JSON, if it is like a line before it.
//!
//! What stands behind the message in such a line is the same for all lines of a file, and so is what becomes of it. It is
//! remembered from a line that was read as JSON, with nothing found wrong with it, and holds for all that differ only in
//! what stands in front. Every document is the one that reading the line as JSON makes.

use super::{Facts, JsonLine, Prepared, TimeFrom};
use crate::{
    document::{
        Rule, Tags, TimeRule,
        time::{Clock, Moment},
    },
    record::{Level, Part, SentLine},
};

/// The member that a line's offset becomes, up to its number.
const OFFSET: &[u8] = b",\"fields.log.offset\":";

/// More than this is not remembered of a line.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// What stood behind the message.
    rest: Vec<u8>,
    /// What became of it: the members that follow the offset. Empty if nothing was learnt.
    members: Vec<u8>,
    level: Option<Level>,
}

/// Whether a document depends on nothing but its line and what is remembered.
pub(super) fn is_plain(rule: &Rule, source: &Prepared, facts: &Facts) -> bool {
    facts.part == Part::Whole
        && facts.said.is_none()
        && facts.tags == Tags::NONE
        && source.labels.is_empty()
        && rule.time == TimeRule::Line
        && [&rule.json_target, &rule.message_key, &rule.time_key, &rule.level_key].iter().all(|key| key.is_none())
}

impl Remembered {
    /// Appends the document of a line with the same rest as the one that is remembered. None, and nothing is appended, if
    /// the line has to be read as JSON first, to be learnt from ([`Remembered::learn`]).
    pub(super) fn write(
        &mut self,
        line: &SentLine<'_>,
        facts: &Facts,
        clock: &mut Clock,
        source: &Prepared,
        out: &mut Vec<u8>,
    ) -> Option<(Moment, Option<Level>)> {
        if self.rest != line.rest {
            self.forget();
            if line.rest.len() <= KEPT_BYTES_MAX {
                self.rest.extend_from_slice(line.rest);
            }
            return None;
        }
        let moment = clock.of_json(line.time).filter(|_| !self.members.is_empty())?;
        source.begin(clock, Some(moment), out);
        out.extend_from_slice(line.message.as_bytes());
        source.push(self.level, facts, TimeFrom::Field, out);
        out.extend_from_slice(OFFSET);
        out.extend_from_slice(line.digits);
        out.extend_from_slice(&self.members);
        out.push(b'}');
        Some((moment, self.level))
    }

    /// Remembers what becomes of a line that [`Remembered::write`] left to be read, and was.
    pub(super) fn learn(&mut self, line: &JsonLine<'_>, digits: usize, source: &Prepared) {
        self.members.clear();
        if self.rest.is_empty() || !line.names_itself() {
            return self.forget();
        }
        line.push_members(source, true, &mut self.members);
        if !self.members.starts_with(OFFSET) {
            return self.forget();
        }
        self.members.drain(..OFFSET.len() + digits);
        self.level = line.level();
    }

    fn forget(&mut self) {
        self.rest.clear();
        self.members.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytesize::ByteSize;
    use proptest::prelude::*;

    use crate::{
        document::{Builder, Rule, Settings, Source, TimeRule},
        record::{FileId, Form, Labels, NO_LABELS, Part, Stream},
    };

    fn source(labels: &Labels) -> Source<'_> {
        Source {
            stream: Stream { file: FileId(7), generation: 0 },
            path: Path::new("/a"),
            host: "web-1",
            task: "app",
            labels,
            topic: "t",
            read_at: jiff::Timestamp::UNIX_EPOCH,
            form: Form::default(),
        }
    }

    /// Lines of our agents' form, and some that are nearly so, many with the same rest.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let time =
            prop::sample::select(vec!["2026-11-20T10:00:00.123Z", "2026-13-20T10:00:00.123Z", "2026-11-20 10:00Z"]);
        let message = prop_oneof![
            r#"([a-zé ]|\\["\\/bfnrtx]|\\u00e9|\\ud83d|[\t"]){0,6}"#.prop_map(String::into_bytes),
            Just(b"\xff".to_vec()),
            Just(br#"","message":"again"#.to_vec()),
        ];
        let rest = prop::sample::select(vec![
            r#","host.name":"web-1","log.file.path":"/a"}"#,
            r#","host.name":"web-1","log.file.path":"/a","labels":{"a":"b"}}"#,
            r#","host.name":"web-1","labels":{"a":"b","a":"c"},"logdrive.part":"first"}"#,
            r#","level":"warn","fields.log.offset":3,"x":{"fields.log.offset":4}}"#,
            r#","log.level":"warn"}"#,
            r#","host.name":"web-1","log.offset":5}"#,
            r#","message":"x"}"#,
            r#","mess\u0061ge":"x"}"#,
            r#","a":1e999}"#,
            r#","a":}"#,
            r#","a":"a long string"}"#,
            r#","a":{"b":{"c":{"d":1}}}}"#,
        ]);
        (time, 0..30_u64, message, rest).prop_map(|(time, offset, message, rest)| {
            let head = format!(r#"{{"@timestamp":"{time}","log.offset":{offset},"message":""#);
            [head.as_bytes(), &message, b"\"", rest.as_bytes()].concat()
        })
    }

    fn settings() -> impl Strategy<Value = Settings> {
        let rule = prop_oneof![
            4 => Just(Rule::default()),
            1 => Just(Rule { time: TimeRule::Read, ..Rule::default() }),
            1 => Just(Rule { json: false, ..Rule::default() }),
            1 => Just(Rule { json_target: Some("app".to_owned()), ..Rule::default() }),
            1 => Just(Rule { message_key: Some("a".to_owned()), ..Rule::default() }),
            1 => Just(Rule { time_format: Some("%Y-%d-%mT%H:%M:%S.%fZ".to_owned()), ..Rule::default() }),
        ];
        let small = |few: usize, many: usize| prop_oneof![1 => Just(few), 4 => Just(many)];
        (rule, small(3, 1000), small(2, 20), small(9, 32_766), small(110, 1 << 20)).prop_map(
            |(rule, json_fields_max, json_depth_max, string, line)| Settings {
                rules: vec![rule],
                json_fields_max,
                json_depth_max,
                json_string_bytes_max: ByteSize::b(string as u64),
                json_bytes_max: ByteSize::b(line as u64),
                ..Settings::default()
            },
        )
    }

    proptest! {
        #[test]
        fn a_document_does_not_depend_on_the_lines_before_it(
            settings in settings(),
            lines in prop::collection::vec((line(), any::<prop::sample::Index>(), prop::bool::weighted(0.1)), 1..20),
        ) {
            let labels: Labels = [("a".to_owned(), "task".to_owned())].into_iter().collect();
            let mut builder = Builder::new(&settings);
            let mut seen: Vec<Vec<u8>> = Vec::new();
            for (offset, (line, again, has_labels)) in lines.into_iter().enumerate() {
                // Mostly the same line once more, from which something was learnt.
                seen.push(line);
                let line = &seen[again.index(seen.len())];
                let source = source(if has_labels { &labels } else { &NO_LABELS });
                let make = |builder: &mut Builder| {
                    let mut out = Vec::new();
                    let built = builder.build(&source, &mut line.clone(), offset as u64, Part::Whole, &mut out);
                    (built, String::from_utf8(out).expect("a document is text"))
                };
                prop_assert_eq!(make(&mut builder), make(&mut Builder::new(&settings)));
            }
        }
    }

    #[test]
    fn a_line_with_the_same_rest_is_made_of_what_was_learnt() {
        let mut builder = Builder::new(&Settings::default());
        for offset in 0..3 {
            let line = format!(
                r#"{{"@timestamp":"2026-11-20T10:00:00.123Z","log.offset":{offset},"message":"x","host.name":"web"}}"#
            );
            let mut out = Vec::new();
            builder.build(&source(&NO_LABELS), &mut line.into_bytes(), offset, Part::Whole, &mut out).expect("built");
            assert_eq!(builder.sent.members, br#","fields.host.name":"web""#);
            assert!(out.ends_with(format!(r#","fields.log.offset":{offset},"fields.host.name":"web"}}"#).as_bytes()));
        }
    }
}
