//! Role: a live view of processes that are at work.
//!
//! It asks them for their metrics and their state every few seconds, and shows what is made of two answers: rates,
//! quantiles, what is behind. On a terminal that is a screen with keys, elsewhere tables or JSON. The role promises that
//! the terminal is left as it was found, however it ends; that a process which is away is shown as that, and shown again
//! when it comes back; and that nothing is asked more often than was said. It must not know how processes work.

mod change;
mod client;
mod plain;
mod process;
mod screen;
#[cfg(test)]
mod screen_tests;
mod table;
mod terminal;
mod text;
mod units;
mod views;

use std::time::Duration;

use self::{client::Asking, process::Process};
pub use self::{
    client::{Who, checked},
    views::View,
};

/// How to watch.
pub struct Settings {
    /// Who is watched.
    pub who: Who,
    /// What is looked at first.
    pub view: View,
    /// How long lies between two rounds of questions.
    pub interval: Duration,
    /// After how many rounds it ends; none means when somebody says so.
    pub count: Option<u64>,
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// On a screen with keys, with or without colours.
    Screen {
        /// Whether colours are wanted.
        has_colour: bool,
    },
    /// As tables, one after the other.
    Tables,
    /// As JSON, an object a line.
    Json,
}

/// Watches until the count is reached, a key says to quit, or a signal ends it. To be called within a runtime.
///
/// # Errors
/// If the terminal can't be used, or nobody reads what is written.
pub async fn run(settings: Settings, form: Form) -> anyhow::Result<()> {
    let Settings { who, view, interval, count } = settings;
    let asking = Asking::new(who)?;
    match form {
        Form::Screen { has_colour } => {
            terminal::run(asking, interval, count, screen::Screen::new(view, has_colour)).await
        }
        Form::Tables | Form::Json => plain::run(asking, interval, count, view, form == Form::Json).await,
    }
}

/// What came of a round of questions.
struct Round {
    processes: Vec<Process>,
    /// Why it is not known who is there, if it isn't.
    trouble: Option<String>,
}
