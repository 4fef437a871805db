//! A scene: one directory in which one thing happens to files, and what has to be in Kafka for it.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::Barrier;

use super::{LIMIT, Variation, heard::Listener};
use crate::rig::{Dice, until};

/// What is true of a line that was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// It may be missing: it was taken away before anybody could be sure to have read it.
    pub may_be_lost: bool,
    /// It may have come from several files: it was written into several, or copied.
    pub may_be_twice: bool,
}

/// One directory, the lines that were written there, and the moments that it shares with the other scenes.
pub struct Scene {
    pub name: &'static str,
    pub dir: PathBuf,
    pub dice: Dice,
    /// How the agent fares.
    pub variation: Variation,
    pub lines: HashMap<Vec<u8>, Fate>,
    listener: Arc<Listener>,
    /// The lines in the order of their making.
    order: Vec<Vec<u8>>,
    gate: Arc<Barrier>,
    /// How many of the gates were passed.
    passed: usize,
    /// The process that reads now.
    pub pid: Arc<AtomicU32>,
}

/// How many times all scenes wait for each other: ready to be stopped, stopped, ready to be started, started.
const GATES: usize = 4;

/// What all scenes of a run share.
#[derive(Clone)]
pub struct Shared {
    pub variation: Variation,
    pub listener: Arc<Listener>,
    pub gate: Arc<Barrier>,
    pub agent: Arc<AtomicU32>,
}

impl Scene {
    /// A scene in a directory of its own below `logs`.
    pub fn new(name: &'static str, logs: &Path, seed: u64, shared: Shared) -> Self {
        let dir = logs.join(name);
        fs::create_dir_all(&dir).expect("the site can be written");
        let Shared { variation, listener, gate, agent } = shared;
        let (lines, order) = (HashMap::new(), Vec::new());
        Self { name, dir, dice: Dice::new(seed), variation, lines, listener, order, gate, passed: 0, pid: agent }
    }

