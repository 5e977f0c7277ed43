//! What GitHub announces: lists of changes, and webhooks. None of it is a fact; it says what is to be read again.

use std::collections::{BTreeMap, HashMap};

use vigil_core::session::Lookup;
use vigil_core::{Fact, Timestamp};

use super::known::Timeless;
use super::{Entry, Known, Memory, RepoMemory, branch_key, repo_key};
use crate::ask::{Parts, Wants};
use crate::budget::AccountMemory;
use crate::heads::Head;
use crate::learn::Seen;
use crate::memory::due::issue_due;
use crate::probe::Changed;
use crate::question::Repo;
use crate::tokens::Account;

/// What something that happened in a repository was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// An issue or a pull request.
    Number {
        /// Within its repository.
        number: u64,
        /// What GitHub called its last update then, by its own clock; `None`: it did not say.
        updated: Option<Timestamp>,
    },
    /// A branch at the head of pull requests.
    Branch(String),
    /// A commit, where GitHub does not say whose.
    Commit(String),
    /// A branch that pull requests go into: whether they can be merged may be another matter now.
    Base(String),
    /// All of it.
    Repository,
}

/// What an entry of a list of changes comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is known, or nobody's business.
    Nothing,
    /// Something that is known changed.
    OfKnown,
    /// A pull request that nobody has seen, in a repository where some are looked for by their branch.
    OfStranger,
}

/// What of a thing makes a session be looked at.
#[derive(Clone, Copy)]
enum Look<'a> {
    /// News for who judged it at that moment, in the pass of this one.
    News { judged: Timestamp, now: Timestamp },
    /// That it was not asked for in one of these silences.
    Silenced(&'a [(Timestamp, Timestamp)]),
}

impl Look<'_> {
    /// Another repository bears the name since.
    fn is_other(self, of_repo: &RepoMemory) -> bool {
        let since = of_repo.watch.other_since;
        match self {
            Look::News { judged, .. } => since.is_some_and(|since| since > judged),
            Look::Silenced(_) => false,
        }
    }

    fn touches<T: Clone + Timeless>(self, known: &Known<T>, parts: Parts) -> bool {
        match self {
            Look::News { judged, now } => known.calls(judged, parts, now),
            Look::Silenced(silences) => known.was_silenced(silences),
        }
    }
}

impl Memory {
    /// Whether a session that looks where `lookup` says has to be looked at: GitHub announced something about it, it is
    /// due to be read again, or it was read since the session was judged, at `judged`, by whomever. What the session's
    /// policies did not want then makes no difference to it, and what nobody ever asked about is not due. What could not
    /// be read is no reason in itself: when it is tried again is for the schedule to say.
    pub fn is_touched(
        &self,
        lookup: &Lookup,
        wants: Wants,
        judged: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.touches(lookup, wants, Look::News { judged, now })
            || self.was_told(lookup, wants, judged)
    }

    /// Whether something that such a session rests on was not asked for only because GitHub wanted silence, which is over
    /// at `now`. There may be any number of such sessions at once.
    pub fn is_to_be_had_again(&self, lookup: &Lookup, wants: Wants, now: Timestamp) -> bool {
        let over: Vec<(Timestamp, Timestamp)> = self
            .accounts
            .values()
            .flat_map(AccountMemory::silences)
            .map(|silence| (silence.told, silence.until))
            .filter(|(_, until)| *until <= now)
            .collect();
        !over.is_empty() && self.touches(lookup, wants, Look::Silenced(&over))
    }

    fn touches(&self, lookup: &Lookup, wants: Wants, look: Look<'_>) -> bool {
        wants.any_issue() && self.issue_touches(lookup, look)
            || wants.any_pull_request() && self.pull_request_touches(lookup, look)
    }

    fn issue_touches(&self, lookup: &Lookup, look: Look<'_>) -> bool {
        let Some(issue) = lookup.issue() else {
            return false;
        };
        let Some(of_repo) = self.repos.get(&issue.repo.to_ascii_lowercase()) else {
            return false;
        };
        let number = u32::try_from(issue.number).ok();
        let known = number.and_then(|number| of_repo.issue(number));
        look.is_other(of_repo) || known.is_some_and(|known| look.touches(known, known.parts))
    }

    fn pull_request_touches(&self, lookup: &Lookup, look: Look<'_>) -> bool {
        let Some(pull_request) = lookup.pull_request() else {
            return false;
        };
        let Some(of_repo) = self.repos.get(&pull_request.repo.to_ascii_lowercase()) else {
            return false;
        };
        let pull = |number: u32| {
            let known = of_repo.pull(number);
            known.is_some_and(|known| look.touches(known, known.parts))
        };
        let number = pull_request
            .number
            .and_then(|number| u32::try_from(number).ok());
        let owner = pull_request.head_owner.as_deref().unwrap_or_default();
        // A branch that nobody had to look at is not known.
        look.is_other(of_repo)
            || number.is_some_and(pull)
            || pull_request.branches.iter().any(|branch| {
                let known = of_repo.branch(&branch_key(owner, branch));
                known.is_some_and(|known| {
                    look.touches(known, Parts::empty())
                        || known
                            .fact
                            .found()
                            .is_some_and(|list| list.numbers.iter().any(|number| pull(*number)))
                })
            })
    }

