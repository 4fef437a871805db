//! What the program says of its work while it works: to stderr, quiet by default.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt};

use super::arguments::{Arguments, Command, LogFormat};

/// Sets up logging. `LOGDRIVE_LOG` overrides what is logged, in the words of tracing's filter directives.
pub(super) fn install(arguments: &Arguments) {
    let filter = std::env::var("LOGDRIVE_LOG").ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(directives(arguments)));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = fmt().with_env_filter(filter).with_writer(io::stderr);
    // Setting it a second time is the only thing that can fail, and this is the only place.
    let _ = match arguments.log_format {
        LogFormat::Text => subscriber.with_ansi(colour).compact().try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// Our own events from `info` on, those of others from `warn` on; a command that prints an answer and ends says less.
fn directives(arguments: &Arguments) -> &'static str {
    let answers = matches!(
        arguments.command,
        Command::Search(_) | Command::Check(_) | Command::Test(_) | Command::Checkpoints(_) | Command::Top(_)
    );
    match arguments.verbose {
        0 if answers => "error",
        0 => "warn,logdrive=info",
        1 => "warn,logdrive=debug",
        _ => "debug,logdrive=trace",
    }
}
