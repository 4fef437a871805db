//! Compressed files among the others.

use flate2::{Compression as Level, write::GzEncoder};

use super::*;
use crate::reader::{
    Compression,
    inflate::{Packing, Unpack},
};

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(text.as_ref()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstandard(text: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(text.as_ref(), 1).expect("memory takes it")
}

/// How many bytes of whole lines can be read of what there is of a compressed file.
fn whole_lines(file: &[u8]) -> usize {
    let mut unpack = Unpack::new(Packing::of(file).expect("it is compressed")).expect("memory");
    let mut text = Vec::new();
    unpack.feed(file.to_vec());
    unpack.unpack(&mut text, 10 << 20);
    crate::splitter::whole_lines(&text)
}

with_both_backends! {
    async fn compressed_files_are_read_as_their_text_and_go_on_where_that_stopped(dir, bench) {
        let (gz, zst) = (lines("gz", 0..3000), lines("zst", 0..3000));
        append(&dir.join("a.log.1"), gzip(&gz));
        append(&dir.join("b.log.1"), zstandard(&zst));
        bench.start("*");
        bench.read_until(gz.len() + zst.len()).await;
        assert_eq!(bench.texts(), [gz.clone(), zst.clone()]);
        // Another member is more text of the same stream, whether someone is there to see it or not.
        append(&dir.join("a.log.1"), gzip(lines("gz", 3000..3100)));
        bench.read_until(lines("gz", 0..3100).len() + zst.len()).await;
        bench.stop().await;
        for checkpoint in bench.streams.values() {
            let size = checkpoint.path.metadata().expect("there").len();
            assert!(checkpoint.is_end(size), "it need not be unpacked again: {checkpoint:?}");
        }
        append(&dir.join("b.log.1"), zstandard(lines("zst", 3000..3100)));
        bench.start("*");
        let expected = [lines("gz", 0..3100), lines("zst", 0..3100)];
        bench.read_until(expected.iter().map(String::len).sum()).await;
        bench.stop().await;
        assert_eq!(bench.texts(), expected);
        assert!(bench.parts.is_empty() && bench.text.len() == 2);
    }
}

with_both_backends! {
    async fn a_compressed_file_that_is_still_written_is_read_as_far_as_it_is_there(dir, bench) {
        let text = lines("a", 0..20_000);
        let file = gzip(&text);
        let path = dir.join("a.log.1");
        append(&path, b"");
        bench.start("*");
        let mut written = 0;
        for part in [3, 5, 2] {
            let end = written + file.len() * part / 10;
            append(&path, &file[written..end]);
            written = end;
            bench.read_until(whole_lines(&file[..written])).await;
        }
        append(&path, &file[written..]);
        bench.read_until(text.len()).await;
        bench.stop().await;
        assert_eq!(bench.texts(), [text]);
        assert!(bench.parts.is_empty(), "no line was cut because its end was late");
    }
}

with_both_backends! {
    async fn a_half_read_compressed_file_goes_on_at_the_same_text_after_a_restart(dir, bench) {
        for (name, file) in [("a.log.1", gzip(lines("a", 0..20_000))), ("b.log.1", zstandard(lines("a", 0..20_000)))] {
            let half = file.len() / 2;
            append(&dir.join(name), &file[..half]);
            bench.start(name);
            bench.read_until(whole_lines(&file[..half])).await;
            bench.stop().await;
            append(&dir.join(name), &file[half..]);
            bench.start(name);
            bench.read_until(lines("a", 0..20_000).len()).await;
            bench.stop().await;
            assert_eq!(bench.texts(), [lines("a", 0..20_000)]);
            bench.text.clear();
            bench.streams.clear();
        }
    }
}

with_both_backends! {
    async fn a_damaged_compressed_file_yields_what_stands_before_and_is_left(dir, bench) {
        let (one, two) = (lines("one", 0..100), lines("two", 0..100));
        append(&dir.join("a.log.1"), [gzip(&one), b"this is no member".to_vec(), gzip(&two)].concat());
        append(&dir.join("b.log.1"), [gzip(&two), b"nor this".to_vec()].concat());
        bench.start("*");
        bench.read_until(one.len() + two.len()).await;
        append(&dir.join("c.log"), &one);
        bench.read_until(2 * one.len() + two.len()).await;
        bench.stop().await;
        assert_eq!(bench.texts(), [one.clone(), one, two]);
    }
}

with_both_backends! {
    async fn any_number_of_compressed_files_is_read_few_at_a_time(dir, bench) {
        let expected: Vec<String> = (10..22).map(|file| lines(&format!("{file}"), 0..2000)).collect();
        for (file, text) in expected.iter().enumerate() {
            append(&dir.join(format!("{file}.log.1")), gzip(text));
        }
        bench.settings.lanes = 1;
        bench.start("*");
        bench.read_until(expected.iter().map(String::len).sum()).await;
        bench.stop().await;
        assert_eq!(bench.texts(), expected);
    }
}

with_both_backends! {
    async fn long_and_unended_lines_of_compressed_files_go_out_as_those_of_others(dir, bench) {
        let mut text = lines("short", 0..500);
        text.push_str(&"y".repeat(20_000));
        text.push_str("\nafter\n");
        text.push_str(&"no newline".repeat(600));
        append(&dir.join("a.log.1"), gzip(&text));
        bench.start("*");
        bench.read_until(text.len()).await;
        use Part::{First, Last, Middle};
        assert_eq!(bench.parts, [(First, 8192), (Middle, 8192), (Last, 20_001 - 2 * 8192), (First, 6000)]);
        bench.stop().await;
        assert_eq!(bench.texts(), [text]);
    }
}

with_both_backends! {
    async fn a_compressed_file_written_anew_is_a_new_generation(dir, bench) {
        let (one, two) = (lines("one", 0..1000), lines("two", 0..50));
        append(&dir.join("a.log.1"), gzip(&one));
        bench.start("*");
        bench.read_until(one.len()).await;
        fs::write(dir.join("a.log.1"), gzip(&two)).expect("written");
        bench.read_until(one.len() + two.len()).await;
        bench.stop().await;
        fs::write(dir.join("a.log.1"), gzip(lines("three", 0..2000))).expect("written");
        bench.start("*");
        bench.read_until(one.len() + two.len() + lines("three", 0..2000).len()).await;
        bench.stop().await;
        assert_eq!(bench.streams.keys().map(|stream| stream.generation).max(), Some(2));
    }
}

with_both_backends! {
    async fn where_it_is_not_wanted_nothing_is_unpacked(dir, bench) {
        let file = gzip(lines("a", 0..1000));
        append(&dir.join("a.log.1"), &file);
        bench.compression = Compression::None;
        bench.start("*");
        bench.read_until(file.len()).await;
        bench.stop().await;
        assert_eq!(bench.text.values().next(), Some(&file));
    }
}
