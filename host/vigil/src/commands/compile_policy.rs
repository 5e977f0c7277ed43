//! `vigil compile-policy`: what vigil starts to compile a policy, in a process that may be killed. Nobody types it.

use std::process;

use crate::failure::{EXIT_DONE, EXIT_FAILED};

/// Compiles what comes on standard input, as `job` says. There is nobody to read a reason but the parent, who sees the
/// exit code.
pub(crate) fn run(job: &str) -> u8 {
    match vigil_policy::serve(job) {
        Ok(()) => EXIT_DONE,
        Err(error) => {
            tracing::debug!(%error, pid = process::id(), "a compiler of policies failed");
            EXIT_FAILED
        }
    }
}
