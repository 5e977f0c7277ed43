//! What was known before it became unknown, for people to read. It is no fact any more: nothing here makes an answer or
//! reaches a policy.

use vigil_core::forge::{Issue, PullRequest, PullRequestState};
use vigil_core::session::Lookup;
use vigil_core::{GapKind, Timestamp};

use super::{Known, Memory, RepoMemory, branch_key};
use crate::question::Repo;

/// What was known of something, and when it was read. Not a [`Fact`](vigil_core::Fact), so that it cannot be taken for
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled<T> {
    /// As it was then.
    pub then: T,
    /// When GitHub was asked.
    pub read: Timestamp,
}

/// What was known last of a session's issue and of its pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastKnown {
    /// Its issue; `None`: it was never read, or was another one.
    pub issue: Option<Recalled<Issue>>,
    /// Its pull request; `None`: as above, or nobody knows which one it would be.
    pub pull_request: Option<Recalled<PullRequest>>,
}

impl Memory {
    /// What was known last of what `lookup` leads to, at `now`, whatever has cast doubt on it since. What another thing
    /// bore the same name for, and what a clock that was ahead has dated, is not told.
    pub fn last_known(&self, lookup: &Lookup, now: Timestamp) -> LastKnown {
        let repo = |name: &str| self.readable(&Repo::parse(name).ok()?);
        let small = |number: u64| u32::try_from(number).ok();
        let issue = lookup.issue().and_then(|issue| {
            let of_repo = repo(&issue.repo)?;
            recalled(of_repo.issue(small(issue.number)?)?, now)
        });
        let pull_request = lookup.pull_request().and_then(|pr| {
            let of_repo = repo(&pr.repo)?;
            let list = || {
                let owner = pr.head_owner.as_deref()?;
                let name = branch_key(owner, pr.branches.first()?);
                let list = recalled(of_repo.branch(&name)?, now)?.then;
                (!list.partial).then_some(list.numbers)
            };
            if let Some(number) = pr.number {
                let number = small(number)?;
                let recorded = recalled(of_repo.pull(number)?, now)?;
                // One that ended speaks only where the session's branch is known to have no other.
                let speaks = recorded.then.state == PullRequestState::Open
                    || pr.branches.is_empty()
                    || list()?.iter().all(|of_branch| *of_branch == number);
                return speaks.then_some(recorded);
            }
            // Which of several is the session's rests on facts that are all in doubt.
            match list()?.as_slice() {
                [number] => recalled(of_repo.pull(*number)?, now),
                _ => None,
            }
        });
        LastKnown {
            issue,
            pull_request,
        }
    }

    /// What is remembered of a repository that is the one that it was.
    fn readable(&self, repo: &Repo) -> Option<&RepoMemory> {
        let other = |of: &&RepoMemory| {
            let gap = of.watch.gap.as_ref();
            of.watch.other_since.is_some()
                || gap.is_some_and(|gap| gap.kind == GapKind::IdentityChanged)
        };
        self.repo(repo).filter(|of| !other(of))
    }
}

fn recalled<T: Clone>(known: &Known<T>, now: Timestamp) -> Option<Recalled<T>> {
    let gap = known.gap.as_deref();
    let is_other =
        known.other_since.is_some() || gap.is_some_and(|gap| gap.kind == GapKind::IdentityChanged);
    if is_other || known.learned > now {
        return None;
    }
    Some(Recalled {
        then: known.fact.found()?.clone(),
        read: known.learned,
    })
}

#[cfg(test)]
mod tests {
    use vigil_core::Gap;
    use vigil_core::session::{IssueRef, PullRequestRef};

    use super::*;

    const READ: Timestamp = Timestamp(1_795_154_400_000);
    const NOW: Timestamp = Timestamp(1_795_155_120_000);

    fn lookup() -> Lookup {
        Lookup {
            issue: Ok(Some(IssueRef {
                repo: "acme/app".into(),
                number: 7,
            })),
            pull_request: Ok(Some(PullRequestRef::by_branch("acme/app", "work", "acme"))),
        }
    }

