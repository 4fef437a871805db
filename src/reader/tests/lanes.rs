//! Lanes under pressure: no budget, few descriptors, files that vanish meanwhile.

use super::*;

/// How many of the process's descriptors lead into `dir`.
fn open_in(dir: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("procfs").flatten();
    descriptors.filter(|entry| fs::read_link(entry.path()).is_ok_and(|leads| leads.starts_with(dir))).count()
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

impl Bench {
    /// Starts with tasks of the test's own.
    fn start_tasks(&mut self, tasks: &[Task]) {
        let (sender, receiver) = mpsc::channel(8);
        let started =
            Reader::start(self.settings.clone(), tasks, Vec::new(), 42, &self.budget, &Tallies::default(), sender);
        self.reader = Some(started.expect("the reader starts"));
        self.events = receiver;
    }

    /// Takes one event; the path and the text if it is a block.
    async fn next_block(&mut self) -> Option<(String, usize)> {
        let event = timeout(Duration::from_secs(20), self.events.recv()).await.expect("an event");
        let event = event.expect("the reader runs");
        let block = match &event {
            Event::Block(block) => {
                let name = block.origin.path.file_stem().expect("a name").to_string_lossy().into_owned();
                Some((name, block.text.len()))
            }
            _ => None,
        };
        self.note(event);
        block
    }
}

fn task(dir: &Path, name: &str) -> Task {
    Task::new(name, vec![dir.join(format!("{name}*.log")).to_string_lossy().into_owned()])
}

with_both_backends! {
    async fn a_task_with_a_rate_waits_and_others_do_not(dir, bench) {
        append(&dir.join("slow.log"), lines("slow", 0..2000));
        append(&dir.join("fast.log"), lines("fast", 0..8000));
        let slow = Task { rate: Some(1), ..task(dir, "slow") };
        bench.settings.lanes = 1;
        bench.start_tasks(&[slow, task(dir, "fast")]);
        let (mut fast, mut slow) = (0, 0);
        while fast < lines("fast", 0..8000).len() {
            match bench.next_block().await {
                Some((name, bytes)) if name == "fast" => fast += bytes,
                Some((_, bytes)) => slow += bytes,
                None => (),
            }
        }
        assert!(slow <= bench.settings.block_bytes * 2, "{slow} bytes are more than a burst");
        // What is written while a file waits comes no sooner, and nothing of it is lost when there is no rate.
        append(&dir.join("slow.log"), lines("slow", 2000..2100));
        bench.stop().await;
        bench.start("slow.log");
        bench.read_until(lines("fast", 0..8000).len() + lines("slow", 0..2100).len()).await;
        assert_eq!(bench.texts(), [lines("fast", 0..8000), lines("slow", 0..2100)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn the_rate_of_the_agent_is_shared_by_its_lanes(dir, bench) {
        for file in 0..8 {
            append(&dir.join(format!("{file}.log")), lines("x", 0..2000));
        }
        bench.settings.rate = Some(1);
        bench.start("*.log");
        let mut bytes = 0;
        while let Ok(event) = timeout(Duration::from_millis(1500), bench.events.recv()).await {
            bench.note(event.expect("the reader runs"));
            bytes = bench.bytes();
        }
        assert!((1..=bench.settings.block_bytes * 2).contains(&bytes), "{bytes} bytes are no burst");
        bench.stop().await;
    }
}

with_both_backends! {
    async fn the_oldest_file_is_read_to_its_end_first(dir, bench) {
        let day = Duration::from_secs(24 * 3600);
        let now = std::time::SystemTime::now();
        for (name, age) in [("b", 3), ("a", 2), ("d", 1), ("c", 4)] {
            let path = dir.join(format!("app-{name}.log"));
            append(&path, lines(name, 0..1000));
            File::options().write(true).open(&path).expect("opened").set_modified(now - day * age).expect("aged");
        }
        bench.start_tasks(&[Task { oldest_first: true, ..task(dir, "app") }]);
        let total: usize = ["a", "b", "c", "d"].iter().map(|name| lines(name, 0..1000).len()).sum();
        let mut order: Vec<String> = Vec::new();
        while bench.bytes() < total {
            if let Some((name, _)) = bench.next_block().await
                && order.last() != Some(&name)
            {
                order.push(name);
            }
        }
        // The first file that was found may have had one turn before older ones were found.
        if order.len() > 4 {
            order.remove(0);
        }
        assert_eq!(order, ["app-c", "app-b", "app-a", "app-d"]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_hot_file_does_not_starve_hundreds(dir, bench) {
        (bench.settings.lanes, bench.budget) = (1, Budget::new(1024 * 1024));
        append(&dir.join("0-hot.log"), lines("hot", 0..60_000));
        for file in 0..300 {
            append(&dir.join(format!("{file:03}.log")), lines("cold", 0..3));
        }
        bench.start("*.log");
        let (mut hot, mut cold) = (0, 0);
        while cold < 300 * lines("cold", 0..3).len() {
            match bench.next_block().await {
                Some((name, bytes)) if name == "0-hot" => hot += bytes,
                Some((_, bytes)) => cold += bytes,
                None => (),
            }
        }
        let all = lines("hot", 0..60_000).len();
        assert!(hot < all / 2, "{hot} bytes of {all} came before the others");
        bench.read_until(all + cold).await;
        bench.stop().await;
    }
}

with_both_backends! {
    async fn each_file_is_told_by_its_state_and_how_far_reading_is_behind(dir, bench) {
        (bench.settings.lanes, bench.settings.open_files_max) = (1, 3);
        let one = lines("x", 0..50);
        bench.start("*.log");
        let nothing = bench.starve().await;
        for name in ["a", "b", "c", "d"] {
            append(&dir.join(format!("{name}.log")), &one);
        }
        let now = |bench: &Bench| {
            let status = bench.reader.as_ref().expect("it runs").status();
            status.get("t").copied().unwrap_or_default()
        };
        eventually("three are open and one waits", || (now(bench).open, now(bench).waiting) == (3, 1)).await;
        let held = ["a", "b", "c", "d"].into_iter().find(|name| {
            let path = dir.join(format!("{name}.log"));
            let descriptors = fs::read_dir("/proc/self/fd").expect("procfs").flatten();
            descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|leads| leads == path)
        });
        let held = dir.join(format!("{}.log", held.expect("three of them")));
        fs::rename(&held, dir.join("old.log")).expect("renamed");
        eventually("the renamed one is drained", || now(bench).draining == 1).await;
        assert!(now(bench).unread_bytes >= 3 * one.len() as u64 && now(bench).oldest_unread.is_some());
        drop(nothing);
        bench.read_until(4 * one.len()).await;
        eventually("all is read", || {
            let status = now(bench);
            (status.idle, status.open, status.unread_bytes, status.oldest_unread) == (4, 0, 0, None)
        })
        .await;
        fs::remove_file(dir.join("old.log")).expect("deleted");
        eventually("the deleted one is forgotten", || now(bench).idle == 3).await;
        bench.stop().await;
    }
}
