//! How the transfer is a member of its group.
//!
//! `IT_GROUP_LIVES` (6, of each of three members) and `IT_GROUP_LINES` (4000 lines in each of 12 files) make it the long
//! form.

use std::time::Duration;

use crate::{
    rig::{Dice, Program, Site, corpus, index, kafka, number, until},
    road::settled,
};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_new_group_begins_at_the_time_that_it_is_told() {
    let mut site = Site::new("since").await;
    let files = corpus::files(&site.logs(), 31, 4, 300);
    let mut agent = site.agent();
    agent.ready().await;
    corpus::write_whole(&files[..2]);
    sent(&agent, &files[..2]).await;
    // Kafka's times are whole milliseconds; the machine and the broker share a clock.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let since = jiff::Timestamp::now().to_string();
    tokio::time::sleep(Duration::from_millis(50)).await;
    corpus::write_whole(&files[2..]);
    sent(&agent, &files).await;

    site.set("transfer.start_from", since);
    site.set("transfer.member", "the-only-one");
    let mut transfer = site.transfer();
    // Where nothing came since, there is nothing to commit, so what is committed doesn't say when all is done.
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(&files[2..])).await;
    transfer.stop_well().await;
    // Under its own name it gets its partitions back at once, and goes on where it was.
    let more = corpus::files(&site.logs(), 32, 5, 300);
    corpus::write_whole(&more[4..]);
    transfer = site.transfer();
    transfer.ready().await;
    let all: Vec<_> = files[2..].iter().chain(&more[4..]).cloned().collect();
    index::wait_for(&site.elasticsearch, &site.indices(), corpus::lines_in(&all)).await;
    transfer.stop_well().await;
    agent.stop_well().await;
    site.holds_exactly(&all).await;
}

#[tokio::test]
async fn three_members_that_are_killed_leave_and_join_at_random_index_each_line_once() {
    let mut dice = Dice::thrown();
    let lives = number("IT_GROUP_LIVES", 6);
    let mut site = Site::new("group").await;
    kafka::grow(&site.kafka, &site.topic, 7).await;
    site.forget_dead_members_soon();
    let files = corpus::files(&site.logs(), 42, 12, number("IT_GROUP_LINES", 4_000) as usize);
    let agent = site.agent();
    // A life and the pause behind it last 2.5 s on average; the writing goes on until about the last of them.
    let writing = Duration::from_millis(2_500 * lives);
    let written = corpus::write(&files, corpus::Pace::over(writing, &files));
    let (seeds, site) = ([dice.roll(), dice.roll(), dice.roll()], &site);
    // Two come back under their own names, one is a new member each time.
    let members = futures::future::join3(
        comes_and_goes(site, Some("first"), lives, seeds[0]),
        comes_and_goes(site, Some("second"), lives, seeds[1]),
        comes_and_goes(site, None, lives, seeds[2]),
    );
    let ((), (first, second, third)) = futures::join!(written, members);

    settled(site, &files).await;
    let mut members = [first, second, third];
    for member in &mut members {
        member.ready().await;
        let rebalances = member.metric("logdrive_consumer_rebalances_total", &[("kind", "assigned")]).await;
        assert!(rebalances > 0.0, "a member that is ready takes part");
    }
    agent.stop_well().await;
    for member in members {
        member.stop_well().await;
    }
    site.holds_exactly(&files).await;
}

/// A member's `lives`, each ended by a kill or, one in three, by leaving, and its next one, which is left alive.
async fn comes_and_goes(site: &Site, name: Option<&str>, lives: u64, seed: u64) -> Program {
    let mut dice = Dice::new(seed);
    for _ in 0..lives {
        let program = site.transfer_named(name);
        tokio::time::sleep(Duration::from_millis(dice.within(100..4_000))).await;
        if dice.within(0..3) == 0 {
            // At once if it is asked before it could begin.
            program.stop().await;
        } else {
            program.kill();
        }
        tokio::time::sleep(Duration::from_millis(dice.within(0..1_000))).await;
    }
    site.transfer_named(name)
}

/// Waits until all lines of the files are in Kafka.
async fn sent(agent: &crate::rig::Program, files: &[corpus::LogFile]) {
    let lines = corpus::lines_in(files) as f64;
    until("sent", LIMIT, async || agent.metric("logdrive_acknowledged_lines_total", &[]).await >= lines).await;
}
