//! Vigilante's seven statuses in vigil's eight states: the one table between the two.

use vigil_core::State;

/// What a record of status `success` says about its pull request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    /// `pull_request_state`; empty: not recorded.
    pub(crate) pull_request_state: &'a str,
    /// `pull_request_merged_at` is there.
    pub(crate) merged: bool,
    /// A pull request's number is there.
    pub(crate) numbered: bool,
    /// `cleanup_completed_at` or `monitoring_stopped_at` is there: Vigilante is done with it.
    pub(crate) let_go: bool,
    /// `last_cleanup_source`; empty: not recorded.
    pub(crate) cleanup_source: &'a str,
}

/// Vigilante's status in vigil's words. `None`: a word that neither of them knows.
///
/// Vigilante keeps `success` from the moment a pull request was found until its issue closes, so that what the record
/// says about the pull request decides:
/// - merged: the result is in, whatever has been cleaned up since.
/// - open: looked after, also when Vigilante has stopped watching it: vigil itself writes that for a closed issue,
///   and the pull request may still be merged.
/// - closed: Vigilante goes on watching until it has cleaned up; after that the record is at its end.
/// - not recorded: the agent's run ends with `success` only when Vigilante has seen a pull request, and its first
///   maintenance round writes down which. Where Vigilante has let go without ever writing one down, the reason it
///   gives for the clean-up decides, and without a reason its own word, success.
pub(crate) fn state(status: &str, outcome: Outcome<'_>) -> Option<State> {
    Some(match status {
        "running" | "resuming" => State::Running,
        "blocked" => State::Blocked,
        "incomplete" => State::Interrupted,
        "failed" => State::Failed,
        "closed" => State::Closed,
        "success" => match outcome.pull_request_state {
            _ if outcome.merged => State::Succeeded,
            "MERGED" => State::Succeeded,
            "OPEN" => State::Maintaining,
            "CLOSED" if outcome.let_go => State::Closed,
            "CLOSED" => State::Maintaining,
            "" if !outcome.let_go => State::Maintaining,
            "" => match outcome.cleanup_source {
                "pull_request_merged" => State::Succeeded,
                "pull_request_closed" => State::Closed,
                _ if outcome.numbered => State::Maintaining,
                _ => State::Succeeded,
            },
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
