//! Issues and pull requests tell the state of each other, and nothing announces it when that changes.

use std::collections::BTreeSet;

use vigil_core::forge::{Issue, PullRequest, PullRequestState, Reference};

use super::{Entry, Memory, RepoMemory, repo_key};
use crate::question::Repo;

/// Who names whom within a repository, so that what changes need not look at everything else. Whoever once named
/// something stays listed, though it may name it no more. Empty where no policy wants references.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// A pull request, and an issue that tells its state.
    by_issues: BTreeSet<(u32, u32)>,
    /// An issue, and a pull request that tells its state.
    by_pulls: BTreeSet<(u32, u32)>,
}

impl Memory {
    /// An issue says something new: pull requests that tell another state of it are read again.
    pub(super) fn issue_changed(&mut self, repo: &Repo, number: u32) {
        let key = repo_key(repo);
        let Some(of_repo) = self.repos.get_mut(&key) else {
            return;
        };
        of_repo.note_issue(&key, number);
        let Some(issue) = of_repo.issue(number).and_then(|known| known.fact.found()) else {
            return;
        };
        let state = if issue.open { "open" } else { "closed" };
        for (_, at) in of_repo.named.by_pulls.range(all_of(number)) {
            let Some(pull) = of_repo.pulls.get_mut(at) else {
                continue;
            };
            let named = pull.fact.found().map_or(&[][..], named_by_pull);
            if is_outdated(named, &key, number, state) {
                pull.doubt();
                self.changes.insert(Entry::Pull(key.clone(), *at));
            }
        }
    }

    /// A pull request says something new: issues that tell another state of it are read again.
    pub(super) fn pull_changed(&mut self, repo: &Repo, number: u32) {
        let key = repo_key(repo);
        let Some(of_repo) = self.repos.get_mut(&key) else {
            return;
        };
        of_repo.note_pull(&key, number);
        let Some(pr) = of_repo.pull(number).and_then(|known| known.fact.found()) else {
            return;
        };
        let state = match pr.state {
            PullRequestState::Open => "open",
            PullRequestState::Merged => "merged",
            PullRequestState::Closed => "closed",
        };
        for (_, at) in of_repo.named.by_issues.range(all_of(number)) {
            let Some(issue) = of_repo.issues.get_mut(at) else {
                continue;
            };
            let named = issue.fact.found().map_or(&[][..], named_by_issue);
            if is_outdated(named, &key, number, state) {
                issue.doubt();
                self.changes.insert(Entry::Issue(key.clone(), *at));
            }
        }
    }
}

impl RepoMemory {
    /// Notes which pull requests the issue names. `key`: the repository's own.
    pub(super) fn note_issue(&mut self, key: &str, number: u32) {
        let issue = self
            .issues
            .get(&number)
            .and_then(|issue| issue.fact.found());
        let named = issue.map_or(&[][..], named_by_issue);
        let pairs = numbers_of(named, key).map(|pull| (pull, number));
        self.named.by_issues.extend(pairs);
    }

    /// Notes which issues the pull request names.
    pub(super) fn note_pull(&mut self, key: &str, number: u32) {
        let pull = self.pulls.get(&number).and_then(|pull| pull.fact.found());
        let named = pull.map_or(&[][..], named_by_pull);
        let pairs = numbers_of(named, key).map(|issue| (issue, number));
        self.named.by_pulls.extend(pairs);
    }

    /// Forgets who is not there any more.
    pub(super) fn prune_named(&mut self) {
        let (issues, pulls) = (&self.issues, &self.pulls);
        let named = &mut self.named;
        named.by_issues.retain(|(_, by)| issues.contains_key(by));
        named.by_pulls.retain(|(_, by)| pulls.contains_key(by));
    }
}

fn named_by_issue(issue: &Issue) -> &[Reference] {
    issue.closed_by.found().map_or(&[], Vec::as_slice)
}

fn named_by_pull(pr: &PullRequest) -> &[Reference] {
    pr.closes.found().map_or(&[], Vec::as_slice)
}

/// Everybody who names `number`.
fn all_of(number: u32) -> std::ops::RangeInclusive<(u32, u32)> {
    (number, 0)..=(number, u32::MAX)
}

/// The numbers among `named` that are of the repository `key`.
fn numbers_of<'a>(named: &'a [Reference], key: &'a str) -> impl Iterator<Item = u32> + 'a {
    let here = named
        .iter()
        .filter(|one| one.repo.eq_ignore_ascii_case(key));
    here.filter_map(|one| u32::try_from(one.number).ok())
}

/// Whether one of `named` is this one in another state.
fn is_outdated(named: &[Reference], key: &str, number: u32, state: &str) -> bool {
    named.iter().any(|one| {
        one.number == u64::from(number) && one.state != state && one.repo.eq_ignore_ascii_case(key)
    })
}

#[cfg(test)]
mod tests {
    use vigil_core::time::minutes;
    use vigil_core::{Fact, GapKind, Timestamp};

