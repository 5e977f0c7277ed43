//! What the forge could not say, and what it says about the pull request.

use vigil_sdk::time::{age, mins};
use vigil_sdk::{
    Decision, Gap, IssueFact, Millis, OwnerFact, PullRequest, PullRequestState, State, hold,
    transition,
};

use super::{CLOSED_PR, GITHUB_UNKNOWN, MERGED_ELSEWHERE, MERGED_PR, OPEN_PR, UNMERGED_WORK};
use crate::settings::{self, ClosedPr};
use crate::{Case, issue_is_on_the_forge, say};

/// 1 min: the shortest wait before an unknown fact is asked for again.
const ASK_AGAIN_MIN: Millis = mins(1);

/// 15 min: how soon it is looked at again whether a merge has landed. A stack lands when somebody merges its bottom.
const LANDING_AGAIN: Millis = mins(15);

/// 30 min: the longest.
const ASK_AGAIN_MAX: Millis = mins(30);

/// Stages at which work on an open pull request failed, in Vigilante's words: its record says `failed` on purpose.
const MAINTENANCE_STAGES: [&str; 4] = [
    "pr_maintenance",
    "ci_remediation",
    "conflict_resolution",
    "automatic_worktree_cleanup",
];

/// A fact that was asked for is unknown: any answer of the other one might be turned around by it.
pub fn github_unknown(case: &Case<'_>) -> Option<Decision> {
    let (name, gap) = match case.state() {
        State::Succeeded | State::Closed => return None,
        // A failed session stays failed unless its pull request says otherwise; its issue alone changes nothing.
        State::Failed => unknown_of_failed(case)?,
        _ => unknown(case)?,
    };
    Some(unknown_decision(case, name, gap))
}

/// The first fact that is unknown although the verdict depends on it.
fn unknown<'a>(case: &Case<'a>) -> Option<(&'static str, &'a Gap)> {
    let evidence = case.evidence;
    if let Some(gap) = evidence.pull_request.gap() {
        return Some(("pull-request", gap));
    }
    if let Some(gap) = evidence.issue.gap()
        && issue_is_on_the_forge(case.session())
    {
        return Some(("issue", gap));
    }
    let pull_request = evidence.pull_request.found()?;
    if let Some(gap) = pull_request.landed.gap() {
        return Some(("landed", gap));
    }
    let ended = match pull_request.state {
        PullRequestState::Open => false,
        PullRequestState::Merged => matches!(
            case.state(),
            State::Running | State::Interrupted | State::Blocked
        ),
        PullRequestState::Closed => matches!(case.state(), State::Running | State::Interrupted),
    };
    evidence
        .beyond_head
        .gap()
        .filter(|_| ended)
        .map(|gap| ("beyond-head", gap))
}

fn unknown_of_failed<'a>(case: &Case<'a>) -> Option<(&'static str, &'a Gap)> {
    let evidence = case.evidence;
    if let Some(gap) = evidence.pull_request.gap() {
        return Some(("pull-request", gap));
    }
    if let Some(gap) = evidence.pull_request.found().and_then(|pr| pr.landed.gap()) {
        return Some(("landed", gap));
    }
    let gap = evidence.issue.gap()?;
    let would_move = merged_pr(case).is_some() || open_pr(case).is_some();
    (would_move && issue_is_on_the_forge(case.session())).then_some(("issue", gap))
}

/// The issue lives where vigil cannot look, and without it an unmerged or missing pull request says nothing.
pub fn needs_issue(case: &Case<'_>) -> Option<Decision> {
    let gap = case.evidence.issue.gap()?;
    let pull_request = &case.evidence.pull_request;
    let matters = match case.state() {
        State::Running | State::Interrupted => {
            pull_request.is_absent() || pull_request.found().is_some()
        }
        State::Blocked => pull_request.is_absent(),
        State::Maintaining => pull_request
            .found()
            .is_some_and(|found| found.state == PullRequestState::Closed),
        _ => false,
    };
    matters.then(|| unknown_decision(case, "issue", gap))
}

fn unknown_decision(case: &Case<'_>, name: &'static str, gap: &Gap) -> Decision {
    // Waiting as long again as it has been unknown doubles the wait each time, without a memory.
    let unknown_for = gap.since.map_or(0, |since| age(case.context.now, since));
    hold(
        GITHUB_UNKNOWN,
        format!(
            "{}; the record stays at {} until it is known",
            say::unknown(case, name, gap),
            case.session().native_state
        ),
    )
    .rests_on([name])
    .look_again_after(unknown_for.clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX))
}

/// The pull request ended, and the local branch holds commits that it did not take in.
pub fn unmerged_work(case: &Case<'_>) -> Option<Decision> {
    let ended = pull_request_in(case, |state| state != PullRequestState::Open)?;
    let beyond = *case.evidence.beyond_head.found().filter(|n| **n > 0)?;
    let facts = ["pull-request", "beyond-head"];
    let what = format!(
        "{}, but the local branch holds {} that {} not in it",
        say::pull_request(case, ended),
        say::count(beyond, "commit"),
        if beyond == 1 { "is" } else { "are" },
    );
    match case.state() {
        State::Running | State::Interrupted => Some(
            transition(
                State::Blocked,
                UNMERGED_WORK,
                format!("{what}: a person decides what becomes of them"),
            )
            .rests_on(facts),
        ),
        // Moved here by this very rule, perhaps: the person has not decided yet.
        State::Blocked => Some(
            hold(
                UNMERGED_WORK,
                format!("{what}: it waits for a person's decision"),
            )
            .rests_on(facts),
        ),
        _ => None,
    }
}

