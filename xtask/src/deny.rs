//! Bans, licences and sources of everything the lock file holds, by cargo-deny and `deny.toml`.

use anyhow::Result;

use crate::command::{self, cargo, works};
use crate::steps::{Ending, Steps};

/// `cargo xtask deny`. Without cargo-deny it fails, since it was asked for by name.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    steps.run("deny", || {
        Ok(match check()? {
            Ending::Skipped(why) => Ending::Failed(why),
            ending => ending,
        })
    });
    Ok(steps.conclude(&[]))
}

/// The check, or in one line what to type where cargo-deny is missing. It is not installed from here: that compiles
/// for minutes. Advisories are left out, since they need the network and change without a change of ours.
pub fn check() -> Result<Ending> {
    if !works(cargo(["deny", "--version"])) {
        return Ok(Ending::Skipped(
            "cargo-deny is not installed; type: cargo install cargo-deny --locked".to_owned(),
        ));
    }
    command::run(&mut cargo([
        "deny",
        "--log-level",
        "error",
        "check",
        // Who depends on it is for `cargo tree --invert`; here it would hide the findings.
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}
