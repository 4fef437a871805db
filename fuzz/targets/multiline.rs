//! However a text comes, and wherever reading begins again, its messages are the same; every line is in one of them.
#![no_main]

use bytesize::ByteSize;
use libfuzzer_sys::fuzz_target;
use logdrive::{
    multiline::{Group, Grouping, Multiline, Preset},
    record::{Charset, Messages, Run},
    splitter,
};

fn settings(kind: u8) -> Multiline {
    let preset = |preset: &[Preset]| Multiline { preset: preset.to_vec(), ..Multiline::default() };
    let some = |pattern: &str| Some(pattern.to_owned());
    match kind % 8 {
        0 => preset(&[Preset::Java, Preset::Python, Preset::Go]),
        1 => preset(&[Preset::Json]),
        2 => preset(&[Preset::Cri]),
        3 => preset(&[Preset::Cri, Preset::Java, Preset::Json]),
        4 => preset(&[Preset::DockerJson, Preset::Python]),
        5 => Multiline { start: some("^1"), ..Multiline::default() },
        6 => Multiline { r#continue: some("^ "), end: some(";$"), ..Multiline::default() },
        _ => Multiline { start: some("^1"), end: some(";$"), ..preset(&[Preset::Cri]) },
    }
}

fuzz_target!(|input: (u8, u8, u16, Vec<u16>, &[u8])| {
    let (kind, lines_max, bytes_max, mut cuts, text) = input;
    let lines_max = u32::from(lines_max) + 1;
    let bytes_max = Some(ByteSize::b(u64::from(bytes_max)));
    let settings = Multiline { lines_max, bytes_max, ..settings(kind) };
    let grouping = Grouping::new(&settings, Charset::UTF_8, 1 << 20).expect("they fit each other");

    let whole = grouping.whole_units(text, true);
    assert_eq!(whole.bytes, splitter::whole_lines(text));
    assert_eq!(whole.lines, splitter::count(text));
    let expected = units(text, &whole);

    cuts.push(0);
    cuts.sort_unstable();
    let (mut at, mut found) = (0, Vec::new());
    for cut in cuts {
        let end = usize::from(cut).clamp(at, text.len());
        let group = grouping.whole_units(&text[at..end], false);
        found.extend(units(&text[at..end], &group));
        at += group.bytes;
    }
    found.extend(units(&text[at..], &grouping.whole_units(&text[at..], true)));
    assert_eq!(found, expected);

    let mut at = 0;
    for index in 0..expected.len().min(20) {
        assert_eq!(units(&text[at..], &grouping.whole_units(&text[at..], true)), expected[index..]);
        at += expected[index].0.len();
    }
});

/// The units, each with the numbers of its lines' messages.
fn units<'a>(text: &'a [u8], group: &Group) -> Vec<(&'a [u8], Vec<i32>)> {
    let mut plain = Messages::default();
    let messages = if group.messages.is_plain() && group.lines > 0 {
        assert!(plain.push(Run::Single(group.lines)));
        &plain
    } else {
        &group.messages
    };
    let mut ends = splitter::line_ends(text);
    let (mut units, mut start) = (Vec::new(), 0);
    let mut add = |numbers: Vec<i32>| {
        let end = ends.nth(numbers.len() - 1).expect("there are as many lines");
        units.push((&text[start..end], numbers));
        start = end;
    };
    for run in messages.runs() {
        match run {
            Run::Single(lines) => (0..lines).for_each(|_| add(vec![0])),
            Run::Joined(lines) => add(vec![0; lines as usize]),
            Run::Mixed(numbers) => add(numbers.to_vec()),
        }
    }
    units
}
