//! One function for each row of the table: `None` when the row has nothing to say. Each may rely on all rows before it
//! having had nothing to say.

mod forge;
mod issue;
mod liveness;
mod standing;

use vigil_sdk::Decision;

use crate::Case;

pub use forge::{
    closed_pr, github_unknown, merged_elsewhere, merged_pr, needs_issue, open_pr, unmerged_work,
};
pub use issue::{closed_issue, done_issue, gone_issue};
pub use liveness::{active, agent_gone, no_evidence, occupied, stuck_maintenance};
pub use standing::standing;

/// An agent is at work, or was until a moment ago.
pub const ACTIVE: &str = "active";
/// A fact that the verdict needs is unknown.
pub const GITHUB_UNKNOWN: &str = "github-unknown";
/// The pull request ended without all of the work.
pub const UNMERGED_WORK: &str = "unmerged-work";
/// The pull request was merged into a branch where its work does not land.
pub const MERGED_ELSEWHERE: &str = "merged-elsewhere";
/// The pull request was merged.
pub const MERGED_PR: &str = "merged-pr";
/// The pull request is open.
pub const OPEN_PR: &str = "open-pr";
/// The pull request was closed without a merge.
pub const CLOSED_PR: &str = "closed-pr";
/// The issue carries a final label.
pub const DONE_ISSUE: &str = "done-issue";
/// The issue is closed.
pub const CLOSED_ISSUE: &str = "closed-issue";
/// The issue does not exist any more.
pub const GONE_ISSUE: &str = "gone-issue";
/// Maintenance is marked as under way by a process that is gone.
pub const STUCK_MAINTENANCE: &str = "stuck-maintenance";
/// The agent is gone for good.
pub const AGENT_GONE: &str = "agent-gone";
/// The agent seems to be gone, and something else works in its worktree.
pub const OCCUPIED: &str = "occupied";
/// Nothing can be shown either way.
pub const NO_EVIDENCE: &str = "no-evidence";

/// A row of the table.
pub type RuleOf = fn(&Case<'_>) -> Option<Decision>;

/// The rows in the order in which they are tried. `needs_issue` is the second half of `github-unknown`: what it holds
/// for does not hinder the rows about a merged or open pull request.
pub const IN_ORDER: [RuleOf; 15] = [
    active,
    github_unknown,
    unmerged_work,
    merged_elsewhere,
    merged_pr,
    open_pr,
    needs_issue,
    closed_pr,
    done_issue,
    closed_issue,
    gone_issue,
    stuck_maintenance,
    agent_gone,
    occupied,
    no_evidence,
];
