//! Tasks that begin and end while a reader runs.

use super::*;

impl Bench {
    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("it runs")
    }

    fn begin(&self, name: &str, pattern: &str) {
        self.reader().begin(&self.task(name, pattern)).expect("it begins");
    }

    /// A task as a person adds it.
    fn task(&self, name: &str, pattern: &str) -> Task {
        let paths = vec![self.dir.join(pattern).to_string_lossy().into_owned()];
        Task { start_at: self.start_at, ..Task::new(name, paths) }
    }

    /// Ends a task, and takes events until it has ended.
    async fn end(&mut self, name: &str) {
        self.dismissed.clear();
        self.reader().dismiss(&name.into());
        self.until(|bench| bench.dismissed.iter().any(|task| **task == *name)).await;
    }
}

with_both_backends! {
    async fn a_task_that_ended_goes_on_where_it_stopped_and_others_do_not_notice(dir, bench) {
        append(&dir.join("a.log"), lines("a", 0..300));
        append(&dir.join("b.txt"), lines("b", 0..300));
        bench.start("*.log");
        bench.begin("other", "*.txt");
        bench.read_until(lines("a", 0..300).len() + lines("b", 0..300).len()).await;
        let before = bench.opened.len();
        bench.end("t").await;
        append(&dir.join("a.log"), lines("a", 300..400));
        append(&dir.join("b.txt"), lines("b", 300..400));
        append(&dir.join("new.log"), lines("n", 0..10));
        bench.read_until(lines("a", 0..300).len() + lines("b", 0..400).len()).await;
        assert_eq!(bench.opened.len(), before, "nothing else was begun");
        bench.begin("t", "*.log");
        let all = [lines("a", 0..400), lines("b", 0..400), lines("n", 0..10)];
        bench.read_until(all.iter().map(String::len).sum()).await;
        assert_eq!(bench.texts(), all);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_file_of_a_task_that_ended_goes_on_under_another_task_that_means_it(dir, bench) {
        append(&dir.join("a.log"), lines("a", 0..300));
        bench.start("*.log");
        bench.begin("also", "a.*");
        bench.read_until(lines("a", 0..300).len()).await;
        bench.end("t").await;
        append(&dir.join("a.log"), lines("a", 300..310));
        bench.read_until(lines("a", 0..310).len()).await;
        assert_eq!(bench.texts(), [lines("a", 0..310)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_deleted_file_is_read_to_its_end_before_its_task_ends(dir, bench) {
        append(&dir.join("a.log"), lines("a", 0..10));
        bench.start("*.log");
        bench.read_until(lines("a", 0..10).len()).await;
        let hold = bench.budget.take(bench.budget.bytes_max()).await;
        append(&dir.join("a.log"), lines("a", 10..2000));
        // It is held open from the moment that it is woken.
        eventually("it is open", || bench.reader().see(0).tasks[&Arc::from("t")].unread_bytes > 0).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::remove_file(dir.join("a.log")).expect("deleted");
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.reader().dismiss(&"t".into());
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(hold);
        bench.until(|bench| !bench.dismissed.is_empty()).await;
        assert_eq!(bench.texts(), [lines("a", 0..2000)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_task_that_begins_at_the_end_passes_over_what_was_there_before_it_and_nothing_else(dir, bench) {
        bench.start_at = StartAt::End;
        append(&dir.join("a.log"), lines("a", 0..100));
        append(&dir.join("b.txt"), lines("b", 0..100));
        bench.start("*.log");
        eventually("the first walk is over", || !bench.reader().see(0).tasks.is_empty()).await;
        bench.begin("late", "*.txt");
        eventually("the second walk is over", || bench.reader().see(0).tasks.len() == 2).await;
        append(&dir.join("b.txt"), lines("b", 100..110));
        append(&dir.join("new.txt"), lines("n", 0..10));
        bench.read_until(lines("b", 100..110).len() + lines("n", 0..10).len()).await;
        assert_eq!(bench.texts(), [String::new(), lines("b", 100..110), lines("n", 0..10)]);
        bench.stop().await;
    }
}

with_both_backends! {
    async fn a_task_that_nobody_began_has_ended_when_it_is_dismissed(dir, bench) {
        append(&dir.join("a.log"), lines("a", 0..10));
        bench.start("*.log");
        bench.end("nobody").await;
        bench.read_until(lines("a", 0..10).len()).await;
        bench.stop().await;
    }
}
