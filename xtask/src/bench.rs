//! The benches, and which there are.

use anyhow::{Result, bail};
use cargo_metadata::{Metadata, TargetKind};

use crate::command::{self, cargo};
use crate::steps::Steps;

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only benches whose `crate/bench` name contains this.
    filter: Option<String>,
}

/// Runs each bench by itself, so that one is not measured beside another.
pub fn run(args: &Args) -> Result<bool> {
    let filter = args.filter.as_deref().unwrap_or_default();
    let benches: Vec<_> = benches(&command::metadata()?)
        .into_iter()
        .filter(|(package, bench)| format!("{package}/{bench}").contains(filter))
        .collect();
    if benches.is_empty() {
        bail!("no bench has a name that contains \"{filter}\"");
    }
    let mut steps = Steps::default();
    for (package, bench) in &benches {
        steps.run("bench", || {
            eprintln!("    {package}/{bench}");
            command::run(&mut cargo([
                "bench",
                "--package",
                package,
                "--bench",
                bench,
            ]))
        });
    }
    Ok(steps.conclude(&[]))
}

/// All benches of the workspace, by crate and name.
fn benches(metadata: &Metadata) -> Vec<(String, String)> {
    let mut benches: Vec<_> = metadata
        .packages
        .iter()
        .flat_map(|package| {
            package
                .targets
                .iter()
                .filter(|target| target.kind.contains(&TargetKind::Bench))
                .map(|target| (package.name.to_string(), target.name.clone()))
        })
        .collect();
    benches.sort();
    benches
}
