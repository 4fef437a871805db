//! The store by itself: what was committed, what was forgotten, what is said of a store that is not as it was left.

use super::{
    super::{
        Due,
        seal::{
            STATE_KEY, State,
            old::{newer_state, old_checkpoint, old_record, old_state},
        },
    },
    COMMIT_MAX, Note, Store, StoreError,
};
use crate::record::{Checkpoint, FileId, Head, Place, Stream, TailMark};
use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt};

fn checkpoint(file: u128, generation: u32, offset: u64) -> Checkpoint {
    Checkpoint {
        stream: Stream { file: FileId(file), generation },
        task: "nginx".into(),
        offset,
        mark: TailMark::behind(b"the last line\n"),
        path: "/var/log/nginx/access.log".into(),
        place: Place { device: 1, inode: file as u64, birth_ns: 2 },
        head: Head::of(b"the first line\n"),
        cuts: Vec::new(),
        unpacked: None,
        updated_ms: 3,
    }
}

fn offsets(store: &Store) -> Vec<(u128, u32, u64)> {
    let all = store.load().expect("readable");
    all.iter().map(|found| (found.stream.file.0, found.stream.generation, found.offset)).collect()
}

#[test]
fn what_was_committed_is_there_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let opened = Store::open(dir.path()).expect("a new store");
    assert_eq!(opened.note, None);
    let epoch = opened.store.epoch();
    let mut first = checkpoint(1, 0, 10);
    first.path = OsString::from_vec(b"/tmp/\xff\n".to_vec()).into();
    opened.store.commit(&[first.clone(), checkpoint(2, 0, 20)]).expect("committed");
    opened.store.commit(&[checkpoint(2, 0, 30)]).expect("committed");
    drop(opened);
    let opened = Store::open(dir.path()).expect("the same store");
    assert_eq!((opened.note, opened.store.epoch()), (None, epoch));
    assert_eq!(opened.store.load().expect("readable"), [first, checkpoint(2, 0, 30)]);
}

#[test]
fn a_snapshot_that_a_full_disk_left_half_written_is_not_taken_for_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    let opened = Store::open(dir.path()).expect("a new store");
    opened.store.commit(&[checkpoint(1, 0, 10)]).expect("committed");
    drop(opened);
    let unfinished = dir.path().join("checkpoints/snap.7FFFFFFFFFFFFFFF.generating");
    for half in [&b""[..], b"half of it, and no checksum"] {
        fs::write(&unfinished, half).expect("written");
        let opened = Store::open(dir.path()).expect("the same store");
        assert_eq!((opened.note, offsets(&opened.store)), (None, vec![(1, 0, 10)]));
    }
    assert!(!unfinished.exists());
}

#[test]
fn what_is_due_is_saved_however_much_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a new store").store;
    let all: Vec<Checkpoint> = (0..COMMIT_MAX as u128 * 2 + 1).map(|file| checkpoint(file, 1, 10)).collect();
    for count in [all.len(), COMMIT_MAX * 2, COMMIT_MAX, 1] {
        let old = Stream { file: FileId(0), generation: 0 };
        store.commit(&[checkpoint(0, 0, 7)]).expect("committed");
        store.save(&Due { checkpoints: all[..count].to_vec(), finished: vec![old], ..Due::default() }).expect("saved");
        let saved = store.load().expect("readable");
        assert!(saved.iter().all(|checkpoint| checkpoint.stream.generation == 1), "the finished one left");
    }
    assert_eq!(store.load().expect("readable").len(), all.len());
}

#[test]
fn each_stream_has_its_checkpoint_and_exactly_what_is_named_is_forgotten() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a new store").store;
    store.commit(&[checkpoint(1, 2, 5), checkpoint(1, 1, 900), checkpoint(2, 0, 7)]).expect("committed");
    store.commit(&[checkpoint(1, 1, 901)]).expect("committed");
    assert_eq!(offsets(&store), [(1, 1, 901), (1, 2, 5), (2, 0, 7)]);
    store.forget(&[checkpoint(1, 2, 0).stream, checkpoint(7, 0, 0).stream]).expect("committed");
    assert_eq!(offsets(&store), [(1, 1, 901), (2, 0, 7)]);
}

#[test]
fn a_finished_stream_leaves_the_store_when_a_newer_generation_is_in_it_and_not_before() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a new store").store;
    let save = |checkpoints: &[&Checkpoint], finished: &[&Checkpoint]| {
        let checkpoints = checkpoints.iter().copied().cloned().collect();
        let finished = finished.iter().map(|checkpoint| checkpoint.stream).collect();
        store.save(&Due { checkpoints, finished, ..Due::default() }).expect("saved");
    };
    let (old, new, newest) = (checkpoint(1, 0, 9), checkpoint(1, 1, 5), checkpoint(1, u32::MAX, 1));
    save(&[&old], &[&old]);
    assert_eq!(offsets(&store), [(1, 0, 9)], "its file may come back");
    save(&[&new], &[&old]);
    assert_eq!(offsets(&store), [(1, 1, 5)]);
    save(&[&newest], &[]);
    save(&[], &[&new, &newest]);
    assert_eq!(offsets(&store), [(1, u32::MAX, 1)]);
}

