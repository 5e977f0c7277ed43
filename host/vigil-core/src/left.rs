//! What it costs to leave a record as it is. A hold is an answer like any other: where its owner destroys work because
//! of it, it is the destructive one.

use crate::evidence::Evidence;
use crate::fact::{Gap, GapKind};
use crate::forge::{PullRequest, PullRequestState};
use crate::signs::{self, Unsaved};
use crate::time::Timestamp;

/// Work that its owner discards unless the record says something else by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discard {
    /// From this moment on.
    pub from: Timestamp,
    /// What would be lost, for people.
    pub what: String,
    /// How the pull request ended, for people.
    pub ended: String,
    /// A process in the worktree that is not known for an agent, for people; `None`: none was seen.
    pub occupant: Option<String>,
}

/// What the owner discards when the record is left as it is. `None`: nothing, as far as can be known.
///
/// It does so only to a session that it takes for over: its supervisor is positively dead, its pull request was found
/// to have ended, and no known agent lives. What could be looked at only by running it counts as work; whatever else
/// is unknown does not, since then nobody would know what a person is asked to look at.
pub fn discard(evidence: &Evidence) -> Option<Discard> {
    let session = &evidence.session;
    let if_left = session.owner_effects.if_left.as_ref()?;
    let ended = evidence
        .pull_request
        .found()
        .filter(|pr| pr.state != PullRequestState::Open)?;
    let liveness = &session.liveness;
    if !liveness.supervisor.is_absent() || liveness.agent.found().is_some() {
        return None;
    }
    let what = match signs::unsaved(evidence) {
        Unsaved::Yes => signs::describe_unsaved(evidence),
        Unsaved::Unknown => format!(
            "what may lie in its worktree, which cannot be looked at without running it ({})",
            undecided(evidence)?.detail
        ),
        Unsaved::No => return None,
    };
    // A worktree that is missing is staleness enough to an owner: what is left of the work is its branch.
    let from = if liveness.worktree_written.is_absent() {
        Timestamp(0)
    } else {
        if_left.stale_at()
    };
    Some(Discard {
        from,
        what,
        ended: describe_end(ended),
        occupant: liveness
            .occupant
            .found()
            .map(|one| format!("{} (pid {})", one.name, one.pid)),
    })
}

/// Why it is not known whether there is unsaved work, where that could only be learned by running what is looked at.
fn undecided(evidence: &Evidence) -> Option<&Gap> {
    let liveness = &evidence.session.liveness;
    [liveness.dirty.gap(), liveness.unpushed.gap()]
        .into_iter()
        .flatten()
        .find(|gap| gap.kind == GapKind::RunsCode)
}

fn describe_end(pr: &PullRequest) -> String {
    match pr.state {
        PullRequestState::Merged => format!("PR #{} was merged", pr.number),
        PullRequestState::Closed => format!("PR #{} was closed without a merge", pr.number),
        PullRequestState::Open => format!("PR #{} is open", pr.number),
    }
}
