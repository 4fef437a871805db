//! Messages of several lines, and text in other charsets than UTF-8.

use super::*;
use crate::{
    reader::{Multiline, Preset},
    record::{Charset, Container, Run},
};

/// What the reader said: where it cut late, and its blocks with their lines and the first run of their messages.
#[derive(Debug, PartialEq)]
enum Told {
    Cut(u64),
    Block(String, Part, u32, Option<String>),
}

fn block(text: &str, part: Part, lines: u32) -> Told {
    Told::Block(text.to_owned(), part, lines, None)
}

fn message(text: &str, run: Run<'_>) -> Told {
    Told::Block(text.to_owned(), Part::Whole, run.lines(), Some(format!("{run:?}")))
}

/// Takes events until so many bytes were read.
async fn told(bench: &mut Bench, bytes: usize) -> Vec<Told> {
    let (mut told, mut read) = (Vec::new(), 0);
    while read < bytes {
        let event = timeout(Duration::from_secs(20), bench.events.recv()).await.expect("more comes");
        match event.expect("the reader runs") {
            Event::Opened(checkpoint) => drop(bench.streams.insert(checkpoint.stream, checkpoint)),
            Event::Cut(_, cut) => told.push(Told::Cut(cut.at())),
            Event::Block(block) => {
                read += block.text.len();
                let known = bench.streams.get_mut(&block.origin.stream).expect("opened");
                let span = block.span();
                (known.offset, known.mark) = (span.end, span.mark);
                let text = match block.origin.form.charset.is_utf8() {
                    true => block.text.clone(),
                    false => {
                        let mut text = Vec::new();
                        block.origin.form.charset.decode(&block.text, &mut text);
                        text
                    }
                };
                let text = String::from_utf8(text).expect("it was decoded");
                let run = block.messages.runs().next().map(|run| format!("{run:?}"));
                told.push(Told::Block(text, block.part, block.lines, run));
            }
            _ => (),
        }
    }
    told
}

async fn stop(bench: &mut Bench) {
    bench.events.close();
    bench.reader.take().expect("it runs").stop().await;
}

with_both_backends! {
    async fn a_message_goes_when_the_next_begins_or_does_not_come(dir, bench) {
        let path = dir.join("app.log");
        let timeout = Duration::from_millis(200);
        bench.multiline = Some(Multiline { start: Some("^1".to_owned()), timeout, ..Multiline::default() });
        append(&path, "1 a\n b\n1 c\n d\n e");
        bench.start("*.log");
        let first = message("1 a\n b\n", Run::Joined(2));
        let second = message("1 c\n d\n", Run::Joined(2));
        assert_eq!(told(bench, 14).await, [first, Told::Cut(14), second], "what has no newline waits longer");
        append(&path, "\n1 f\n");
        assert_eq!(told(bench, 3).await, [block(" e\n", Part::Whole, 1)]);
        stop(bench).await;
        // It goes on where it was, with the same message again.
        append(&path, " g\n1 h\n");
        bench.start("*.log");
        assert_eq!(told(bench, 7).await, [message("1 f\n g\n", Run::Joined(2))]);
        stop(bench).await;
    }
}

with_both_backends! {
    async fn a_message_longer_than_a_read_is_read_whole(dir, bench) {
        let preset = vec![Preset::Cri, Preset::Java];
        bench.multiline = Some(Multiline { preset, lines_max: 1000, ..Multiline::default() });
        let line = |stream: &str, text: &str| format!("2024-01-01T00:00:00Z {stream} F {text}\n");
        let trace: String = (0..120).map(|_| line("stderr", "\tat y")).collect();
        let text = [line("stderr", "Exception: x"), line("stdout", "a"), trace, line("stderr", "b")].concat();
        append(&dir.join("app.log"), &text);
        bench.start("*.log");
        let blocks = told(bench, text.len()).await;
        let [Told::Block(whole, Part::Whole, 123, Some(runs))] = &blocks[..] else { panic!("{blocks:?}") };
        assert!(whole.len() > bench.settings.block_bytes && runs.starts_with("Mixed([0, 1, 0, 0, "), "{runs}");
        assert_eq!(bench.streams.len(), 1);
        stop(bench).await;
    }
}

with_both_backends! {
    async fn lines_of_utf_16_are_found_and_its_characters_are_not_cut(dir, bench) {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let path = dir.join("app.log");
        bench.charset = Charset::of_label("utf-16le").expect("a label");
        bench.settings.idle_flush = Duration::from_millis(200);
        append(&path, wide("a\u{a0a}\nb\n"));
        append(&path, &wide("c\n")[..3]);
        bench.start("*.log");
        assert_eq!(told(bench, 10).await, [block("a\u{a0a}\nb\n", Part::Whole, 2)]);
        assert_eq!(told(bench, 2).await, [Told::Cut(12), block("c", Part::First, 1)]);
        append(&path, &wide("c\n")[3..]);
        assert_eq!(told(bench, 2).await, [block("\n", Part::Last, 1)]);
        stop(bench).await;
    }
}

#[test]
fn a_task_whose_lines_come_from_containers_says_so() {
    let settings = Multiline { preset: vec![Preset::DockerJson], ..Multiline::default() };
    assert_eq!(settings.container(), Some(Container::DockerJson));
    assert_eq!(Multiline::default().container(), None);
}
