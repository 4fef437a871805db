//! Lines that are cut because their ends come late, and an agent that dies while they go on.

use std::collections::BTreeMap;

use super::*;

/// What was sent, by identity: each whole line, and each part of one, by the stream and the offset of its first byte.
#[derive(Default)]
struct Sent(BTreeMap<(Stream, u64), Vec<u8>>);

impl Sent {
    fn take(&mut self, block: &Block) {
        let mut at = 0;
        while at < block.text.len() {
            let rest = &block.text[at..];
            let line = match block.part {
                Part::Whole => &rest[..rest.iter().position(|byte| *byte == b'\n').expect("whole lines") + 1],
                _ => rest,
            };
            let before = self.0.insert((block.origin.stream, block.offset + at as u64), line.to_vec());
            assert!(before.is_none_or(|before| before == line), "another text under the same identity");
            at += line.len();
        }
    }

    /// Every text that was sent, in order: a byte that was sent under two identities is in it twice.
    fn text(&self) -> String {
        self.0.values().map(|line| String::from_utf8_lossy(line)).collect()
    }
}

/// Takes events until so many bytes were sent in this run, and gives what the store has after each cut.
async fn run(bench: &mut Bench, sent: &mut Sent, bytes: u64) -> Vec<HashMap<Stream, Checkpoint>> {
    let mut stores = Vec::new();
    let mut read = 0;
    while read < bytes {
        let event = timeout(Duration::from_secs(20), bench.events.recv()).await.expect("more comes");
        match event.expect("the reader runs") {
            Event::Opened(checkpoint) => drop(bench.streams.insert(checkpoint.stream, checkpoint)),
            Event::Cut(stream, cut) => {
                bench.streams.get_mut(&stream).expect("opened").cuts.push(cut.at());
                stores.push(bench.streams.clone());
            }
            Event::Block(block) => {
                read += block.text.len() as u64;
                sent.take(&block);
            }
            Event::Changed(_)
            | Event::Rested(_)
            | Event::Resumed(_)
            | Event::Ended(_)
            | Event::Forgotten(_)
            | Event::Dismissed(_) => (),
        }
    }
    stores
}

async fn die(bench: &mut Bench) {
    bench.events.close();
    bench.reader.take().expect("it runs").stop().await;
}

with_both_backends! {
    async fn a_line_that_is_continued_after_a_death_is_cut_where_it_was_cut_before(dir, bench) {
        let path = dir.join("app.log");
        bench.settings.idle_flush = Duration::from_millis(100);
        append(&path, "whole\nbegins");
        let mut sent = Sent::default();
        bench.start("*.log");
        let mut stores = run(bench, &mut sent, 12).await;
        append(&path, ", goes on");
        stores.extend(run(bench, &mut sent, 9).await);
        die(bench).await;
        append(&path, " and ends\nnext\n");
        let cuts: Vec<Vec<u64>> = stores.iter().map(|store| store.values().flat_map(|known| known.cuts.clone()).collect()).collect();
        assert_eq!(cuts, [vec![12], vec![12, 21]], "each is told before what ends there");
        // Nothing was acknowledged. It died right behind the second cut, whether what ends there was sent or not.
        bench.streams = stores.pop().expect("two cuts");
        bench.start("*.log");
        assert!(run(bench, &mut sent, 36).await.is_empty(), "the cuts are known");
        assert_eq!(sent.text(), "whole\nbegins, goes on and ends\nnext\n");
        assert_eq!(sent.0.values().map(Vec::len).collect::<Vec<_>>(), [6, 6, 9, 10, 5]);
        die(bench).await;
    }
}
