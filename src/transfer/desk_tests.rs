//! The desk: what is handed out, what is settled, and what a rebalance takes away.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{AssignmentId, Desk, JOB_BYTES, Job, Record, runs};
use crate::{
    kafka::{Assignment, Consumer, Membership, Settings, StartFrom},
    record::Budget,
};

fn record(assignment: u64, offset: u64, bytes: usize) -> Record {
    Record {
        assignment: AssignmentId(assignment),
        topic: "app".into(),
        partition: assignment as i32,
        offset,
        key: None,
        headers: vec![],
        value: Some(vec![b'x'; bytes]),
        timestamp_ms: None,
    }
}

/// A desk whose Kafka is nowhere.
fn desk() -> Desk {
    let settings = Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..Settings::default() };
    let membership = Membership { group: "group", member: None, start_from: StartFrom::Earliest };
    let consumer = Consumer::new(&settings, &membership, &["app".to_owned()]).expect("a consumer");
    let (jobs, _) = mpsc::channel(1);
    let (_, settled) = mpsc::channel(1);
    let mut desk = Desk::new(consumer, jobs, settled, Arc::default(), Budget::new(1));
    desk.assigned(vec![Assignment { id: AssignmentId(1), topic: "app".into(), partition: 1 }]);
    desk
}

fn take(desk: &mut Desk, records: Vec<Record>) -> Option<Job> {
    desk.waiting = runs(records);
    desk.take_job()
}

fn settle(desk: &mut Desk, job: &Job) -> Vec<u64> {
    desk.settle(&job.stretch);
    desk.due([AssignmentId(1)].into_iter()).into_iter().map(|commit| commit.next).collect()
}

#[test]
fn a_run_is_of_one_partition_and_of_one_packed_record_or_some_foreign_ones() {
    let mut packed = record(1, 3, 10);
    packed.headers.push((super::VERSION_HEADER.to_owned(), Some(b"1".to_vec())));
    let records =
        vec![record(1, 1, 10), record(1, 2, 10), packed, record(2, 7, 10), record(2, 8, JOB_BYTES), record(2, 9, 1)];
    let offsets: Vec<Vec<u64>> =
        runs(records).iter().map(|run| run.iter().map(|record| record.offset).collect()).collect();
    assert_eq!(offsets, [vec![1, 2], vec![3], vec![7], vec![8], vec![9]]);
}

#[tokio::test]
async fn an_offset_is_due_only_when_everything_before_it_is_settled() {
    let mut desk = desk();
    let first = take(&mut desk, vec![record(1, 10, 1), record(1, 11, 1)]).expect("ours");
    // Offsets have gaps: what is not there is part of the stretch behind it.
    let second = take(&mut desk, vec![record(1, 20, 1)]).expect("ours");
    assert_eq!((first.stretch.span.start, first.stretch.span.end), (10, 12));
    assert_eq!((second.stretch.span.start, second.stretch.span.end), (12, 21));
    assert!(settle(&mut desk, &second).is_empty());
    assert_eq!(settle(&mut desk, &first), [21]);
}

#[tokio::test]
async fn offsets_that_jump_back_begin_anew_and_older_news_does_not_count() {
    let mut desk = desk();
    let old = take(&mut desk, vec![record(1, 10, 1)]).expect("ours");
    let new = take(&mut desk, vec![record(1, 0, 1)]).expect("ours");
    let same_place = take(&mut desk, vec![record(1, 10, 1)]).expect("ours");
    assert!(settle(&mut desk, &old).is_empty());
    assert_eq!(settle(&mut desk, &new), [1]);
    assert_eq!(settle(&mut desk, &same_place), [11]);
}

#[tokio::test]
async fn a_record_of_a_partition_that_went_is_not_taken() {
    let mut desk = desk();
    assert!(take(&mut desk, vec![record(2, 0, 1)]).is_none());
}
