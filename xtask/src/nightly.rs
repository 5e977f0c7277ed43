//! What takes too long for every change, and is run once a night: the crash loop, and ten times as many made-up worlds.

use anyhow::Result;

use crate::command::{self, cargo};
use crate::steps::Steps;

/// 20,000 worlds in place of the 2,000 of every test run.
const SEEDS: &str = "20000";

/// The crash loop in the long form: 1,000 kills beside a second writer.
const KILLS: &str =
    "program::crashes::killed_a_thousand_times_beside_a_second_writer_nothing_is_lost";

/// Runs all of it.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    steps.run("kills", || {
        let test = ["test", "--package", "vigil-it", "--test", "it", "--"];
        command::run(cargo(test).args(["--ignored", "--exact", KILLS]))
    });
    steps.run("worlds", || {
        let test = ["test", "--package", "vigil-sim"];
        command::run(cargo(test).env("VIGIL_SIM_SEEDS", SEEDS))
    });
    Ok(steps.conclude(&[]))
}
