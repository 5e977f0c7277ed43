//! `vigil completions`: a script for a shell.

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::failure::{EXIT_DONE, Outcome};
use crate::ui::Ui;

/// Runs the command.
pub(crate) fn run(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vigil", &mut script);
    Ui { json: false }.line(String::from_utf8_lossy(&script));
    Ok(EXIT_DONE)
}
