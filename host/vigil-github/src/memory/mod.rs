//! What is known of GitHub, from one pass to the next and over restarts.
//!
//! Facts are kept once for each issue and pull request, however many sessions share them, and each repository remembers
//! what it has seen last. From that follows what has to be asked: see [`Memory::questions`]. Everything here is pure; the
//! rows that changed are handed out by [`Memory::take_changes`], to be stored all at once. So a list's ETag is never
//! stored without the announcements that it stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vigil_core::forge::{Issue, PullRequest};
use vigil_core::{Fact, Timestamp};

use crate::budget::{AccountMemory, Pool, Silence};
use crate::compare::Compared;
use crate::question::Repo;
use crate::tokens::Account;

mod again;
mod answer;
mod compared;
mod due;
mod known;
mod landing;
mod named;
mod news;
mod outdated;
mod prune;
mod recall;
mod renamed;
mod speaks;
mod take;
mod told;
mod unasked;
mod watch;

pub use answer::{Doubt, Needed};
pub use due::{
    LAG_MAX, POLL_CALM, POLL_MAX, POLL_MIN, REPLICA_LAG, SECOND_LOOK, SWEEP_ENDED, SWEEP_OPEN,
    TRIES_MAX, moves_by_itself,
};
pub(crate) use due::{Pace, may_move_by_itself};
pub use known::{Known, Why};
use named::Named;
pub use news::About;
pub(crate) use news::News;
pub use outdated::is_outdated;
pub use recall::{LastKnown, Recalled};
pub use renamed::Renamed;
pub use told::Held;
use told::Told;
use unasked::Unasked;
pub use watch::{BUSY_FOR, Etag, IDLE_MAX, OVERLAP, Watch, whole_seconds};

/// What is known of GitHub.
#[derive(Debug, Default)]
pub struct Memory {
    repos: HashMap<String, RepoMemory>,
    accounts: BTreeMap<Account, AccountMemory>,
    /// What is not stored yet.
    changes: BTreeSet<Entry>,
    told: Told,
    /// What the pass under way had no time to ask.
    unasked: Unasked,
}

/// What is known of a repository. Boxed, since tables keep room for half as much again.
#[derive(Debug, Default)]
pub(crate) struct RepoMemory {
    pub(crate) watch: Watch,
    pub(crate) issues: HashMap<u32, Box<Known<Issue>>>,
    pub(crate) pulls: HashMap<u32, Box<Known<PullRequest>>>,
    /// By [`branch_key`].
    pub(crate) branches: HashMap<String, Box<Known<Branch>>>,
    /// By their two commits, `base...head`.
    pub(crate) compares: HashMap<String, Box<Known<Compared>>>,
    pub(crate) named: Named,
}

/// The pull requests of a branch that may be somebody's, by number, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Branch {
    /// Their numbers; what is known of each stands with the pull requests.
    pub numbers: Vec<u32>,
    /// There are more, which nobody had to look at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// The name of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Account(Account),
    Watch(String),
    Issue(String, u32),
    Pull(String, u32),
    Branch(String, String),
    Compare(String, String),
}

/// A row that changed, for the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Lower case `owner/name`; empty for what is about no repository.
    pub repo: String,
    /// Unique within the repository.
    pub name: String,
    /// JSON; `None`: the row goes.
    pub value: Option<String>,
}

/// A repository's name as a key: GitHub does not tell upper from lower case.
pub fn repo_key(repo: &Repo) -> String {
    repo.to_string().to_ascii_lowercase()
}

/// A branch's key: git tells upper from lower case, and GitHub's accounts do not.
pub(crate) fn branch_key(head_owner: &str, branch: &str) -> String {
    format!("{}:{branch}", head_owner.to_ascii_lowercase())
}

