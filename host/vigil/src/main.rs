//! The binary: reads the environment, runs a command, and leaves with its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use vigil::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(vigil::commands::main(Cli::parse()))
}
