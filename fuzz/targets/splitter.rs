//! The splitter agrees with `split` on any bytes, whole and cut in two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logdrive::splitter;

fuzz_target!(|text: &[u8]| {
    let mut expected: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    // Behind the last newline nothing begins.
    if expected.last().is_some_and(|last| last.is_empty()) {
        expected.pop();
    }
    let lines: Vec<(usize, &[u8])> = splitter::lines(text).collect();
    assert_eq!(lines.iter().map(|(_, line)| *line).collect::<Vec<_>>(), expected);
    for (offset, line) in lines {
        assert_eq!(&text[offset..offset + line.len()], line);
    }

    let newlines = text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(splitter::count(text) as usize, newlines);
    assert_eq!(splitter::line_ends(text).count(), newlines);
    assert_eq!(splitter::first_end(text), splitter::line_ends(text).next());
    assert_eq!(splitter::whole_lines(text), splitter::line_ends(text).last().unwrap_or(0));

    // A text met in two pieces has the same ends: those of the first, then those of what is left of it.
    let cut = text.len() / 2;
    let whole = splitter::whole_lines(&text[..cut]);
    let first = splitter::line_ends(&text[..cut]);
    let second = splitter::line_ends(&text[whole..]).map(|end| whole + end);
    assert!(first.chain(second).eq(splitter::line_ends(text)));
});
