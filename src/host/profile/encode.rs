//! `profile.proto` of the pprof project, as far as a profile of functions needs it: samples, functions, and their names.

use std::{collections::HashMap, time::UNIX_EPOCH};

use super::Profile;

/// A message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn numbers(&mut self, field: u64, values: impl Iterator<Item = u64>) {
        let mut packed = Self::default();
        values.for_each(|value| packed.varint(value));
        self.bytes(field, &packed.0);
    }
}

/// The table of texts; the first one is empty, as the format wants it.
struct Texts<'a> {
    numbers: HashMap<&'a str, u64>,
    each: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u64 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.each.push(text);
            self.each.len() as u64 - 1
        })
    }
}

pub(super) fn profile(profile: &Profile) -> Vec<u8> {
    let mut texts = Texts { numbers: HashMap::from([("", 0)]), each: vec![""] };
    let mut out = Message::default();
    let period = 1_000_000_000 / u64::from(profile.frequency.max(1));
    for (kind, unit) in [("samples", "count"), ("cpu", "nanoseconds")] {
        let mut value_type = Message::default();
        value_type.number(1, texts.number(kind));
        value_type.number(2, texts.number(unit));
        out.bytes(1, &value_type.0);
    }
    // A function and its location have the same number, which is that of its name.
    let mut functions: Vec<u64> = Vec::new();
    for stack in &profile.stacks {
        let mut sample = Message::default();
        let places: Vec<u64> = stack.functions.iter().rev().map(|function| texts.number(function)).collect();
        functions.extend(&places);
        sample.numbers(1, places.into_iter());
        sample.numbers(2, [stack.samples, stack.samples * period].into_iter());
        out.bytes(2, &sample.0);
    }
    functions.sort_unstable();
    functions.dedup();
    for number in functions {
        let (mut line, mut location, mut function) = (Message::default(), Message::default(), Message::default());
        line.number(1, number);
        location.number(1, number);
        location.bytes(4, &line.0);
        out.bytes(4, &location.0);
        function.number(1, number);
        function.number(2, number);
        out.bytes(5, &function.0);
    }
    let mut period_type = Message::default();
    period_type.number(1, texts.number("cpu"));
    period_type.number(2, texts.number("nanoseconds"));
    for text in &texts.each {
        out.bytes(6, text.as_bytes());
    }
    let began = profile.began.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.number(9, began.as_nanos() as u64);
    out.number(10, profile.lasted.as_nanos() as u64);
    out.bytes(11, &period_type.0);
    out.number(12, period);
    out.0
}
