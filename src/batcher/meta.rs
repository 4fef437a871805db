//! The JSON form of a frame's `logdrive.meta` header.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fmt,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
    ser::SerializeSeq,
};

use super::frame::{FrameError, Meta, Segment, Task};
use crate::record::{Charset, Container, FileId, Form, Labels, Messages, Part, Run, Stream};

/// What a segment's JSON takes at most besides its path and its messages: every number at its widest, `"part"`
/// included.
const SEGMENT_BYTES: usize = 196;

/// What a task's JSON takes besides its strings.
const TASK_BYTES: usize = 24;

/// What `"charset"`, `"format"` and `"messages"` take at most, without what stands in the last.
pub(super) const FORM_BYTES: usize = 80;

/// At most how many bytes a run of messages takes in the JSON.
pub(super) fn run_bytes_max(run: Run<'_>) -> usize {
    let digits = |number: u32| number.checked_ilog10().unwrap_or(0) as usize + 1;
    match run {
        Run::Single(lines) => digits(lines) + 2,
        Run::Joined(lines) => digits(lines) + 1,
        Run::Mixed(numbers) => 3 + numbers.iter().map(|number| digits(number.unsigned_abs()) + 1).sum::<usize>(),
    }
}

/// At most how many bytes the segment of `path` takes in the JSON, without its messages.
pub(super) fn segment_bytes_max(path: &Path, is_plain: bool) -> usize {
    let path = path.as_os_str().as_bytes();
    // A control character takes 6 bytes as an escape, any other byte at most 3 (the replacement character).
    let shown: usize = path.iter().map(|byte| if byte.is_ascii_graphic() { 2 } else { 6 }).sum();
    let encoded = if std::str::from_utf8(path).is_ok() { 0 } else { path.len().div_ceil(3) * 4 + 14 };
    SEGMENT_BYTES + shown + encoded + if is_plain { 0 } else { FORM_BYTES }
}

/// At most how many bytes a task takes in the JSON that is not the first.
pub(super) fn task_bytes_max(name: &str, labels: &Labels) -> usize {
    let strings = labels.iter().map(|(name, value)| string_bytes_max(name) + string_bytes_max(value) + 2);
    TASK_BYTES + string_bytes_max(name) + strings.sum::<usize>()
}

/// At most how many bytes a string takes, quotes included. The longest escape of a byte is that of a control character.
fn string_bytes_max(string: &str) -> usize {
    2 + string.bytes().map(|byte| if byte.is_ascii_control() { 6 } else { 2 }).sum::<usize>()
}

/// The JSON of `meta` for a record whose value has the CRC-32 `crc32`.
pub(super) fn write(meta: &Meta, crc32: u32) -> Vec<u8> {
    let segments = meta.segments.iter().map(SegmentJson::from).collect();
    let (task, labels, tasks) = match &meta.tasks[..] {
        [task] => (Some(Cow::Borrowed(&*task.name)), task.labels.clone(), Vec::new()),
        tasks => (None, Labels::default(), tasks.iter().map(TaskJson::from).collect()),
    };
    let json = MetaJson {
        host: Cow::Borrowed(&meta.host),
        machine: Cow::Borrowed(&meta.machine),
        task,
        labels,
        tasks,
        read_at: meta.read_at,
        crc32: Some(crc32),
        segments,
    };
    serde_json::to_vec(&json).expect("strings and numbers, no map with other keys: nothing that JSON lacks")
}

/// Reads what [`write`] wrote, with the CRC-32 of the value if there is one; members that `version` doesn't know are
/// passed over.
pub(super) fn read(json: &[u8], version: u32) -> Result<(Meta, Option<u32>), FrameError> {
    let json: MetaJson = serde_json::from_slice(json).map_err(|err| FrameError::Meta(err.to_string()))?;
    let segments = json.segments.into_iter().map(|mut segment| {
        if version < 2 {
            (segment.charset, segment.format, segment.messages) = Default::default();
        }
        if version < 3 {
            segment.task = 0;
        }
        Segment::try_from(segment)
    });
    let segments = segments.collect::<Result<Vec<_>, _>>()?;
    let tasks: Vec<Task> = match json.task {
        _ if version >= 3 => json.tasks.into_iter().map(Task::from).collect(),
        Some(name) => vec![Task { name: name.into(), labels: json.labels }],
        None => return Err(FrameError::Meta("missing field `task`".to_owned())),
    };
    if tasks.is_empty() {
        return Err(FrameError::Meta("there are no tasks".to_owned()));
    }
    tasks.iter().try_for_each(|task| check_labels(&task.labels))?;
    if segments.iter().any(|segment| segment.task as usize >= tasks.len()) {
        return Err(FrameError::Meta("a segment is of a task that is not among the tasks".to_owned()));
    }
    let (host, machine) = (json.host.into_owned(), json.machine.into_owned());
    Ok((Meta { host, machine, tasks, read_at: json.read_at, segments }, json.crc32))
}

