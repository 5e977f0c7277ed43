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
pub(super) enum Way {
    /// It has arrived.
    Landed,
    /// It stands on a branch of whose pull requests nothing is known.
    Asks,
    /// It stands on a branch from which nothing was merged since.
    Stands,
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
        if self.way(repo, &landing, pr).0 == Way::Landed {
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
        for branch in branches(&landing) {
            let between = Between {
                base: branch.to_owned(),
                head: merge.clone(),
            };
            match self.compared(repo, &between) {
                Fact::Found(compared) if compared.ahead == 0 => return Fact::Found(true),
                Fact::Unknown(gap) => unknown = unknown.or(Some(*gap)),
                _ => {}
            }
        }
        match unknown {
            Some(gap) => Fact::from(gap),
            None => Fact::Found(false),
        }
    }

    /// The branches whose pull requests have to be known to tell whether the merge of `pr` has landed.
    pub(super) fn landing_asks(&self, repo: &Repo, ask: &Ask, pr: &PullRequest) -> Vec<String> {
        let landing = self.landing_of(repo, ask);
        let is_elsewhere =
            pr.state == PullRequestState::Merged && landing.place(&pr.base_ref) == Place::Elsewhere;
        match is_elsewhere {
            true => self.way(repo, &landing, pr).1,
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
        if self.way(repo, &landing, pr).0 != Way::Stands {
            return Vec::new();
        }
        let all = branches(&landing).into_iter().map(|branch| Comparison {
            repo: repo.clone(),
            between: Between {
                base: branch.to_owned(),
                head: merge.clone(),
            },
        });
        let all: Vec<Comparison> = all.collect();
        let has_landed = |one: &Comparison| {
            let compared = self.compared(repo, &one.between);
            compared.found().is_some_and(|known| known.ahead == 0)
        };
        match all.iter().any(has_landed) {
            true => Vec::new(),
            false => all,
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
    /// merged after it, took it along. Second: the branches that it went through.
    fn way(&self, repo: &Repo, landing: &Landing, pr: &PullRequest) -> (Way, Vec<String>) {
        let mut through = Vec::new();
        let Some(of_repo) = self.repo(repo) else {
            return (Way::Asks, vec![pr.base_ref.clone()]);
        };
        let mut at = pr;
        for _ in 0..STEPS_MAX {
            through.push(at.base_ref.clone());
            let name = branch_key(repo.owner(), &at.base_ref);
            let list = match of_repo.branch(&name).map(|known| &known.fact) {
                None | Some(Fact::NotAsked | Fact::Unknown(_)) => return (Way::Asks, through),
                Some(Fact::Absent(_)) => return (Way::Stands, through),
                Some(Fact::Found(list)) => list,
            };
            let took = list.numbers.iter().filter_map(|number| {
                let parent = of_repo.pull(*number)?.fact.found()?;
                let is_ours = parent.number != pr.number
                    && parent.head_ref == at.base_ref
                    && (parent.head_owner.as_deref())
                        .is_some_and(|owner| owner.eq_ignore_ascii_case(repo.owner()));
                (is_ours && parent.merged? >= at.merged?).then_some(parent)
            });
            let next = took.min_by_key(|parent| (landing.place(&parent.base_ref), parent.merged));
            match next {
                Some(parent) if landing.place(&parent.base_ref).lands() => {
                    return (Way::Landed, through);
                }
                Some(parent) => at = parent,
                None => return (Way::Stands, through),
            }
        }
        (Way::Stands, through)
    }
}

/// The branches that the merge commit may be on, by their names; patterns name none.
fn branches(landing: &Landing) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in [&landing.base, &landing.default].into_iter().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}
