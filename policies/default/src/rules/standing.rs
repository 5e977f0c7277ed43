//! Why a session is rightly where it is, when no rule has a verdict: said with a pass, so that the next policy of the
//! chain is heard.

use vigil_sdk::{Decision, Issue, OwnerFact, PullRequest, PullRequestState, State, pass_because};

use super::{CLOSED_ISSUE, CLOSED_PR, GONE_ISSUE, OPEN_PR};
use crate::{Case, say};

/// The rule that keeps the session in its state, as far as the forge tells; `None`: something else keeps it there,
/// which its owner or the journal may know.
pub fn standing(case: &Case<'_>) -> Option<Decision> {
    let evidence = case.evidence;
    let decision = match (case.state(), evidence.pull_request.found()) {
        (State::Maintaining, Some(found)) if found.state == PullRequestState::Open => pass_because(
            OPEN_PR,
            format!("{} and being looked after", say::pull_request(case, found)),
        )
        .rests_on(["pull-request"]),
        (State::Failed, Some(found)) if found.state == PullRequestState::Open => {
            failed_on_purpose(case, found)
        }
        (State::Blocked, Some(found)) if found.state == PullRequestState::Closed => {
            let issue = evidence.issue.found().filter(|issue| issue.open)?;
            waits_for_a_person(case, found, issue)
        }
        (State::Blocked | State::Interrupted, None) if evidence.pull_request.is_absent() => {
            without_a_pull_request(case)?
        }
        _ => return None,
    };
    Some(decision)
}

/// Only what failed on purpose stays failed while its pull request is open: a clean-up, or maintenance that gave up.
fn failed_on_purpose(case: &Case<'_>, found: &PullRequest) -> Decision {
    let session = case.session();
    let why = match (
        session.text(OwnerFact::Cleanup),
        session.text(OwnerFact::Stage),
    ) {
        (Some(cleanup), _) => format!("its owner has cleaned up after it ({cleanup})"),
        (None, Some(stage)) => format!("its owner gave up on it ({stage})"),
        (None, None) => "its owner may have given up on it".to_owned(),
    };
    pass_because(
        OPEN_PR,
        format!("{}, but {why}", say::pull_request(case, found)),
    )
    .rests_on(["pull-request", "cleanup", "stage"])
}

fn waits_for_a_person(case: &Case<'_>, found: &PullRequest, issue: &Issue) -> Decision {
    pass_because(
        CLOSED_PR,
        format!(
            "{}, and {}: it waits for a person's word on whether the work goes on",
            say::pull_request(case, found),
            say::issue(issue)
        ),
    )
    .rests_on(["pull-request", "issue"])
}

fn without_a_pull_request(case: &Case<'_>) -> Option<Decision> {
    if let Some(sighting) = case.evidence.issue.absent() {
        let what = say::issue_absent(case, sighting);
        let reason = format!("{what}, and there is no pull request: a second look decides");
        return Some(pass_because(GONE_ISSUE, reason).rests_on(["issue", "pull-request"]));
    }
    let issue = case.evidence.issue.found().filter(|issue| !issue.open)?;
    let reason = format!(
        "{}, and there is no pull request: whether that answers what it was blocked for, a person says",
        say::issue(issue)
    );
    Some(pass_because(CLOSED_ISSUE, reason).rests_on(["issue", "pull-request"]))
}
