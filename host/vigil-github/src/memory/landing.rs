//! Whether a merge has landed: where it went, where that went on to, and what GitHub says of the commit itself.

use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::landing::{Landing, Place};
use vigil_core::{Fact, Gap, GapKind};

use super::{Memory, branch_key};
use crate::ask::{Ask, Between};
use crate::choose::landing;
use crate::compare::Comparison;
use crate::question::Repo;

/// Merges of merges that are followed: stacks of five are tall already.
const STEPS_MAX: usize = 5;

/// What is known of the way of a merge.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It has arrived.
    Landed,
    /// It stands on a branch of whose pull requests nothing is known.
    Asks,
    /// It stands on a branch from which nothing that is known to hold it was merged since.
    Stands,
}

/// The way of a merge from branch to branch.
struct Way {
    end: End,
    /// The branches that it went through.
    through: Vec<String>,
    /// Pull requests that may have taken it along: whether they did is for GitHub to say.
    doubtful: Vec<Between>,
}

impl Memory {
    /// Whether the merge of `pr` has reached a branch where the work of `ask` counts as landed. Absent, since it was
    /// opened: it is not merged.
    pub(super) fn landed(&self, repo: &Repo, ask: &Ask, pr: &PullRequest) -> Fact<bool> {
        if pr.state != PullRequestState::Merged {
            return Fact::absent_at(pr.created);
        }
        let landing = self.landing_of(repo, ask);
        match landing.place(&pr.base_ref) {
            place if place.lands() => return Fact::Found(true),
            Place::Unknown => {
                return Fact::unknown(
                    GapKind::NotReady,
                    format!(
                        "GitHub does not say which branch of {repo} is the default, so nobody knows whether {} is: \
                         give the token the right to read contents, or name the branch in landing_branches",
                        pr.base_ref
                    ),
                );
            }
            _ => {}
        }
        let way = self.way(repo, &landing, pr);
        if way.end == End::Landed {
            return Fact::Found(true);
        }
        let Some(merge) = &pr.merge_commit else {
            return Fact::unknown(
                GapKind::NotReady,
                format!(
                    "GitHub names no merge commit of pull request #{}",
                    pr.number
                ),
            );
        };
        let mut unknown: Option<Gap> = None;
        for between in on_branches(&landing, merge) {
            match self.compared(repo, &between) {
                Fact::Found(compared) if compared.ahead == 0 => return Fact::Found(true),
                Fact::Unknown(gap) => unknown = unknown.or(Some(*gap)),
                _ => {}
            }
        }
        // One that took it along would have been followed.
        for between in &way.doubtful {
            if let Fact::Unknown(gap) = self.compared(repo, between) {
                unknown = unknown.or(Some(*gap));
            }
        }
        match unknown {
            Some(gap) => Fact::from(gap),
            // Which it went on to is known by now, and not what became of it there.
            None if way.end == End::Asks => Fact::unknown(
                GapKind::NotReady,
                format!(
                    "where the merge of pull request #{} went on to is not read yet",
                    pr.number
                ),
            ),
            None => Fact::Found(false),
        }
    }

    /// The branches whose pull requests have to be known to tell whether the merge of `pr` has landed.
    pub(super) fn landing_asks(&self, repo: &Repo, ask: &Ask, pr: &PullRequest) -> Vec<String> {
        let landing = self.landing_of(repo, ask);
        let is_elsewhere =
            pr.state == PullRequestState::Merged && landing.place(&pr.base_ref) == Place::Elsewhere;
        match is_elsewhere {
            true => self.way(repo, &landing, pr).through,
            false => Vec::new(),
        }
    }

    /// What has to be compared to tell the same, once the way of its branch is known and ends before it lands.
    pub(super) fn landing_compares(
        &self,
        repo: &Repo,
        ask: &Ask,
        pr: &PullRequest,
    ) -> Vec<Comparison> {
        let landing = self.landing_of(repo, ask);
        let is_elsewhere =
            pr.state == PullRequestState::Merged && landing.place(&pr.base_ref) == Place::Elsewhere;
        let (true, Some(merge)) = (is_elsewhere, &pr.merge_commit) else {
            return Vec::new();
        };
        let way = self.way(repo, &landing, pr);
        if way.end != End::Stands {
            return Vec::new();
        }
        let all = on_branches(&landing, merge).chain(way.doubtful);
        let all = all.map(|between| Comparison {
            repo: repo.clone(),
            between,
        });
        let all: Vec<Comparison> = all.collect();
        let has_landed = |one: &Comparison| self.holds(repo, &one.between) == Some(true);
        match all.iter().any(has_landed) {
            true => Vec::new(),
            false => all,
        }
    }

