//! `vigil demo`
use crate::{cli::DemoArgs, environment::Environment, failure::Outcome, ui::Ui};
/// Runs the command.
pub async fn run(_: &DemoArgs, _: Environment, _: Ui) -> Outcome {
    Ok(0)
}
