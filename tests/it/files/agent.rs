//! The agent of a run: stopped and started once in the middle, and killed at random moments if that is the variation.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::timeout;

use crate::rig::{Dice, Program, Site, number};

/// All the lives of one agent.
pub struct Agent<'a> {
    site: &'a Site,
    /// How many more times it is killed.
    kills: u64,
    killed: u64,
    dice: Dice,
    pid: Arc<AtomicU32>,
    program: Option<Program>,
}

impl<'a> Agent<'a> {
    /// An agent that runs not yet.
    pub fn new(site: &'a Site, is_killed: bool, seed: u64) -> Self {
        let kills = if is_killed { number("IT_KILLS", 6) } else { 0 };
        Self { site, kills, killed: 0, dice: Dice::new(seed), pid: Arc::default(), program: None }
    }

    /// The process of its present life.
    pub fn pid(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.pid)
    }

    pub fn start(&mut self) {
        let program = self.site.agent();
        self.pid.store(program.id(), Ordering::Relaxed);
        self.program = Some(program);
    }

    pub async fn ready(&mut self) {
        self.program.as_mut().expect("it was started").ready().await;
    }

    /// Lets it live until something happens, which it need not live to see.
    ///
    /// Half of the lives end within 400 ms, in the middle of the start; the others last up to 2 s.
    pub async fn live_until<T>(&mut self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        while self.kills > 0 {
            let life = if self.dice.coin() { self.dice.within(1..400) } else { self.dice.within(400..2000) };
            if let Ok(happened) = timeout(Duration::from_millis(life), &mut event).await {
                return happened;
            }
            (self.kills, self.killed) = (self.kills - 1, self.killed + 1);
            self.program.take().expect("it was started").kill();
            self.start();
        }
        event.await
    }

    /// Ends it, at once if it has to be killed some more.
    pub async fn stop(&mut self) {
        let program = self.program.take().expect("it was started");
        if self.kills > 0 {
            (self.kills, self.killed) = (self.kills - 1, self.killed + 1);
            program.kill();
        } else {
            program.stop_well().await;
        }
    }

    /// Kills it no more.
    pub fn spare(&mut self) {
        println!("killed {} times", self.killed);
        self.kills = 0;
    }

    /// Ends it in order.
    pub async fn finish(&mut self) {
        self.program.take().expect("it was started").stop_well().await;
    }
}