    /// A pass begins: nothing was put off in it yet.
    pub fn begin(&mut self) {
        for (account, known) in &mut self.accounts {
            if known.postponed > 0 {
                known.postponed = 0;
                self.changes.insert(Entry::Account(account.clone()));
            }
        }
    }

    /// How many questions each account had put off by now.
    pub fn put_off(&self) -> HashMap<Account, u32> {
        let accounts = self.accounts.iter();
        accounts
            .map(|(account, known)| (account.clone(), known.postponed))
            .collect()
    }

    /// A look asked, and no pass: what the last pass put off stays what `before` says.
    pub fn keep_put_off(&mut self, before: &HashMap<Account, u32>) {
        for (account, known) in &mut self.accounts {
            known.postponed = before.get(account).copied().unwrap_or_default();
        }
    }

    /// Takes in an entry of a list of changes. The facts of an issue come with the entry, so that it need not be asked
    /// for again; a pull request's do not.
    pub(crate) fn announce(&mut self, repo: &Repo, changed: &Changed, now: Timestamp) -> News {
        let key = repo_key(repo);
        let Changed {
            number,
            updated,
            open,
            ..
        } = *changed;
        let known = self.repo_mut(repo);
        let had_ended = known.has_ended(number);
        if known.watch.shows(number, open, had_ended, updated) {
            self.changes.insert(Entry::Watch(key.clone()));
        }
        let known = self.repo_mut(repo);
        if changed.issue.is_some()
            && let Some(issue) = known.issues.get_mut(&number)
        {
            if !issue.announce(updated) {
                return News::Nothing;
            }
            // What a list does not tell has to be asked for all the same.
            if let Some(found) = &changed.issue
                && Parts::ASSIGNEES.contains(issue.parts)
            {
                let seen = Seen {
                    fact: Fact::Found(found.clone()),
                    id: Some(changed.id.clone()),
                    updated: Some(updated),
                };
                issue.take(seen, Parts::ASSIGNEES, now);
                issue.due = issue_due(issue, number, now);
                self.issue_changed(repo, number);
            }
            self.changes.insert(Entry::Issue(key, number));
            return News::OfKnown;
        }
        if changed.issue.is_some() {
            return News::Nothing;
        }
        if let Some(pull) = known.pulls.get_mut(&number) {
            if !pull.announce(updated) {
                return News::Nothing;
            }
            self.changes.insert(Entry::Pull(key, number));
            return News::OfKnown;
        }
        if known.looks_by_branch() && !known.watch.strangers.contains(&number) {
            known.watch.unread.entry(number).or_default();
            self.changes.insert(Entry::Watch(key));
            return News::OfStranger;
        }
        News::Nothing
    }

    /// Takes in the newest entries of a busy repository: `pulls` with their branches. Gives whether there was news, and
    /// the pull requests that nobody has seen and that have a branch which is waited for.
    pub(crate) fn announce_heads(
        &mut self,
        repo: &Repo,
        issues: &[Head],
        pulls: &[Head],
    ) -> (bool, Vec<u32>) {
        let key = repo_key(repo);
        let known = self.repos.entry(key.clone()).or_default();
        let mut news = false;
        let mut strangers = Vec::new();
        for head in issues.iter().chain(pulls) {
            let had_ended = known.has_ended(head.number);
            if (known.watch).shows(head.number, head.open, had_ended, head.updated) {
                self.changes.insert(Entry::Watch(key.clone()));
            }
        }
        for head in issues {
            if let Some(issue) = known.issues.get_mut(&head.number)
                && issue.announce(head.updated)
            {
                news = true;
                self.changes.insert(Entry::Issue(key.clone(), head.number));
            }
        }
        for head in pulls {
            if let Some(pull) = known.pulls.get_mut(&head.number) {
                if pull.announce(head.updated) {
                    news = true;
                    self.changes.insert(Entry::Pull(key.clone(), head.number));
                }
            } else if let Some(branch) = &head.branch
                && !known.watch.strangers.contains(&head.number)
                && known
                    .branches_of(branch, head.owner.as_deref())
                    .next()
                    .is_some()
            {
                known.watch.unread.entry(head.number).or_default();
                strangers.push(head.number);
                news = true;
                self.changes.insert(Entry::Watch(key.clone()));
            }
        }
        (news, strangers)
    }

