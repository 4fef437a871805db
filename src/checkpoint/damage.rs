//! Tests of the checkpoint store under what it must survive: random damage, SIGKILL at any moment, a full disk.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proptest::{prelude::*, test_runner::TestRng};

use super::store::{Note, Store};
use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};

const FILES: u128 = 20;
const DIR: &str = "LOGDRIVE_TEST_STORE";

/// The checkpoints of commit `round`: every file at the same offset, which says which commit it was.
fn commit_of(round: u64) -> Vec<Checkpoint> {
    let checkpoint = |file| Checkpoint {
        stream: Stream { file: FileId(file), generation: 0 },
        task: "app".into(),
        offset: round,
        mark: TailMark::default(),
        path: PathBuf::from(format!("/var/log/app/{file}.log")),
        place: Place::default(),
        head: Head::default(),
        cuts: Vec::new(),
        unpacked: None,
        updated_ms: 0,
    };
    (0..FILES).map(checkpoint).collect()
}

/// The commit that the store is at; 0 for one that is empty. Panics if it is at none.
fn round_of(store: &Store) -> u64 {
    let found = store.load().expect("what was opened can be read");
    let round = found.first().map_or(0, |first| first.offset);
    let expected = if round == 0 { Vec::new() } else { commit_of(round) };
    assert_eq!(found, expected, "a commit is there whole or not at all");
    round
}

/// A random file below `dir` that is not empty.
fn pick_file(dir: &Path, rng: &mut TestRng) -> Option<PathBuf> {
    let files = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| entry.expect("readable"));
    let files: Vec<PathBuf> = files
        .filter(|entry| entry.file_type().is_file() && entry.metadata().is_ok_and(|meta| meta.len() > 0))
        .map(walkdir::DirEntry::into_path)
        .collect();
    (!files.is_empty()).then(|| files[rng.random_range(0..files.len())].clone())
}

/// Cuts, zeroes, flips or removes something of a file.
fn damage(path: &Path, rng: &mut TestRng) -> String {
    let mut bytes = fs::read(path).expect("readable");
    // Most of the database's file is empty; what hurts is in its written part.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let at = rng.random_range(0..written);
    let length = rng.random_range(1..=4096_usize).min(bytes.len() - at);
    let what = match rng.random_range(0..5) {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            bytes[at..at + length].fill(0);
            "zeroed"
        }
        2 => {
            bytes.fill(0);
            "zeroed all of"
        }
        3 => {
            fs::remove_file(path).expect("there");
            return format!("removed {}", path.display());
        }
        _ => {
            bytes[at] ^= 1 << rng.random_range(0..8);
            "flipped a bit in"
        }
    };
    fs::write(path, bytes).expect("writable");
    format!("{what} {} at {at}", path.display())
}

#[test]
fn no_damage_makes_the_store_panic_hang_or_tell_of_what_was_not_committed() {
    let rounds = env::var("LOGDRIVE_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(40);
    let mut rng = TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha);
    let (mut aside, mut stale, mut unhurt) = (0, 0, 0);
    for _ in 0..rounds {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("a new store").store;
        let last = rng.random_range(1..40);
        for round in 1..=last {
            store.commit(&commit_of(round)).expect("committed");
        }
        drop(store);
        let path = pick_file(&dir.path().join("checkpoints"), &mut rng).expect("the store has files");
        let what = damage(&path, &mut rng);
        let opened = Store::open(dir.path()).expect("a store, whatever the damage");
        let round = round_of(&opened.store);
        match &opened.note {
            Some(Note::SetAside { path, .. }) => {
                assert!(round == 0 && path.join("checkpoints.sequence").exists(), "{what}");
                aside += 1;
            }
            Some(Note::Stale { expected, .. }) => {
                assert!(round < last && *expected == last + 1, "{what}");
                stale += 1;
            }
            Some(other) => panic!("{what}: {other}"),
            None => {
                assert_eq!(round, last, "{what}: an older store goes unnoticed");
                unhurt += 1;
            }
        }
        opened.store.made_good(&commit_of(last + 1)).expect("the store that is open now takes commits");
        drop(opened);
        let again = Store::open(dir.path()).expect("the store, again");
        assert_eq!((again.note, round_of(&again.store)), (None, last + 1), "{what}");
    }
    println!("{rounds} rounds: {aside} set aside, {stale} stale, {unhurt} unhurt");
    assert!(aside > 0 && unhurt > 0);
}

