//! What answers teach.

use vigil_core::forge::PullRequest;
use vigil_core::{Fact, Gap, Timestamp};

use super::due::{
    LAG_MAX, Pace, TRIES_MAX, branch_due, count_issue, count_pull_request, issue_due,
    pull_request_due,
};
use super::known::keep_mergeability;
use super::{Branch, Entry, Memory, branch_key, repo_key};
use crate::ask::Parts;
use crate::choose::{Candidates, More};
use crate::convert::Candidate;
use crate::learn::{Finding, Seen};
use crate::question::{Question, Repo, Target};

impl Memory {
    /// GitHub answered for `repo` and says that its node id is `id`. Where another one was known, everything that was
    /// known of that one is forgotten, and sessions that are older than this moment get no facts of the new one.
    pub(crate) fn take_identity(&mut self, repo: &Repo, id: &str, now: Timestamp) {
        let known = &self.repo_mut(repo).watch;
        // It answers under the name, so nothing is redirected from there.
        if known.called.is_some() {
            self.watch_mut(repo).called = None;
        }
        let known = &self.repo_mut(repo).watch;
        if known.id.as_deref() == Some(id) {
            return;
        }
        let is_another = known.id.is_some();
        if is_another {
            self.forget(repo);
        }
        let watch = self.watch_mut(repo);
        watch.id = Some(id.to_owned());
        if is_another {
            watch.other_since = Some(now);
            watch.since = None;
            watch.etag = None;
            watch.anchor = None;
            watch.verified = None;
            watch.strangers.clear();
            watch.unread.clear();
        }
    }

    /// The default branch of `repo`, as an answer told it; `None`: it did not, which takes nothing back.
    pub(crate) fn take_default_branch(&mut self, repo: &Repo, name: Option<&str>) {
        let known = self
            .watch(repo)
            .and_then(|watch| watch.default_branch.as_deref());
        if name.is_some() && known != name {
            self.watch_mut(repo).default_branch = name.map(str::to_owned);
        }
    }

    /// Takes in what was found out about `question`. `owners`: who may hold the branch that it asks about; pull
    /// requests of everybody else are of no interest.
    pub(crate) fn take(
        &mut self,
        question: &Question,
        finding: Finding,
        owners: &[String],
        pace: Pace,
        now: Timestamp,
    ) {
        match (&question.target, finding) {
            (Target::Issue { repo, number }, Finding::Issue(seen)) => {
                let key = repo_key(repo);
                if matches!(seen.fact, Fact::Found(_))
                    && self.repo(repo).is_some_and(|known| known.watch.no_issues)
                {
                    // It can be read, so its issues may be seen again.
                    self.watch_mut(repo).may_read_issues();
                }
                let had_ended = self.had_ended(repo, *number);
                let known = self.repo_mut(repo).issues.entry(*number).or_default();
                let changed = known.take(seen, question.parts, now);
                // A read that failed, or an answer that is too old, says nothing about what others tell.
                let is_learned = known.learned == now;
                if is_learned {
                    count_issue(known);
                    known.due = issue_due(known, *number, now);
                }
                let open = known.fact.found().map(|issue| issue.open);
                if let Some(open) = open.filter(|_| is_learned) {
                    self.shows(repo, *number, open, had_ended, now);
                }
                if changed && is_learned {
                    self.issue_changed(repo, *number);
                }
                self.changes.insert(Entry::Issue(key, *number));
            }
            (Target::PullRequest { repo, number }, Finding::PullRequest(seen)) => {
                self.take_pull(repo, *number, *seen, question.parts, pace, now);
            }
            (Target::Branch { repo, branch }, Finding::Branch(list)) => {
                for owner in owners {
                    self.take_branch(repo, branch, owner, &list, question.parts, pace, now);
                }
            }
            (target, finding) => {
                // Learning gives each question its own kind of finding.
                tracing::error!(%target, ?finding, "an answer of another kind than its question");
            }
        }
    }

