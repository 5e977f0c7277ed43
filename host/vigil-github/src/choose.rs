//! Which pull request of a branch is the session's.

use vigil_core::fact::Sighting;
use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::session::PullRequestRef;
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Ask;
use crate::convert::Candidate;

/// What is known of the pull requests of a branch, the newest first as GitHub was asked to list them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// Those that were read, pages in their order.
    pub known: Vec<Candidate>,
    /// Whether these are all.
    pub more: More,
}

/// What is behind the last known pull request of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum More {
    /// Nothing: the list is complete.
    Complete,
    /// More of them, after this cursor.
    After(String),
    /// Nobody knows, for this reason.
    Lost(Gap),
}

/// Whose pull request is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The owner of the repository that the pull request goes into.
    pub base_owner: &'a str,
    /// The owner of the repository that holds the branch.
    pub head_owner: &'a str,
    /// When the session began; `None`: its record does not say.
    pub started: Option<Timestamp>,
    /// The moment that an absence bears.
    pub observed: Timestamp,
}

impl<'a> Wanted<'a> {
    /// Whose pull request `ask` looks for; `None`: it does not look by branch.
    pub fn of(ask: &'a Ask, observed: Timestamp) -> Option<Self> {
        match &ask.lookup.pull_request {
            Ok(PullRequestRef::Branch {
                repo, head_owner, ..
            }) => Some(Wanted {
                base_owner: repo.split('/').next().unwrap_or_default(),
                head_owner,
                started: ask.started,
                observed,
            }),
            _ => None,
        }
    }
}

/// Whether a candidate comes from the owner that is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ours {
    Yes,
    /// The repository that held its branch is gone, and with it the answer.
    Maybe,
    No,
}

/// Picks the pull request of a session's work: an open one before all others, else the newest that ended at or after
/// the session's start. When all ended before, there is none, with detail `earlier-run`.
///
/// The head's owner must be the one that is looked for. Where it can no longer be seen, because the fork was deleted,
/// a pull request cannot be ours when our branch lives in the base repository, which is there; otherwise it may be,
/// and when it is the one that the rule picks, the answer is unknown.
///
/// `None`: it depends on what comes after the known ones.
pub fn choose(candidates: &Candidates, wanted: Wanted<'_>) -> Option<Fact<PullRequest>> {
    let mut possible: Vec<(&Candidate, Ours)> = candidates
        .known
        .iter()
        .map(|candidate| (candidate, ours(candidate, wanted)))
        .filter(|(_, ours)| *ours != Ours::No)
        .collect();
    // GitHub lists the newest first; a page that came later may overlap. Sorting is stable and settles both.
    possible.sort_by_key(|(candidate, _)| std::cmp::Reverse(candidate.pull_request.created));

    let open = possible
        .iter()
        .find(|(candidate, _)| candidate.pull_request.state == PullRequestState::Open);
    if let Some((candidate, ours)) = open {
        return Some(attributed(candidate, *ours));
    }
    match &candidates.more {
        More::Complete => {}
        More::After(_) => return None,
        More::Lost(gap) => return Some(Fact::from(gap.clone())),
    }
    if possible.is_empty() {
        return Some(Fact::absent_at(wanted.observed));
    }
    let Some(started) = wanted.started else {
        return Some(Fact::unknown(
            GapKind::Unrecorded,
            "there is an ended pull request of this branch, and the record does not say when the session began",
        ));
    };
    let in_time = |(candidate, _): &&(&Candidate, Ours)| {
        let ended = candidate.pull_request.ended();
        ended.is_some_and(|ended| ended >= started)
    };
    Some(match possible.iter().find(in_time) {
        Some((candidate, ours)) => attributed(candidate, *ours),
        None => Fact::from(Sighting {
            first: wanted.observed,
            last: wanted.observed,
            detail: "earlier-run".to_owned(),
        }),
    })
}

fn ours(candidate: &Candidate, wanted: Wanted<'_>) -> Ours {
    match &candidate.pull_request.head_owner {
        Some(owner) if owner.eq_ignore_ascii_case(wanted.head_owner) => Ours::Yes,
        Some(_) => Ours::No,
        None if wanted.head_owner.eq_ignore_ascii_case(wanted.base_owner) => Ours::No,
        None => Ours::Maybe,
    }
}

fn attributed(candidate: &Candidate, ours: Ours) -> Fact<PullRequest> {
    let pr = &candidate.pull_request;
    match ours {
        Ours::Yes => Fact::Found(pr.clone()),
        Ours::Maybe | Ours::No => Fact::unknown(
            GapKind::NoControl,
            format!(
                "pull request #{} has this branch name, but the fork that held it is gone, so nobody can say whose it was",
                pr.number
            ),
        ),
    }
}
