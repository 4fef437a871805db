//! A process that is watched: what it said last, what it said before that, and whether it answers.

use std::{collections::HashMap, time::Instant};

use super::{change::Change, text::Scrape};
use crate::{
    inspect::{File, State},
    registry::Member,
};

/// What a process answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) at: Instant,
    pub(super) scrape: Scrape,
    /// None if it doesn't tell.
    pub(super) state: Option<State>,
}

/// A process that is watched.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// What it is called here.
    pub(super) name: String,
    /// Where it answers; none if that is not known, or not to be reached from here.
    pub(super) url: Option<String>,
    /// What it says of itself in etcd, if it was found there.
    pub(super) member: Option<Member>,
    before: Option<Answer>,
    now: Option<Answer>,
    /// Why it did not answer, if it didn't.
    pub(super) trouble: Option<String>,
}

impl Process {
    pub(super) fn new(name: String, url: Option<String>, member: Option<Member>) -> Self {
        Self { name, url, member, before: None, now: None, trouble: None }
    }

    /// Takes in what came of asking it. One that doesn't answer is shown as it was last, without rates, until it does.
    pub(super) fn took(&mut self, answer: Result<Answer, String>) {
        match answer {
            Ok(answer) => {
                self.before = if self.trouble.is_some() { None } else { self.now.take() };
                (self.now, self.trouble) = (Some(answer), None);
            }
            Err(why) => (self.before, self.trouble) = (None, Some(why)),
        }
    }

    /// What its metrics say, once it has answered.
    pub(super) fn change(&self) -> Option<Change<'_>> {
        let now = self.now.as_ref()?;
        let since = |before: &Answer| now.at.duration_since(before.at).as_secs_f64();
        let before = self.before.as_ref().map(|before| (&before.scrape, since(before)));
        Some(Change { before, now: &now.scrape })
    }

    /// What it says that it is doing, if it tells.
    pub(super) fn state(&self) -> Option<&State> {
        self.now.as_ref()?.state.as_ref()
    }

    /// How fast each file was read between the last two answers, in bytes a second, by the files' identities.
    pub(super) fn file_rates(&self) -> HashMap<&str, f64> {
        let both = self.before.as_ref().zip(self.now.as_ref());
        let Some((before, now)) = both.and_then(|(before, now)| before.state.as_ref().zip(now.state.as_ref())) else {
            return HashMap::new();
        };
        let seconds = now.time.duration_since(before.time).as_secs_f64();
        let read: HashMap<&str, u64> = files(before).map(|file| (file.id.as_str(), file.read)).collect();
        let rate = |file: &'_ File| {
            let before = *read.get(file.id.as_str())?;
            // A file that was truncated is read from its beginning.
            let grown = if before <= file.read { file.read - before } else { file.read };
            Some(grown as f64 / seconds)
        };
        files(now)
            .filter(|_| seconds > 0.0)
            .filter_map(|file| rate(file).map(|rate| (file.id.as_str(), rate)))
            .collect()
    }
}

fn files(state: &State) -> impl Iterator<Item = &File> {
    state.reading.iter().flat_map(|reading| &reading.files.each)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::{Answer, Process, Scrape, State};
    use crate::inspect::{File, Files, Reading};

    /// An answer so many seconds after `start`.
    pub(in crate::top) fn answer(start: Instant, seconds: u64, metrics: &str, files: &[(&str, u64, u64)]) -> Answer {
        let file = |(path, size, read): &(&str, u64, u64)| File {
            id: (*path).to_owned(),
            path: (*path).to_owned(),
            task: "app".to_owned(),
            size: *size,
            read: *read,
            unread_bytes: size - read,
            ..File::default()
        };
        let each: Vec<File> = files.iter().map(file).collect();
        let reading = Reading { files: Files { total: each.len(), each, ..Files::default() }, ..Reading::default() };
        let time = format!("2026-01-01T00:00:{seconds:02}Z").parse().expect("a time");
        let state = State { time, reading: Some(reading), ..State::of("agent", 0, 0) };
        Answer { at: start + Duration::from_secs(seconds), scrape: Scrape::parse(metrics), state: Some(state) }
    }

    #[test]
    fn a_process_that_goes_away_and_comes_back_has_rates_again_after_two_answers_and_never_negative_ones() {
        let (start, mut process) = (Instant::now(), Process::new("a".to_owned(), None, None));
        assert!(process.change().is_none());
        let lines = |process: &Process| process.change().and_then(|change| change.rate("lines_total", &[]));
        process.took(Ok(answer(start, 0, "lines_total 100\n", &[("/a", 100, 50)])));
        assert_eq!(lines(&process), None);
        process.took(Ok(answer(start, 2, "lines_total 300\n", &[("/a", 100, 90), ("/b", 9, 9)])));
        assert_eq!((lines(&process), process.file_rates().get("/a")), (Some(100.0), Some(&20.0)));
        assert_eq!(process.file_rates().get("/b"), None, "what it was before is not known");
        process.took(Err("refused".to_owned()));
        assert_eq!((lines(&process), process.trouble.as_deref()), (None, Some("refused")));
        assert_eq!(process.change().and_then(|change| change.sum("lines_total", &[])), Some(300.0), "as it was last");
        process.took(Ok(answer(start, 20, "lines_total 7\n", &[("/a", 100, 10)])));
        assert_eq!((lines(&process), process.trouble.as_deref()), (None, None));
        process.took(Ok(answer(start, 21, "lines_total 9\n", &[("/a", 5, 5)])));
        assert_eq!((lines(&process), process.file_rates().get("/a")), (Some(2.0), Some(&5.0)));
    }
}
