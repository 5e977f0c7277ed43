//! Format, clippy, and the rules of the house that neither knows.

use anyhow::Result;

use crate::command::{self, cargo, works};
use crate::runner::Runner;
use crate::steps::{Ending, Steps};

/// `cargo xtask lint`: without the tests, but with the tidy ones.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    code(&mut steps);
    steps.run("tidy", || {
        let runner = Runner::installed();
        command::run(&mut runner.tidy_command())
    });
    Ok(steps.conclude(&[]))
}

/// Format and clippy, all targets of all crates, warnings being errors.
pub fn code(steps: &mut Steps) {
    steps.run("format", || {
        if !works(cargo(["fmt", "--version"])) {
            add_component("rustfmt")?;
        }
        command::run(&mut cargo(["fmt", "--all", "--", "--check"]))
    });
    steps.run("clippy", || {
        if !works(cargo(["clippy", "--version"])) {
            add_component("clippy")?;
        }
        command::run(&mut cargo([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "--deny",
            "warnings",
        ]))
    });
}

/// Installs a part of the toolchain that a minimal one lacks.
fn add_component(name: &str) -> Result<()> {
    let mut rustup = std::process::Command::new("rustup");
    rustup.args(["component", "add", name]);
    match command::run(&mut rustup)? {
        Ending::Passed => Ok(()),
        Ending::Failed(what) | Ending::Skipped(what) => {
            anyhow::bail!("{what}; type: rustup component add {name}")
        }
    }
}
