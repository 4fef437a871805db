//! Lanes under pressure: no budget, few descriptors, files that vanish meanwhile.

use super::*;

/// How many of the process's descriptors lead into `dir`.
fn open_in(dir: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("procfs").flatten();
    descriptors.filter(|entry| fs::read_link(entry.path()).is_ok_and(|leads| leads.starts_with(dir))).count()
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

impl Bench {
    /// Takes all of the budget, so that nothing can be read.
    async fn starve(&self) -> crate::record::Permit {
        self.budget.take(self.budget.bytes_max()).await
    }

    /// Takes events until so many streams ended.
    async fn ended_until(&mut self, count: usize) {
        while self.ended.len() < count {
            let event = timeout(Duration::from_secs(20), self.events.recv()).await.expect("it ends");
            self.note(event.expect("the reader runs"));
        }
    }
}

with_both_backends! {
    async fn files_renamed_and_deleted_while_nothing_can_be_read_are_read_afterwards(dir, bench) {
        bench.settings.rescan = Duration::from_secs(60);
        bench.start("*.log");
        let nothing = bench.starve().await;
        let all: Vec<String> = (0..20).map(|file| format!("{file:02}")).collect();
        for name in &all {
            append(&dir.join(format!("{name}.log")), lines(name, 0..50));
        }
        let path = dir.to_owned();
        eventually("all files are open", || open_in(&path) == all.len()).await;
        for name in &all {
            let path = dir.join(format!("{name}.log"));
            fs::rename(&path, dir.join(format!("{name}.old"))).expect("renamed");
            append(&path, lines(&format!("new {name}"), 0..3));
        }
        eventually("their successors too", || open_in(&path) == 2 * all.len()).await;
        for name in &all {
            fs::remove_file(dir.join(format!("{name}.old"))).expect("deleted");
        }
        // Longer than a deleted file that was read to its end is held.
        tokio::time::sleep(bench.settings.deleted_quiet * 2).await;
        assert_eq!(bench.bytes(), 0, "nothing could be read");
        drop(nothing);
        let mut expected: Vec<String> = all.iter().map(|name| lines(name, 0..50)).collect();
        expected.extend(all.iter().map(|name| lines(&format!("new {name}"), 0..3)));
        bench.read_until(expected.iter().map(String::len).sum()).await;
        expected.sort();
        assert_eq!(bench.texts(), expected);
        bench.ended_until(all.len()).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_lane_whose_blocks_nobody_takes_still_opens_what_is_written(dir, bench) {
        bench.settings.lanes = 1;
        bench.budget = Budget::new(64 * 1024 * 1024);
        bench.start("*.log");
        // More events than the channel holds, so that turns wait in the middle.
        for file in 0..30 {
            append(&dir.join(format!("{file:02}.log")), lines("a", 0..2));
        }
        let path = dir.to_owned();
        eventually("all files are open", || open_in(&path) == 30).await;
        append(&dir.join("late.log"), lines("late", 0..2));
        eventually("the late one too", || open_in(&path) == 31).await;
        fs::remove_file(dir.join("late.log")).expect("deleted");
        bench.read_until(30 * lines("a", 0..2).len() + lines("late", 0..2).len()).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn no_more_files_are_open_than_allowed_and_all_are_read(dir, bench) {
        (bench.settings.lanes, bench.settings.open_files_max) = (1, 4);
        let all: Vec<String> = (0..60).map(|file| format!("{file:02}")).collect();
        for name in &all {
            append(&dir.join(format!("{name}.log")), lines(name, 0..40));
        }
        bench.start("*.log");
        let nothing = bench.starve().await;
        let path = dir.to_owned();
        eventually("as many as allowed are open", || open_in(&path) == 4).await;
        drop(nothing);
        let mut bytes: usize = all.iter().map(|name| lines(name, 0..40).len()).sum();
        bench.read_until(bytes).await;
        assert!(open_in(dir) <= 4);
        for name in &all {
            append(&dir.join(format!("{name}.log")), lines(name, 40..60));
            bytes += lines(name, 40..60).len();
        }
        bench.read_until(bytes).await;
        assert!(open_in(dir) <= 4);
        assert_eq!(bench.texts(), all.iter().map(|name| lines(name, 0..60)).collect::<Vec<_>>());
        eventually("idle files are closed", || open_in(&path) == 0).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_deleted_file_that_cannot_be_read_is_let_go_after_the_grace(dir, bench) {
        bench.settings.deleted_grace = Duration::from_millis(700);
        let path = dir.join("app.log");
        append(&path, lines("one", 0..10));
        bench.start("*.log");
        let read = lines("one", 0..10).len();
        bench.read_until(read).await;
        let nothing = bench.starve().await;
        append(&path, lines("one", 10..20));
        let inside = dir.to_owned();
        eventually("it is open", || open_in(&inside) == 1).await;
        fs::remove_file(&path).expect("deleted");
        bench.ended_until(1).await;
        assert_eq!(open_in(dir), 0, "its space is free");
        drop(nothing);
        append(&path, lines("two", 0..10));
        bench.read_until(read + lines("two", 0..10).len()).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_deleted_file_is_let_go_at_once_when_its_disk_is_full(dir, bench) {
        bench.settings.free_space_min = u64::MAX;
        let path = dir.join("app.log");
        append(&path, lines("one", 0..10));
        append(&dir.join("kept.log"), lines("kept", 0..10));
        bench.start("*.log");
        let read = lines("one", 0..10).len() + lines("kept", 0..10).len();
        bench.read_until(read).await;
        let nothing = bench.starve().await;
        append(&path, lines("one", 10..20));
        append(&dir.join("kept.log"), lines("kept", 10..20));
        let inside = dir.to_owned();
        eventually("both are open", || open_in(&inside) == 2).await;
        fs::remove_file(&path).expect("deleted");
        bench.ended_until(1).await;
        assert_eq!(open_in(dir), 1, "the one that has its name still is kept");
        drop(nothing);
        bench.read_until(read + lines("kept", 10..20).len()).await;
        bench.stop().await;
    }
}
