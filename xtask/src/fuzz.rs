//! More cases for the property tests. There is no coverage-guided fuzzer here: the inputs are proptest's, which are
//! random and seeded, and a failing one is kept under `proptest-regressions/`.

use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, Metadata};

use crate::command;
use crate::runner::Runner;
use crate::steps::Steps;

/// How much to try.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Cases for each property; `cargo xtask test` gives them proptest's 256. A property that fixes its own number
    /// keeps it.
    #[arg(long, default_value_t = 20_000)]
    cases: u32,
    /// Only this crate.
    #[arg(long, value_name = "CRATE")]
    package: Option<String>,
}

/// Runs all tests of the crates that have properties, with `PROPTEST_CASES` set.
pub fn run(args: &Args) -> Result<bool> {
    let crates: Vec<_> = with_properties(&command::metadata()?)
        .into_iter()
        .filter(|name| args.package.as_ref().is_none_or(|only| only == name))
        .collect();
    if crates.is_empty() {
        bail!(match &args.package {
            Some(name) => format!("no crate {name} has property tests"),
            None => "no crate has property tests".to_owned(),
        });
    }
    let packages: Vec<&str> = crates
        .iter()
        .flat_map(|name| ["--package", name.as_str()])
        .collect();
    command::with_tmp(|tmp| {
        let mut steps = Steps::default();
        let mut closing = Vec::new();
        steps.run("properties", || {
            let finished = Runner::installed().run(&packages, tmp, |command| {
                command.env("PROPTEST_CASES", args.cases.to_string());
            })?;
            closing = finished.closing;
            Ok(finished.ending)
        });
        Ok(steps.conclude(&closing))
    })
}

/// The crates whose tests use proptest.
fn with_properties(metadata: &Metadata) -> Vec<String> {
    let mut crates: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| {
            package.dependencies.iter().any(|dependency| {
                dependency.name == "proptest" && dependency.kind == DependencyKind::Development
            })
        })
        .map(|package| package.name.to_string())
        .collect();
    crates.sort();
    crates
}