    /// Whether the base holds the head. `None`: that is not known.
    fn holds(&self, repo: &Repo, between: &Between) -> Option<bool> {
        match self.compared(repo, between) {
            Fact::Found(compared) => Some(compared.ahead == 0),
            Fact::Absent(_) => Some(false),
            Fact::Unknown(_) | Fact::NotAsked => None,
        }
    }

    fn landing_of(&self, repo: &Repo, ask: &Ask) -> Landing {
        let of_repo = self.repo(repo);
        landing(
            ask,
            of_repo.and_then(|of| of.watch.default_branch.as_deref()),
        )
    }

    /// Follows a merge from branch to branch: the pull request whose head is the branch that it went into, and that was
    /// merged after it, took it along.
    ///
    /// A name can be used again. So the name alone says it only of a pull request that was opened before the merge went
    /// into the branch, and so stood open when it did. One that was opened later has taken it along where GitHub finds
    /// the merge commit in its head, which it keeps even when it was squashed.
    fn way(&self, repo: &Repo, landing: &Landing, pr: &PullRequest) -> Way {
        let mut way = Way {
            end: End::Stands,
            through: Vec::new(),
            doubtful: Vec::new(),
        };
        let Some(of_repo) = self.repo(repo) else {
            way.end = End::Asks;
            way.through.push(pr.base_ref.clone());
            return way;
        };
        let mut at = pr;
        for _ in 0..STEPS_MAX {
            way.through.push(at.base_ref.clone());
            let name = branch_key(repo.owner(), &at.base_ref);
            let list = match of_repo.branch(&name).map(|known| &known.fact) {
                None | Some(Fact::NotAsked | Fact::Unknown(_)) => {
                    way.end = End::Asks;
                    return way;
                }
                Some(Fact::Absent(_)) => return way,
                Some(Fact::Found(list)) => list,
            };
            let mut took = Vec::new();
            for number in &list.numbers {
                let parent = of_repo.pull(*number).and_then(|pull| pull.fact.found());
                let Some(parent) = parent.filter(|parent| may_take(repo, pr, at, parent)) else {
                    continue;
                };
                if at.merged.is_some_and(|merged| parent.created <= merged) {
                    took.push(parent);
                    continue;
                }
                let Some(merge) = &at.merge_commit else {
                    continue;
                };
                let between = Between {
                    base: parent.head_sha.clone(),
                    head: merge.clone(),
                };
                match self.holds(repo, &between) {
                    Some(true) => took.push(parent),
                    Some(false) => {}
                    None => way.doubtful.push(between),
                }
            }
            let next = took
                .into_iter()
                .min_by_key(|parent| (landing.place(&parent.base_ref), parent.merged));
            match next {
                Some(parent) if landing.place(&parent.base_ref).lands() => {
                    way.end = End::Landed;
                    return way;
                }
                Some(parent) => at = parent,
                None => return way,
            }
        }
        way
    }
}

/// Whether `parent`, by its branch and the time of its merge, can have taken along what `at` brought into its base, on
/// the way that began with `pr`.
fn may_take(repo: &Repo, pr: &PullRequest, at: &PullRequest, parent: &PullRequest) -> bool {
    let is_ours = (parent.head_owner.as_deref())
        .is_some_and(|owner| owner.eq_ignore_ascii_case(repo.owner()));
    let is_later = match (parent.merged, at.merged) {
        (Some(parent), Some(at)) => parent >= at,
        _ => false,
    };
    parent.number != pr.number && parent.head_ref == at.base_ref && is_ours && is_later
}

/// Whether the merge commit is on one of the branches where work lands, by their names; patterns name none.
fn on_branches(landing: &Landing, merge: &str) -> impl Iterator<Item = Between> {
    let mut names: Vec<&String> = Vec::new();
    for name in [&landing.base, &landing.default].into_iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| Between {
        base: name.clone(),
        head: merge.to_owned(),
    })
}
