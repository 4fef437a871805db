//! The command line: what a person types, what is said back, and the exit codes.
//!
//! One file a subcommand. Every long-running one is a [`service`]: it serves metrics and health, drains on the first
//! signal and ends at once on the second. The room promises that every failure is told in words, with what to do
//! where that is known, and has its exit code: 0 done, 1 failed, 2 usage, 78 configuration; one that means more says so.

mod agent;
mod agents;
mod arguments;
mod audit;
mod check;
mod checkpoints;
mod dead_letters;
mod debug;
mod dry_run;
mod failure;
mod fleet;
mod logging;
mod presence;
mod reload;
mod report;
mod search;
mod serve;
mod service;
mod setup;
mod signals;
mod stores;
mod table;
mod tasks;
mod top;
mod transfer;
mod trial;
mod up;
mod web;

use std::process::ExitCode;

use self::arguments::{Arguments, Command};
use crate::{config::Config, host};

/// Runs what the command line says, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Without anyone to tell, the exit code has to do.
            let _ = error.print();
            return failure::usage(&error);
        }
    };
    match arguments.command {
        Command::Agent => host::heap::share(),
        Command::Transfer => host::heap::part(),
        _ => (),
    }
    logging::install(&arguments);
    let ended = run(&arguments);
    logging::finish();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell(&error, arguments.log_format),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if matches!(&arguments.command, Command::Check(check) if check.print_schema) {
        return check::print_schema();
    }
    if matches!(&arguments.command, Command::Check(check) if check.print_config) {
        return check::print_config(arguments.config.as_deref());
    }
    let config = Config::load(arguments.config.as_deref())?;
    match &arguments.command {
        Command::Up(up) => up::run(&config, up),
        Command::Agent => agent::run(&config),
        Command::Transfer => transfer::run(&config),
        Command::Web => web::run(&config),
        Command::Search(search) => search::run(&config, search),
        Command::Audit(asked) => audit::run(&config, asked),
        Command::Setup(asked) => setup::run(&config, asked),
        Command::Check(asked) => check::run(&config, asked),
        Command::Test(asked) => trial::run(&config, asked),
        Command::Checkpoints(asked) => checkpoints::run(&config, asked),
        Command::DeadLetters(asked) => dead_letters::run(&config, asked),
        Command::Agents(asked) => agents::run(&config, asked),
        Command::Tasks(asked) => tasks::run(&config, asked),
        Command::Top(asked) => top::run(&config, asked),
    }
}
