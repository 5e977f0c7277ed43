//! `cargo xtask test`: what a change must pass, one step after another, with one closing summary.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{self, cargo_for_tests, works};
use crate::runner::Runner;
use crate::steps::Steps;
use crate::{deny, lint, schema};

/// Runs all steps, the ones after a failed one included. The last lines are the test runner's own.
pub fn run() -> Result<bool> {
    needs_git()?;
    command::with_tmp(|tmp| {
        let mut steps = Steps::default();
        let mut closing = Vec::new();
        let mut skipped = Vec::new();

        lint::code(&mut steps);
        steps.run("deny", deny::check);
        steps.run("schema", schema::ensure_there);
        // nextest runs no doc tests, so cargo does in both cases.
        steps.run("doc tests", || {
            command::run(&mut cargo_for_tests(
                ["test", "--workspace", "--doc", "--quiet"],
                tmp,
            ))
        });
        // The tidy tests are among these.
        steps.run("tests", || {
            let schema = schema::path(&command::target_dir()?);
            let finished = Runner::installed().run(&["--workspace"], tmp, |command| {
                command.env("VIGIL_GITHUB_SCHEMA", schema);
            })?;
            closing = finished.closing;
            skipped = finished.skipped;
            Ok(finished.ending)
        });
        steps.skipped_within(skipped);
        Ok(steps.conclude(&closing))
    })
}

/// The tests make real worktrees; everything else that they need, cargo brings or they skip.
fn needs_git() -> Result<()> {
    let mut git = Command::new("git");
    git.arg("--version");
    if !works(git) {
        bail!("the tests need git; type: apt-get install -y git");
    }
    Ok(())
}
