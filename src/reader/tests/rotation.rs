//! Files that are copied, emptied, renamed, compressed and made again, while they are read and while they are not.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Bench, Io, append, eventually, lines};
use crate::{
    reader::{Identity, StartAt},
    record::Head,
};

/// What `copytruncate` does.
fn copy_and_truncate(from: &Path, to: &Path) {
    fs::copy(from, to).expect("copied");
    OpenOptions::new().write(true).open(from).expect("there").set_len(0).expect("truncated");
}

fn compress(from: &Path, to: &Path) {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&fs::read(from).expect("readable")).expect("compressed");
    fs::write(to, gzip.finish().expect("compressed")).expect("written");
    fs::remove_file(from).expect("removed");
}

with_both_backends! {
    async fn a_copy_of_a_truncated_file_is_read_only_as_far_as_the_file_was_not(dir, bench) {
        let (log, copy) = (dir.join("app.log"), dir.join("app.log.1"));
        append(&log, lines("one", 0..100));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..100).len()).await;
        // More than the budget: not all of it can be read before it is gone.
        append(&log, lines("one", 100..8000));
        copy_and_truncate(&log, &copy);
        append(&log, lines("two", 0..100));
        bench.read_until(lines("one", 0..8000).len() + lines("two", 0..100).len()).await;
        append(&copy, lines("one", 8000..8100));
        append(&log, lines("two", 100..200));
        bench.read_until(lines("one", 0..8100).len() + lines("two", 0..200).len()).await;
        assert_eq!(bench.texts(), [lines("one", 0..8100), lines("two", 0..200)]);
        assert!(bench.ended.is_empty(), "the copy goes on with the stream");
        bench.stop().await;
        append(&copy, lines("one", 8100..8200));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..8200).len() + lines("two", 0..200).len()).await;
        assert_eq!(bench.texts(), [lines("one", 0..8200), lines("two", 0..200)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_copy_that_no_task_means_is_read_as_far_as_the_truncated_file_was_not(dir, bench) {
        let log = dir.join("app.log");
        fs::create_dir(dir.join("old")).expect("made");
        bench.start("app.log");
        for (name, copy) in [("one", "app.log.1"), ("two", "app-20261121.log"), ("three", "old/app.log")] {
            append(&log, lines(name, 0..6000));
            copy_and_truncate(&log, &dir.join(copy));
        }
        append(&log, lines("four", 0..10));
        let expected = [lines("four", 0..10), lines("one", 0..6000), lines("three", 0..6000), lines("two", 0..6000)];
        // What was gone before anything of it was seen is nobody's business; what was begun is read to its end.
        bench.until(|bench| bench.texts().iter().any(|text| *text == expected[0])).await;
        bench.until(|bench| bench.texts().iter().all(|text| text.is_empty() || expected.contains(text))).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn copies_that_begin_alike_are_told_apart_and_each_is_read_once(dir, bench) {
        let log = dir.join("app.log");
        let same = "the same line at the beginning of each\n".repeat(40);
        bench.start("app.log*");
        let mut total = 0;
        for round in 0..4 {
            append(&log, &same);
            append(&log, lines(&format!("round {round}"), 0..50));
            total += same.len() + lines(&format!("round {round}"), 0..50).len();
            bench.read_until(total).await;
            for number in (1..4).rev() {
                let (from, to) = (dir.join(format!("app.log.{number}")), dir.join(format!("app.log.{}", number + 1)));
                if from.exists() {
                    fs::rename(from, to).expect("renamed");
                }
            }
            copy_and_truncate(&log, &dir.join("app.log.1"));
        }
        append(&log, "the end\n");
        bench.read_until(total + 8).await;
        assert_eq!(bench.text.len(), 5);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_copy_made_while_nobody_read_is_gone_on_with(dir, bench) {
        let log = dir.join("app.log");
        append(&log, lines("one", 0..100));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..100).len()).await;
        bench.stop().await;
        append(&log, lines("one", 100..200));
        copy_and_truncate(&log, &dir.join("app.log.1"));
        append(&log, lines("two", 0..300));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..200).len() + lines("two", 0..300).len()).await;
        assert_eq!(bench.texts(), [lines("one", 0..200), lines("two", 0..300)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn an_ordinary_copy_is_a_file_of_its_own(dir, bench) {
        let log = dir.join("app.log");
        append(&log, lines("one", 0..100));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..100).len()).await;
        fs::copy(&log, dir.join("app.log.backup")).expect("copied");
        bench.read_until(2 * lines("one", 0..100).len()).await;
        append(&log, "more\n");
        bench.read_until(2 * lines("one", 0..100).len() + 5).await;
        append(&dir.join("app.log.other"), lines("other", 0..10));
        bench.read_until(2 * lines("one", 0..100).len() + 5 + lines("other", 0..10).len()).await;
        assert_eq!(bench.text.len(), 3);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn what_no_copy_holds_is_given_up_when_the_wait_is_over(dir, bench) {
        let log = dir.join("app.log");
        append(&log, lines("one", 0..100));
        bench.start("app.log");
        bench.read_until(lines("one", 0..100).len()).await;
        File::create(&log).expect("truncated");
        append(&log, "two\n");
        bench.until(|bench| bench.ended.len() == 1).await;
        bench.read_until(lines("one", 0..100).len() + 4).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_compressed_while_nobody_read_is_gone_on_with_inside(dir, bench) {
        let log = dir.join("app.log");
        append(&log, lines("one", 0..100));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..100).len()).await;
        bench.stop().await;
        append(&log, lines("one", 100..5000));
        compress(&log, &dir.join("app.log.2.gz"));
        append(&log, lines("two", 0..100));
        bench.start("app.log*");
        bench.read_until(lines("one", 0..5000).len() + lines("two", 0..100).len()).await;
        assert_eq!(bench.texts(), [lines("one", 0..5000), lines("two", 0..100)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_chain_of_rotations_that_ends_in_a_compressed_file_is_read_once(dir, bench) {
        let name = |number: usize| dir.join(format!("app.log{}", [String::new(), format!(".{number}")][number.min(1)]));
        bench.start("app.log*");
        let mut total = 0;
        for round in 0..4 {
            let text = lines(&format!("round {round}"), 0..200);
            append(&name(0), &text);
            total += text.len();
            bench.read_until(total).await;
            if name(1).exists() {
                compress(&name(1), &dir.join(format!("app.log.1-{round}.z")));
            }
            fs::rename(name(0), name(1)).expect("renamed");
        }
        append(&name(0), "the end\n");
        bench.read_until(total + 8).await;
        assert_eq!(bench.text.len(), 5);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn files_renamed_several_times_while_nobody_read_are_found_under_names_that_no_task_means(dir, bench) {
        let log = dir.join("app.log");
        append(&log, lines("one", 0..100));
        bench.start("*.log");
        bench.read_until(lines("one", 0..100).len()).await;
        bench.stop().await;
        append(&log, lines("one", 100..200));
        fs::rename(&log, dir.join("app.log.1")).expect("renamed");
        append(&log, lines("two", 0..100));
        fs::rename(dir.join("app.log.1"), dir.join("archive-2")).expect("renamed");
        fs::rename(&log, dir.join("app.log.1")).expect("renamed");
        append(&log, lines("three", 0..100));
        bench.start("*.log");
        let expected = lines("one", 0..200).len() + lines("three", 0..100).len();
        bench.read_until(expected).await;
        assert_eq!(bench.texts(), [lines("one", 0..200), lines("three", 0..100)], "the second was never seen");
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_deleted_and_made_again_is_another_file_whatever_it_holds(dir, bench) {
        let log = dir.join("app.log");
        let text = lines("same", 0..100);
        append(&log, &text);
        bench.start("*.log");
        bench.read_until(text.len()).await;
        fs::remove_file(&log).expect("removed");
        append(&log, &text);
        bench.read_until(2 * text.len()).await;
        bench.stop().await;
        fs::remove_file(&log).expect("removed");
        append(&log, &text);
        append(&log, "more\n");
        bench.start("*.log");
        bench.read_until(3 * text.len() + 5).await;
        assert_eq!(bench.text.len(), 3);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn where_inodes_say_nothing_names_and_content_do(dir, bench) {
        bench.settings.identity = Identity::Content;
        let log = dir.join("app.log");
        append(&log, lines("one", 0..100));
        append(&dir.join("other.log"), lines("other", 0..100));
        bench.start("*.log*");
        let mut total = lines("one", 0..100).len() + lines("other", 0..100).len();
        bench.read_until(total).await;
        // Renamed, with more in it, and made again.
        append(&log, lines("one", 100..200));
        fs::rename(&log, dir.join("app.log.1")).expect("renamed");
        append(&log, lines("two", 0..100));
        total += lines("one", 100..200).len() + lines("two", 0..100).len();
        bench.read_until(total).await;
        assert_eq!(bench.texts(), [lines("one", 0..200), lines("other", 0..100), lines("two", 0..100)]);
        bench.stop().await;
        // The same while nobody reads.
        append(&log, lines("two", 100..200));
        fs::rename(dir.join("app.log.1"), dir.join("app.log.2")).expect("renamed");
        fs::rename(&log, dir.join("app.log.1")).expect("renamed");
        append(&log, lines("three", 0..100));
        append(&dir.join("other.log"), "more\n");
        bench.start("*.log*");
        total += lines("two", 100..200).len() + lines("three", 0..100).len() + 5;
        bench.read_until(total).await;
        // And emptied.
        copy_and_truncate(&dir.join("other.log"), &dir.join("other.log.1"));
        append(&dir.join("other.log"), "new\n");
        bench.read_until(total + 4).await;
        assert_eq!(bench.text.len(), 5);
        assert!(bench.streams.keys().all(|stream| stream.generation > 0), "each is saved before it is sent");
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_link_that_leads_elsewhere_later_is_followed_and_each_file_read_once(dir, bench) {
        fs::create_dir(dir.join("real")).expect("made");
        let (one, two, link) = (dir.join("real/1"), dir.join("real/2"), dir.join("current.log"));
        append(&one, "one\n");
        symlink(&one, &link).expect("linked");
        bench.start("*.log");
        bench.read_until(4).await;
        append(&two, "two\n");
        symlink(&two, dir.join("next")).expect("linked");
        fs::rename(dir.join("next"), &link).expect("switched");
        bench.read_until(8).await;
        append(&one, "one again\n");
        append(&two, "two again\n");
        bench.read_until(28).await;
        assert_eq!(bench.texts(), ["one\none again\n", "two\ntwo again\n"]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn what_is_old_or_was_there_is_passed_over_up_to_a_line(dir, bench) {
        append(&dir.join("a.log"), "old\nhalf a ");
        bench.start_at = StartAt::End;
        bench.start("*.log");
        bench.until(|bench| bench.streams.len() == 1).await;
        assert_eq!(bench.streams.values().next().expect("one").offset, 4);
        append(&dir.join("a.log"), "line\n");
        bench.read_until(12).await;
        assert_eq!(bench.texts(), ["half a line\n"]);
        bench.stop().await;
        bench.start_at = StartAt::Beginning;
        bench.ignore_older = Some(Duration::from_secs(3600));
        append(&dir.join("ancient.log"), "ancient\n");
        let file = File::options().append(true).open(dir.join("ancient.log")).expect("there");
        file.set_modified(SystemTime::now() - Duration::from_secs(7200)).expect("set");
        append(&dir.join("young.log"), "young\n");
        bench.start("*.log");
        bench.read_until(18).await;
        append(&dir.join("ancient.log"), "new\n");
        bench.read_until(22).await;
        assert_eq!(bench.texts(), ["half a line\n", "new\n", "young\n"]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_that_was_read_before_and_stayed_closed_is_gone_on_with_in_its_compressed_form(dir, bench) {
        let (text, packed) = (lines("x", 0..60), dir.join("a.log.1.z"));
        append(&dir.join("a.log.1"), &text);
        bench.start("*");
        bench.read_until(text.len()).await;
        bench.stop().await;
        // A file that was written in the moment in which it was saved is opened to be sure.
        bench.streams.values_mut().for_each(|known| known.updated_ms += 1000);
        bench.start("*");
        let idle = |bench: &Bench| bench.reader.as_ref().expect("it runs").see(0).tasks.get("t").map(|status| status.idle);
        eventually("it is known and idle", || idle(bench) == Some(1)).await;
        assert!(bench.opened.is_empty());
        compress(&dir.join("a.log.1"), &packed);
        bench.until(|bench| bench.streams.values().any(|known| known.path == packed)).await;
        append(&dir.join("b.log"), "other\n");
        bench.read_until(text.len() + 6).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn the_head_of_a_file_grows_with_it_while_it_is_open(dir, bench) {
        append(&dir.join("a.log"), "");
        bench.start("*.log");
        let mut text = String::new();
        for part in [lines("x", 0..1), lines("x", 1..7), lines("x", 7..20), lines("x", 20..60), lines("x", 60..70)] {
            append(&dir.join("a.log"), &part);
            text += &part;
            bench.read_until(text.len()).await;
        }
        let known = bench.streams.values().next().expect("one").head;
        assert_eq!(known, Head::of(text.as_bytes()), "all of its first KiB");
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_that_is_gone_for_long_is_forgotten_and_one_that_is_idle_is_not(dir, bench) {
        bench.settings.forget_after = Duration::from_millis(1200);
        append(&dir.join("gone.log"), "gone\n");
        append(&dir.join("idle.log"), "idle\n");
        bench.start("*.log");
        bench.read_until(10).await;
        bench.stop().await;
        fs::remove_file(dir.join("gone.log")).expect("removed");
        bench.start("*.log");
        bench.until(|bench| bench.streams.len() == 1).await;
        append(&dir.join("idle.log"), "more\n");
        bench.read_until(15).await;
        assert_eq!(bench.streams.values().next().expect("one").path, dir.join("idle.log"));
        bench.stop().await;
    }
}
