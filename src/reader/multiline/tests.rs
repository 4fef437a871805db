//! What the presets and patterns make of the texts that people have, and what holds for any text.

use bytesize::ByteSize;
use proptest::prelude::*;

use super::{Group, Grouping, Multiline, Preset};
use crate::{
    record::{Charset, Messages, Run},
    splitter,
};

fn grouping(settings: &Multiline) -> Grouping {
    Grouping::new(settings, Charset::UTF_8, 1 << 20).expect("settings that fit each other")
}

fn preset(preset: &[Preset]) -> Multiline {
    Multiline { preset: preset.to_vec(), ..Multiline::default() }
}

fn patterns(start: &str, r#continue: &str, end: &str) -> Multiline {
    let some = |pattern: &str| (!pattern.is_empty()).then(|| pattern.to_owned());
    Multiline { start: some(start), r#continue: some(r#continue), end: some(end), ..Multiline::default() }
}

/// The units of `text`, each with its text and the numbers of its lines' messages.
fn units<'a>(text: &'a [u8], messages: &Messages, lines: u32) -> Vec<(&'a [u8], Vec<i32>)> {
    let mut ends = splitter::line_ends(text);
    let (mut units, mut start) = (Vec::new(), 0);
    let mut add = |numbers: Vec<i32>| {
        let end = ends.nth(numbers.len() - 1).expect("there are as many lines");
        units.push((&text[start..end], numbers));
        start = end;
    };
    if messages.is_plain() {
        (0..lines).for_each(|_| add(vec![0]));
    }
    for run in messages.runs() {
        match run {
            Run::Single(lines) => (0..lines).for_each(|_| add(vec![0])),
            Run::Joined(lines) => add(vec![0; lines as usize]),
            Run::Mixed(numbers) => add(numbers.to_vec()),
        }
    }
    units
}

/// The units of `text`, whose lines are of up to two streams, as text: `1` a line that begins a message, `+` one that
/// goes on with the last one of its unit that began before, `2` and `-` for the second one of a unit.
fn shape(settings: &Multiline, text: &str) -> String {
    let group = grouping(settings).whole_units(text.as_bytes(), true);
    assert_eq!(group.bytes, text.len(), "everything is over");
    let mut shape = String::new();
    for (_, numbers) in units(text.as_bytes(), &group.messages, group.lines) {
        for (index, number) in numbers.iter().enumerate() {
            let is_first = !numbers[..index].contains(number);
            shape.push(match (*number, is_first) {
                (0, true) => '1',
                (0, false) => '+',
                (_, true) => '2',
                (_, false) => '-',
            });
        }
    }
    shape
}

#[test]
fn a_java_exception_is_one_message_with_its_causes() {
    let text = "\
2024-01-01 INFO before
java.lang.RuntimeException: outer
\tat com.example.A.run(A.java:1) ~[a.jar:1]
\tat com.example.B.run(B.java:2)
\tSuppressed: java.io.IOException: also
\t\tat com.example.C.close(C.java:3)
Caused by: java.lang.IllegalStateException: inner

\tat com.example.D.run(D.java:4)
\t... 2 more
2024-01-01 INFO behind
Exception in thread \"main\" java.lang.Error
    at X.main(X.java:1)
TypeError: x is not a function
    at Object.<anonymous> (/app/a.js:1:1)
error: nothing follows
";
    assert_eq!(shape(&preset(&[Preset::Java]), text), "11++++++++11+1+1");
}

#[test]
fn a_python_traceback_ends_with_the_line_that_names_the_exception() {
    let text = "\
before
Traceback (most recent call last):
  File \"/app/a.py\", line 1, in <module>
    main()
    ~~~~^^
  File \"/app/a.py\", line 2, in main
    raise KeyError(\"x\")
KeyError: 'x'
behind
ERROR:root:failed Traceback (most recent call last):
  File \"a.py\", line 1
app.errors.Failed
Traceback (most recent call last):
  File \"a.py\", line 1
2024-01-01 another line
";
    assert_eq!(shape(&preset(&[Preset::Python]), text), "11++++++11++1+1");
}

#[test]
fn a_go_panic_is_one_message_with_its_goroutines() {
    let text = "\
before
panic: runtime error: invalid memory address
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4]

goroutine 1 [running]:
main.(*T).f(0x0)
\t/app/main.go:7 +0x1d
main.main()
\t/app/main.go:11 +0x2a

goroutine 6 [select, 3 minutes]:
github.com/x/y.(*T).loop(0xc0000, 0x1)
\t/go/y.go:5 +0x1
created by github.com/x/y.New
\t/go/y.go:3 +0x1
exit status 2
behind
2024/01/01 http: panic serving 127.0.0.1:1: oh
goroutine 5 [running]:
net/http.(*conn).serve.func1(0xc0)
\t/usr/lib/go/server.go:1 +0x1
behind
";
    assert_eq!(shape(&preset(&[Preset::Go]), text), "11++++++++++++++11+++1");
}