#[test]
fn nothing_committed_is_lost_when_the_process_is_killed_at_any_moment() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut rng = TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha);
    let mut reported = 0;
    for _ in 0..8 {
        let mut child = child("child_that_commits_until_it_is_killed", dir.path());
        let mut child = child.stdout(Stdio::piped()).spawn().expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let rounds =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        // The kill falls somewhere in the commits behind the one that is waited for.
        let wait = rng.random_range(1..60);
        let mut rounds = rounds.inspect(|round| reported = *round);
        assert!(rounds.by_ref().nth(wait).is_some(), "the child ended by itself");
        child.kill().expect("it runs");
        rounds.for_each(drop);
        child.wait().expect("it was killed");
        let opened = Store::open(dir.path()).expect("the store");
        let found = round_of(&opened.store);
        assert!(opened.note.is_none() && (found == reported || found == reported + 1), "{reported}, found {found}");
    }
}

#[test]
#[ignore = "a child process of another test"]
fn child_that_commits_until_it_is_killed() {
    let Some(dir) = env::var_os(DIR) else { return };
    let store = Store::open(Path::new(&dir)).expect("the store").store;
    let from = round_of(&store);
    for round in from + 1..from + 100_000 {
        store.commit(&commit_of(round)).expect("committed");
        println!("committed {round}");
        std::io::stdout().flush().expect("the parent reads");
    }
}

#[test]
fn a_full_disk_fails_a_commit_and_the_next_one_succeeds_when_there_is_space() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = child("child_that_meets_a_full_disk", dir.path());
    let output = child.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("refused, then committed"), "{text}");
}

/// The limit on the size of a file stands for the end of the disk: both refuse a write in the middle of a commit.
#[test]
#[ignore = "a child process of another test"]
fn child_that_meets_a_full_disk() {
    let Some(dir) = env::var_os(DIR) else { return };
    let store = Store::open(Path::new(&dir)).expect("the store").store;
    let mut saved = 0;
    limit_files(Some(1 << 20));
    let refused = (1..100_000).find_map(|round| match store.commit(&commit_of(round)) {
        Ok(()) => {
            saved = round;
            None
        }
        Err(err) => Some(err.to_string()),
    });
    let refused = refused.expect("the limit is reached");
    assert!(refused.contains("see that the disk has space"), "{refused}");
    assert!(store.commit(&commit_of(saved + 1)).is_err(), "there is still no space");
    limit_files(None);
    let found = round_of(&store);
    assert!(found == saved || found == saved + 1, "saved {saved}, found {found}");
    store.commit(&commit_of(saved + 2)).expect("there is space again");
    drop(store);
    let opened = Store::open(Path::new(&dir)).expect("the store");
    assert_eq!((opened.note, round_of(&opened.store)), (None, saved + 2));
    println!("refused, then committed");
}

fn limit_files(bytes: Option<u64>) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("a soft limit is ours to set");
}

/// This test binary, to run the test `name` alone with `dir`. A file that grows beyond its limit is an error for it
/// and not its end: a shell, whose ignored signals are inherited, stands in between.
fn child(name: &str, dir: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    let _ = command.arg0("sh").args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#]);
    let _ = command.arg(env::current_exe().expect("this binary"));
    let _ = command.args(["--exact", &format!("checkpoint::damage::{name}"), "--ignored", "--nocapture"]);
    let _ = command.env(DIR, dir).stdin(Stdio::null());
    command
}
