//! The terminal: taken over, drawn on, listened to, and left as it was found, also after a panic or a signal.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, TryRecvError},
    },
    time::Duration,
};

use anyhow::Context;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEventKind},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::block_in_place,
    time::{MissedTickBehavior, interval},
};

use super::{
    Round,
    client::Asking,
    screen::{Screen, Surroundings},
};

/// How long a key is waited for before it is looked whether there is news.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run(asking: Asking, every: Duration, count: Option<u64>, screen: Screen) -> anyhow::Result<()> {
    let ends = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()] {
        let (mut signal, ends) = (signal(kind).context("can't take over the signals")?, Arc::clone(&ends));
        tokio::spawn(async move {
            signal.recv().await;
            ends.store(true, Ordering::Release);
        });
    }
    let (rounds, news) = mpsc::sync_channel(1);
    let (pauses, is_paused) = watch::channel(false);
    let asked = tokio::spawn(ask(asking, every, count, rounds, is_paused));
    let shown = block_in_place(|| {
        // It restores the terminal before it tells of a panic.
        let mut terminal =
            ratatui::try_init().context("can't use the terminal; without one, pipe it: logdrive top | cat")?;
        let shown = show(&mut terminal, screen, &news, &pauses, &ends);
        let restored = ratatui::try_restore();
        shown.and(restored.context("can't give the terminal back"))
    });
    asked.abort();
    shown
}

/// Asks, round after round, as long as somebody looks.
async fn ask(
    asking: Asking,
    every: Duration,
    count: Option<u64>,
    rounds: mpsc::SyncSender<Round>,
    mut is_paused: watch::Receiver<bool>,
) {
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut processes, mut number) = (Vec::new(), 0);
    while count.is_none_or(|count| number <= count) {
        due.tick().await;
        if is_paused.wait_for(|paused| !paused).await.is_err() {
            return;
        }
        let (seen, trouble) = asking.round(processes).await;
        processes = seen.clone();
        let round = Round { processes: seen, trouble };
        // Whoever looks takes it within a moment, or has gone.
        let gone = block_in_place(|| rounds.send(round).is_err());
        if gone {
            return;
        }
        number += 1;
    }
}

/// Shows and obeys until a key or a signal says that it is enough, or nothing more comes.
fn show(
    terminal: &mut DefaultTerminal,
    mut screen: Screen,
    news: &mpsc::Receiver<Round>,
    pauses: &watch::Sender<bool>,
    ends: &AtomicBool,
) -> anyhow::Result<()> {
    let mut round = Round { processes: Vec::new(), trouble: None };
    let mut is_stale = true;
    while !ends.load(Ordering::Acquire) {
        match news.try_recv() {
            Ok(next) => (round, is_stale) = (next, true),
            Err(TryRecvError::Empty) => (),
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        if is_stale {
            let around = Surroundings { processes: &round.processes, trouble: round.trouble.as_deref() };
            terminal.draw(|frame| screen.draw(frame, &around)).context("can't draw on the terminal")?;
        }
        is_stale = event::poll(LOOK_EVERY).or_else(interrupted)?;
        if is_stale
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && !screen.press(key)
        {
            return Ok(());
        }
        pauses.send_if_modified(|paused| std::mem::replace(paused, screen.is_paused) != screen.is_paused);
    }
    Ok(())
}

/// A signal came in between; it is told elsewhere.
fn interrupted(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
}
