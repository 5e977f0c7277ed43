//! What exists: repositories with their issues, pull requests and commits.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::commit::{Commit, Suite};
use crate::history::History;
use crate::item::Item;

/// Everything that can be asked for. Cloned for a lagging replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) repos: Vec<Repo>,
    /// Present and former names, lower case: GitHub compares names without case and redirects from former ones.
    pub(crate) names: HashMap<String, usize>,
    /// What a replica still tells of single repositories, by their place in `repos`.
    pub(crate) stale: BTreeMap<usize, Stale>,
}

/// A repository as a replica remembers it.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) repo: Repo,
    /// Reads of the repository that still meet the replica, or pass it by.
    pub(crate) reads_left: u32,
    /// Every other read meets the replica, the first one first; the others see the present.
    pub(crate) flips: bool,
    /// The read that is being answered looked at the repository.
    pub(crate) met: Cell<bool>,
}

impl Stale {
    fn tells(&self) -> bool {
        !self.flips || self.reads_left.is_multiple_of(2)
    }
}

impl World {
    /// The repository that bears `owner/name` or once did, unless it was deleted, as a read sees it.
    pub(crate) fn repo(&self, owner: &str, name: &str) -> Option<&Repo> {
        let key = format!("{owner}/{name}").to_lowercase();
        self.read(*self.names.get(&key)?)
    }