    /// Makes lines that no other line is like, and expects them.
    pub fn lines(&mut self, count: usize) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..count {
            let bytes = if self.dice.within(0..50) == 0 { 3_000 } else { self.dice.within(0..150) };
            text.extend_from_slice(&self.line(bytes as usize));
            text.push(b'\n');
        }
        text
    }

    /// Makes one line of about so many bytes, without its newline, and expects it.
    pub fn line(&mut self, bytes: usize) -> Vec<u8> {
        let mut line = format!("{} {:07} ", self.name, self.order.len()).into_bytes();
        line.extend((0..bytes).map(|at| if at % 61 == 60 { b' ' } else { b'a' + (at % 26) as u8 }));
        self.lines.insert(line.clone(), Fate::default());
        self.order.push(line.clone());
        line
    }

    /// What every file of the scene can begin with: the same lines, more than what is looked at to tell files apart.
    pub fn banner(&mut self) -> Vec<u8> {
        let line = format!("{} begins like every other file does", self.name).into_bytes();
        self.lines.insert(line.clone(), Fate { may_be_twice: true, may_be_lost: false });
        [&line[..], b"\n"].concat().repeat(1 + 1100 / line.len())
    }

    /// Appends new lines to a file, in pieces that end anywhere.
    pub async fn write(&mut self, name: &str, count: usize) {
        let text = self.lines(count);
        self.put(name, &text).await;
    }

    /// Appends a text to a file, in pieces that end anywhere.
    pub async fn put(&mut self, name: &str, text: &[u8]) {
        let mut file = self.open(name);
        let mut rest = text;
        while !rest.is_empty() {
            let piece = self.dice.within(1..4_000).min(rest.len() as u64) as usize;
            file.write_all(&rest[..piece]).expect("the site can be written");
            rest = &rest[piece..];
            if self.dice.within(0..8) == 0 {
                self.pause(5).await;
            }
        }
    }

    /// Opens a file as a program does that logs.
    pub fn open(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.path(name)).expect("the site can be written")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("it is there");
    }

    /// Deletes a file. What was not delivered of it may be lost, unless the agent has it open and is never killed.
    pub async fn delete(&mut self, name: &str) {
        let metadata = self.path(name).metadata().expect("it is there");
        let mut held = false;
        until("the file is delivered or held open", LIMIT, async || {
            held = self.agent_has_open(&metadata);
            held || self.is_delivered()
        })
        .await;
        fs::remove_file(self.path(name)).expect("it is there");
        if !self.agent_has_open(&metadata) || self.variation.kills {
            self.give_up();
        }
    }

    fn agent_has_open(&self, file: &fs::Metadata) -> bool {
        let pid = self.pid.load(Ordering::Relaxed);
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut open = open.filter_map(|entry| fs::metadata(entry.path()).ok());
        open.any(|open| (open.ino(), open.dev()) == (file.ino(), file.dev()))
    }

    /// Lines that are not delivered by now may be lost.
    pub fn give_up(&mut self) {
        let heard = self.listener.heard().lines();
        for (_, fate) in self.lines.iter_mut().filter(|(line, _)| !heard.contains_key(*line)) {
            fate.may_be_lost = true;
        }
    }

    fn is_delivered(&self) -> bool {
        let expected = self.order.iter().filter(|line| !self.lines[*line].may_be_lost);
        self.listener.heard().has(expected)
    }

    /// Waits until all lines that were written are in Kafka.
    pub async fn delivered(&self) {
        until(&format!("{}: all lines delivered", self.name), LIMIT, async || self.is_delivered()).await;
    }

    /// As [`Scene::delivered`], but for lines that are not whole yet.
    pub async fn delivered_but(&self, lines: &[&[u8]]) {
        let expected = || self.order.iter().filter(|line| !lines.contains(&&line[..]));
        until(&format!("{}: all but some delivered", self.name), LIMIT, async || self.listener.heard().has(expected()))
            .await;
    }

    /// Waits up to so many milliseconds.
    pub async fn pause(&mut self, ms: u64) {
        let time = self.dice.within(0..ms + 1);
        tokio::time::sleep(Duration::from_millis(time)).await;
    }

    /// Waits until nobody reads.
    pub async fn stopped(&mut self) {
        self.pass(2).await;
    }

    /// Waits until somebody reads again.
    pub async fn started(&mut self) {
        self.pass(4).await;
    }

    /// Passes all gates that are left, so that nobody waits for this scene.
    pub async fn leave(&mut self) {
        self.pass(GATES).await;
    }

    async fn pass(&mut self, until: usize) {
        while self.passed < until {
            self.gate.wait().await;
            self.passed += 1;
        }
    }

    /// What is wrong with what was heard.
    pub fn faults(&self) -> Vec<String> {
        let heard = self.listener.heard().lines();
        let mut faults = Vec::new();
        let shown = |line: &[u8]| String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        for (line, fate) in &self.lines {
            match heard.get(line).map_or(0, std::collections::HashSet::len) {
                0 if !fate.may_be_lost => faults.push(format!("lost: {}", shown(line))),
                2.. if !fate.may_be_twice => {
                    faults.push(format!("twice: {} at {:?}", shown(line), heard[line]));
                }
                _ => (),
            }
        }
        let mine = format!("{} ", self.name).into_bytes();
        let strange = heard.keys().filter(|line| line.starts_with(&mine) && !self.lines.contains_key(*line));
        faults.extend(strange.map(|line| format!("never written: {} ({} bytes)", shown(line), line.len())));
        // The first of each kind tell enough.
        faults.sort();
        let count = faults.len();
        let kind = |fault: &String| fault.split(':').next().map(str::to_owned);
        let mut seen = HashMap::new();
        faults.retain(|fault| {
            let of_kind: &mut u32 = seen.entry(kind(fault)).or_default();
            *of_kind += 1;
            *of_kind <= 3
        });
        if count > faults.len() {
            faults.push(format!("{}: {count} in all", self.name));
        }
        faults
    }

    /// Whether everything is there that has to be.
    pub fn is_complete(&self) -> bool {
        let expected = self.lines.iter().filter(|(_, fate)| !fate.may_be_lost);
        self.listener.heard().has(expected.map(|(line, _)| line))
    }
}
