//! The first SIGTERM or SIGINT asks for an orderly stop, the second ends the process at once.

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::metrics::Health;

/// The signals that ask a process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over. To be called before anything that has to be drained is begun.
    pub(super) fn take() -> anyhow::Result<Self> {
        let take = |kind| signal(kind).context("can't take over the signals");
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    /// Cancels `stop` on the first signal; returns, on the second, why the process ends now.
    ///
    /// The process is not ready any more before anything is let go, so that who sends it work can turn elsewhere.
    pub(super) async fn obey(mut self, stop: &CancellationToken, health: &Health) -> anyhow::Error {
        let name = self.next().await;
        health.drain(format!("{name}: what is under way is finished, then the process ends"));
        info!(signal = name, "stopping in order; a second signal ends at once");
        stop.cancel();
        let name = self.next().await;
        anyhow!(
            "ended at once by a second signal ({name}); nothing is lost: what was not acknowledged is read again at the next start"
        )
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
