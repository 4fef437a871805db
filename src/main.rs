//! The binary: read the command line, run one command.

use std::process::ExitCode;

fn main() -> ExitCode {
    logdrive::cli::main()
}
