//! The desk: what is handed out, what is settled, and what a rebalance takes away.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{AssignmentId, Desk, Job, Records};
use crate::{
    kafka::{Assignment, Consumer, Content, Membership, Settings, StartFrom},
    record::Budget,
};

/// Records at these offsets.
fn records(assignment: u64, offsets: &[u64]) -> Records {
    let mut records = Records::new(AssignmentId(assignment), "app".into(), assignment as i32);
    for offset in offsets {
        let content = Content { offset: *offset, timestamp_ms: None, key: None, value: Some(b"x") };
        records.push(content, std::iter::empty());
    }
    records
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

fn take(desk: &mut Desk, records: Records) -> Option<Job> {
    desk.waiting.push_back(records);
    desk.take_job()
}

fn settle(desk: &mut Desk, job: &Job) -> Vec<u64> {
    desk.settle(&job.stretch);
    desk.due([AssignmentId(1)].into_iter()).into_iter().map(|commit| commit.next).collect()
}

#[tokio::test]
async fn an_offset_is_due_only_when_everything_before_it_is_settled() {
    let mut desk = desk();
    let first = take(&mut desk, records(1, &[10, 11])).expect("ours");
    // Offsets have gaps: what is not there is part of the stretch behind it.
    let second = take(&mut desk, records(1, &[20])).expect("ours");
    assert_eq!((first.stretch.span.start, first.stretch.span.end), (10, 12));
    assert_eq!((second.stretch.span.start, second.stretch.span.end), (12, 21));
    assert!(settle(&mut desk, &second).is_empty());
    assert_eq!(settle(&mut desk, &first), [21]);
}

#[tokio::test]
async fn offsets_that_jump_back_begin_anew_and_older_news_does_not_count() {
    let mut desk = desk();
    let old = take(&mut desk, records(1, &[10])).expect("ours");
    let new = take(&mut desk, records(1, &[0])).expect("ours");
    let same_place = take(&mut desk, records(1, &[10])).expect("ours");
    assert!(settle(&mut desk, &old).is_empty());
    assert_eq!(settle(&mut desk, &new), [1]);
    assert_eq!(settle(&mut desk, &same_place), [11]);
}

#[tokio::test]
async fn a_record_of_a_partition_that_went_is_not_taken() {
    let mut desk = desk();
    assert!(take(&mut desk, records(2, &[0])).is_none());
}

#[tokio::test]
async fn what_waits_of_partitions_that_go_is_forgotten_and_the_rest_is_not() {
    let mut desk = desk();
    desk.waiting = [records(1, &[1]), records(2, &[5]), records(1, &[2])].into();
    desk.forget_waiting(&[AssignmentId(1)]);
    assert_eq!(desk.waiting.iter().map(|records| records.first()).collect::<Vec<_>>(), [Some(5)]);
}
