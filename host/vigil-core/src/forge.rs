//! What the forge says about an issue and a pull request.

use serde::{Deserialize, Serialize};

use crate::fact::Fact;
use crate::time::Timestamp;

/// An issue that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Issue {
    /// Within its repository.
    pub number: u64,
    /// Open or closed.
    pub open: bool,
    /// `completed`, `not-planned`, `duplicate`, `reopened`; `None`: the forge gave none.
    pub reason: Option<String>,
    /// To the letter, in the forge's order.
    pub labels: Vec<String>,
    /// `None`: open.
    pub closed: Option<Timestamp>,
    /// When this was learned.
    pub observed: Timestamp,
}

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullRequestState {
    /// Under way.
    Open,
    /// Its work is in the base branch.
    Merged,
    /// Ended without a merge.
    Closed,
}

/// A pull request that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PullRequest {
    /// Within its repository.
    pub number: u64,
    /// Where it stands.
    pub state: PullRequestState,
    /// Not meant to be merged yet.
    pub draft: bool,
    /// `None`: not merged.
    pub merged: Option<Timestamp>,
    /// `None`: open. Merged ones have it too.
    pub closed: Option<Timestamp>,
    /// For people.
    pub url: String,
    /// Branch name at the head.
    pub head_ref: String,
    /// Branch that it goes into.
    pub base_ref: String,
    /// Newest commit of the head, frozen when the pull request ended.
    pub head_sha: String,
    /// `None`: the fork that held it is gone.
    pub head_owner: Option<String>,
    /// Not asked unless a policy wants it.
    pub mergeability: Fact<Mergeability>,
    /// `approved`, `changes-requested` or `review-required`; not asked unless a policy wants it.
    pub review: Fact<String>,
    /// `passing`, `pending` or `failing`; not asked unless a policy wants it.
    pub checks: Fact<String>,
    /// When this was learned.
    pub observed: Timestamp,
}

impl PullRequest {
    /// When it ended, merged or not.
    pub fn ended(&self) -> Option<Timestamp> {
        self.merged.or(self.closed)
    }
}

/// Whether it could be merged now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mergeability {
    /// No conflict with the base.
    pub mergeable: bool,
    /// The forge's own word, lower case.
    pub merge_state: String,
}
