//! The one door to this repository: `cargo xtask test` is all that a pull request must pass.

#![expect(
    clippy::disallowed_macros,
    reason = "a tool for developers prints for them"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::{bench, deny, fuzz, interop, lint, nightly, policies, schema, test};

/// The one door to this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that a change must pass: lint, licences, then all tests, with one closing summary.
    Test,
    /// Format, clippy and the tidy tests.
    Lint,
    /// Builds the policies and guests that are committed, or checks that they fit their sources.
    Policies(policies::Args),
    /// The benches, one after another.
    Bench(bench::Args),
    /// The property tests with many more cases than `test` gives them.
    Fuzz(fuzz::Args),
    /// What takes too long for every change: 1,000 kills beside a second writer, and 20,000 made-up worlds.
    Nightly,
    /// Vigil beside the published Vigilante, in a namespace without a network. Needs PyPI and root; no part of `test`.
    Interop,
    /// Fetches GitHub's published GraphQL schema, which vigil-github's queries are validated against.
    Schema,
    /// Checks bans, licences and sources of all dependencies with cargo-deny.
    Deny,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True: all that was asked for is in order.
fn run(command: Command) -> Result<bool> {
    match command {
        Command::Test => test::run(),
        Command::Lint => lint::run(),
        Command::Policies(args) => policies::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Nightly => nightly::run(),
        Command::Interop => interop::run(),
        Command::Schema => schema::run(),
        Command::Deny => deny::run(),
    }
}