    use super::*;
    use crate::ask::Parts;
    use crate::learn::{Finding, Seen};
    use crate::memory::Pace;
    use crate::question::{Question, Target};

    const NOW: Timestamp = Timestamp(1_795_154_400_000);

    fn repo() -> Repo {
        Repo::parse("Acme/app").expect("a name")
    }

    fn naming(number: u64, state: &str) -> Fact<Vec<Reference>> {
        Fact::Found(vec![Reference {
            repo: "acme/App".into(),
            number,
            state: state.into(),
        }])
    }

    fn seen<T>(fact: Fact<T>, id: &str, updated: Timestamp) -> Seen<T> {
        Seen {
            fact,
            id: Some(id.to_owned()),
            updated: Some(updated),
        }
    }

    fn take(memory: &mut Memory, target: Target, finding: Finding, now: Timestamp) {
        let question = Question {
            target,
            parts: Parts::REFERENCES,
            after: None,
            checks_so_far: None,
        };
        memory.take(&question, finding, &[], Pace::default(), now);
    }

    fn take_issue(memory: &mut Memory, fact: Fact<Issue>, now: Timestamp) {
        let target = Target::Issue {
            repo: repo(),
            number: 1,
        };
        take(memory, target, Finding::Issue(seen(fact, "I_1", now)), now);
    }

    fn take_pull(memory: &mut Memory, state: PullRequestState, now: Timestamp) {
        let target = Target::PullRequest {
            repo: repo(),
            number: 2,
        };
        let pull = PullRequest {
            state,
            closes: naming(1, "open"),
            ..PullRequest::bare(2, now)
        };
        let finding = Finding::PullRequest(Box::new(seen(Fact::Found(pull), "PR_2", now)));
        take(memory, target, finding, now);
    }

    fn issue(open: bool, now: Timestamp) -> Fact<Issue> {
        Fact::Found(Issue {
            open,
            closed_by: naming(2, "open"),
            ..Issue::bare(1, now)
        })
    }

    /// Issue 1 and pull request 2, both open, that name each other.
    fn both() -> Memory {
        let mut memory = Memory::default();
        take_issue(&mut memory, issue(true, NOW), NOW);
        take_pull(&mut memory, PullRequestState::Open, NOW);
        assert_eq!(in_doubt(&memory), (false, false));
        memory
    }

    /// Whether the issue and the pull request are to be read again.
    fn in_doubt(memory: &Memory) -> (bool, bool) {
        let of_repo = memory.repo(&repo()).expect("it is known");
        let issue = of_repo.issue(1).expect("it is known");
        let pull = of_repo.pull(2).expect("it is known");
        (issue.doubtful().is_some(), pull.doubtful().is_some())
    }

    /// What another process reads from the rows.
    fn stored(memory: &mut Memory) -> Memory {
        let rows = memory.take_changes();
        let rows = rows.iter().map(|row| {
            let value = row.value.as_deref().expect("nothing is gone");
            (row.repo.as_str(), row.name.as_str(), value)
        });
        Memory::read(rows).0
    }

    #[test]
    fn what_tells_another_state_of_something_that_changed_is_read_again_also_after_a_restart() {
        let later = NOW.after(minutes(1));
        for restarted in [false, true] {
            let mut memory = both();
            if restarted {
                memory = stored(&mut memory);
            }
            take_pull(&mut memory, PullRequestState::Merged, later);
            assert_eq!(in_doubt(&memory), (true, false), "{restarted}");
            let mut memory = both();
            if restarted {
                memory = stored(&mut memory);
            }
            take_issue(&mut memory, issue(false, later), later);
            assert_eq!(in_doubt(&memory), (false, true), "{restarted}");
        }
    }

    #[test]
    fn a_read_that_teaches_nothing_puts_nothing_else_in_doubt() {
        let mut memory = both();
        let later = NOW.after(minutes(1));
        // The pull request tells that the issue is open, which was true when it was read.
        take_issue(&mut memory, issue(false, later), later);
        let again = later.after(minutes(1));
        take_pull(&mut memory, PullRequestState::Closed, again);
        assert_eq!(in_doubt(&memory), (true, false));
        let lost = Fact::unknown(GapKind::Unreachable, "no way");
        take_issue(&mut memory, lost, again.after(minutes(1)));
        assert_eq!(in_doubt(&memory), (true, false), "it could not be read");
    }

    #[test]
    fn who_names_nobody_costs_nothing() {
        let mut memory = Memory::default();
        let bare = Fact::Found(Issue::bare(1, NOW));
        take_issue(&mut memory, bare, NOW);
        let of_repo = memory.repo(&repo()).expect("it is known");
        assert!(of_repo.named.by_issues.is_empty());
        let mut memory = both();
        let later = NOW.after(crate::memory::SWEEP_ENDED * 4);
        memory.prune(later, crate::memory::SWEEP_ENDED);
        take_issue(&mut memory, Fact::Found(Issue::bare(1, later)), later);
        let named = &memory.repo(&repo()).expect("it is known").named;
        assert!(named.by_issues.is_empty() && named.by_pulls.is_empty());
    }
}
