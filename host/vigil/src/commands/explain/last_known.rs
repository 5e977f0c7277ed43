//! What was known before of what is unknown now, in words. Nothing rests on it.

use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::{Evidence, Timestamp};
use vigil_github::memory::LastKnown;

use crate::report::{LastKnownReport, age_s};
use crate::ui;

/// What `known` has of those facts of `evidence` that are unknown.
pub(in crate::commands) fn report(
    evidence: &Evidence,
    known: &LastKnown,
    now: Timestamp,
) -> Vec<LastKnownReport> {
    let one = |fact: &str, read: Timestamp, said: String| LastKnownReport {
        fact: fact.to_owned(),
        read: ui::moment(read),
        age_s: age_s(read, now),
        said,
    };
    let issue = known.issue.as_ref().filter(|_| evidence.issue.is_unknown());
    let issue = issue.map(|issue| one("issue", issue.read, issue_words(&issue.then)));
    let pull = known.pull_request.as_ref();
    let pull = pull.filter(|_| evidence.pull_request.is_unknown());
    let pull = pull.map(|pull| one("pull-request", pull.read, pull_words(&pull.then)));
    issue.into_iter().chain(pull).collect()
}

/// No ages: they would count from another moment than the reader's.
fn issue_words(issue: &Issue) -> String {
    let state = match (issue.open, &issue.reason) {
        (true, _) => "open".to_owned(),
        (false, Some(reason)) => format!("closed as {reason}"),
        (false, None) => "closed".to_owned(),
    };
    let labels = match issue.labels.is_empty() {
        true => String::new(),
        false => format!(", labels {}", issue.labels.join(", ")),
    };
    format!("#{} {state}{labels}", issue.number)
}

fn pull_words(pr: &PullRequest) -> String {
    format!("#{} {}", pr.number, state_words(pr))
}

/// The state of a pull request.
pub(super) fn state_words(pr: &PullRequest) -> &'static str {
    match pr.state {
        PullRequestState::Open if pr.draft => "open, a draft",
        PullRequestState::Open => "open",
        PullRequestState::Merged => "merged",
        PullRequestState::Closed => "closed without a merge",
    }
}

/// For the place beside a gap: how long ago it was so, and what.
pub(in crate::commands) fn beside(report: &LastKnownReport) -> String {
    let age = ui::span_ms(u128::from(report.age_s) * 1000);
    format!("last known {age} ago: {}", report.said)
}
