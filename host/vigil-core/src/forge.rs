//! What the forge says about an issue and a pull request.
//!
//! Fields that are facts are only asked for where a policy wants them; each names the word by which it is wanted, the
//! same as in `wit/policy.wit`.

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
    /// Logins, in the forge's order; an empty list is an answer. Wanted as `assignees`.
    pub assignees: Fact<Vec<String>>,
    /// Who closed it last. Absent: it is open, or the account is gone. Wanted as `issue-history`.
    pub closer: Fact<Actor>,
    /// How often it was reopened. Wanted as `issue-history`.
    pub reopened: Fact<u32>,
    /// Pull requests that close it when they are merged, ended ones included. Wanted as `closing-references`.
    pub closed_by: Fact<Vec<Reference>>,
    /// When this was learned.
    pub observed: Timestamp,
}

impl Issue {
    /// Issue `number`, open, of which nothing else was asked; learned at `observed`.
    pub fn bare(number: u64, observed: Timestamp) -> Self {
        Issue {
            number,
            open: true,
            reason: None,
            labels: Vec::new(),
            closed: None,
            assignees: Fact::NotAsked,
            closer: Fact::NotAsked,
            reopened: Fact::NotAsked,
            closed_by: Fact::NotAsked,
            observed,
        }
    }
}

/// Somebody on the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Actor {
    /// The name of the account.
    pub login: String,
    /// The account belongs to a program.
    pub bot: bool,
}

/// An issue or a pull request that another one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reference {
    /// Its repository, `owner/name`: not always the one that names it.
    pub repo: String,
    /// Within its repository.
    pub number: u64,
    /// `open`, `closed` or `merged`.
    pub state: String,
}

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullRequestState {
    /// Under way.
    Open,
    /// Its work is in its base branch, which need not be where the work is meant for: see [`PullRequest::landed`].
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
    /// When it was opened.
    pub created: Timestamp,
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
    /// The commit that its merge made on the base branch; `None`: not merged, or the forge does not say.
    #[serde(default)]
    pub merge_commit: Option<String>,
    /// Whether its merge has reached a branch where the session's work counts as landed; false: it was merged into
    /// another branch, and is on no landing branch yet. Absent: it is not merged. Depends on the session.
    #[serde(default)]
    pub landed: Fact<bool>,
    /// Absent: it has ended. Wanted as `mergeability`.
    pub mergeability: Fact<Mergeability>,
    /// What the reviews amount to: `approved`, `changes-requested` or `review-required`; absent: no rule asks for
    /// reviews. Wanted as `reviews`.
    pub review: Fact<String>,
    /// The latest opinion of each reviewer; an empty list is an answer. Wanted as `review-list`.
    pub review_list: Fact<Vec<Review>>,
    /// What the checks of the newest head amount to: `failing`, else `held`, else `pending`, else `passing`; absent:
    /// it has none. `held` can only be seen where `runs` are wanted, too. Wanted as `checks`.
    pub checks: Fact<String>,
    /// The single checks of the newest head. Absent: they need no look, since all passed or there are none. Wanted as
    /// `check-list`.
    pub check_list: Fact<Vec<Check>>,
    /// Runs of the newest head that wait until a person lets them go on; an empty list is an answer. Absent: they need
    /// no look, since the pull request has ended or its checks are failing anyway. Wanted as `runs`.
    pub runs: Fact<Vec<HeldRun>>,
    /// Its place in the merge queue. Absent: it is not in it. Wanted as `merge-queue`.
    pub queue: Fact<QueueEntry>,
    /// It will be merged as soon as it may. Absent: nobody asked for that. Wanted as `auto-merge`.
    pub auto_merge: Fact<AutoMerge>,
    /// Issues that its merge closes; an empty list is an answer. Wanted as `closing-references`.
    pub closes: Fact<Vec<Reference>>,
    /// When the facts above that move without the pull request's own change were learned: mergeability, checks, runs
    /// and the queue. Never later than `observed`.
    pub parts_observed: Timestamp,
    /// When this was learned, or last confirmed unchanged.
    pub observed: Timestamp,
}

impl PullRequest {
    /// Pull request `number`, open, with empty names, of which nothing else was asked; learned at `observed`.
    pub fn bare(number: u64, observed: Timestamp) -> Self {
        PullRequest {
            number,
            state: PullRequestState::Open,
            draft: false,
            created: Timestamp::default(),
            merged: None,
            closed: None,
            url: String::new(),
            head_ref: String::new(),
            base_ref: String::new(),
            head_sha: String::new(),
            head_owner: None,
            merge_commit: None,
            landed: Fact::NotAsked,
            mergeability: Fact::NotAsked,
            review: Fact::NotAsked,
            review_list: Fact::NotAsked,
            checks: Fact::NotAsked,
            check_list: Fact::NotAsked,
            runs: Fact::NotAsked,
            queue: Fact::NotAsked,
            auto_merge: Fact::NotAsked,
            closes: Fact::NotAsked,
            parts_observed: observed,
            observed,
        }
    }

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
    /// When the forge last said so. It is older than the rest while the forge works it out anew for the same head.
    pub observed: Timestamp,
}

/// The latest opinion of one reviewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Review {
    /// `None`: the account is gone.
    pub author: Option<Actor>,
    /// `approved`, `changes-requested`, or `dismissed`, which counts for nothing any more.
    pub state: String,
    /// The commit that was looked at, in hex; another than the head: it was about earlier work. `None`: the forge no
    /// longer has it.
    pub commit: Option<String>,
    /// `None`: the forge does not say.
    pub submitted: Option<Timestamp>,
}

/// One check of the newest head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// As it calls itself.
    pub name: String,
    /// The forge's own word, lower case: `success`, `failure`, `neutral`, `cancelled`, `skipped`, `timed-out`,
    /// `action-required`, ...; `pending`: it has not ended.
    pub outcome: String,
}

/// A run that waits until a person lets it go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HeldRun {
    /// The workflow's name; `None`: the forge gave none.
    pub name: Option<String>,
    /// What started it, for example `pull_request`; `None`: the forge does not say.
    pub event: Option<String>,
    /// What it waits for: `approval`, since it comes from a fork or a newcomer, or `deployment`, since its environment
    /// is protected.
    pub waits_for: String,
}

/// A place in the merge queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct QueueEntry {
    /// From 1.
    pub position: u32,
    /// The forge's own word, lower case: `queued`, `awaiting-checks`, `mergeable`, `unmergeable`, `locked`.
    pub state: String,
}

/// A wish to merge as soon as it is possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AutoMerge {
    /// `merge`, `squash` or `rebase`.
    pub method: String,
    /// Whose wish it is; `None`: the account is gone.
    pub by: Option<Actor>,
}