    /// A memory in which the issue was read and could not be read again.
    fn memory(change: impl FnOnce(&mut RepoMemory)) -> Memory {
        let issue = serde_json::json!({
            "fact": { "found": Issue {
                labels: vec!["bug".into()],
                ..Issue::bare(7, READ)
            } },
            "learned": READ.as_millis(),
        });
        let rows = [
            ("acme/app", "watch", r#"{"name": "acme/app"}"#.to_owned()),
            ("acme/app", "issue 7", issue.to_string()),
        ];
        let rows = rows
            .iter()
            .map(|(repo, name, value)| (*repo, *name, value.as_str()));
        let (mut memory, unreadable) = Memory::read(rows);
        assert_eq!(unreadable, 0);
        let of_repo = memory.repos.get_mut("acme/app").expect("it was read");
        let known = of_repo.issues.get_mut(&7).expect("it was read");
        known.miss(Gap::new(GapKind::Unreachable, "no way"), NOW);
        change(of_repo);
        memory
    }

    #[test]
    fn what_was_read_is_told_with_its_age_though_it_is_unknown_now() {
        let known = memory(|_| {}).last_known(&lookup(), NOW);
        let issue = known.issue.expect("it was read");
        assert_eq!((issue.then.number, issue.then.open), (7, true));
        assert_eq!(issue.read, READ);
        assert_eq!(known.pull_request, None, "it was never read");
    }

    #[test]
    fn a_recorded_one_that_ended_is_told_only_where_its_branch_has_no_other() {
        let told = |state, branch: &str, list: Option<&str>| {
            let pull = serde_json::json!({
                "fact": { "found": PullRequest { state, ..PullRequest::bare(8, READ) } },
                "learned": READ.as_millis(),
            });
            let list = list.map(|numbers| {
                format!(
                    r#"{{"fact": {{"found": {numbers}}}, "learned": {}}}"#,
                    READ.as_millis()
                )
            });
            let mut rows = vec![
                ("acme/app", "watch", r#"{"name": "acme/app"}"#.to_owned()),
                ("acme/app", "pull 8", pull.to_string()),
            ];
            rows.extend(list.map(|list| ("acme/app", "branch acme:work", list)));
            let rows = rows
                .iter()
                .map(|(repo, name, value)| (*repo, *name, value.as_str()));
            let (memory, unreadable) = Memory::read(rows);
            assert_eq!(unreadable, 0);
            let mut lookup = lookup();
            lookup.pull_request = Ok(Some(PullRequestRef {
                number: Some(8),
                branches: [branch]
                    .iter()
                    .filter(|b| !b.is_empty())
                    .map(|b| (*b).to_owned())
                    .collect(),
                ..PullRequestRef::by_branch("acme/app", "work", "acme")
            }));
            let known = memory.last_known(&lookup, NOW).pull_request;
            known.map(|known| known.then.number)
        };
        let alone = Some(r#"{"numbers": [8]}"#);
        let replaced = Some(r#"{"numbers": [9, 8]}"#);
        let partly = Some(r#"{"numbers": [8], "partial": true}"#);
        for ended in [PullRequestState::Closed, PullRequestState::Merged] {
            assert_eq!(told(ended, "work", alone), Some(8));
            assert_eq!(told(ended, "work", replaced), None, "which one is in doubt");
            assert_eq!(told(ended, "work", partly), None);
            assert_eq!(told(ended, "work", None), None);
            assert_eq!(told(ended, "", None), Some(8), "no branch brings another");
        }
        assert_eq!(told(PullRequestState::Open, "work", replaced), Some(8));
    }

    #[test]
    fn nothing_is_told_of_another_one_or_by_a_clock_that_was_ahead() {
        let told =
            |change: fn(&mut RepoMemory), now| memory(change).last_known(&lookup(), now).issue;
        let another = |of: &mut RepoMemory| {
            of.issues.get_mut(&7).expect("it was read").other_since = Some(READ);
        };
        let moved = |of: &mut RepoMemory| {
            of.watch.gap = Some(Gap::new(GapKind::IdentityChanged, "another repository"));
        };
        assert_eq!(told(another, NOW), None);
        assert_eq!(told(moved, NOW), None);
        assert_eq!(told(|_| {}, Timestamp(READ.0 - 1)), None);
    }
}
