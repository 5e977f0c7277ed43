//! The selections that the documents are put together from, each on one type of GitHub's.
//!
//! Every list in them is bounded and says whether there is more. `state` is another enum on an issue than on a pull
//! request, and strict validators refuse one name for both, so each has its own name.

use std::collections::BTreeSet;

use crate::ask::Parts;
use crate::question::{Question, Target};

/// How many checks one answer takes, the most that GitHub gives at once.
pub(crate) const CHECKS_PAGE: u32 = 100;

/// Further pages of checks that are read of one head; with the first, 600 checks.
pub(crate) const CHECKS_PAGES_FURTHER_MAX: u32 = 5;

/// A named selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fragment {
    Issue,
    Assignees,
    History,
    ClosedBy,
    PullRequest,
    Mergeability,
    Reviews,
    ReviewList,
    Checks,
    Queue,
    AutoMerge,
    Closes,
    /// On a list of checks.
    CheckList,
    /// On a commit.
    Runs,
    /// On an account.
    Who,
}

impl Fragment {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fragment::Issue => "IssueFacts",
            Fragment::Assignees => "Assignees",
            Fragment::History => "History",
            Fragment::ClosedBy => "ClosedBy",
            Fragment::PullRequest => "PullRequestFacts",
            Fragment::Mergeability => "Mergeability",
            Fragment::Reviews => "Reviews",
            Fragment::ReviewList => "ReviewList",
            Fragment::Checks => "Checks",
            Fragment::Queue => "Queue",
            Fragment::AutoMerge => "AutoMerge",
            Fragment::Closes => "Closes",
            Fragment::CheckList => "CheckList",
            Fragment::Runs => "Runs",
            Fragment::Who => "Who",
        }
    }

    /// It is spread right below the issue or pull request.
    pub(crate) fn is_of_the_thing(self) -> bool {
        !matches!(self, Fragment::CheckList | Fragment::Runs | Fragment::Who)
    }

    fn text(self) -> &'static str {
        match self {
            // An issue has at most 100 labels. Without `enableDuplicate` a duplicate would read as not planned.
            Fragment::Issue => {
                "fragment IssueFacts on Issue { id updatedAt number repository { nameWithOwner } issueState: state \
                 stateReason(enableDuplicate: true) closedAt labels(first: 100) { pageInfo { hasNextPage } \
                 nodes { name } } }"
            }
            // GitHub allows ten.
            Fragment::Assignees => {
                "fragment Assignees on Issue { assignees(first: 20) { pageInfo { hasNextPage } nodes { login } } }"
            }
            // The last ones, in the order in which they happened: who closed it is in the last of all.
            Fragment::History => {
                "fragment History on Issue { timelineItems(itemTypes: [CLOSED_EVENT, REOPENED_EVENT], last: 100) { \
                 pageInfo { hasPreviousPage } nodes { __typename ... on ClosedEvent { actor { ...Who } } } } }"
            }
            Fragment::ClosedBy => {
                "fragment ClosedBy on Issue { closedByPullRequestsReferences(first: 50, includeClosedPrs: true) { \
                 pageInfo { hasNextPage } nodes { number prState: state repository { nameWithOwner } } } }"
            }
            Fragment::PullRequest => {
                "fragment PullRequestFacts on PullRequest { id updatedAt number prState: state isDraft createdAt \
                 mergedAt closedAt url headRefName baseRefName headRefOid headRepositoryOwner { login } mergeCommit { oid } }"
            }
            Fragment::Mergeability => {
                "fragment Mergeability on PullRequest { mergeable mergeStateStatus }"
            }
            Fragment::Reviews => "fragment Reviews on PullRequest { reviewDecision }",
            Fragment::ReviewList => {
                "fragment ReviewList on PullRequest { latestOpinionatedReviews(first: 100) { pageInfo { hasNextPage } \
                 nodes { state submittedAt author { ...Who } commit { oid } } } }"
            }
            // The commit shows whose checks these are: reads can come from a replica that lags behind.
            Fragment::Checks => {
                "fragment Checks on PullRequest { statusCheckRollup { state commit { oid } } }"
            }
            Fragment::Queue => {
                "fragment Queue on PullRequest { mergeQueueEntry { position state } }"
            }
            Fragment::AutoMerge => {
                "fragment AutoMerge on PullRequest { autoMergeRequest { mergeMethod enabledBy { ...Who } } }"
            }
            Fragment::Closes => {
                "fragment Closes on PullRequest { closingIssuesReferences(first: 50) { pageInfo { hasNextPage } \
                 nodes { number issueState: state repository { nameWithOwner } } } }"
            }
            Fragment::CheckList => {
                "fragment CheckList on StatusCheckRollupContextConnection { pageInfo { hasNextPage endCursor } \
                 nodes { __typename ... on CheckRun { name status conclusion } \
                 ... on StatusContext { context contextState: state } } }"
            }
            Fragment::Runs => {
                "fragment Runs on Commit { checkSuites(first: 100) { pageInfo { hasNextPage } \
                 nodes { status conclusion workflowRun { event workflow { name } } } } }"
            }
            Fragment::Who => "fragment Who on Actor { __typename login }",
        }
    }
}

/// The fragments that a question needs. In the list of a branch the long lists would be fetched once for each place in
/// it, so they are left out there.
pub(crate) fn spread(question: &Question) -> Vec<Fragment> {
    let parts = match question.target {
        Target::Branch { .. } => question.parts - Parts::SECOND,
        _ => question.parts,
    };
    let table: &[(Parts, Fragment)] = match question.target {
        Target::Issue { .. } => &[
            (Parts::empty(), Fragment::Issue),
            (Parts::ASSIGNEES, Fragment::Assignees),
            (Parts::HISTORY, Fragment::History),
            (Parts::REFERENCES, Fragment::ClosedBy),
            (Parts::HISTORY, Fragment::Who),
        ],
        Target::PullRequest { .. } | Target::Branch { .. } => &[
            (Parts::empty(), Fragment::PullRequest),
            (Parts::MERGEABILITY, Fragment::Mergeability),
            (Parts::REVIEWS, Fragment::Reviews),
            (Parts::REVIEW_LIST, Fragment::ReviewList),
            (Parts::CHECKS, Fragment::Checks),
            (Parts::QUEUE, Fragment::Queue),
            (Parts::AUTO_MERGE, Fragment::AutoMerge),
            (Parts::REFERENCES, Fragment::Closes),
            (Parts::CHECK_LIST, Fragment::CheckList),
            (Parts::RUNS, Fragment::Runs),
            (Parts::REVIEW_LIST, Fragment::Who),
            (Parts::AUTO_MERGE, Fragment::Who),
        ],
    };
    table
        .iter()
        .filter(|(part, _)| parts.contains(*part))
        .map(|(_, fragment)| *fragment)
        .collect()
}

/// The definitions of `used`: strict validators refuse a fragment that nobody uses.
pub(crate) fn text(used: &BTreeSet<Fragment>) -> String {
    used.iter()
        .map(|fragment| format!("{}\n", fragment.text()))
        .collect()
}