    fn take_pull(
        &mut self,
        repo: &Repo,
        number: u32,
        mut seen: Seen<PullRequest>,
        parts: Parts,
        pace: Pace,
        now: Timestamp,
    ) {
        let key = repo_key(repo);
        let had_ended = self.had_ended(repo, number);
        let of_repo = self.repo_mut(repo);
        let began = of_repo.watch.began;
        let known = of_repo.pulls.entry(number).or_default();
        if let Fact::Found(new) = &mut seen.fact {
            let old = known.fact.found();
            keep_mergeability(new, old);
            let is_new = match old {
                Some(old) => old.head_sha != new.head_sha,
                // What was there when the watching began has had its time.
                None => began.is_some_and(|began| new.created > began),
            };
            if is_new {
                known.head_since = Some(now);
            }
        }
        let changed = known.take(seen, parts, now);
        let is_learned = known.learned == now;
        if is_learned {
            count_pull_request(known);
            known.due = pull_request_due(known, number, pace, now);
        }
        let open = known.fact.found().map(|pull| pull.ended().is_none());
        if let Some(open) = open.filter(|_| is_learned) {
            self.shows(repo, number, open, had_ended, now);
        }
        if changed && is_learned {
            self.pull_changed(repo, number);
        }
        self.changes.insert(Entry::Pull(key, number));
    }

    fn had_ended(&self, repo: &Repo, number: u32) -> bool {
        self.repo(repo).is_some_and(|known| known.has_ended(number))
    }

    /// An issue or pull request is open or not, as somebody saw who asked for it.
    fn shows(&mut self, repo: &Repo, number: u32, open: bool, had_ended: bool, now: Timestamp) {
        let key = repo_key(repo);
        let watch = &mut self.repo_mut(repo).watch;
        if watch.shows(number, open, had_ended, now) {
            self.changes.insert(Entry::Watch(key));
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one list of one owner, and what it was asked with"
    )]
    fn take_branch(
        &mut self,
        repo: &Repo,
        branch: &str,
        owner: &str,
        list: &Candidates,
        parts: Parts,
        pace: Pace,
        now: Timestamp,
    ) {
        let ours: Vec<&Candidate> = list
            .known
            .iter()
            .filter(|candidate| may_be_of(&candidate.pull_request, owner))
            .collect();
        let numbers: Vec<u32> = ours
            .iter()
            .filter_map(|candidate| u32::try_from(candidate.pull_request.number).ok())
            .collect();
        for candidate in ours {
            let Ok(number) = u32::try_from(candidate.pull_request.number) else {
                continue;
            };
            // A list of a branch tells less than a look at the pull request itself. Where it tells nothing new, what is
            // known beyond it stays.
            let known = self.repo(repo).and_then(|known| known.pulls.get(&number));
            if known.is_some_and(|known| {
                !parts.contains(known.parts)
                    && (known.is_read_at(now) || known.is_as_of(&candidate.id, candidate.updated))
            }) {
                continue;
            }
            let seen = Seen {
                fact: Fact::Found(candidate.pull_request.clone()),
                id: Some(candidate.id.clone()),
                updated: Some(candidate.updated),
            };
            self.take_pull(repo, number, seen, parts, pace, now);
        }
        let mut numbers = numbers;
        numbers.extend(self.too_new_for_a_replica(repo, branch, owner, &numbers, now));
        let fact = match &list.more {
            More::Lost(gap) => Fact::from(gap.clone()),
            _ if numbers.is_empty() && list.more == More::Complete => Fact::absent_at(now),
            more => Fact::Found(Branch {
                numbers,
                partial: *more != More::Complete,
            }),
        };
        let key = repo_key(repo);
        let name = branch_key(owner, branch);
        let known = self
            .repo_mut(repo)
            .branches
            .entry(name.clone())
            .or_default();
        let seen = Seen {
            fact,
            id: None,
            updated: None,
        };
        known.take(seen, Parts::empty(), now);
        known.due = branch_due(known, now);
        self.changes.insert(Entry::Branch(key, name));
    }

