//! The eight states and which may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a session is doing, in vigil's words. The owner's own word is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Wanted, no work yet.
    Queued,
    /// An agent is at work.
    Running,
    /// Waits for a person.
    Blocked,
    /// Work is open and the agent is gone; it may be resumed.
    Interrupted,
    /// The pull request is open and is being looked after.
    Maintaining,
    /// Finished, and the result is in.
    Succeeded,
    /// Finished without a result.
    Failed,
    /// No longer wanted.
    Closed,
}

impl State {
    /// All eight, in the order of the glossary.
    pub const ALL: [State; 8] = [
        State::Queued,
        State::Running,
        State::Blocked,
        State::Interrupted,
        State::Maintaining,
        State::Succeeded,
        State::Failed,
        State::Closed,
    ];

    /// The name that people read and write.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Blocked => "blocked",
            State::Interrupted => "interrupted",
            State::Maintaining => "maintaining",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Closed => "closed",
        }
    }

    /// The work is over, one way or another.
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Closed)
    }

    /// Nothing may follow: such a session is not looked at again.
    pub fn is_settled(self) -> bool {
        self.successors().is_empty()
    }

    /// The states that a reconciler may put in place of this one.
    ///
    /// Nothing leads back to `queued` or `running`: starting work is the owner's business. `failed` is final and yet
    /// has successors, because a branch whose record failed may well have an open or merged pull request.
    pub fn successors(self) -> &'static [State] {
        use State::*;
        match self {
            Queued => &[Blocked, Interrupted, Maintaining, Succeeded, Failed, Closed],
            Running => &[Blocked, Interrupted, Maintaining, Succeeded, Failed, Closed],
            Blocked => &[Interrupted, Maintaining, Succeeded, Failed, Closed],
            Interrupted => &[Blocked, Maintaining, Succeeded, Failed, Closed],
            Maintaining => &[Blocked, Interrupted, Succeeded, Failed, Closed],
            Failed => &[Blocked, Maintaining, Succeeded, Closed],
            Succeeded | Closed => &[],
        }
    }

    /// Whether `next` may follow.
    pub fn may_become(self, next: State) -> bool {
        self.successors().contains(&next)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownState(pub String);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
        write!(f, "\"{}\" is no state; one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownState {}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownState(name.to_owned()))
    }
}
