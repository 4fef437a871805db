//! The reader on real files, with both backends: what comes out is what was written.

mod model; // random sequences of everything

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use super::{Compression, Event, Io, Multiline, Reader, Settings, StartAt, Tallies, Task};
use crate::record::{Block, Budget, Charset, Checkpoint, Part, Stream, TailMark};

/// A reader, and everything that it said, checked as it comes.
struct Bench {
    reader: Option<Reader>,
    events: mpsc::Receiver<Event>,
    budget: Budget,
    dir: PathBuf,
    settings: Settings,
    start_at: StartAt,
    ignore_older: Option<Duration>,
    compression: Compression,
    charset: Charset,
    multiline: Option<Multiline>,
    streams: HashMap<Stream, Checkpoint>,
    /// Where what was read of a stream begins.
    begins: HashMap<Stream, u64>,
    text: HashMap<Stream, Vec<u8>>,
    parts: Vec<(Part, usize)>,
    opened: Vec<Stream>,
    ended: Vec<Stream>,
    resting: HashMap<Stream, u64>,
    dismissed: Vec<Arc<str>>,
}

impl Bench {
    fn new(dir: &Path, io: Io) -> Self {
        let settings = Settings {
            io,
            lanes: 2,
            rescan: Duration::from_millis(300),
            block_bytes: 4096,
            line_bytes_max: 8192,
            idle_flush: Duration::from_secs(1),
            close_after: Duration::from_millis(600),
            deleted_quiet: Duration::from_millis(600),
            copy_wait: Duration::from_millis(1500),
            ..Settings::default()
        };
        Self {
            reader: None,
            events: mpsc::channel(1).1,
            budget: Budget::new(256 * 1024),
            dir: dir.to_owned(),
            settings,
            start_at: StartAt::Beginning,
            ignore_older: None,
            compression: Compression::Auto,
            charset: Charset::UTF_8,
            multiline: None,
            streams: HashMap::new(),
            begins: HashMap::new(),
            text: HashMap::new(),
            parts: Vec::new(),
            opened: Vec::new(),
            ended: Vec::new(),
            resting: HashMap::new(),
            dismissed: Vec::new(),
        }
    }

    fn start(&mut self, pattern: &str) {
        self.resting.clear();
        let paths = vec![self.dir.join(pattern).to_string_lossy().into_owned()];
        let exclude = vec!["*.gz".to_owned()];
        let (start_at, ignore_older, compression) = (self.start_at, self.ignore_older, self.compression);
        let (charset, multiline) = (self.charset, self.multiline.clone());
        let task = Task { exclude, start_at, ignore_older, compression, charset, multiline, ..Task::new("t", paths) };
        self.opened.clear();
        let (sender, receiver) = mpsc::channel(8);
        let known = self.streams.values().cloned().collect();
        let started =
            Reader::start(self.settings.clone(), &[task], known, 42, &self.budget, &Tallies::default(), sender);
        self.reader = Some(started.expect("the reader starts"));
        self.events = receiver;
    }

