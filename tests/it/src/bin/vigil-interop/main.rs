//! Tries vigil beside the published Vigilante: what vigil writes must keep Vigilante from destroying work and from
//! starting agents.
//!
//! `cargo xtask interop` builds this, brings Vigilante, and runs both in a network namespace that has nothing but
//! loopback. GitHub is played twice: for vigil by the model, over HTTP, and for Vigilante by this program under the
//! name of `gh`. Under the names of the agents it only writes down that it was started.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a program for developers prints for them and sets the stage for two others"
)]

mod agent;
mod gh;
mod keeps;
mod left;
mod reopened;
mod stage;
mod stale;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::stage::Programs;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("interop failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["as-gh", dir, rest @ ..] => gh::answer(dir.as_ref(), rest),
        ["as-agent", dir, name, rest @ ..] => agent::start(dir.as_ref(), name, rest),
        ["--vigilante", vigilante, "--vigil", vigil] => both(Programs {
            vigilante: PathBuf::from(vigilante),
            vigil: PathBuf::from(vigil),
            own: std::env::current_exe().context("failed to find this program itself")?,
        }),
        _ => bail!("type: cargo xtask interop"),
    }
}

/// Both parts. 0: all as it must be; 1: not.
fn both(programs: Programs) -> Result<ExitCode> {
    only_loopback()?;
    let work = tempfile::Builder::new()
        .prefix("vigil-interop-")
        .tempdir()
        .context("failed to create a folder for the stages")?;
    let mut findings = stale::findings(&programs, &work.path().join("stale"))?;
    findings.extend(keeps::findings(&programs, &work.path().join("keeps"))?);
    findings.extend(left::findings(&programs, &work.path().join("left"))?);
    findings.extend(reopened::findings(
        &programs,
        &work.path().join("reopened"),
    )?);
    for finding in &findings {
        println!("WRONG: {finding}");
    }
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("the stages are kept in {}", work.keep().display());
    Ok(ExitCode::FAILURE)
}

/// Vigilante reports to its makers and asks GitHub unless it cannot: here it must not be able to.
fn only_loopback() -> Result<()> {
    let devices =
        std::fs::read_to_string("/proc/net/dev").context("failed to list the network devices")?;
    let others: Vec<&str> = devices
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .filter(|name| *name != "lo")
        .collect();
    if !others.is_empty() {
        bail!(
            "there is a network ({}); type: cargo xtask interop",
            others.join(", ")
        );
    }
    Ok(())
}