    /// Pull requests of a branch that are known and not in its list, though none ever leaves it: a replica that lags
    /// does not have the newest ones yet.
    fn too_new_for_a_replica(
        &self,
        repo: &Repo,
        branch: &str,
        owner: &str,
        listed: &[u32],
        now: Timestamp,
    ) -> Vec<u32> {
        let Some(of_repo) = self.repo(repo) else {
            return Vec::new();
        };
        let known = of_repo.branches.get(&branch_key(owner, branch));
        let Some(known) = known.and_then(|known| known.fact.found()) else {
            return Vec::new();
        };
        let is_new = |number: &&u32| {
            let pull = of_repo.pulls.get(number);
            let pr = pull.and_then(|pull| pull.fact.found());
            pr.is_some_and(|pr| pr.created.age(now) < LAG_MAX)
        };
        let missing = known.numbers.iter().filter(|one| !listed.contains(one));
        missing.filter(is_new).copied().collect()
    }

    /// A pull request that nobody knew was read: it joins the branch that it belongs to, or is remembered as nobody's.
    pub(crate) fn take_stranger(
        &mut self,
        repo: &Repo,
        number: u32,
        seen: Seen<PullRequest>,
        parts: Parts,
        pace: Pace,
        now: Timestamp,
    ) {
        let key = repo_key(repo);
        self.changes.insert(Entry::Watch(key.clone()));
        let known = self.repo_mut(repo);
        let Fact::Found(pr) = &seen.fact else {
            // A replica may not have it yet. Not for ever: the branches themselves are read again now and then.
            let unread = &mut known.watch.unread;
            let tries = unread.entry(number).or_default();
            *tries = tries.saturating_add(1);
            if *tries >= TRIES_MAX {
                unread.remove(&number);
                known.watch.add_stranger(number);
            }
            return;
        };
        known.watch.unread.remove(&number);
        let (branch, head) = (pr.head_ref.clone(), pr.head_owner.clone());
        let mut joined = Vec::new();
        for (name, list) in known.branches_of(&branch, head.as_deref()) {
            let mut numbers = list.fact.found().cloned().unwrap_or_default();
            if !numbers.numbers.contains(&number) {
                numbers.numbers.insert(0, number);
            }
            list.fact = Fact::Found(numbers);
            joined.push(Entry::Branch(key.clone(), name.clone()));
        }
        if joined.is_empty() {
            known.watch.add_stranger(number);
            return;
        }
        self.changes.extend(joined);
        self.take_pull(repo, number, seen, parts, pace, now);
    }

    /// Nothing was found out about `question`, for the reason that `gap` gives.
    pub(crate) fn miss(
        &mut self,
        question: &Question,
        owners: &[String],
        gap: &Gap,
        now: Timestamp,
    ) {
        let key = repo_key(question.target.repo());
        let known = self.repos.entry(key.clone()).or_default();
        if known.watch.name.is_empty() {
            known.watch.name = question.target.repo().to_string();
            self.changes.insert(Entry::Watch(key.clone()));
        }
        match &question.target {
            Target::Issue { number, .. } => {
                known
                    .issues
                    .entry(*number)
                    .or_default()
                    .miss(gap.clone(), now);
                self.changes.insert(Entry::Issue(key, *number));
            }
            Target::PullRequest { number, .. } => {
                known
                    .pulls
                    .entry(*number)
                    .or_default()
                    .miss(gap.clone(), now);
                self.changes.insert(Entry::Pull(key, *number));
            }
            Target::Branch { branch, .. } => {
                for owner in owners {
                    let name = branch_key(owner, branch);
                    known
                        .branches
                        .entry(name.clone())
                        .or_default()
                        .miss(gap.clone(), now);
                    self.changes.insert(Entry::Branch(key.clone(), name));
                }
            }
        }
    }
}