impl Memory {
    /// What was stored: rows of repository, name and JSON. A row that cannot be read is as good as none, since
    /// everything can be asked again; their number comes along.
    pub fn read<'a>(
        rows: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    ) -> (Memory, usize) {
        let mut memory = Memory::default();
        let mut unreadable = 0;
        for (repo, name, value) in rows {
            if memory.read_row(repo, name, value).is_none() {
                unreadable += 1;
            }
        }
        // A repository without its own row: its facts cannot be told apart from another's of the same name.
        memory.repos.retain(|_, repo| !repo.watch.name.is_empty());
        (memory, unreadable)
    }

    fn read_row(&mut self, repo: &str, name: &str, value: &str) -> Option<()> {
        if repo.is_empty() {
            let account = Account(name.strip_prefix("account ")?.to_owned());
            let mut known: AccountMemory = serde_json::from_str(value).ok()?;
            known.stored();
            self.accounts.insert(account, known);
            return Some(());
        }
        let known = self.repos.entry(repo.to_owned()).or_default();
        if name == "watch" {
            known.watch = serde_json::from_str(value).ok()?;
        } else if let Some(number) = name.strip_prefix("issue ") {
            let number = number.parse().ok()?;
            known
                .issues
                .insert(number, serde_json::from_str(value).ok()?);
            known.note_issue(repo, number);
        } else if let Some(number) = name.strip_prefix("pull ") {
            let number = number.parse().ok()?;
            known
                .pulls
                .insert(number, serde_json::from_str(value).ok()?);
            known.note_pull(repo, number);
        } else if let Some(between) = name.strip_prefix("compare ") {
            known
                .compares
                .insert(between.to_owned(), serde_json::from_str(value).ok()?);
        } else {
            let branch = name.strip_prefix("branch ")?.to_owned();
            known
                .branches
                .insert(branch, serde_json::from_str(value).ok()?);
        }
        Some(())
    }

    /// The rows that changed since the last call, each once.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
            .into_iter()
            .map(|entry| self.change(entry))
            .collect()
    }

    fn change(&mut self, entry: Entry) -> Change {
        let row = |repo: &str, name: String, value: Option<String>| Change {
            repo: repo.to_owned(),
            name,
            value,
        };
        let of = |key: &str| self.repos.get(key);
        match entry {
            Entry::Account(account) => {
                let value = json(self.accounts.get(&account));
                if let Some(known) = self.accounts.get_mut(&account) {
                    known.stored();
                }
                row("", format!("account {account}"), value)
            }
            Entry::Watch(key) => row(
                &key,
                "watch".to_owned(),
                json(of(&key).map(|repo| &repo.watch)),
            ),
            Entry::Issue(key, number) => {
                let value = json(of(&key).and_then(|repo| repo.issues.get(&number)));
                row(&key, format!("issue {number}"), value)
            }
            Entry::Pull(key, number) => {
                let value = json(of(&key).and_then(|repo| repo.pulls.get(&number)));
                row(&key, format!("pull {number}"), value)
            }
            Entry::Branch(key, branch) => {
                let value = json(of(&key).and_then(|repo| repo.branches.get(&branch)));
                row(&key, format!("branch {branch}"), value)
            }
            Entry::Compare(key, between) => {
                let value = json(of(&key).and_then(|repo| repo.compares.get(&between)));
                row(&key, format!("compare {between}"), value)
            }
        }
    }

    /// What is remembered of each account.
    pub fn accounts(&self) -> impl Iterator<Item = (&Account, &AccountMemory)> {
        self.accounts.iter()
    }

    /// What is remembered of `account`, to be changed.
    pub(crate) fn account_mut(&mut self, account: &Account) -> &mut AccountMemory {
        self.changes.insert(Entry::Account(account.clone()));
        self.accounts.entry(account.clone()).or_default()
    }

    /// Until when `pool` must not be asked for `account`, and why; `None`: it may be. Counts what others were told that
    /// turned out to have the same token.
    pub fn silent(&self, account: &Account, pool: Pool, now: Timestamp) -> Option<Silence> {
        self.account(account, now).silent(pool, now)
    }

    /// What is remembered of `account`, together with others that turned out to have the same token, as it counts at
    /// `now`; as of one that nobody has used when there is nothing.
    pub(crate) fn account(&self, account: &Account, now: Timestamp) -> AccountMemory {
        let known = self.accounts.get(account).cloned().unwrap_or_default();
        let others = self.accounts.iter().filter(|(other, _)| *other != account);
        others.fold(known, |known, (_, other)| known.beside(other, now))
    }

    /// What another process was told about `account` holds for this one, too: nothing is sent before that is over.
    pub fn heed(&mut self, account: &Account, told: &AccountMemory, now: Timestamp) {
        let mut known = self.accounts.get(account).cloned().unwrap_or_default();
        if known.heed(told, now) {
            *self.account_mut(account) = known;
        }
    }

    /// How `repo` is watched; `None`: nothing of it is known.
    pub fn watch(&self, repo: &Repo) -> Option<&Watch> {
        self.repos.get(&repo_key(repo)).map(|known| &known.watch)
    }

    pub(crate) fn watch_mut(&mut self, repo: &Repo) -> &mut Watch {
        let key = repo_key(repo);
        self.changes.insert(Entry::Watch(key.clone()));
        &mut self.repo_mut(repo).watch
    }

    pub(crate) fn repo(&self, repo: &Repo) -> Option<&RepoMemory> {
        self.repos.get(&repo_key(repo))
    }

    /// What is known of `repo`. Whoever changes something in it marks the entry as changed.
    fn repo_mut(&mut self, repo: &Repo) -> &mut RepoMemory {
        let key = repo_key(repo);
        let known = self.repos.entry(key.clone()).or_default();
        if known.watch.name.is_empty() {
            known.watch.name = repo.to_string();
            self.changes.insert(Entry::Watch(key));
        }
        known
    }

    /// How fast the pull requests are followed that move without being announced, and that somebody still asks about.
    /// `resync`: webhooks are on, and this is how often a look is made at most.
    pub(crate) fn pace(&self, now: Timestamp, resync: Option<Duration>) -> Pace {
        let since = now.before(SWEEP_OPEN * 2);
        let pulls = self.repos.values().flat_map(|repo| repo.pulls.values());
        let mut pace = Pace {
            resync,
            ..Pace::default()
        };
        for pull in pulls.filter(|pull| pull.tried >= since) {
            pace.polled += usize::from(pull.fact.found().is_some_and(moves_by_itself));
            pace.calm += usize::from(may_move_by_itself(pull));
        }
        pace
    }

    /// Forgets everything about the issues, pull requests and branches of `repo`: it is another one now.
    fn forget(&mut self, repo: &Repo) {
        let key = repo_key(repo);
        let Some(known) = self.repos.get_mut(&key) else {
            return;
        };
        known.named = Named::default();
        for number in std::mem::take(&mut known.issues).into_keys() {
            self.changes.insert(Entry::Issue(key.clone(), number));
        }
        for number in std::mem::take(&mut known.pulls).into_keys() {
            self.changes.insert(Entry::Pull(key.clone(), number));
        }
        for branch in std::mem::take(&mut known.branches).into_keys() {
            self.changes.insert(Entry::Branch(key.clone(), branch));
        }
        for between in std::mem::take(&mut known.compares).into_keys() {
            self.changes.insert(Entry::Compare(key.clone(), between));
        }
    }

    /// When the facts about something in `watch` that was learned at `learned` were true last: a look at the
    /// repository that announced nothing confirms them. A look that lies ahead was made by another clock.
    fn as_of(watch: &Watch, learned: Timestamp, now: Timestamp) -> Timestamp {
        let verified = watch.verified.filter(|verified| *verified <= now);
        verified.map_or(learned, |verified| verified.max(learned))
    }
}

