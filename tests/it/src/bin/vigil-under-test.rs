//! The program that users run, as the tests start it.

use std::process::ExitCode;

use clap::Parser as _;
use vigil::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(vigil::commands::main(Cli::parse()))
}
