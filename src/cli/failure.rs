//! How a failure is told, and with which exit code.

use std::{io, process::ExitCode};

use tracing::error;

use super::arguments::LogFormat;
use crate::config::ConfigError;

/// The configuration is wrong: `EX_CONFIG` of sysexits(3), on which systemd can be told not to restart.
const CONFIGURATION: u8 = 78;
const USAGE: u8 = 2;
const FAILED: u8 = 1;
const UNDONE: u8 = 2;

/// What was typed makes no sense, and clap could not know.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Everything was already said; only the exit code is left.
#[derive(Debug, thiserror::Error)]
#[error("told already")]
pub(super) struct Told;

/// What was asked for could not be done, in a command that has another meaning for the exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Undone(pub(super) String);

/// The same, and everything was already said.
#[derive(Debug, thiserror::Error)]
#[error("told already")]
pub(super) struct Unsure;

/// The exit code of what clap answered: help and version are no failures.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    ExitCode::from(if error.exit_code() == 0 { 0 } else { USAGE })
}

/// Tells why, and gives the exit code.
pub(super) fn tell(error: &anyhow::Error, format: LogFormat) -> ExitCode {
    if error.chain().any(is_broken_pipe) {
        // Whoever read our output has had enough, as `head` does: nothing failed.
        return ExitCode::SUCCESS;
    }
    if !error.is::<Told>() && !error.is::<Unsure>() {
        match format {
            LogFormat::Text => eprintln!("error: {error:#}"),
            LogFormat::Json => error!(error = format!("{error:#}"), "failed"),
        }
    }
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    match error {
        _ if error.is::<ConfigError>() => CONFIGURATION,
        _ if error.is::<Usage>() => USAGE,
        _ if error.is::<Undone>() || error.is::<Unsure>() => UNDONE,
        _ => FAILED,
    }
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::{Undone, Usage, code};
    use crate::config::Config;

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let missing = Config::load(Some("/nowhere/logdrive.toml".as_ref())).expect_err("no such file");
        assert!(missing.to_string().starts_with("can't read the configuration /nowhere/logdrive.toml: "));
        assert_eq!(code(&missing.into()), 78);
        assert_eq!(code(&Usage("no".to_owned()).into()), 2);
        assert_eq!(code(&anyhow!("no")), 1);
        assert_eq!(code(&Undone("no".to_owned()).into()), 2);
    }
}