/// The pull request was merged into a branch from which its work has not reached any where it lands.
pub fn merged_elsewhere(case: &Case<'_>) -> Option<Decision> {
    let merged = pull_request_in(case, |state| state == PullRequestState::Merged)?;
    if merged.landed.found() != Some(&false) {
        return None;
    }
    let facts = ["pull-request"];
    let what = format!(
        "{}, where its work has not landed",
        say::pull_request(case, merged)
    );
    match case.state() {
        State::Running | State::Interrupted | State::Maintaining => Some(
            transition(
                State::Blocked,
                MERGED_ELSEWHERE,
                format!("{what}: it succeeds once {} has landed", merged.base_ref),
            )
            .rests_on(facts),
        ),
        State::Blocked => Some(
            hold(
                MERGED_ELSEWHERE,
                format!("{what}: it waits until {} has landed", merged.base_ref),
            )
            .rests_on(facts)
            .look_again_after(LANDING_AGAIN),
        ),
        _ => None,
    }
}

/// The pull request was merged, and its work has landed.
pub fn merged_pr(case: &Case<'_>) -> Option<Decision> {
    let applies = matches!(
        case.state(),
        State::Running | State::Interrupted | State::Blocked | State::Failed | State::Maintaining
    );
    let merged = pull_request_in(case, |state| state == PullRequestState::Merged)
        .filter(|merged| merged.landed.found() == Some(&true))?;
    applies.then(|| {
        transition(
            State::Succeeded,
            MERGED_PR,
            say::done(case, say::pull_request(case, merged)),
        )
        .rests_on(["pull-request", "issue"])
    })
}

/// The pull request is open, whatever the issue says.
pub fn open_pr(case: &Case<'_>) -> Option<Decision> {
    let applies = match case.state() {
        State::Running | State::Interrupted => true,
        State::Failed => !failed_on_purpose(case),
        State::Blocked => case.own_block().is_some(),
        _ => false,
    };
    let open = pull_request_in(case, |state| state == PullRequestState::Open)?;
    applies.then(|| {
        transition(
            State::Maintaining,
            OPEN_PR,
            say::with_record(case, say::unblocked(case, say::pull_request(case, open))),
        )
        .rests_on(["pull-request"])
    })
}

/// Its owner cleaned up, or gave up on the open pull request: `failed` is no leftover of a crash. Where the record
/// cannot be read on this, it may have been so.
fn failed_on_purpose(case: &Case<'_>) -> bool {
    let session = case.session();
    let stage = session.text(OwnerFact::Stage);
    let cleanup = session.fact(OwnerFact::Cleanup);
    cleanup.found().is_some()
        || stage.is_some_and(|stage| MAINTENANCE_STAGES.contains(&stage))
        || cleanup.is_unknown()
        || session.fact(OwnerFact::Stage).is_unknown()
}

/// The pull request was closed without a merge.
pub fn closed_pr(case: &Case<'_>) -> Option<Decision> {
    let applies = matches!(
        case.state(),
        State::Running | State::Interrupted | State::Maintaining
    );
    let own_block = case.own_block().is_some();
    let closed = pull_request_in(case, |state| state == PullRequestState::Closed)?;
    if !applies && !own_block {
        return None;
    }
    let facts = ["pull-request", "issue"];
    let what = say::pull_request(case, closed);
    let issue = &case.evidence.issue;
    if let Some(sighting) = issue.absent() {
        let what = format!("{what}, and {}", say::issue_absent(case, sighting));
        let what = say::done(case, what);
        return Some(transition(State::Closed, CLOSED_PR, what).rests_on(facts));
    }
    let (of_issue, is_over) = match issue {
        IssueFact::Found(issue) => (say::issue(issue), !issue.open),
        IssueFact::NotAsked => (say::issue_elsewhere(case)?, false),
        _ => return None,
    };
    let what = format!("{what}, and {of_issue}");
    if is_over {
        let what = say::done(case, what);
        return Some(transition(State::Closed, CLOSED_PR, what).rests_on(facts));
    }
    if own_block {
        // The person who is waited for has not decided yet.
        return None;
    }
    let decision = match settings::closed_pr(case.context) {
        Ok(ClosedPr::Closed) => transition(State::Closed, CLOSED_PR, say::done(case, what)),
        Ok(ClosedPr::Blocked) => transition(
            State::Blocked,
            CLOSED_PR,
            format!("{what}: a person decides whether the work goes on"),
        ),
        Err(why) => hold(CLOSED_PR, format!("{what}, but {why}")),
    };
    Some(decision.rests_on(facts))
}

fn pull_request_in<'a>(
    case: &Case<'a>,
    wanted: impl Fn(PullRequestState) -> bool,
) -> Option<&'a PullRequest> {
    case.evidence
        .pull_request
        .found()
        .filter(|found| wanted(found.state))
}
