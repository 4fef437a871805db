//! What is left after a crash, damage, and growth.

use std::fs;

use super::{Embedded, Settings, Writer, add, count, find, line, open, small, stream};
use crate::embedded::{OpenError, Start};

#[tokio::test]
async fn documents_and_positions_are_there_together_after_a_crash_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    assert_eq!(*writer.start(), Start::Made);
    add(&mut writer, &line(1, 0, "committed"));
    writer.moved(stream(1), 10);
    assert_eq!(writer.commit().unwrap(), 1);
    add(&mut writer, &line(2, 10, "not committed"));
    writer.moved(stream(1), 24);
    assert_eq!(writer.positions()[&stream(1)], 10);
    drop(writer);

    let mut writer = open(dir.path());
    assert_eq!(*writer.start(), Start::Resumed);
    assert_eq!(writer.positions()[&stream(1)], 10);
    let store = writer.embedded().unwrap();
    assert_eq!(count(&store).await, 1);

    // What the checkpoint store has need not be carried on.
    writer.confirmed(stream(1), 10);
    writer.moved(stream(2), 5);
    writer.commit().unwrap();
    drop(writer);
    let writer = open(dir.path());
    assert_eq!(*writer.positions(), [(stream(2), 5)].into());
}

#[tokio::test]
async fn a_reader_beside_the_writer_sees_each_commit() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Embedded::open(dir.path()), Err(OpenError::Missing { .. })));
    let mut writer = open(dir.path());
    let store = Embedded::open(dir.path()).unwrap();
    assert_eq!(count(&store).await, 0);
    for second in 1..5 {
        add(&mut writer, &line(second, second as u64, "one more"));
        writer.commit().unwrap();
        assert_eq!(count(&store).await, second as u64);
    }
    let found = find(&store, "ONE").await;
    assert_eq!((found.hits[0].time.as_second(), found.hits.len(), found.next), (4, 4, None));
}

#[test]
fn a_second_writer_is_told_that_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(dir.path());
    let error = Writer::open(&small(), dir.path()).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("another process"));
    drop(writer);
    open(dir.path());
}

/// What is done to a store's directory.
type Damage = fn(&std::path::Path);

#[tokio::test]
async fn a_store_that_can_not_be_used_is_kept_under_another_name() {
    let damages: [(&str, Damage); 4] = [
        ("meta.json", |dir| fs::write(dir.join("meta.json"), "{\"segments\":").unwrap()),
        ("format", |dir| fs::write(dir.join("logdrive-format"), "999\n").unwrap()),
        ("no format", |dir| fs::remove_file(dir.join("logdrive-format")).unwrap()),
        ("a segment", |dir| {
            for file in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|kind| kind == "fast") {
                    fs::write(file, "no").unwrap();
                }
            }
        }),
    ];
    for (what, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path());
        add(&mut writer, &line(1, 0, "precious"));
        writer.commit().unwrap();
        drop(writer);
        damage(&dir.path().join("store"));

        assert!(matches!(Embedded::open(dir.path()), Err(OpenError::Damaged { .. })), "{what}");
        let mut writer = open(dir.path());
        let Start::SetAside { kept, why } = writer.start().clone() else { panic!("{what}: {:?}", writer.start()) };
        assert!(kept.is_dir() && !why.is_empty(), "{what}");
        assert!(fs::read_dir(kept).unwrap().count() > 5, "{what}: all files are kept");
        add(&mut writer, &line(1, 0, "precious"));
        assert_eq!(writer.commit().unwrap(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_store_that_has_grown_too_large_loses_its_oldest_documents() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { bytes_max: bytesize::ByteSize::kib(200), ..small() };
    let mut writer = Writer::open(&settings, dir.path()).unwrap();
    let store = writer.embedded().unwrap();
    // A clock that was wrong must not make all others look alike.
    add(&mut writer, &line(-60_000_000_000, 0, "long ago"));
    let mut expired = 0;
    for second in 0..20_000_u64 {
        add(&mut writer, &line(1_790_000_000 + second as i64, second, &format!("message {:x}", second * 0x9E37_79B9)));
        if second % 1_000 == 999 {
            writer.moved(stream(1), second);
            writer.commit().unwrap();
            expired += writer.expire().unwrap().documents;
        }
    }
    let left = count(&store).await;
    assert!(expired > 0 && left > 1_000, "{expired} of 20001 went, {left} are left");
    assert_eq!(left + expired, 20_001);
    let found = find(&store, "").await;
    assert_eq!(found.hits[0].time.as_second(), 1_790_019_999, "the newest are left");
    let newest = store_len(&store, 1_790_020_000 - left as i64).await;
    assert_eq!(newest, left, "those left are the newest");
    assert!(writer.expire().unwrap().bytes < 400 << 10);
    assert_eq!(writer.positions()[&stream(1)], 19_999);
}

async fn store_len(store: &Embedded, since_second: i64) -> u64 {
    use crate::store::{Query, Store};
    let since = jiff::Timestamp::from_second(since_second).ok();
    store.count(&Query { since, ..Query::default() }).await.unwrap().count
}

#[tokio::test]
async fn what_is_not_json_is_stored_as_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    let deep = format!("{{\"a\":{}", "[".repeat(1_000));
    for json in ["not json", "[1]", &deep] {
        let time = "2026-11-21T00:00:00Z".parse().unwrap();
        writer.add(&crate::embedded::Entry { id: "id", time, json: json.as_bytes() }).unwrap();
    }
    writer.commit().unwrap();
    let store = writer.embedded().unwrap();
    assert_eq!(find(&store, "tags:unreadable_document").await.hits.len(), 3);
    assert_eq!(find(&store, "\"not json\"").await.hits.len(), 1);
}

#[tokio::test]
async fn a_phrase_whose_last_word_goes_on_in_many_ways_is_answered_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path());
    for number in 0..3_000 {
        add(&mut writer, &line(number, number as u64, &format!("GET word{number} end")));
    }
    writer.commit().unwrap();
    let store = writer.embedded().unwrap();
    assert_eq!(find(&store, "\"get word1234 end\"").await.hits.len(), 1);
    for (question, expected) in [("get/word*", 3_000), ("get/word12*", 111), ("word12/en*", 1), ("end/word*", 0)] {
        assert_eq!(find(&store, question).await.total.count, expected, "{question}");
    }
}