    /// Stops, as at shutdown: what was read is taken, and the checkpoints stand where the text ends.
    async fn stop(&mut self) {
        let reader = self.reader.take().expect("it runs");
        let stopped = tokio::spawn(reader.stop());
        while let Some(event) = self.events.recv().await {
            self.note(event);
        }
        stopped.await.expect("stopped");
        assert_eq!(self.budget.in_flight(), 0, "every share of the budget was given back");
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Opened(checkpoint) => {
                let begin = *self.begins.entry(checkpoint.stream).or_insert(checkpoint.offset);
                let text = self.text.entry(checkpoint.stream).or_default();
                assert_eq!(begin + text.len() as u64, checkpoint.offset, "a stream goes on where it ended");
                self.opened.push(checkpoint.stream);
                self.resting.remove(&checkpoint.stream);
                self.streams.insert(checkpoint.stream, checkpoint);
            }
            Event::Changed(checkpoint) => {
                let known = self.streams.get_mut(&checkpoint.stream).expect("opened before it changed");
                let (offset, mark) = (known.offset, known.mark);
                *known = Checkpoint { offset, mark, ..checkpoint };
            }
            Event::Ended(stream) => {
                self.ended.push(stream);
                // As the store does with what is finished.
                if self.streams.keys().any(|newer| newer.file == stream.file && newer.generation > stream.generation) {
                    self.streams.remove(&stream);
                }
            }
            Event::Forgotten(stream) => drop(self.streams.remove(&stream)),
            Event::Cut(stream, cut) => {
                let known = self.streams.get_mut(&stream).expect("opened before it was cut");
                known.cuts.push(cut.at());
            }
            Event::Rested(stream) => {
                let known = self.streams.get(&stream).expect("opened before it rests");
                assert!(self.resting.insert(stream, known.offset).is_none(), "it rests once");
            }
            Event::Resumed(checkpoint) => {
                assert_eq!(self.resting.remove(&checkpoint.stream), Some(checkpoint.offset), "it goes on where it was");
            }
            Event::Block(block) => self.take(&block),
            Event::Dismissed(task) => self.dismissed.push(task),
        }
    }

    fn take(&mut self, block: &Block) {
        let known = self.streams.get_mut(&block.origin.stream).expect("opened before its first block");
        assert_eq!(block.offset, known.offset, "blocks are adjacent");
        assert!(!self.resting.contains_key(&block.origin.stream), "nothing comes of what rests");
        assert_eq!(block.text.ends_with(b"\n"), matches!(block.part, Part::Whole | Part::Last));
        known.offset += block.text.len() as u64;
        known.mark = TailMark::behind(&block.text);
        known.updated_ms = jiff::Timestamp::now().as_millisecond();
        if block.part != Part::Whole {
            self.parts.push((block.part, block.text.len()));
        }
        self.text.get_mut(&block.origin.stream).expect("opened").extend_from_slice(&block.text);
    }

    /// Takes events until all that was read, of all streams, is so many bytes; and no more for a while.
    async fn read_until(&mut self, bytes: usize) {
        while self.bytes() < bytes {
            let event = timeout(Duration::from_secs(20), self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("{} of {bytes} bytes came", self.bytes()));
            self.note(event.expect("the reader runs"));
        }
        assert_eq!(self.bytes(), bytes);
    }

    /// Takes events until something is so.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            let event = timeout(Duration::from_secs(20), self.events.recv()).await.expect("it comes to be so");
            self.note(event.expect("the reader runs"));
        }
    }

    fn bytes(&self) -> usize {
        self.text.values().map(Vec::len).sum()
    }

    /// The texts of all streams, sorted.
    fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> =
            self.text.values().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        texts.sort();
        texts
    }
}

fn lines(name: &str, range: std::ops::Range<usize>) -> String {
    range.map(|number| format!("{name} {number} {}\n", "x".repeat(number % 97))).collect()
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("opened");
    file.write_all(text.as_ref()).expect("written");
}