    /// The repository of that id, unless it was deleted, as a read sees it.
    pub(crate) fn repo_by_id(&self, id: u64) -> Option<&Repo> {
        self.read(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    /// The repository as it is, whatever replicas say.
    pub(crate) fn present(&self, name_with_owner: &str) -> Option<&Repo> {
        let repo = self
            .repos
            .get(*self.names.get(&name_key(name_with_owner))?)?;
        (!repo.deleted).then_some(repo)
    }

    fn read(&self, index: usize) -> Option<&Repo> {
        let present = self.repos.get(index)?;
        let repo = match self.stale.get(&index) {
            Some(stale) => {
                stale.met.set(true);
                if stale.tells() { &stale.repo } else { present }
            }
            None => present,
        };
        (!repo.deleted).then_some(repo)
    }

    /// One read is over: the replicas that it met have one read less to go.
    pub(crate) fn after_read(&mut self) {
        self.stale.retain(|_, stale| {
            if stale.met.take() {
                stale.reads_left = stale.reads_left.saturating_sub(1);
            }
            stale.reads_left > 0
        });
    }
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Repo {
    /// Stable over renames, from 1.
    pub id: u64,
    /// Login of the owner.
    pub owner: String,
    /// Present name, without the owner.
    pub name: String,
    /// Former names with their owners, oldest first.
    pub former_names: Vec<String>,
    /// Only tokens that were granted it see it.
    pub private: bool,
    /// Read-only.
    pub archived: bool,
    /// Issues are switched on.
    pub has_issues: bool,
    /// Gone: looks as if it never was.
    pub deleted: bool,
    /// Milliseconds since the epoch.
    pub created_ms: u64,
    /// Of the repository itself, not of its issues.
    pub updated_ms: u64,
    /// The last push to any branch.
    pub pushed_ms: u64,
    /// Issues and pull requests in their shared number space.
    pub items: BTreeMap<u64, Item>,
    /// Numbers of issues that were deleted.
    pub deleted_issues: BTreeSet<u64>,
    /// Where transferred issues went: the id of the repository and their number there.
    pub transferred_issues: BTreeMap<u64, (u64, u64)>,
    /// What was run on commits, by their hashes.
    pub(crate) commits: BTreeMap<String, Commit>,
    /// `None`: it has none, as an empty repository.
    pub default_branch: Option<String>,
    /// What its branches hold.
    pub(crate) history: History,
    /// Numbers of pull requests by the branch at their head, forks included.
    pub(crate) heads: HashMap<String, Vec<u64>>,
    /// When each item last moved and its number, and whether it is a pull request: lists by `since` begin in the
    /// middle, and look at no more items than they show.
    by_update: BTreeMap<(u64, u64), bool>,
    /// Numbers of the pull requests that close an issue.
    closers: HashMap<u64, BTreeSet<u64>>,
    suites_made: u64,
}

impl Repo {
    pub(crate) fn new(id: u64, owner: &str, name: &str, now_ms: u64) -> Self {
        Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            former_names: Vec::new(),
            private: false,
            archived: false,
            has_issues: true,
            deleted: false,
            created_ms: now_ms,
            updated_ms: now_ms,
            pushed_ms: now_ms,
            items: BTreeMap::new(),
            deleted_issues: BTreeSet::new(),
            transferred_issues: BTreeMap::new(),
            commits: BTreeMap::new(),
            default_branch: Some("main".to_owned()),
            history: History::default(),
            heads: HashMap::new(),
            by_update: BTreeMap::new(),
            closers: HashMap::new(),
            suites_made: 0,
        }
    }

    /// `owner/name`.
    pub fn name_with_owner(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// What was run on a commit; `None`: nothing.
    pub fn commit(&self, sha: &str) -> Option<&Commit> {
        self.commits.get(sha)
    }

    /// The number of the next suite of the repository.
    pub(crate) fn next_suite(&mut self) -> u64 {
        self.suites_made += 1;
        self.suites_made
    }

    /// All suites with the commits that they ran on.
    pub(crate) fn suites(&self) -> impl Iterator<Item = (&str, &Suite)> {
        self.commits
            .iter()
            .flat_map(|(sha, commit)| commit.suites.iter().map(|suite| (sha.as_str(), suite)))
    }

    /// Whether `owner` and `name` are its present ones.
    pub(crate) fn is_called(&self, owner: &str, name: &str) -> bool {
        self.owner.eq_ignore_ascii_case(owner) && self.name.eq_ignore_ascii_case(name)
    }

    /// The issue of that number; a pull request is none.
    pub(crate) fn issue(&self, number: u64) -> Option<&Item> {
        self.items
            .get(&number)
            .filter(|item| item.pull().is_none() && self.has_issues)
    }

    /// The pull request of that number.
    pub(crate) fn pull(&self, number: u64) -> Option<&Item> {
        self.items.get(&number).filter(|item| item.pull().is_some())
    }

    /// Pull requests that close the issue when they are merged.
    pub(crate) fn closers(&self, issue: u64) -> impl Iterator<Item = &Item> {
        self.closers
            .get(&issue)
            .into_iter()
            .flatten()
            .filter_map(|number| self.pull(*number))
    }

    /// Items that moved at `since_ms` or later, earliest first.
    pub(crate) fn moved_since(&self, since_ms: u64) -> impl DoubleEndedIterator<Item = &Item> {
        self.moves_since(since_ms)
            .filter_map(|(number, _)| self.items.get(&number))
    }

    /// Their numbers in the same order, and whether each is a pull request: cheaper than the items.
    pub(crate) fn moves_since(
        &self,
        since_ms: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, bool)> {
        self.by_update
            .range((since_ms, 0)..)
            .map(|((_, number), is_pull)| (*number, *is_pull))
    }

    /// Puts an item in, in place of what bore its number.
    pub(crate) fn insert(&mut self, item: Item) {
        self.remove(item.number);
        self.index(&item, true);
        self.items.insert(item.number, item);
    }

    /// Takes an item out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Item> {
        let item = self.items.remove(&number)?;
        self.index(&item, false);
        Some(item)
    }

    /// Changes an item where it is, and keeps what it is found by. `None`: no such item.
    pub(crate) fn change<T>(
        &mut self,
        number: u64,
        change: impl FnOnce(&mut Item) -> T,
    ) -> Option<T> {
        let mut item = self.remove(number)?;
        let outcome = change(&mut item);
        self.insert(item);
        Some(outcome)
    }

    fn index(&mut self, item: &Item, is_there: bool) {
        let entry = (item.updated_ms, item.number);
        if is_there {
            self.by_update.insert(entry, item.pull().is_some());
        } else {
            self.by_update.remove(&entry);
        }
        let Some(pull) = item.pull() else {
            return;
        };
        for issue in &pull.closes {
            let closers = self.closers.entry(*issue).or_default();
            if is_there {
                closers.insert(item.number);
            } else {
                closers.remove(&item.number);
            }
        }
        let numbers = self.heads.entry(pull.head_ref.clone()).or_default();
        numbers.retain(|number| *number != item.number);
        if is_there {
            numbers.push(item.number);
        } else if numbers.is_empty() {
            self.heads.remove(&pull.head_ref);
        }
    }
}

/// The key under which a repository is found.
pub(crate) fn name_key(name_with_owner: &str) -> String {
    name_with_owner.to_lowercase()
}

/// `owner` and `name` of `owner/name`. Without a slash the whole is the name of a repository that nobody owns.
pub(crate) fn split_name(name_with_owner: &str) -> (&str, &str) {
    name_with_owner
        .split_once('/')
        .unwrap_or(("", name_with_owner))
}