/// JSON, which these types always have; one that had none would count as forgotten and be asked again.
fn json<T: Serialize>(value: Option<&T>) -> Option<String> {
    value.and_then(|value| serde_json::to_string(value).ok())
}

impl RepoMemory {
    /// What is known of an issue.
    pub(crate) fn issue(&self, number: u32) -> Option<&Known<Issue>> {
        self.issues.get(&number).map(Box::as_ref)
    }

    /// What is known of a pull request.
    pub(crate) fn pull(&self, number: u32) -> Option<&Known<PullRequest>> {
        self.pulls.get(&number).map(Box::as_ref)
    }

    /// Whether the issue or pull request `number` is known to have ended.
    pub(crate) fn has_ended(&self, number: u32) -> bool {
        let issue = self.issue(number).and_then(|known| known.fact.found());
        let pull = self.pull(number).and_then(|known| known.fact.found());
        issue.is_some_and(|issue| !issue.open) || pull.is_some_and(|pull| pull.ended().is_some())
    }

    /// What is known of a branch, by [`branch_key`].
    pub(crate) fn branch(&self, key: &str) -> Option<&Known<Branch>> {
        self.branches.get(key).map(Box::as_ref)
    }

    /// Whether anything was ever asked that may find pull requests by their branch.
    pub(crate) fn looks_by_branch(&self) -> bool {
        !self.branches.is_empty()
    }

    /// The branch entries of that name, whoever owns the head.
    fn branches_of<'a>(
        &'a mut self,
        branch: &'a str,
        head_owner: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a String, &'a mut Known<Branch>)> {
        let all = self.branches.iter_mut();
        let all = all.map(|(key, known)| (key, known.as_mut()));
        all.filter(move |(key, _)| {
            key.split_once(':').is_some_and(|(owner, name)| {
                name == branch && head_owner.is_none_or(|head| head.eq_ignore_ascii_case(owner))
            })
        })
    }
}

/// A fact that says something: found or absent.
fn says_something<T>(fact: &Fact<T>) -> bool {
    matches!(fact, Fact::Found(_) | Fact::Absent(_))
}
