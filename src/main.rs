//! The binary: read the command line, run one command.

fn main() {}
