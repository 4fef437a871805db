//! Log files whose every line can be told from every other, and a writer that writes as programs do.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Dice;

/// A file as it will stand when all of it is written.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Where it is written.
    pub path: PathBuf,
    /// All of its bytes.
    pub text: Vec<u8>,
}

impl LogFile {
    /// The lines with the offsets at which they begin; without their newlines.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let mut offset = 0;
        text.split(|byte| *byte == b'\n').map(move |line| {
            let start = offset;
            offset += line.len() as u64 + 1;
            (start, line)
        })
    }
}

/// How many lines the files hold together.
pub fn lines_in(files: &[LogFile]) -> usize {
    files.iter().map(|file| file.lines().count()).sum()
}

/// `count` files of `lines` lines each in `dir`, named `app-00.log` and so on; the same for the same seed.
pub fn files(dir: &Path, seed: u64, count: usize, lines: usize) -> Vec<LogFile> {
    (0..count)
        .map(|file| {
            let mut dice = Dice::new(seed ^ (file as u64) << 32);
            let mut text = Vec::with_capacity(lines * 140);
            for number in 0..lines {
                line(&mut dice, file, number, &mut text);
            }
            LogFile { path: dir.join(format!("app-{file:02}.log")), text }
        })
        .collect()
}

/// How a writer writes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The most bytes in one write; pieces are cut at random, mostly within lines.
    pub piece_bytes_max: u64,
    /// How long to wait after each round of one piece for each file.
    pub pause: Duration,
}

impl Pace {
    /// Spreads the writing of `files` over about `duration`.
    pub fn over(duration: Duration, files: &[LogFile]) -> Self {
        let longest = files.iter().map(|file| file.text.len()).max().unwrap_or(0) as u64;
        let pause = Duration::from_millis(20);
        let rounds = (duration.as_millis() / pause.as_millis()).max(1) as u64;
        // Pieces are half of the longest on average.
        Self { piece_bytes_max: (2 * longest / rounds).max(2), pause }
    }
}

/// Appends the files piece by piece, in turn, each kept open as a program keeps its log open.
pub async fn write(files: &[LogFile], pace: Pace) {
    let mut dice = Dice::new(7);
    let mut open: Vec<_> = files.iter().map(|file| (append(&file.path), &file.text[..])).collect();
    while !open.is_empty() {
        for (file, rest) in &mut open {
            let piece = dice.within(1..pace.piece_bytes_max + 1).min(rest.len() as u64) as usize;
            file.write_all(&rest[..piece]).expect("the log directory can be written");
            *rest = &rest[piece..];
        }
        open.retain(|(_, rest)| !rest.is_empty());
        tokio::time::sleep(pace.pause).await;
    }
}

/// Writes the files at once.
pub fn write_whole(files: &[LogFile]) {
    for file in files {
        append(&file.path).write_all(&file.text).expect("the log directory can be written");
    }
}

fn append(path: &Path) -> std::fs::File {
    OpenOptions::new().create(true).append(true).open(path).expect("the log directory can be written")
}

const HOSTS: &[&str] = &["web-1", "web-2", "db-1", "mail", "бэкап-3"];
const NAMES: &[&str] = &["alice", "bob", "Łukasz", "佐藤", "מיכל", "o'neil", "root", "деплой"];
const PATHS: &[&str] = &["/", "/index.html", "/api/v1/orders?id=7&sort=-date", "/img/лого.png", "/a%20b", "/login"];
const LEVELS: &[&str] = &["DEBUG", "INFO", "INFO", "INFO", "WARN", "ERROR"];
const WORDS: &[&str] = &[
    "connection",
    "timeout",
    "reset by peer",
    "retrying in 5s",
    "cache miss",
    "disk \"sda1\" at 91%",
    "größer als",
    "таймаут",
    "接続が切れました",
    "🔥 hot path",
    "a\\b\\c",
    "tab\there",
    "null",
    "{}",
    "[1,2,3]",
    "100%",
    "x=1;y=2",
];

/// Appends one line, with its newline. File and number stand in each, so that no two lines are the same.
fn line(dice: &mut Dice, file: usize, number: usize, out: &mut Vec<u8>) {
    // Two days, so that date-named indices come in several; a step of 20 s for each line, and its milliseconds.
    let (day, second) = (20 + number / 4000 % 2, number % 4000 * 20 + file);
    let (hour, minute, second, ms) = (second / 3600 % 24, second / 60 % 60, second % 60, dice.within(0..1000));
    let (level, word) = (dice.pick(LEVELS), dice.pick(WORDS));
    let name = dice.pick(NAMES);
    let tag = format!("f{file:02}n{number:07}");
    let line = match dice.within(0..20) {
        0..6 => format!(
            "2026-11-{day}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z {host} sshd[{pid}]: {tag} Accepted publickey for \
             {name} from 10.{a}.{b}.7 port {pid} ssh2: {word}",
            host = dice.pick(HOSTS),
            pid = dice.within(300..65_000),
            a = dice.within(0..256),
            b = dice.within(0..256),
        ),
        6..11 => format!(
            "192.0.2.{a} - {name} [{day}/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET {path} HTTP/1.1\" \
             {status} {bytes} \"-\" \"Mozilla/5.0 ({tag})\"",
            a = dice.within(0..256),
            path = dice.pick(PATHS),
            status = dice.pick(&["200", "200", "200", "304", "404", "500"]),
            bytes = dice.within(0..1 << 20),
        ),
        11..15 => format!(
            "2026-11-{day} {hour:02}:{minute:02}:{second:02},{ms:03} {level} [worker-{thread}] com.example.Orders {tag} \
             - {word}: {name}",
            thread = dice.within(0..16),
        ),
        15..17 => format!(
            r#"{{"time":"2026-11-{day}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z","level":"{level}","tag":"{tag}","user":"{name}","took_ms":{ms},"ratio":0.5,"nested":{{"deep":[1,2,null]}}}}"#
        ),
        17 => format!(
            r#"{{"ts":"2026-11-{day}T{hour:02}:{minute:02}:{second:02}Z","lvl":"{level}","tag":"{tag}","msg":"{tag} for \"{name}\""}}"#
        ),
        18 => format!("{tag}\t{}", word.repeat(dice.within(1..400) as usize)),
        _ => format!("  {tag} at com.example.{word}.run(Orders.java:{ms})  "),
    };
    out.extend_from_slice(line.as_bytes());
    out.push(b'\n');
}