#[test]
fn a_store_of_the_format_before_is_written_anew_and_one_of_a_newer_format_is_set_aside() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = State { epoch: 5, sequence: 4, is_old: true };
    let write = |records: [(Vec<u8>, Vec<u8>); 2]| {
        let db = sled::open(dir.path().join("checkpoints")).expect("a database");
        records.into_iter().for_each(|(key, record)| drop(db.insert(key, record).expect("inserted")));
    };
    write([(STATE_KEY.to_vec(), old_state(state)), old_record()]);
    for _ in 0..2 {
        let opened = Store::open(dir.path()).expect("the store");
        assert_eq!((opened.store.epoch(), opened.store.load().expect("readable")), (5, vec![old_checkpoint()]));
        opened.store.commit(&[]).expect("committed");
    }
    write([(b"fnew".to_vec(), b"\x63".to_vec()), (STATE_KEY.to_vec(), newer_state())]);
    let opened = Store::open(dir.path()).expect("a new store");
    let note = opened.note.expect("it was set aside").to_string();
    assert!(note.contains("written by a newer version of this program, in record format 3"), "{note}");
    assert_eq!(offsets(&opened.store), []);
}

#[test]
fn a_second_process_on_the_same_directory_is_told_who_has_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Store::open(dir.path()).expect("a new store");
    let err = Store::open(dir.path()).expect_err("it is held");
    assert!(matches!(&err, StoreError::Held { pid: Some(pid), .. } if *pid == std::process::id()));
    assert!(err.to_string().contains("stop it, or give this process a data_dir of its own"), "{err}");
    drop(first);
    Store::open(dir.path()).expect("it is free again");
}

#[test]
fn a_store_put_back_from_a_copy_is_noticed_and_so_is_a_lost_number() {
    let dir = tempfile::tempdir().expect("a directory");
    let (live, copy) = (dir.path().join("checkpoints"), dir.path().join("copy"));
    let store = Store::open(dir.path()).expect("a new store").store;
    store.commit(&[checkpoint(1, 0, 10)]).expect("committed");
    drop(store);
    copy_all(&live, &copy);
    let store = Store::open(dir.path()).expect("the same store").store;
    store.commit(&[checkpoint(1, 0, 20)]).expect("committed");
    drop(store);
    fs::remove_dir_all(&live).expect("removed");
    copy_all(&copy, &live);
    let opened = Store::open(dir.path()).expect("the older store");
    assert_eq!(opened.note, Some(Note::Stale { found: 2, expected: 3 }));
    assert_eq!(offsets(&opened.store), [(1, 0, 10)]);
    opened.store.commit(&[checkpoint(1, 0, 15)]).expect("committed");
    drop(opened);
    assert_eq!(Store::open(dir.path()).expect("the same store").note, None);
    fs::remove_file(dir.path().join("checkpoints.sequence")).expect("removed");
    assert_eq!(Store::open(dir.path()).expect("the same store").note, Some(Note::Unnumbered));
}

#[test]
fn a_store_that_was_removed_begins_anew_with_another_epoch_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a new store").store;
    let epoch = store.epoch();
    drop(store);
    fs::remove_dir_all(dir.path().join("checkpoints")).expect("removed");
    let opened = Store::open(dir.path()).expect("a new store");
    assert_eq!(opened.note, Some(Note::Removed));
    assert_ne!(opened.store.epoch(), epoch);
    assert_eq!(opened.lost.expect("it was lost").epoch, Some(epoch));
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("made");
    for entry in walkdir::WalkDir::new(from).into_iter().map(|entry| entry.expect("readable")) {
        let target = to.join(entry.path().strip_prefix(from).expect("below"));
        match entry.file_type().is_dir() {
            true => fs::create_dir_all(target).expect("made"),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

#[test]
fn what_was_lost_is_told_at_each_start_until_it_is_made_good() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::open(dir.path()).expect("a new store").store;
    let epoch = store.epoch();
    drop(store);
    let damaged = dir.path().join("checkpoints/db");
    fs::write(&damaged, vec![0xaa; 100]).expect("damaged");
    for _ in 0..2 {
        let opened = Store::open(dir.path()).expect("a new store");
        let Some(Note::SetAside { path, .. }) = opened.note else { panic!("{:?}", opened.note) };
        let lost = opened.lost.expect("it was lost");
        assert_eq!((lost.epoch, lost.path), (Some(epoch), Some(path)));
    }
    fs::write(&damaged, vec![0xaa; 100]).expect("damaged");
    fs::remove_file(dir.path().join("checkpoints.sequence")).expect("removed");
    let opened = Store::open(dir.path()).expect("a new store");
    assert!(matches!(opened.note, Some(Note::SetAside { .. })), "without its number too: {:?}", opened.note);
    drop(opened);
    let opened = Store::open(dir.path()).expect("the store");
    opened.store.made_good(&[checkpoint(1, 0, 10)]).expect("saved");
    drop(opened);
    let opened = Store::open(dir.path()).expect("the store");
    assert_eq!((opened.note, opened.lost, offsets(&opened.store)), (None, None, vec![(1, 0, 10)]));
}

#[test]
fn looking_into_a_store_makes_nothing_and_sets_nothing_aside() {
    let dir = tempfile::tempdir().expect("a directory");
    let absent = Store::open_existing(&dir.path().join("none")).expect_err("there is none");
    assert!(matches!(absent, StoreError::Absent { .. }) && !dir.path().join("none").exists());
    let store = Store::open(dir.path()).expect("a new store").store;
    store.commit(&[checkpoint(1, 0, 10)]).expect("committed");
    assert!(matches!(Store::open_existing(dir.path()), Err(StoreError::Held { .. })));
    drop(store);
    assert_eq!(offsets(&Store::open_existing(dir.path()).expect("the store")), [(1, 0, 10)]);
    fs::write(dir.path().join("checkpoints/db"), vec![0xaa; 100]).expect("damaged");
    let refused = Store::open_existing(dir.path()).expect_err("it is damaged");
    assert!(matches!(refused, StoreError::Unreadable { .. }), "{refused}");
    assert!(dir.path().join("checkpoints/db").exists());
}
