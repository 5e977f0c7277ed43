//! `vigil look`: the hidden command of the processes that look at files for vigil, so that it can end them. Nobody types it.

use std::io;

use crate::failure::{EXIT_DONE, Failure, Outcome};

/// Answers the questions of the vigil that started this process.
pub(super) fn run() -> Outcome {
    vigil_sources::vigilante::help(io::stdin().lock(), io::stdout().lock())
        .map_err(|error| Failure::world("failed to read what to look at").because(error))?;
    Ok(EXIT_DONE)
}