/// Whether a pull request's head may belong to `owner`: it does, or the fork that held it is gone.
fn may_be_of(pr: &PullRequest, owner: &str) -> bool {
    pr.head_owner
        .as_ref()
        .is_none_or(|head| head.eq_ignore_ascii_case(owner))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_154_400_000);

    fn repo() -> Repo {
        Repo::parse("acme/app").expect("a name")
    }

    fn candidate(number: u64, created: Timestamp) -> Candidate {
        Candidate {
            pull_request: PullRequest {
                created,
                head_ref: "fix".into(),
                head_owner: Some("acme".into()),
                ..PullRequest::bare(number, created)
            },
            id: format!("PR_{number}"),
            updated: created,
        }
    }

    /// The branch's list is read at `now` and holds `candidates`.
    fn read(memory: &mut Memory, candidates: &[Candidate], now: Timestamp) -> Vec<u32> {
        let question = Question {
            target: Target::Branch {
                repo: repo(),
                branch: "fix".into(),
            },
            parts: Parts::empty(),
            after: None,
            checks_so_far: None,
        };
        let list = Candidates {
            known: candidates.to_vec(),
            more: More::Complete,
        };
        memory.take(
            &question,
            Finding::Branch(list),
            &["acme".into()],
            Pace::default(),
            now,
        );
        let known = &memory.repos["acme/app"].branches["acme:fix"];
        known
            .fact
            .found()
            .map_or_else(Vec::new, |list| list.numbers.clone())
    }

    #[test]
    fn a_list_that_lags_does_not_lose_the_newest_pull_request() {
        let mut memory = Memory::default();
        let all = [
            candidate(8, NOW),
            candidate(7, NOW.before(Duration::from_secs(86_400))),
        ];
        assert_eq!(read(&mut memory, &all, NOW), [8, 7]);
        let soon = NOW.after(LAG_MAX / 2);
        assert_eq!(read(&mut memory, &all[1..], soon), [7, 8]);
        // Nothing lags for so long: it is gone.
        assert_eq!(read(&mut memory, &all[1..], NOW.after(LAG_MAX)), [7]);
    }

    #[test]
    fn a_pull_request_that_nobody_finds_is_given_up_after_some_tries() {
        let mut memory = Memory::default();
        read(&mut memory, &[], NOW);
        memory.repo_mut(&repo()).watch.unread.insert(9, 0);
        let seen = || Seen {
            fact: Fact::unknown(vigil_core::GapKind::NotFound, ""),
            id: None,
            updated: None,
        };
        for at in 1..=TRIES_MAX {
            let watch = &memory.repos["acme/app"].watch;
            assert_eq!(watch.unread.get(&9), Some(&(at - 1)));
            memory.take_stranger(&repo(), 9, seen(), Parts::empty(), Pace::default(), NOW);
        }
        let watch = &memory.repos["acme/app"].watch;
        assert!(watch.unread.is_empty() && watch.strangers.contains(&9));
    }

    #[test]
    fn another_repository_of_the_name_takes_nothing_over() {
        let mut memory = Memory::default();
        memory.take_identity(&repo(), "R_1", NOW);
        read(&mut memory, &[candidate(8, NOW)], NOW);
        memory.watch_mut(&repo()).unread.insert(9, 0);
        let later = NOW.after(LAG_MAX);
        memory.take_identity(&repo(), "R_2", later);
        let known = &memory.repos["acme/app"];
        assert!(known.pulls.is_empty() && known.branches.is_empty());
        assert!(known.watch.unread.is_empty());
        assert_eq!(known.watch.other_since, Some(later));
        // The rows of what was forgotten go, too.
        let gone = memory.take_changes();
        let gone: Vec<&str> = gone
            .iter()
            .filter(|change| change.value.is_none())
            .map(|change| change.name.as_str())
            .collect();
        assert_eq!(gone, ["pull 8", "branch acme:fix"]);
    }
}