/// Labels that could make no document are refused.
pub(super) fn check_labels(labels: &Labels) -> Result<(), FrameError> {
    labels.check().map_err(|error| FrameError::Meta(error.to_string()))
}

#[derive(Serialize, Deserialize)]
struct MetaJson<'a> {
    host: Cow<'a, str>,
    machine: Cow<'a, str>,
    /// Until version 2, and its labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    /// From version 3 on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<TaskJson<'a>>,
    read_at: jiff::Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32: Option<u32>,
    segments: Vec<SegmentJson<'a>>,
}

#[derive(Serialize, Deserialize)]
struct TaskJson<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
}

impl<'a> From<&'a Task> for TaskJson<'a> {
    fn from(task: &'a Task) -> Self {
        Self { name: Cow::Borrowed(&task.name), labels: task.labels.clone() }
    }
}

impl From<TaskJson<'_>> for Task {
    fn from(json: TaskJson<'_>) -> Self {
        Self { name: json.name.into(), labels: json.labels }
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct SegmentJson<'a> {
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) task: u32,
    pub(super) file: Cow<'a, str>,
    pub(super) generation: u32,
    pub(super) path: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path_b64: Option<String>,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) lines: u32,
    #[serde(default, skip_serializing_if = "PartJson::is_whole")]
    pub(super) part: PartJson,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) charset: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "MessagesJson::is_plain")]
    pub(super) messages: MessagesJson<'a>,
}

fn is_first(task: &u32) -> bool {
    *task == 0
}

/// The messages as a list of runs: `k` for one of `k` lines, `-k` for `k` of a line each, a list for a unit.
#[derive(Default)]
pub(super) struct MessagesJson<'a>(Cow<'a, Messages>);

impl MessagesJson<'_> {
    fn is_plain(&self) -> bool {
        self.0.is_plain()
    }
}

impl Serialize for MessagesJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for run in self.0.runs() {
            match run {
                Run::Single(lines) => list.serialize_element(&-i64::from(lines))?,
                Run::Joined(lines) => list.serialize_element(&lines)?,
                Run::Mixed(numbers) => list.serialize_element(numbers)?,
            }
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for MessagesJson<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Runs)
    }
}

/// Reads runs into the form in which they are kept, so that no more memory is taken than for that.
struct Runs;

impl<'de> Visitor<'de> for Runs {
    type Value = MessagesJson<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of the messages' lines")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut messages = Messages::default();
        while let Some(run) = list.next_element::<RunJson>()? {
            let is_run = match &run {
                RunJson::Lines(lines @ ..0) => {
                    u32::try_from(lines.unsigned_abs()).is_ok_and(|lines| messages.push(Run::Single(lines)))
                }
                RunJson::Lines(lines) => u32::try_from(*lines).is_ok_and(|lines| messages.push(Run::Joined(lines))),
                RunJson::Numbers(numbers) => messages.push(Run::Mixed(numbers)),
            };
            if !is_run {
                return Err(de::Error::custom("a segment's messages are not as they can be"));
            }
        }
        Ok(MessagesJson(Cow::Owned(messages)))
    }
}

enum RunJson {
    Lines(i64),
    Numbers(Vec<i32>),
}

impl<'de> Deserialize<'de> for RunJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RunJson;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of lines, or a list of the numbers of messages")
            }

            fn visit_i64<E: de::Error>(self, lines: i64) -> Result<RunJson, E> {
                Ok(RunJson::Lines(lines))
            }

            fn visit_u64<E: de::Error>(self, lines: u64) -> Result<RunJson, E> {
                i64::try_from(lines).map(RunJson::Lines).map_err(de::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RunJson, A::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = list.next_element()? {
                    numbers.push(number);
                }
                Ok(RunJson::Numbers(numbers))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PartJson {
    #[default]
    Whole,
    First,
    Middle,
    Last,
}

impl PartJson {
    fn is_whole(&self) -> bool {
        *self == PartJson::Whole
    }
}

impl From<PartJson> for Part {
    fn from(part: PartJson) -> Self {
        match part {
            PartJson::Whole => Part::Whole,
            PartJson::First => Part::First,
            PartJson::Middle => Part::Middle,
            PartJson::Last => Part::Last,
        }
    }
}

impl<'a> From<&'a Segment> for SegmentJson<'a> {
    fn from(segment: &'a Segment) -> Self {
        let path = segment.path.as_os_str();
        Self {
            task: segment.task,
            file: segment.stream.file.to_string().into(),
            generation: segment.stream.generation,
            path: path.to_string_lossy(),
            path_b64: path.to_str().is_none().then(|| BASE64_STANDARD.encode(path.as_bytes())),
            offset: segment.offset,
            bytes: segment.bytes,
            lines: segment.lines,
            part: match segment.part {
                Part::Whole => PartJson::Whole,
                Part::First => PartJson::First,
                Part::Middle => PartJson::Middle,
                Part::Last => PartJson::Last,
            },
            charset: (!segment.form.charset.is_utf8()).then(|| segment.form.charset.name().into()),
            format: segment.form.container.map(|container| container.name().into()),
            messages: MessagesJson(Cow::Borrowed(&segment.messages)),
        }
    }
}

impl TryFrom<SegmentJson<'_>> for Segment {
    type Error = FrameError;

    fn try_from(json: SegmentJson<'_>) -> Result<Self, FrameError> {
        let is_id = json.file.len() == 32 && json.file.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let file: FileId = match json.file.parse() {
            Ok(id) if is_id => id,
            _ => return Err(FrameError::Meta("a segment's file is not 32 lower-case hexadecimal digits".to_owned())),
        };
        let path = match &json.path_b64 {
            None => PathBuf::from(OsStr::new(&*json.path)),
            Some(encoded) => match BASE64_STANDARD.decode(encoded) {
                Ok(bytes) => PathBuf::from(std::ffi::OsString::from_vec(bytes)),
                Err(err) => return Err(FrameError::Meta(format!("a segment's path_b64 is not base64: {err}"))),
            },
        };
        let stream = Stream { file, generation: json.generation };
        let form = form(json.charset.as_deref(), json.format.as_deref())?;
        let messages = json.messages.0.into_owned();
        let SegmentJson { task, offset, bytes, lines, .. } = json;
        let part = json.part.into();
        Ok(Segment { task, stream, path, offset, bytes, lines, part, form, messages })
    }
}