#[test]
fn a_json_object_of_several_lines_is_one_message() {
    let text = "\
{\"a\":1}
{
  \"a\": {\"b\": [1,
    2]}, \"s\": \"} \\\" {\"

}
not json
{
 \"a\":
not json either
{ \"open
\"a\":1}
";
    assert_eq!(shape(&preset(&[Preset::Json]), text), "11++++11+111");
}

#[test]
fn what_a_runtime_cut_is_joined_and_streams_are_kept_apart() {
    let cri = "\
2024-01-01T00:00:00Z stdout F whole
2024-01-01T00:00:00Z stdout P a
2024-01-01T00:00:00Z stderr F b
2024-01-01T00:00:00Z stdout P c
2024-01-01T00:00:00Z stdout F d
not of the runtime
2024-01-01T00:00:00Z stderr F java.lang.Error: x
2024-01-01T00:00:00Z stdout F between
2024-01-01T00:00:00Z stderr F \tat y
2024-01-01T00:00:00Z stderr F behind
";
    assert_eq!(shape(&preset(&[Preset::Cri]), cri), "112++11111");
    assert_eq!(shape(&preset(&[Preset::Cri, Preset::Java]), cri), "112++112+1");
    let docker = "\
{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}
{\"log\":\"b\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}
{\"log\":\"c\\n\",\"stream\":\"stdout\",\"time\":\"2024-01-01T00:00:00Z\"}
";
    assert_eq!(shape(&preset(&[Preset::DockerJson]), docker), "1+1");
    let start = Multiline { start: Some("^c".to_owned()), ..preset(&[Preset::DockerJson]) };
    assert_eq!(shape(&start, docker), "1+1");
}

#[test]
fn patterns_say_where_messages_begin_go_on_and_end() {
    for (settings, text, expected) in [
        (patterns("^[0-9]", "", ""), "x\n1 a\r\n b\n\n2 c\n", "11++1"),
        (patterns("", "^[ \t]", ""), "a\n b\n c\nd\n", "1++1"),
        (patterns("", "", ";$"), "a\nb;\r\nc;\nd\n", "1+11"),
        (patterns("", "", "^$|[^\\\\]$"), "a \\\nb \\\nc\nd\n", "1++1"),
        (patterns("^BEGIN", "", "^END"), "x\ny\nBEGIN\na\nEND\nz\nBEGIN\nBEGIN\nb\n", "111++111+"),
        (patterns("^[0-9]", "^ ", ""), "1\n a\nb\n c\n2\n", "1+1+1"),
    ] {
        assert_eq!(shape(&settings, text), expected, "{settings:?}");
    }
}

#[test]
fn other_charsets_are_read_before_patterns_are() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = wide("\u{feff}日 a\r\n  \u{10a}\r\n日 c\r\n");
    let settings = patterns("^日", "", "");
    let charset = Charset::of_label("utf-16le").expect("a label");
    let group = Grouping::new(&settings, charset, 1000).expect("fit").whole_units(&text, false);
    assert_eq!((group.bytes, group.lines), (wide("\u{feff}日 a\r\n  \u{10a}\r\n").len(), 2));
}

#[test]
fn a_message_ends_at_a_limit_and_nothing_is_left_out() {
    let limits = |lines_max, bytes: u64| {
        let bytes_max = Some(ByteSize::b(bytes));
        Multiline { lines_max, bytes_max, ..patterns("^1", "", "") }
    };
    assert_eq!(shape(&limits(3, 1000), "1\n2\n3\n4\n5\n6\n7\n"), "1++1++1");
    assert_eq!(shape(&limits(100, 6), "1\n2\n3\n4\n55555555\n6\n7\n"), "1++111+");
    // What is not there yet can't go on with a message that is as long as it may be.
    let seen = |text: &[u8]| grouping(&limits(100, 6)).whole_units(text, false).bytes;
    assert_eq!((seen(b"1\n2\n"), seen(b"1\n2\n3"), seen(b"1\n2\n33"), seen(b"1\n2\n3\n")), (0, 0, 4, 6));
}

#[test]
fn settings_that_do_not_fit_each_other_are_refused() {
    let refused = |settings: Multiline| {
        let error = settings.check().expect_err("they don't fit");
        format!("{}: {error}", error.setting())
    };
    assert_eq!(refused(Multiline::default()), "preset: multiline has neither a preset nor a pattern");
    assert_eq!(
        refused(preset(&[Preset::Cri, Preset::DockerJson])),
        "preset: the presets \"cri\" and \"docker-json\" exclude each other"
    );
    let beside = Multiline { preset: vec![Preset::Java], ..patterns("a", "", "") };
    assert_eq!(refused(beside), "preset: patterns and the preset \"java\" exclude each other");
    assert!(refused(patterns("", "(", "")).starts_with("continue: continue is no regular expression: "));
}

/// Lines that presets know, in any order.
fn lines() -> impl Strategy<Value = Vec<String>> {
    const SAID: [&str; 17] = [
        "plain",
        "",
        "a.b.Exception: x",
        "\tat y",
        "Caused by: z",
        "Traceback (most recent call last):",
        "  File \"a\"",
        "KeyError: x",
        "panic: x",
        "goroutine 1 [running]:",
        "main.main()",
        "{",
        "\"a\": \"",
        "}",
        "1 begins",
        " goes on",
        "ends;",
    ];
    let around = prop_oneof![
        4 => Just(String::new()),
        1 => Just("2024-01-01T00:00:00Z stdout F ".to_owned()),
        1 => Just("2024-01-01T00:00:00Z stdout P ".to_owned()),
        2 => Just("2024-01-01T00:00:00Z stderr F ".to_owned()),
    ];
    let line = (around, prop::sample::select(&SAID[..])).prop_map(|(around, said)| around + said);
    proptest::collection::vec(line, 0..40)
}

fn any_settings() -> impl Strategy<Value = Multiline> {
    let kind = prop::sample::select(vec![
        preset(&[Preset::Java, Preset::Python, Preset::Go]),
        preset(&[Preset::Json]),
        preset(&[Preset::Cri]),
        preset(&[Preset::Cri, Preset::Java, Preset::Json]),
        patterns("^1", "", ""),
        patterns("", "^ ", ";$"),
        patterns("^1", "", ";$"),
        Multiline { preset: vec![Preset::Cri], ..patterns("^1", "", "") },
    ]);
    (kind, 1_u32..8, 20_u64..200).prop_map(|(kind, lines_max, bytes)| Multiline {
        lines_max,
        bytes_max: Some(ByteSize::b(bytes)),
        ..kind
    })
}

proptest! {
    #[test]
    fn however_a_text_is_read_and_wherever_reading_begins_again_its_messages_are_the_same(
        settings in any_settings(),
        lines in lines(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (grouping, text) = (grouping(&settings), lines.join("\n") + "\n");
        let text = text.as_bytes();
        let whole = grouping.whole_units(text, true);
        prop_assert_eq!((whole.bytes, whole.lines), (text.len(), splitter::count(text)));
        let expected = units(text, &whole.messages, whole.lines);
        for (unit, numbers) in &expected {
            prop_assert!(numbers.len() <= settings.lines_max as usize);
            prop_assert!(numbers.len() == 1 || unit.len() as u64 <= settings.bytes_max.expect("set").as_u64());
        }

        // The reader sees more and more of the file, and each time begins where the last unit ended.
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        ends.sort_unstable();
        let (mut at, mut found) = (0, Vec::new());
        for end in ends {
            let Group { bytes, lines, messages } = grouping.whole_units(&text[at..end.max(at)], false);
            found.extend(units(&text[at..at + bytes], &messages, lines));
            at += bytes;
        }
        let rest = grouping.whole_units(&text[at..], true);
        found.extend(units(&text[at..], &rest.messages, rest.lines));
        prop_assert_eq!(&found, &expected);

        // From the end of any unit on, the rest is the same.
        let mut at = 0;
        for (index, (unit, _)) in expected.iter().enumerate() {
            let rest = grouping.whole_units(&text[at..], true);
            prop_assert_eq!(&units(&text[at..], &rest.messages, rest.lines)[..], &expected[index..]);
            at += unit.len();
        }
    }

    #[test]
    fn any_bytes_are_messages(
        settings in any_settings(),
        text in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..300),
        is_over in any::<bool>(),
    ) {
        let Group { bytes, lines, messages } = grouping(&settings).whole_units(&text, is_over);
        let whole = splitter::whole_lines(&text);
        prop_assert!(bytes <= whole && (!is_over || bytes == whole));
        prop_assert_eq!(lines, splitter::count(&text[..bytes]));
        prop_assert!(messages.is_plain() || messages.lines() == u64::from(lines));
    }
}
