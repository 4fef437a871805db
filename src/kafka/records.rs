//! Adjacent records of one partition, in one buffer: a record is a few ranges and not memory of its own.

use std::{ops::Range, sync::Arc};

use super::{AssignmentId, headers::Header};

/// A set is full with so many bytes, or records. It may have one record that is larger.
const BYTES_MAX: usize = 256 << 10;
const RECORDS_MAX: usize = 4096;

/// Adjacent records of one partition, in the order of their offsets. Never empty where a consumer hands it over.
#[derive(Clone, Debug)]
pub struct Records {
    /// The assignment under which they were read.
    pub assignment: AssignmentId,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Keys, values, and names and values of headers, one after the other. What a header says like the same header of
    /// the record before it stands there once.
    buffer: Vec<u8>,
    headers: Vec<HeaderPlace>,
    each: Vec<Place>,
}

/// A record as Kafka has it; nothing in it is taken for granted.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic.
    pub topic: &'a Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition. Offsets grow, with gaps.
    pub offset: u64,
    /// When it was made or appended, in milliseconds since 1970, where Kafka knows.
    pub timestamp_ms: Option<i64>,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; none for a tombstone.
    pub value: Option<&'a [u8]>,
    headers: &'a [HeaderPlace],
    buffer: &'a [u8],
}

/// What a record says besides its headers, to be copied into a set.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// The offset in the partition.
    pub offset: u64,
    /// When it was made or appended, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
}

/// Where in the buffer a record is, and which headers are its own.
#[derive(Clone, Debug)]
struct Place {
    offset: u64,
    timestamp_ms: Option<i64>,
    key: Option<Range<u32>>,
    value: Option<Range<u32>>,
    headers: Range<u32>,
}

#[derive(Clone, Debug)]
struct HeaderPlace {
    name: Range<u32>,
    value: Option<Range<u32>>,
}

impl Records {
    /// No records yet.
    #[must_use]
    pub fn new(assignment: AssignmentId, topic: Arc<str>, partition: i32) -> Self {
        Self { assignment, topic, partition, buffer: Vec::new(), headers: Vec::new(), each: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// How many bytes keys, values and headers take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The first offset; none if it is empty.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.each.first().map(|place| place.offset)
    }

    /// The last offset; none if it is empty.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.each.last().map(|place| place.offset)
    }

    /// The records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.each.iter().map(|place| Record {
            topic: &self.topic,
            partition: self.partition,
            offset: place.offset,
            timestamp_ms: place.timestamp_ms,
            key: place.key.as_ref().map(|range| slice(&self.buffer, range)),
            value: place.value.as_ref().map(|range| slice(&self.buffer, range)),
            headers: &self.headers[place.headers.start as usize..place.headers.end as usize],
            buffer: &self.buffer,
        })
    }

    /// Whether a record with so many bytes of key and value is to begin another set.
    #[must_use]
    pub fn is_full_for(&self, bytes: usize) -> bool {
        !self.is_empty() && (self.len() >= RECORDS_MAX || self.bytes() + bytes > BYTES_MAX)
    }

    /// Adds a copy of a record. Of a header's name that is not UTF-8, what is not becomes U+FFFD.
    pub fn push<'a>(&mut self, record: Content<'_>, headers: impl Iterator<Item = Header<'a>>) {
        let Content { offset, timestamp_ms, key, value } = record;
        let before = self.each.last().map_or(0..0, |last| last.headers.start as usize..last.headers.end as usize);
        let first = self.headers.len();
        for (index, (name, value)) in headers.enumerate() {
            let like = Some(before.start + index).filter(|at| before.contains(at));
            let like = like.map(|at| self.headers[at].clone());
            let header = HeaderPlace { name: self.name(name, like.as_ref()), value: self.value(value, like.as_ref()) };
            self.headers.push(header);
        }
        let key = key.map(|key| self.append(key));
        let value = value.map(|value| self.append(value));
        let headers = first as u32..self.headers.len() as u32;
        self.each.push(Place { offset, timestamp_ms, key, value, headers });
    }

    fn name(&mut self, name: &[u8], like: Option<&HeaderPlace>) -> Range<u32> {
        match like.filter(|like| slice(&self.buffer, &like.name) == name) {
            Some(like) => like.name.clone(),
            None => self.append(String::from_utf8_lossy(name).as_bytes()),
        }
    }

    fn value(&mut self, value: Option<&[u8]>, like: Option<&HeaderPlace>) -> Option<Range<u32>> {
        let (value, like) = (value?, like.and_then(|like| like.value.as_ref()));
        match like.filter(|like| slice(&self.buffer, like) == value) {
            Some(like) => Some(like.clone()),
            None => Some(self.append(value)),
        }
    }

    /// Copies `bytes` to the end; where they are. Kafka's records are shorter than 2 GiB, and a set is full long before.
    fn append(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(bytes);
        start..self.buffer.len() as u32
    }
}