fn form(charset: Option<&str>, format: Option<&str>) -> Result<Form, FrameError> {
    let unknown = |what, name: &str| {
        let shown: String = name.chars().take(20).collect();
        FrameError::Meta(format!("a segment has the {what} {shown:?}, which this program doesn't know: upgrade it"))
    };
    let charset = match charset {
        None => Charset::UTF_8,
        Some(name) => Charset::of_label(name).ok_or_else(|| unknown("charset", name))?,
    };
    let container = match format {
        None => None,
        Some(name) => {
            let known = Container::ALL.into_iter().find(|container| container.name() == name);
            Some(known.ok_or_else(|| unknown("format", name))?)
        }
    };
    Ok(Form { charset, container })
}

#[cfg(test)]
mod tests {
    use super::{SegmentJson, run_bytes_max, segment_bytes_max};
    use crate::{
        batcher::frame::Segment,
        record::{Charset, Container, FileId, Form, Messages, Part, Run, Stream},
    };
    use proptest::prelude::*;
    use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

    fn forms() -> impl Strategy<Value = Form> {
        let charset = any::<prop::sample::Index>();
        let container = prop_oneof![Just(None), Just(Some(Container::Cri)), Just(Some(Container::DockerJson))];
        (charset, container).prop_map(|(index, container)| {
            let charset =
                Charset::of_label(Charset::NAMES[index.index(Charset::NAMES.len())]).expect("a name is a label");
            Form { charset, container }
        })
    }

    fn messages() -> impl Strategy<Value = Messages> {
        let run = prop_oneof![
            (1_u32..=i32::MAX as u32).prop_map(|lines| (Some(lines), Vec::new())),
            (2..200_i32).prop_map(|count| (None, (0..count).chain(0..count).collect())),
        ];
        proptest::collection::vec((run, any::<bool>()), 0..5).prop_map(|runs| {
            let mut messages = Messages::default();
            for ((lines, numbers), joined) in runs {
                let run = match lines {
                    None => Run::Mixed(&numbers),
                    Some(lines) if joined && lines > 1 => Run::Joined(lines),
                    Some(lines) => Run::Single(lines),
                };
                assert!(messages.push(run));
            }
            messages
        })
    }

    proptest! {
        #[test]
        fn a_segment_of_any_path_reads_back_and_takes_no_more_than_was_foreseen(
            path in proptest::collection::vec(any::<u8>(), 0..60),
            stream in any::<(u128, u32)>(),
            numbers in any::<(u64, u64, u32)>(),
            part in prop_oneof![Just(Part::Whole), Just(Part::First), Just(Part::Middle), Just(Part::Last)],
            form in forms(),
            messages in messages(),
        ) {
            let segment = Segment {
                task: numbers.2,
                stream: Stream { file: FileId(stream.0), generation: stream.1 },
                path: PathBuf::from(OsString::from_vec(path)),
                offset: numbers.0,
                bytes: numbers.1,
                lines: numbers.2,
                part,
                form,
                messages,
            };
            let json = serde_json::to_vec(&SegmentJson::from(&segment)).expect("plain data");
            let runs: usize = segment.messages.runs().map(run_bytes_max).sum();
            let most = segment_bytes_max(&segment.path, segment.is_plain()) + runs;
            prop_assert!(json.len() < most, "{}", String::from_utf8_lossy(&json));
            let back: SegmentJson = serde_json::from_slice(&json).expect("its own writing");
            prop_assert_eq!(Segment::try_from(back).expect("its own writing"), segment);
        }
    }
}
