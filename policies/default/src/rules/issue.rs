//! What the issue says when there is no pull request.

use vigil_sdk::time::mins;
use vigil_sdk::{Decision, Issue, Millis, State, transition};

use super::{CLOSED_ISSUE, DONE_ISSUE, GONE_ISSUE};
use crate::{Case, say};

/// 10 min between the first and the latest look that found no issue: longer than a forge's replicas lag, and the same
/// span that the host's guard asks for.
pub(crate) const GONE_AFTER: Millis = mins(10);

/// The issue carries a label that the source lists as final.
pub fn done_issue(case: &Case<'_>) -> Option<Decision> {
    let issue = issue_alone(case)?;
    let label = (case.context.source.final_labels.iter()).find(|label| issue.has_label(label))?;
    let what = format!(
        "issue #{} carries the final label {label}, and there is no pull request",
        issue.number
    );
    Some(closed(case, DONE_ISSUE, what).rests_on(["labels"]))
}

/// The issue is closed.
pub fn closed_issue(case: &Case<'_>) -> Option<Decision> {
    let issue = issue_alone(case).filter(|issue| !issue.open)?;
    // A blocked session waits for a person; only an issue that was completed answers for them. What vigil itself asked,
    // it asked of an open issue.
    if case.state() == State::Blocked
        && case.own_block().is_none()
        && issue.reason.as_deref() != Some("completed")
    {
        return None;
    }
    let what = format!("{}, and there is no pull request", say::issue(issue));
    Some(closed(case, CLOSED_ISSUE, what))
}

/// The issue does not exist any more. One look may have met a replica that lags, or an access that was just lost.
pub fn gone_issue(case: &Case<'_>) -> Option<Decision> {
    if !is_about_issues(case) {
        return None;
    }
    let sighting = case.evidence.issue.absent()?;
    if sighting.last.saturating_sub(sighting.first) < GONE_AFTER {
        return None;
    }
    let what = format!(
        "{}, and there is no pull request",
        say::issue_absent(case, sighting)
    );
    Some(closed(case, GONE_ISSUE, what))
}

fn closed(case: &Case<'_>, rule: &str, what: String) -> Decision {
    transition(State::Closed, rule, say::done(case, what)).rests_on(["issue", "pull-request"])
}

/// The issue, in the states and circumstances in which it alone decides.
fn issue_alone<'a>(case: &Case<'a>) -> Option<&'a Issue> {
    case.evidence
        .issue
        .found()
        .filter(|_| is_about_issues(case))
}

fn is_about_issues(case: &Case<'_>) -> bool {
    case.evidence.pull_request.is_absent()
        && matches!(
            case.state(),
            State::Running | State::Interrupted | State::Blocked
        )
}