    /// What is open by now of what was known to have ended, as lists and reads have shown: by repository, `owner/name` in
    /// lower case, each thing with the update by which that was seen. Nothing is asked for it: a repository that nobody
    /// looks at shows nothing.
    pub fn reopened(&self) -> HashMap<&str, &BTreeMap<u32, Timestamp>> {
        self.repos
            .iter()
            .filter(|(_, of_repo)| !of_repo.watch.reopened.is_empty())
            .map(|(key, of_repo)| (key.as_str(), &of_repo.watch.reopened))
            .collect()
    }

    /// Something happened, as a webhook says that came at `now`. Gives whether anything that is known is to be read
    /// again.
    pub fn wake(&mut self, repo: &Repo, about: &About, now: Timestamp) -> bool {
        let key = repo_key(repo);
        let Some(known) = self.repos.get_mut(&key) else {
            return false;
        };
        let mut woken = Vec::new();
        let (number, updated) = match about {
            About::Number { number, updated } => (u32::try_from(*number).ok(), *updated),
            _ => (None, None),
        };
        for (at, issue) in &mut known.issues {
            if number == Some(*at) || *about == About::Repository {
                issue.wake(updated, now);
                woken.push(Entry::Issue(key.clone(), *at));
            }
        }
        let mut a_stranger = number.is_some();
        for (at, pull) in &mut known.pulls {
            let of_it = match (about, pull.fact.found()) {
                (About::Number { .. }, _) => number == Some(*at),
                (About::Repository, _) => true,
                (About::Branch(branch), Some(pr)) => pr.head_ref == *branch,
                (About::Commit(sha), Some(pr)) => pr.head_sha == *sha,
                (About::Base(base), Some(pr)) => pr.ended().is_none() && pr.base_ref == *base,
                (_, None) => false,
            };
            if of_it {
                a_stranger &= number != Some(*at);
                pull.wake(updated, now);
                woken.push(Entry::Pull(key.clone(), *at));
            }
        }
        for (name, list) in &mut known.branches {
            let of_it = match about {
                About::Branch(branch) => {
                    name.split_once(':').is_some_and(|(_, name)| name == branch)
                }
                About::Repository => true,
                _ => false,
            };
            if of_it {
                list.wake(None, now);
                woken.push(Entry::Branch(key.clone(), name.clone()));
            }
        }
        let is_woken = !woken.is_empty();
        // A number that nobody knows may be a new pull request of a branch that is waited for; so may a commit.
        let may_be_new =
            !is_woken && (a_stranger || matches!(about, About::Commit(_) | About::Branch(_)));
        let look = may_be_new && known.looks_by_branch() || *about == About::Repository;
        if look {
            known.watch.wake(now);
            woken.push(Entry::Watch(key));
        }
        self.changes.extend(woken);
        is_woken || look
    }

    /// The same for everything that belongs to `owner`.
    pub fn wake_owner(&mut self, owner: &str, now: Timestamp) -> bool {
        let owner = owner.to_ascii_lowercase();
        let is_theirs = |key: &&String| key.split('/').next() == Some(owner.as_str());
        let repos: Vec<Repo> = self
            .repos
            .keys()
            .filter(is_theirs)
            .filter_map(|key| Repo::parse(key).ok())
            .collect();
        repos.iter().fold(false, |woken, repo| {
            self.wake(repo, &About::Repository, now) | woken
        })
    }

    /// A list lost an entry that it held, or is too long to be read: everything in the repository is read again, and so
    /// is the list.
    pub(crate) fn doubt_all(&mut self, repo: &Repo) {
        let key = repo_key(repo);
        let Some(known) = self.repos.get_mut(&key) else {
            return;
        };
        for (at, issue) in &mut known.issues {
            issue.doubt();
            self.changes.insert(Entry::Issue(key.clone(), *at));
        }
        for (at, pull) in &mut known.pulls {
            pull.doubt();
            self.changes.insert(Entry::Pull(key.clone(), *at));
        }
        for (name, list) in &mut known.branches {
            list.doubt();
            self.changes
                .insert(Entry::Branch(key.clone(), name.clone()));
        }
        known.watch.next = Timestamp::default();
        self.changes.insert(Entry::Watch(key));
    }

    /// The token may not read the issues of `repo`, as GitHub said at `now`: each of them says so itself when it is asked.
    pub(crate) fn lose_issues(&mut self, repo: &Repo, now: Timestamp) {
        if !self.watch_mut(repo).lose_issues(now) {
            return;
        }
        let key = repo_key(repo);
        let Some(known) = self.repos.get_mut(&key) else {
            return;
        };
        for (at, issue) in &mut known.issues {
            issue.doubt();
            self.changes.insert(Entry::Issue(key.clone(), *at));
        }
    }
}
