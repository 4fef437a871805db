//! Exactly once, though the agent and the transfer are killed at random moments.
//!
//! `IT_KILLS` (20) and `IT_LINES` (3000 lines in each of 12 files) make it the long form; for the transfer alone,
//! `IT_TRANSFER_KILLS` (5) and `IT_TRANSFER_LINES` (50000 lines together).

use std::time::Duration;

use crate::{
    rig::{Dice, Program, Site, corpus, number},
    road::settled,
};

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_agent_and_transfer_are_each_killed_twenty_times() {
    let mut dice = Dice::thrown();
    let kills = number("IT_KILLS", 20);
    let mut site = Site::new("kills").await;
    site.forget_dead_members_soon();
    let files = corpus::files(&site.logs(), 2, 12, number("IT_LINES", 3000) as usize);

    // Lives last 1.1 s on average; the writing goes on until about the last of them.
    let writing = Duration::from_millis(1000 * kills);
    let agents = lives(|| site.agent(), kills, dice.roll());
    let transfers = lives(|| site.transfer(), kills, dice.roll());
    let written = corpus::write(&files, corpus::Pace::over(writing, &files));
    let ((), agent, transfer) = futures::join!(written, agents, transfers);

    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

#[tokio::test]
async fn a_transfer_that_is_killed_again_and_again_while_lines_flow_indexes_each_once() {
    let mut dice = Dice::thrown();
    let (kills, files) = (number("IT_TRANSFER_KILLS", 5), 10);
    let lines = number("IT_TRANSFER_LINES", 50_000) as usize / files;
    let mut site = Site::new("killed-transfer").await;
    site.forget_dead_members_soon();
    let files = corpus::files(&site.logs(), 41, files, lines);
    let agent = site.agent();
    let writing = Duration::from_millis(1000 * kills);
    let written = corpus::write(&files, corpus::Pace::over(writing, &files));
    let ((), transfer) = futures::join!(written, lives(|| site.transfer(), kills, dice.roll()));

    settled(&site, &files).await;
    agent.stop_well().await;
    transfer.stop_well().await;
    site.holds_exactly(&files).await;
}

/// Starts a program and kills it, `kills` times, and gives the one after that, which is left alive.
///
/// Half of the lives end within 400 ms, in the middle of the start; the others last up to 3 s.
async fn lives(start: impl Fn() -> Program, kills: u64, seed: u64) -> Program {
    let mut dice = Dice::new(seed);
    for _ in 0..kills {
        let program = start();
        let life = if dice.coin() { dice.within(1..400) } else { dice.within(400..3000) };
        tokio::time::sleep(Duration::from_millis(life)).await;
        program.kill();
    }
    start()
}