impl<'a> Record<'a> {
    /// The headers, in order; names may repeat, values may be absent.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        let Self { headers, buffer, .. } = *self;
        headers.iter().map(move |header| {
            let name = std::str::from_utf8(slice(buffer, &header.name)).expect("a name is text where it is pushed");
            (name, header.value.as_ref().map(|range| slice(buffer, range)))
        })
    }

    /// The value of the first header called `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.headers.iter().find(|header| slice(self.buffer, &header.name) == name.as_bytes())?;
        found.value.as_ref().map(|range| slice(self.buffer, range))
    }
}

fn slice<'a>(buffer: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    &buffer[range.start as usize..range.end as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AssignmentId, BYTES_MAX, Content, RECORDS_MAX, Records};

    type Bytes = Option<Vec<u8>>;

    fn records() -> Records {
        Records::new(AssignmentId(1), "app".into(), 0)
    }

    fn of_value(offset: u64, value: &[u8]) -> Content<'_> {
        Content { offset, timestamp_ms: None, key: None, value: Some(value) }
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in(
            each in prop::collection::vec(
                (any::<Option<i64>>(), any::<Bytes>(), any::<Bytes>(), prop::collection::vec(("[ab]?", any::<Bytes>()), 0..4)),
                0..20,
            )
        ) {
            let mut records = records();
            for (offset, (timestamp_ms, key, value, headers)) in (7..).step_by(3).zip(&each) {
                let content = Content { offset, timestamp_ms: *timestamp_ms, key: key.as_deref(), value: value.as_deref() };
                records.push(content, headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref())));
            }
            prop_assert_eq!(records.len(), each.len());
            prop_assert_eq!(records.first(), (!each.is_empty()).then_some(7));
            for ((offset, record), (timestamp_ms, key, value, headers)) in (7..).step_by(3).zip(records.iter()).zip(&each) {
                prop_assert_eq!((record.offset, record.timestamp_ms), (offset, *timestamp_ms));
                prop_assert_eq!((record.key, record.value), (key.as_deref(), value.as_deref()));
                let want: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
                prop_assert_eq!(record.headers().collect::<Vec<_>>(), want);
                for (name, _) in headers {
                    let first = headers.iter().find(|(found, _)| found == name).and_then(|(_, value)| value.as_deref());
                    prop_assert_eq!(record.header(name), first);
                }
            }
        }
    }

    #[test]
    fn what_headers_say_like_those_before_is_kept_once() {
        let mut records = records();
        for number in 0..100_u64 {
            let own = number.to_string();
            let headers = [(&b"same"[..], Some(&b"as ever"[..])), (b"own", Some(own.as_bytes()))];
            records.push(of_value(number, b""), headers.into_iter());
        }
        assert_eq!(records.bytes(), "sameas everown".len() + 10 + 2 * 90);
    }

    #[test]
    fn a_name_that_is_no_text_is_mended_and_its_value_is_not() {
        let mut records = records();
        for offset in 0..2 {
            records.push(of_value(offset, b""), [(&b"a\xff"[..], Some(&b"\xff"[..]))].into_iter());
        }
        for record in records.iter() {
            assert_eq!(record.headers().collect::<Vec<_>>(), [("a\u{fffd}", Some(&b"\xff"[..]))]);
        }
    }

    #[test]
    fn a_set_is_full_by_bytes_or_by_records_and_takes_any_first_record() {
        let mut records = records();
        assert!(!records.is_full_for(BYTES_MAX * 2));
        records.push(of_value(0, &[b'x'; 10]), std::iter::empty());
        assert!(!records.is_full_for(BYTES_MAX - 10) && records.is_full_for(BYTES_MAX - 9));
        (1..RECORDS_MAX as u64).for_each(|offset| records.push(of_value(offset, b""), std::iter::empty()));
        assert!(records.is_full_for(0));
    }
}