/// Waits until `settled` holds.
async fn eventually(what: &str, mut settled: impl FnMut() -> bool) {
    for _ in 0..400 {
        if settled() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within 10 s: {what}");
}

/// Runs a test with each backend.
macro_rules! with_both_backends {
    ($(#[$meta:meta])* async fn $name:ident($dir:ident, $bench:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn body($dir: &Path, $bench: &mut Bench) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn with_uring() {
                let dir = tempfile::tempdir().expect("a directory");
                body(dir.path(), &mut Bench::new(dir.path(), Io::Uring)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn with_pread() {
                let dir = tempfile::tempdir().expect("a directory");
                body(dir.path(), &mut Bench::new(dir.path(), Io::Pread)).await;
            }
        }
    };
}

mod cuts;
mod fleet;
mod forms;
mod packed;

with_both_backends! {
    async fn files_that_are_there_grow_and_appear_are_read_to_the_byte(dir, bench) {
        append(&dir.join("a.log"), lines("a", 0..3000));
        append(&dir.join("ignored.gz"), lines("no", 0..10));
        append(&dir.join("empty.log"), "");
        bench.start("**/*");
        let a = lines("a", 0..3000);
        bench.read_until(a.len()).await;
        fs::create_dir_all(dir.join("deep/er")).expect("made");
        append(&dir.join("deep/er/b.log"), lines("b", 0..500));
        append(&dir.join("a.log"), lines("a", 3000..3100));
        append(&dir.join("empty.log"), lines("e", 0..1));
        let expected = [lines("a", 0..3100), lines("b", 0..500), lines("e", 0..1)];
        bench.read_until(expected.iter().map(String::len).sum()).await;
        assert_eq!(bench.texts(), expected);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn reading_goes_on_where_it_stopped_and_idle_files_are_not_opened(dir, bench) {
        append(&dir.join("a.log"), lines("a", 0..100));
        append(&dir.join("idle.log"), lines("i", 0..100));
        bench.start("*.log");
        let first = lines("a", 0..100).len() + lines("i", 0..100).len();
        bench.read_until(first).await;
        bench.stop().await;
        append(&dir.join("a.log"), lines("a", 100..200));
        // A file that was moved while nobody looked keeps its identity.
        fs::rename(dir.join("a.log"), dir.join("b.log")).expect("renamed");
        let known = bench.streams.clone();
        bench.start("*.log");
        let more = lines("a", 100..200);
        bench.read_until(first + more.len()).await;
        assert_eq!(bench.texts(), [lines("a", 0..200), lines("i", 0..100)]);
        assert_eq!(bench.opened.len(), 1, "only the file that grew was opened");
        assert!(known.contains_key(&bench.opened[0]));
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_renamed_file_is_read_on_and_its_successor_from_the_beginning(dir, bench) {
        let path = dir.join("app.log");
        append(&path, lines("one", 0..100));
        bench.start("*.log");
        let mut expected = lines("one", 0..100).len();
        bench.read_until(expected).await;
        // The writer still holds the old file after the rename, as programs do until they are told.
        let mut old = OpenOptions::new().append(true).open(&path).expect("opened");
        fs::rename(&path, dir.join("app.log.1")).expect("renamed");
        append(&path, lines("two", 0..100));
        old.write_all(lines("one", 100..200).as_bytes()).expect("written");
        expected = lines("one", 0..200).len() + lines("two", 0..100).len();
        bench.read_until(expected).await;
        assert_eq!(bench.texts(), [lines("one", 0..200), lines("two", 0..100)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_truncated_and_rewritten_longer_is_a_new_generation(dir, bench) {
        let path = dir.join("app.log");
        append(&path, lines("one", 0..10));
        bench.start("*.log");
        let before = lines("one", 0..10);
        bench.read_until(before.len()).await;
        let mut file = File::create(&path).expect("truncated");
        file.write_all(lines("two", 0..1000).as_bytes()).expect("written");
        bench.read_until(before.len() + lines("two", 0..1000).len()).await;
        assert_eq!(bench.texts(), [before, lines("two", 0..1000)]);
        bench.until(|bench| bench.ended.len() == 1).await;
        assert_eq!(bench.streams.keys().map(|stream| stream.generation).collect::<Vec<_>>(), [1]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_rewritten_while_stopped_is_a_new_generation(dir, bench) {
        let path = dir.join("app.log");
        append(&path, lines("one", 0..10));
        bench.start("*.log");
        bench.read_until(lines("one", 0..10).len()).await;
        bench.stop().await;
        File::create(&path).expect("truncated").write_all(lines("two", 0..50).as_bytes()).expect("written");
        bench.start("*.log");
        bench.read_until(lines("one", 0..10).len() + lines("two", 0..50).len()).await;
        bench.until(|bench| bench.ended.len() == 1).await;
        assert_eq!(bench.streams.keys().map(|stream| stream.generation).collect::<Vec<_>>(), [1]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_deleted_file_is_read_to_its_end_and_then_ended(dir, bench) {
        let path = dir.join("app.log");
        append(&path, lines("one", 0..10));
        bench.start("*.log");
        bench.read_until(lines("one", 0..10).len()).await;
        append(&path, lines("one", 10..2000));
        fs::remove_file(&path).expect("deleted");
        bench.read_until(lines("one", 0..2000).len()).await;
        bench.until(|bench| !bench.ended.is_empty()).await;
        append(&path, lines("two", 0..10));
        bench.read_until(lines("one", 0..2000).len() + lines("two", 0..10).len()).await;
        assert_eq!(bench.texts(), [lines("one", 0..2000), lines("two", 0..10)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn an_unended_line_longer_than_a_turn_is_for_goes_out_as_well(dir, bench) {
        append(&dir.join("app.log"), [&b"short\n"[..], &[b'y'; 6000]].concat());
        bench.start("*.log");
        bench.read_until(6006).await;
        assert_eq!(bench.parts, [(Part::First, 6000)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn over_long_and_unended_lines_go_out_in_marked_parts(dir, bench) {
        let path = dir.join("app.log");
        let mut text = lines("short", 0..5).into_bytes();
        text.extend_from_slice(&[b'y'; 20_000]);
        text.extend_from_slice(b"\nafter\nno newline");
        append(&path, &text);
        bench.start("*.log");
        bench.read_until(text.len()).await;
        use Part::{First, Last, Middle};
        assert_eq!(bench.parts, [(First, 8192), (Middle, 8192), (Last, 20_001 - 2 * 8192), (First, 10)]);
        append(&path, " goes on\nnext\n");
        text.extend_from_slice(b" goes on\nnext\n");
        bench.read_until(text.len()).await;
        assert_eq!(bench.parts.last(), Some(&(Last, 9)));
        bench.stop().await;
        append(&path, "more\n");
        bench.start("*.log");
        bench.read_until(text.len() + 5).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn odd_names_odd_bytes_links_and_things_that_are_no_files_do_no_harm(dir, bench) {
        let odd = dir.join(std::ffi::OsStr::from_bytes(b"odd-\xff\xfe.log"));
        let bytes = b"nul \0 and broken \xc3\x28 utf-8\r\n\n\xff\xfe\n";
        append(&odd, bytes);
        std::os::unix::fs::symlink(&odd, dir.join("link.log")).expect("linked");
        fs::hard_link(&odd, dir.join("hard.log")).expect("linked");
        std::os::unix::fs::symlink(dir, dir.join("circle")).expect("linked");
        fs::create_dir(dir.join("directory.log")).expect("made");
        append(&dir.join("later.log"), "was unreadable\n");
        fs::set_permissions(dir.join("later.log"), fs::Permissions::from_mode(0o000)).expect("set");
        bench.start("**/*.log");
        bench.read_until(bytes.len() + 15).await;
        append(&odd, b"more\n");
        bench.read_until(bytes.len() + 20).await;
        assert_eq!(bench.text.len(), 2, "one file under three names is one stream");
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_never_seen_can_be_begun_at_its_end(dir, bench) {
        append(&dir.join("old.log"), lines("old", 0..100));
        bench.start_at = StartAt::End;
        bench.start("*.log");
        let opened = timeout(Duration::from_secs(20), bench.events.recv()).await.expect("in time").expect("runs");
        assert!(matches!(&opened, Event::Opened(checkpoint) if checkpoint.offset > 0), "{opened:?}");
        let Event::Opened(checkpoint) = opened else { unreachable!("it was just looked at") };
        bench.text.insert(checkpoint.stream, vec![]);
        bench.streams.insert(checkpoint.stream, checkpoint);
        append(&dir.join("new.log"), "new\n");
        append(&dir.join("old.log"), "more\n");
        bench.read_until(9).await;
        assert_eq!(bench.texts(), ["more\n", "new\n"]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn reading_waits_for_the_budget_and_drops_nothing(dir, bench) {
        for file in 0..20 {
            append(&dir.join(format!("{file:02}.log")), lines(&format!("{file:02}"), 0..2000));
        }
        bench.budget = Budget::new(16 * 1024);
        bench.start("*.log");
        let expected: Vec<String> = (0..20).map(|file| lines(&format!("{file:02}"), 0..2000)).collect();
        let total: usize = expected.iter().map(String::len).sum();
        let mut held = Vec::new();
        while bench.bytes() < total {
            match timeout(Duration::from_millis(50), bench.events.recv()).await {
                Ok(Some(Event::Block(block))) => {
                    bench.take(&block);
                    held.push(block);
                    assert!(bench.budget.in_flight() <= bench.budget.bytes_max());
                }
                Ok(event) => bench.note(event.expect("the reader runs")),
                // Nothing comes while everything is held: what is held becomes safe.
                Err(_) => held.clear(),
            }
        }
        drop(held);
        assert_eq!(bench.texts(), expected);
        bench.stop().await;
    }
}

mod lanes;
mod rotation;
